# SPDX-License-Identifier: BSD-2-Clause
"""A capture of real traffic, replayed by ptnet-gen on /dev/netmap in one guest, received in another.

A switch and a pipe, each with one ring pair and with four. The interfaces stay down: what arrives is
what the other guest's program sent and nothing else.
"""

import json

import pytest

import real_traffic
from daemon import Daemon
from guest import Guest
from network import attach, faults, interface, netmap_program, read_capture, ring_states

RINGS = 4
# A switch drops what its receiver has no room for: give it room for a whole capture.
SWITCH_SLOTS = 4096
CONFIG = {
    "switches": [{"name": "vale0"}, {"name": "vale1"}],
    "ports": [
        {"name": "vale0:alice", "slots": SWITCH_SLOTS},
        {"name": "vale0:bob", "slots": SWITCH_SLOTS},
        {"name": "vale1:alice", "slots": SWITCH_SLOTS, "rings": RINGS},
        {"name": "vale1:bob", "slots": SWITCH_SLOTS, "rings": RINGS},
    ],
    # Fewer slots than frames: everything waits for room several times, and the rings wrap.
    "pipes": [{"name": "link{1", "slots": 256}, {"name": "links{1", "slots": 256, "rings": RINGS}],
}
PORTS = {
    "alice": ("vale0:alice", "vale1:alice", "link{1", "links{1"),
    "bob": ("vale0:bob", "vale1:bob", "link}1", "links}1"),
}
KERNEL = {"alice": "6.1", "bob": "6.12"}
PLACES = {"switch": 0, "switch with rings": 1, "pipe": 2, "pipe with rings": 3}  # index in PORTS


class Network:
    def __init__(self, daemon, guests):
        self.daemon = daemon
        self.guests = guests
        self.names = {name: [interface(daemon, guest, p) for p in PORTS[name]] for name, guest in guests.items()}

    def replay(self, sender, receiver, place, frames, rings=(None,), loops=1, receive_on=None):
        """Send a capture's frames, on each of the rings at once; returns a finished Replay for each ring.

        None is the whole port. Receives on the same rings, if not told otherwise.
        """
        runs = [
            Replay(self, sender, receiver, PLACES[place], ring, ring if receive_on is None else receive_on)
            for ring in rings
        ]
        for run in runs:
            run.receive(len(frames) * loops)
        for run in runs:
            run.send(frames, loops)
        runs = [run.finish() for run in runs]
        # All is closed now. What was received must not be there for the next who opens the port.
        for ring in ring_states(self.daemon, PORTS[receiver][PLACES[place]]):
            assert ring["state"] == "stopped"
            assert ring["direction"] == "tx" or ring["head"] == ring["hwtail"], ring
        return runs


    def check_learning(self, switch, macs):
        assert sorted(entry["mac"] for entry in self.daemon.ctl("macs", switch)) == macs


class Replay:
    """One ptnet-gen that sends, one that receives."""

    def __init__(self, network, sender, receiver, place, send_ring, receive_ring):
        self.sender, self.receiver = network.guests[sender], network.guests[receiver]
        self.ports = [
            f"netmap:{network.names[name][place]}" + ("" if ring is None else f"-{ring}")
            for name, ring in ((sender, send_ring), (receiver, receive_ring))
        ]
        self.file = f"/tmp/replay-{receive_ring}"

    def receive(self, count):
        self.rx = netmap_program(
            self.receiver,
            f"ptnet-gen rx {self.ports[1]} --count {count} --idle-timeout 100 --capture {self.file}.pcap"
            f" --print-buf-idx {self.file}.idx --json={self.file}.json",
        )

    def send(self, frames, loops):
        self.sender.put(f"{self.file}.in", frames.file)
        self.tx = self.sender.spawn(
            f"ptnet-gen tx {self.ports[0]} --replay {self.file}.in --loop {loops} --timeout 100"
            f" --print-buf-idx {self.file}.idx --json={self.file}.json 2>&1"
        )

    def finish(self):
        self.tx.check()
        self.rx.check()
        self.sent, self.received = (json.loads(g.get(f"{self.file}.json")) for g in (self.sender, self.receiver))
        self.sent_buffers, self.received_buffers = (
            [[int(word) for word in line.split()] for line in g.get(f"{self.file}.idx").decode().splitlines()]
            for g in (self.sender, self.receiver)
        )
        self.frames = read_capture(self.receiver.get(f"{self.file}.pcap"))
        return self


class Frames(list):
    """The frames of a capture file, and the file."""

    def __init__(self, file):
        super().__init__(read_capture(file))
        self.file = file

    def part(self, wanted):
        """Those of them that are wanted."""
        file, offset = self.file[:24], 24
        for frame in self:
            end = offset + 16 + len(frame)
            if wanted(frame):
                file += self.file[offset:end]
            offset = end
        return Frames(file)

    def sent_by(self, mac):
        return self.part(lambda frame: frame[6:12].hex(":") == mac)

    def unicast(self):
        return self.part(lambda frame: not frame[0] & 1)

    def multicast(self):
        return self.part(lambda frame: frame[0] & 1)


@pytest.fixture(scope="module")
def traffic():
    return Frames(real_traffic.capture())


@pytest.fixture(scope="module")
def network(make_ptnet_image):
    with Daemon(CONFIG) as daemon:
        guests = {}
        for name, kernel in KERNEL.items():
            image = make_ptnet_image(kernel)
            guests[name] = Guest(name, image, qemu_args=attach(daemon, *PORTS[name]), sessions=12).start()
        for guest in guests.values():
            guest.wait_ready()
        yield Network(daemon, guests)
        for name, guest in guests.items():
            for port in PORTS[name]:
                assert not faults(daemon, port)
            guest.shutdown()


def first_difference(wanted, got):
    """Which frame differs first, for people; None if none does. pytest would compare all bytes of all."""
    for number, (a, b) in enumerate(zip(wanted, got)):
        if a != b:
            return f"frame {number}: sent {a.hex(' ')}, received {b.hex(' ')}"
    return None if len(wanted) == len(got) else f"{len(wanted)} frames sent, {len(got)} received"


def test_capture_is_of_real_traffic(traffic):
    kinds = real_traffic.kinds(traffic)
    assert all(kinds.values()), kinds
    assert {frame[6:12].hex(":") for frame in traffic} == {real_traffic.CLIENT_MAC, real_traffic.SERVER_MAC}
    slots = sum((len(frame) + 2047) // 2048 for frame in traffic)
    assert 256 < slots < SWITCH_SLOTS


def test_difference_is_noticed(traffic):
    frames = list(traffic)
    assert first_difference(traffic, frames) is None
    assert "frame 1:" in first_difference(traffic, [frames[0], frames[2], frames[1], *frames[3:]])
    assert "received" in first_difference(traffic, frames[:-1])
    changed = bytearray(frames[100])
    changed[-1] ^= 1
    assert "frame 100:" in first_difference(traffic, [*frames[:100], bytes(changed), *frames[101:]])


def test_switch(network, traffic):
    """Each guest plays one party: a switch doesn't send a frame back where its destination was seen."""
    for sender, receiver, mac in (
        ("alice", "bob", real_traffic.CLIENT_MAC),
        ("bob", "alice", real_traffic.SERVER_MAC),
    ):
        frames = traffic.sent_by(mac)
        [run] = network.replay(sender, receiver, "switch", frames)
        assert first_difference(frames, run.frames) is None
        assert run.received["bad"] == 0


def test_switch_with_several_ring_pairs(network, traffic):
    """Known unicast goes to the ring of the sender's number, all else to ring 0."""
    place = "switch with rings"
    client = traffic.sent_by(real_traffic.CLIENT_MAC)
    server = traffic.sent_by(real_traffic.SERVER_MAC)
    network.check_learning("vale1", [])
    for sender, receiver, frames in (("alice", "bob", client.multicast()), ("bob", "alice", server.multicast())):
        [run] = network.replay(sender, receiver, place, frames, rings=[3], receive_on=0)
        assert first_difference(frames, run.frames) is None
        assert {line[0] for line in run.sent_buffers} == {3}
    network.check_learning("vale1", [real_traffic.CLIENT_MAC, real_traffic.SERVER_MAC])
    for sender, receiver, frames in (("alice", "bob", client.unicast()), ("bob", "alice", server.unicast())):
        runs = network.replay(sender, receiver, place, frames, rings=range(RINGS))
        for ring, run in enumerate(runs):
            assert first_difference(frames, run.frames) is None
            assert {line[0] for line in run.received_buffers} == {ring}


@pytest.mark.parametrize("sender,receiver", [("alice", "bob"), ("bob", "alice")])
def test_pipe_hands_over_the_buffers(network, traffic, sender, receiver):
    loops = 4
    [run] = network.replay(sender, receiver, "pipe", traffic, loops=loops)
    assert first_difference(traffic * loops, run.frames) is None
    assert len(run.sent_buffers) == len(traffic) * loops
    assert run.received_buffers == run.sent_buffers
    slots = sum(len(line) - 1 for line in run.sent_buffers)
    assert slots > len(run.sent_buffers) > 10 * 256  # jumbo frames take several, and the ring wrapped often
    # The sender's own buffers, each of which came back to it many times: the receiver keeps none. (What happens
    # when it does is in test_driver_programs.py.)
    assert len({buffer for line in run.sent_buffers for buffer in line[1:]}) == 256


def test_pipe_with_several_ring_pairs(network, traffic):
    runs = network.replay("alice", "bob", "pipe with rings", traffic, rings=range(RINGS), loops=2)
    seen = set()
    for ring, run in enumerate(runs):
        assert first_difference(traffic * 2, run.frames) is None
        assert run.received_buffers == run.sent_buffers
        assert {line[0] for line in run.sent_buffers} == {ring}
        buffers = {buffer for line in run.sent_buffers for buffer in line[1:]}
        assert not buffers & seen  # a buffer never moves from one ring pair to another
        seen |= buffers
