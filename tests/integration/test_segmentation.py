# SPDX-License-Identifier: BSD-2-Clause
"""Segments as the switch makes them (src/port/segment.c), against what Scapy makes of the same packets."""

import ctypes
import itertools
import subprocess

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from guest import REPO

TCPV4, UDP_ANY, TCPV6 = 1, 3, 4  # VIRTIO_NET_HDR_GSO_*

# Cuts one packet into segments, one behind the other in OUT; returns their number or a negative errno.
WRAPPER = """
#include "port/checksum.h"
#include "port/segment.h"

int cut(unsigned gso, const char *packet, uint32_t len, uint32_t limit, char *out, uint32_t *lens)
{
	struct segmentation s;
	int result = segmentation_begin(&s, gso, packet, len, len, limit);

	if (result < 0)
		return result;
	for (uint32_t i = 0; i < s.count; i++) {
		uint32_t payload = segmentation_payload(&s, i);
		const char *from = packet + s.headers_len + i * s.per_segment;

		memcpy(out + s.headers_len, from, payload);
		segmentation_write_headers(&s, i, checksum_add(0, from, payload), out);
		lens[i] = s.headers_len + payload;
		out += lens[i];
	}
	return (int)s.count;
}
"""


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """cut(gso type, packet, longest frame): the segments, as bytes."""
    directory = tmp_path_factory.mktemp("segmentation")
    (directory / "wrapper.c").write_text(WRAPPER)
    library = directory / "segmentation.so"
    sources = [directory / "wrapper.c", REPO / "src" / "port" / "segment.c"]
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-I", REPO / "src", *sources, "-o", library], check=True)
    function = ctypes.CDLL(library).cut

    def call(gso, packet, limit):
        out = ctypes.create_string_buffer(300 * 1000 + 20 * len(packet))
        lens = (ctypes.c_uint32 * 70000)()
        count = function(gso, packet, len(packet), limit, out, lens)
        assert count > 0, count
        ends = list(itertools.accumulate(lens[:count], initial=0))
        return [out.raw[start:end] for start, end in zip(ends, ends[1:])]

    return call


def ethernet(tags):
    packet = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    for number in range(tags):
        packet /= Dot1AD(vlan=7) if number == 0 and tags > 1 else Dot1Q(vlan=number + 1, prio=5)
    return packet


NETWORKS = {
    "ipv4": IP(src="10.0.0.1", dst="192.168.255.254", id=65534, tos=4, ttl=3, flags="DF"),
    "ipv4-options": IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 8, id=1),
    "ipv6": IPv6(src="fd00::1", dst="fe80::ffff:1", tc=3, fl=0x12345, hlim=9),
}
TRANSPORTS = {
    "tcp": TCP(sport=1, dport=65535, seq=2**32 - 700, ack=77, flags="FPA", window=9),
    "tcp-options": TCP(sport=80, seq=5, flags="A", options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))]),
    "udp": UDP(sport=4789, dport=4789),
}


def recomputed(segment, network, transport):
    """The segment as Scapy writes it if it must find lengths and checksums by itself."""
    packet = Ether(segment)
    for layer, fields in ((network, ("len", "plen", "chksum")), (transport, ("len", "chksum"))):
        for field in fields:
            if field in packet[layer].fields:
                del packet[layer].fields[field]
    return bytes(packet)


@pytest.mark.parametrize("tags", [0, 1, 3])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("network", NETWORKS)
def test_segments(cut, network, transport, tags):
    l3, l4 = type(NETWORKS[network]), type(TRANSPORTS[transport])
    gso = UDP_ANY if l4 is UDP else TCPV6 if l3 is IPv6 else TCPV4
    headers = len(ethernet(tags) / NETWORKS[network] / TRANSPORTS[transport])
    for payload, limit in ((0, 1514), (1, 1514), (9, headers + 1), (4001, 1514), (65000, 9001), (60000, 65535)):
        data = bytes((i * 7 + i // 256) % 256 for i in range(payload))
        whole = Ether(bytes(ethernet(tags) / NETWORKS[network] / TRANSPORTS[transport] / Raw(data)))
        segments = cut(gso, bytes(whole), limit)
        assert len(segments) == max(1, -(-payload // (limit - headers)))
        done = b""
        for number, segment in enumerate(segments):
            packet = Ether(segment)
            assert len(segment) <= limit
            assert recomputed(segment, l3, l4) == segment
            if l3 is IP:
                assert packet[IP].id == (whole[IP].id + number) % 65536
            if l4 is TCP:
                last = number + 1 == len(segments)
                assert packet[TCP].seq == (whole[TCP].seq + len(done)) % 2**32
                assert packet[TCP].flags == (whole[TCP].flags if last else "A")
            assert segment[: 14 + 4 * tags] == bytes(whole)[: 14 + 4 * tags]
            done += segment[headers:]
        assert done == data
