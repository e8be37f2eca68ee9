# SPDX-License-Identifier: BSD-2-Clause
"""Guests with different kernels on one VALE switch: ping, TCP, and what a third one gets to see."""

import contextlib

import pytest

from daemon import Daemon
from guest import Guest
from network import Transfer, attach, bring_up, counters, faults, interface, ping, read_capture, wait_until

CONFIG = {
    "switches": [{"name": "vale0"}],
    "ports": [
        {"name": "vale0:alice"},
        {"name": "vale0:bob", "rings": 2},
        {"name": "vale0:carol"},
    ],
}
KERNEL = {"alice": "6.1", "bob": "6.12", "carol": "6.1"}
ADDRESS = {"alice": "10.0.0.1", "bob": "10.0.0.2", "carol": "10.0.0.3"}
MEGABYTES = 64


class Network:
    def __init__(self, daemon, guests, names):
        self.daemon = daemon
        self.guests = guests
        self.names = names
        self.macs = {name: daemon.ctl("port", "show", f"vale0:{name}")["mac"] for name in guests}

    def set_mtu(self, mtu):
        for name, guest in self.guests.items():
            guest.check(f"ip link set {self.names[name]} mtu {mtu}")

    def drops(self):
        """What was dropped so far, by cause, on every ring of the switch."""
        found = {}
        for name in self.guests:
            for direction in ("tx", "rx"):
                for counter, value in counters(self.daemon, f"vale0:{name}", direction).items():
                    if counter.startswith("drop"):
                        found[name, direction, counter] = value
        return found


@pytest.fixture(scope="module")
def network(make_ptnet_image):
    with Daemon(CONFIG) as daemon:
        guests = {}
        for name, kernel in KERNEL.items():
            image = make_ptnet_image(kernel, programs=["/bin/ping", "/usr/bin/socat", "/usr/bin/tcpdump"])
            arguments = attach(daemon, f"vale0:{name}")
            cpus = 2 if name == "bob" else 1
            guests[name] = Guest(name, image, qemu_args=arguments, memory="384M", cpus=cpus).start()
        names = {}
        for name, guest in guests.items():
            guest.wait_ready()
            names[name] = interface(daemon, guest, f"vale0:{name}")
            bring_up(guest, names[name], f"{ADDRESS[name]}/24")
        for name in ("alice", "bob"):
            # Random data is dear in an emulated guest: a quarter of it, but so that it doesn't repeat every 16 MB.
            guests[name].check(
                f"head -c {MEGABYTES << 18} /dev/urandom >/tmp/random;"
                " for i in 1 2 3 4; do printf %07777d $i; cat /tmp/random; done"
                f" | head -c {MEGABYTES << 20} >/tmp/data; rm /tmp/random"
            )
            assert guests[name].check("stat -c %s /tmp/data") == f"{MEGABYTES << 20}\n"
        yield Network(daemon, guests, names)
        for name, guest in guests.items():
            assert not faults(daemon, f"vale0:{name}")
            guest.shutdown()


@pytest.fixture
def alice(network):
    return network.guests["alice"]


@pytest.fixture
def bob(network):
    return network.guests["bob"]


@pytest.fixture
def carol(network):
    return network.guests["carol"]


class Capture:
    """tcpdump in a guest, from a moment when it certainly captures to one when it has written all.

    It ends before a switch that sends it what isn't its own fills the guest's memory.
    """

    def __init__(self, network, name):
        self.network = network
        self.name = name
        self.guest = network.guests[name]
        self.file = f"/tmp/{name}.pcap"
        self.job = self.guest.spawn(
            f"tcpdump --immediate-mode -Z root -U -n -s 0 -c 10000 -w {self.file} -i {network.names[name]} 2>&1"
        )
        self.job.wait_for("listening on")

    def stop(self, marker):
        """End it after a ping from the guest marker, which is in the capture, has arrived."""
        sent, received, output = ping(marker, ADDRESS[self.name], 1, f"-p {b'last'.hex()}")
        assert (sent, received) == (1, 1), output
        self.guest.check(f"until grep -q lastlast {self.file} || ! pidof tcpdump; do usleep 20000; done")
        self.job.kill("INT")
        self.job.check()
        return read_capture(self.guest.get(self.file))


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


@contextlib.contextmanager
def watched_by_third(network, alice, bob):
    """Whatever alice and bob say to each other meanwhile, carol sees none of it."""
    macs = {name: mac_bytes(mac) for name, mac in network.macs.items()}
    # So that the switch knows where both are.
    assert ping(alice, ADDRESS["bob"], 1)[1] == 1
    capture = Capture(network, "carol")
    yield
    # What shows that the capture works: a broadcast of each, and unicast that is carol's.
    alice.check(f"arping -q -f -w 30 -I {network.names['alice']} {ADDRESS['carol']}")
    bob.check(f"arping -q -f -w 30 -I {network.names['bob']} {ADDRESS['carol']}")
    frames = capture.stop(alice)
    seen = {(frame[6:12], frame[0:6]) for frame in frames}
    foreign = [frame for frame in frames if not frame[0] & 1 and macs["carol"] not in (frame[0:6], frame[6:12])]
    assert not foreign, f"{len(foreign)} of {len(frames)} frames, first {foreign[0].hex(' ')}"
    assert (macs["alice"], b"\xff" * 6) in seen
    assert (macs["bob"], b"\xff" * 6) in seen
    assert (macs["alice"], macs["carol"]) in seen


def sent_bytes(network):
    return [counters(network.daemon, f"vale0:{name}", "tx")["bytes"] for name in ("alice", "bob")]


def transfer_both_ways(network, alice, bob):
    before = sent_bytes(network)

    def moved():
        return [now - old for now, old in zip(sent_bytes(network), before)]

    there = Transfer(alice, bob, ADDRESS["bob"], port=5001)
    back = Transfer(bob, alice, ADDRESS["alice"], port=5002)
    # At once: there is a moment when both are in the middle. (What acknowledges one way is far less than 8 MB.)
    wait_until(lambda: min(moved()) > 8 << 20, "8 MB had left each guest")
    assert max(moved()) < MEGABYTES << 20
    hashes = there.finish(), back.finish()
    for sent, arrived in hashes:
        assert sent == arrived
    assert hashes[0] != hashes[1]  # two different files, so that neither is its own echo


def test_thousand_pings_without_loss(network, alice, bob):
    before = network.drops()
    with watched_by_third(network, alice, bob):
        sent, received, output = ping(alice, ADDRESS["bob"], 1000, "-i 0.002")
    assert (sent, received) == (1000, 1000), output
    assert "DUP" not in output and "error" not in output
    assert network.drops() == before


def test_ping_of_many_sizes(network, alice):
    """Every length of the shortest frames, of the longest and around a buffer's end; some of those between."""
    for mtu, low, high in ((1500, 0, 60), (1500, 60, 1440), (1500, 1440, 1472), (9000, 2000, 2100), (9000, 8000, 8972)):
        network.set_mtu(mtu)
        step = 1 if high - low < 200 else 41
        # One process for each size is what costs; -p fills with a pattern that ping checks.
        failed = alice.check(
            f"for s in $(seq {low} {step} {high}) {high}; do"
            f" /bin/ping -n -q -M do -c 1 -W 30 -p a5c3 -s $s {ADDRESS['bob']} >/tmp/ping 2>&1"
            " || { echo size $s; cat /tmp/ping; }; grep -i 'wrong data' /tmp/ping; done; true",
            timeout=300,
        )
        assert failed == ""
    network.set_mtu(1500)


@pytest.mark.parametrize("mtu", [1500, 9000])
def test_tcp_both_ways_at_once(network, alice, bob, mtu):
    network.set_mtu(mtu)
    before = counters(network.daemon, "vale0:alice", "tx")
    with watched_by_third(network, alice, bob):
        transfer_both_ways(network, alice, bob)
    after = counters(network.daemon, "vale0:alice", "tx")
    moved = after["bytes"] - before["bytes"]
    packets = after["packets"] - before["packets"]
    assert moved > MEGABYTES << 20
    # Full frames of the MTU make half of what is sent: the large MTU must be seen on the wire.
    assert (moved / packets > 1600) == (mtu == 9000)
    network.set_mtu(1500)
