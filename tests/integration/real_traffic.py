# SPDX-License-Identifier: BSD-2-Clause
"""A capture of what real programs say to each other, made on this machine.

Two network namespaces with a veth pair between them: a client, and a server with dnsmasq and
Python's http.server. tcpdump looks on at the client's end. Needs root.
"""

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time

from network import read_capture

TIMEOUT = 60
CLIENT, SERVER = ("10.9.0.1", "fd00:9::1"), ("10.9.0.2", "fd00:9::2")
CLIENT_MAC, SERVER_MAC = "52:54:00:09:00:01", "52:54:00:09:00:02"
NAME = "server.test"


def run(*words, **options):
    """Run a command that has to succeed; returns its output."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False, **options
    )
    assert done.returncode == 0, f"{words}: status {done.returncode}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def network_namespaces():
    """The names of two namespaces that have an interface veth each, and nothing else."""
    # Names are the machine's: others may run these tests at the same time.
    client, server = f"ptnet{os.getpid()}c", f"ptnet{os.getpid()}s"
    try:
        for name in (client, server):
            run("ip", "netns", "add", name)
        run("ip", "-n", client, "link", "add", "veth", "address", CLIENT_MAC, "type", "veth",
            "peer", "name", "veth", "address", SERVER_MAC, "netns", server)  # fmt: skip
        for name, addresses in ((client, CLIENT), (server, SERVER)):
            # Frames as a wire would have them: of the MTU's size at most, with their checksums.
            offloads = [word for feature in ("rx", "tx", "sg", "tso", "gso", "gro") for word in (feature, "off")]
            run("ip", "netns", "exec", name, "ethtool", "-K", "veth", *offloads)
            run("ip", "-n", name, "addr", "add", f"{addresses[0]}/24", "dev", "veth")
            run("ip", "-n", name, "addr", "add", f"{addresses[1]}/64", "nodad", "dev", "veth")
            run("ip", "-n", name, "link", "set", "veth", "up")
        yield client, server
    finally:
        for name in (client, server):
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def running(namespace, ready, *words, end=signal.SIGTERM):
    """A program in a namespace, from when it has printed READY until it has ended."""
    with subprocess.Popen(
        ["ip", "netns", "exec", namespace, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        said = b""
        try:
            while ready not in said:
                more = os.read(process.stdout.fileno(), 4096)
                assert more, f"{words} ended: {said.decode()}"
                said += more
            yield
        finally:
            process.send_signal(end)
            process.communicate(timeout=TIMEOUT)


def converse(client, directory):
    """All that the client does. Everything that it asks for is checked: it is real or it is nothing."""

    def on_client(script):
        # ip gives each program mounts of its own, so this is not the machine's resolv.conf.
        script = f"mount --bind {directory}/resolv.conf /etc/resolv.conf && {script}"
        return run("ip", "netns", "exec", client, "sh", "-c", script)

    def fetch(family, name):
        on_client(f"curl --noproxy '*' -sS -{family} -o {directory}/fetched http://{NAME}/{name}")
        assert (directory / "fetched").read_bytes() == (directory / "www" / name).read_bytes()

    on_client(f"ping -q -c 3 -i 0.1 {SERVER[0]}")
    on_client(f"ping -q -c 3 -i 0.1 {SERVER[1]}")
    on_client(f"ping -q -c 4 -i 0.1 -s 4000 {SERVER[0]}")
    on_client(f"ping -q -c 2 -i 0.1 -s 4000 {SERVER[1]}")
    assert SERVER[0] in on_client(f"busybox nslookup {NAME}")
    for family in "46":
        fetch(family, "large")
        fetch(family, "small")


def converse_in_jumbo_frames(client, server, directory):
    for name in (client, server):
        run("ip", "-n", name, "link", "set", "veth", "mtu", "9000")
    run("ip", "netns", "exec", client, "ping", "-q", "-M", "do", "-c", "3", "-i", "0.1", "-s", "8972", SERVER[0])
    run("ip", "netns", "exec", client, "curl", "--noproxy", "*", "-sS", "-o", directory / "fetched",
        f"http://{SERVER[0]}/large")  # fmt: skip
    assert (directory / "fetched").read_bytes() == (directory / "www" / "large").read_bytes()


def wait_for_bytes(path, wanted):
    deadline = time.monotonic() + TIMEOUT
    while wanted not in path.read_bytes():
        assert time.monotonic() < deadline, f"{wanted} did not appear in {path}"
        time.sleep(0.02)  # nobody says when a file has grown


def capture():
    """The bytes of a capture file."""
    with tempfile.TemporaryDirectory(prefix="ptnet-traffic-") as folder, network_namespaces() as (client, server):
        directory = pathlib.Path(folder)
        file = directory / "capture.pcap"
        (directory / "resolv.conf").write_text(f"nameserver {SERVER[0]}\n")
        (directory / "www").mkdir()
        (directory / "www" / "small").write_bytes(b"hello\n")
        (directory / "www" / "large").write_bytes(random.Random(9).randbytes(300_000))
        dnsmasq = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root"]
        dnsmasq += [f"--address=/{NAME}/{address}" for address in SERVER]
        http = ["/usr/bin/python3", "-m", "http.server", "80", "--bind", "::", "--directory", str(directory / "www")]
        # Not in immediate mode, in which it cuts what is longer than the MTU that it found when it began.
        tcpdump = ["tcpdump", "-Z", "root", "-U", "-n", "-s", "0", "-i", "veth", "-w", str(file)]
        with (
            running(server, b"started", *dnsmasq),
            running(server, b"Serving", *http),
            running(client, b"listening on", *tcpdump, end=signal.SIGINT),
        ):
            converse(client, directory)
            converse_in_jumbo_frames(client, server, directory)
            # Whatever tcpdump has written of the last packet, it has written all before it.
            run("ip", "netns", "exec", client, "ping", "-q", "-c", "1", "-p", b"last".hex(), SERVER[0])
            wait_for_bytes(file, b"lastlast")
        return file.read_bytes()


def kinds(frames):
    """What is in a capture: a count for each kind of traffic that we want to have there."""
    counts = dict.fromkeys(
        ("arp", "dns", "http", "neighbour discovery", "ipv4 fragment", "ipv6 fragment", "ipv6", "jumbo", "short"), 0
    )
    for frame in frames:
        protocol, packet = frame[12:14], frame[14:]
        counts["jumbo"] += len(frame) > 1514
        counts["short"] += len(frame) < 60
        counts["arp"] += protocol == b"\x08\x06"
        if protocol == b"\x08\x00":
            fragment = int.from_bytes(packet[6:8], "big") & 0x3FFF
            counts["ipv4 fragment"] += bool(fragment)
            ports = packet[20:22], packet[22:24]
            counts["dns"] += packet[9] == 17 and not fragment and b"\x00\x35" in ports
            counts["http"] += packet[9] == 6 and b"\x00\x50" in ports
        elif protocol == b"\x86\xdd":
            counts["ipv6"] += 1
            counts["ipv6 fragment"] += packet[6] == 44
            counts["neighbour discovery"] += packet[6] == 58 and packet[40] in (135, 136)
            counts["http"] += packet[6] == 6 and b"\x00\x50" in (packet[40:42], packet[42:44])
    return counts


if __name__ == "__main__":
    print(kinds(read_capture(capture())))
