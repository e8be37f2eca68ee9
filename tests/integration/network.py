# SPDX-License-Identifier: BSD-2-Clause
"""Networking with guests: which interface is which port, addresses, TCP transfers, captures."""

import re
import struct
import time

from daemon import TIMEOUT

# Emulated guests, on a machine that others use too.
TRANSFER_TIMEOUT = 300


def attach(daemon, *ports):
    """The QEMU arguments that give a guest these ports (a region that they share comes once)."""
    return daemon.ctl("qemu-args", *ports)


def interface(daemon, guest, port):
    """The guest's name for the interface that is this port."""
    mac = daemon.ctl("port", "show", port)["mac"]
    # Made by the driver when it is loaded, and renamed by nobody.
    return guest.check(f"basename $(dirname $(grep -lx {mac} /sys/class/net/*/address))").strip()


def wait_until(condition, what, interval=0.01):
    """The daemon tells nothing by itself: ask until the condition, which asks it, is true."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"in {TIMEOUT} s it never was true that {what}"
        time.sleep(interval)


def bring_up(guest, name, address, mtu=1500):
    """Give the interface an address (and its network), MTU, and set it up."""
    guest.check(f"ip link set {name} mtu {mtu} up && ip addr replace {address} dev {name}")


def ring_states(daemon, port):
    """What the daemon tells about each ring of a port."""
    return daemon.ctl("stats", port)["ports"][0]["rings"]


def counters(daemon, port, direction):
    """The sums of a port's ring counters in one direction ("tx": what the guest sends)."""
    total = {}
    for ring in ring_states(daemon, port):
        if ring["direction"] == direction:
            for name, value in ring["counters"].items():
                total[name] = total.get(name, 0) + value
    return total


def faults(daemon, port):
    """The rings of a port that were stopped because of something that their guest wrote."""
    return [f"{r['direction']}{r['index']}: {r['fault']}" for r in ring_states(daemon, port) if r["counters"]["faults"]]


class Transfer:
    """FILE of one guest on its way to another over TCP, by socat, which must be in both images."""

    def __init__(self, sender, receiver, address, port=5001, file="/tmp/data"):
        self.receiver = receiver.spawn(f"socat -u -b 65536 TCP-LISTEN:{port},reuseaddr STDOUT | sha256sum")
        # A listening socket is in state 0A.
        listens = f"grep -q ':{port:04X} [0-9A-F]*:0000 0A' /proc/net/tcp /proc/net/tcp6"
        receiver.check(f"until {listens}; do usleep 20000; done")
        self.sender = sender.spawn(f"socat -u -b 65536 OPEN:{file} TCP:{address}:{port} && sha256sum <{file}")

    def finish(self, timeout=TRANSFER_TIMEOUT):
        """(SHA-256 of what was sent, SHA-256 of what arrived)."""
        sent = self.sender.check(timeout).split()[0]
        arrived = self.receiver.check(timeout).split()[0]
        return sent, arrived


def ping(guest, address, count, *options):
    """iputils' ping, which must be in the image; returns (sent, answered, whole output).

    Without -w ping gives up twice the longest round trip after its last packet, which is nothing on a
    machine that stalls. With -w it waits for COUNT answers, and sends more meanwhile: those don't count.
    """
    output = guest.run(f"/bin/ping -n -c {count} -w 60 {' '.join(options)} {address} 2>&1", timeout=300).output
    answered = {int(number) for number in re.findall(r"^\d+ bytes from .* icmp_seq=(\d+) .*ms$", output, re.MULTILINE)}
    assert re.search(r"^\d+ packets transmitted, ", output, re.MULTILINE), output
    return count, len(answered & set(range(1, count + 1))), output


def read_capture(data):
    """The frames of a capture file (pcap), in order."""
    magic = data[:4]
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}[magic]
    assert struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF == 1, "not Ethernet"
    frames = []
    offset = 24
    while offset < len(data):
        kept, length = struct.unpack_from(order + "8xII", data, offset)
        assert kept == length, f"frame {len(frames)} was cut to {kept} of {length} bytes"
        offset += 16
        assert offset + kept <= len(data), f"frame {len(frames)} ends beyond the file"
        frames.append(data[offset : offset + kept])
        offset += kept
    return frames


def netmap_program(guest, command, timeout=TRANSFER_TIMEOUT):
    """Start a program that uses /dev/netmap; returns its job when it has mapped its port's memory."""
    job = guest.spawn(f"exec {command} 2>&1")
    process = job.group  # a command is the leader of its process group, and this one replaces its shell
    status, _ = guest.run(
        f"until grep -q /dev/netmap /proc/{process}/maps; do kill -0 {process} || exit 1; usleep 20000; done", timeout
    )
    assert status == 0, f"{command} ended: {job.wait(timeout)}"
    return job
