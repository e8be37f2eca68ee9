# SPDX-License-Identifier: BSD-2-Clause
"""ptnet-bridge, ptnet-replay and ptnet-lb on the host: real programs through ptnet-run on a real ptnetd."""

import collections
import json
import os
import signal
import subprocess
import time

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import PcapNgWriter, PcapReader, PcapWriter

from daemon import TIMEOUT, Daemon, built
from guest import die_with_parent
from network import wait_until

# Slots of a ring, as the daemon makes them when nobody says otherwise.
SLOTS = 1024
# How long a reader sees nothing before it believes that nothing comes; the machine may stall.
IDLE = "3"


class Program:
    """A tool of ours on the daemon's ports, with its JSON report in a file."""

    started = []

    def __init__(self, daemon, directory, name, *words):
        self.daemon = daemon
        self.name = name
        self.file = directory / f"{name}-{len(Program.started)}"
        self.report = None
        socket = daemon.directory / "netmap.sock"
        self.process = subprocess.Popen(
            [built("ptnet-run"), "--verbose", "--socket", socket, "--", built(name), *map(str, words)]
            + ["--quiet", f"--json={self.file}.json"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        Program.started.append(self)

    def wait_ports(self, *ports):
        """Wait until it has these ports."""

        def has_ports():
            assert self.process.poll() is None, f"{self.name} ended: {self.process.stderr.read()}"
            programs = self.daemon.ctl("programs")["programs"]
            return set(ports) <= {p["port"] for p in programs if p["pid"] == self.process.pid}

        wait_until(has_ports, f"{self.name} has {ports}")
        return self

    def finish(self, status=0):
        """Wait until it ends; returns its report."""
        _, errors = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == status, f"{self.name}: status {self.process.returncode}: {errors}"
        self.report = json.loads((self.file.parent / f"{self.file.name}.json").read_text())
        return self.report

    def stop(self, status=0):
        """Tell it to end, and wait until it does; returns its report."""
        self.process.send_signal(signal.SIGTERM)
        return self.finish(status)

    def stopped(self):
        """Hold it where it is, as a program that hangs."""
        self.process.send_signal(signal.SIGSTOP)
        return self


def nothing_is_left(daemon):
    """All ports of host programs are gone with them."""
    wait_until(lambda: not daemon.ctl("programs")["programs"], "no program has a port")
    wait_until(lambda: not daemon.ctl("port", "list"), "the ports are gone")


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as daemon:
        yield daemon


@pytest.fixture
def run(daemon, tmp_path):
    """run(NAME, WORDS...): start a program; what still runs at the end of the test is killed."""

    def start(name, *words):
        return Program(daemon, tmp_path, name, *words)

    yield start
    for program in Program.started:
        if program.process.poll() is None:
            program.process.kill()
            program.process.communicate()
    Program.started.clear()
    nothing_is_left(daemon)


def write_capture(path, frames, times=None, writer=PcapWriter):
    """A capture file with nanoseconds of frames (bytes) at times in seconds, one a microsecond if not given."""
    with writer(str(path), nano=True, linktype=1) if writer is PcapWriter else writer(str(path)) as out:
        for n, frame in enumerate(frames):
            packet = Ether(frame)
            packet.time = 1700000000 + (times[n] if times else n * 1e-6)
            out.write(packet)
    return path


def read_frames(path):
    """[(seconds, bytes)] of a capture file."""
    with PcapReader(str(path)) as capture:
        return [(float(p.time), bytes(p)) for p in capture]


def numbered(count, size=100, source="02:00:00:00:00:01"):
    """Broadcasts that differ."""
    return [
        bytes(Ether(src=source, dst="ff:ff:ff:ff:ff:ff") / IP() / UDP() / Raw(n.to_bytes(4, "big") * (size // 4)))
        for n in range(count)
    ]


# ---- ptnet-bridge ----


def test_bridge_makes_one_of_two_switches(daemon, run, tmp_path):
    """Broadcasts from either side arrive on both, in order. 1000 packets fit into any ring, so none can be dropped."""
    senders = {"valeE": "02:00:00:00:00:01", "valeW": "02:00:00:00:00:02"}
    frames = {mac: numbered(500, source=mac) for mac in senders.values()}
    bridge = run("ptnet-bridge", "valeE:up", "valeW:up").wait_ports("valeE:up", "valeW:up")
    receivers = {switch: run("ptnet-gen", "rx", f"{switch}:rx", "-n", 1000, "-w", tmp_path / switch) for switch in senders}
    for switch, receiver in receivers.items():
        receiver.wait_ports(f"{switch}:rx")
    replays = [
        run("ptnet-replay", "-i", f"{switch}:tx", "--rate", "max", write_capture(tmp_path / f"{switch}.pcap", frames[mac]))
        for switch, mac in senders.items()
    ]
    for replay in replays:
        assert replay.finish()["packets"] == 500
    for switch, receiver in receivers.items():
        assert receiver.finish()["packets"] == 1000
        got = [frame for _, frame in read_frames(tmp_path / switch)]
        for mac in frames:
            assert [frame for frame in got if frame[6:12].hex(":") == mac] == frames[mac]
    report = bridge.stop()
    assert not report["zero_copy"]
    for direction in report["directions"]:
        assert direction["packets"] == 500
        assert direction["dropped"] == direction["pending"] == 0


def test_bridge_swaps_buffers_between_pipes(daemon, run, tmp_path):
    """More packets than any ring has slots, in sizes of up to five slots: none is lost, none is copied."""
    count = 5 * SLOTS
    bridge = run("ptnet-bridge", "netmap:chain}1", "netmap:chain{2").wait_ports("chain}1", "chain{2")
    receiver = run(
        "ptnet-gen", "rx", "netmap:chain}2", "--check", "--count", count, "--print-buf-idx", tmp_path / "rx"
    ).wait_ports("chain}2")
    sender = run(
        *("ptnet-gen", "tx", "netmap:chain{1", "--size", "60-9000", "--payload-check", "--count", count),
        *("--print-buf-idx", tmp_path / "tx"),
    )
    assert sender.finish()["packets"] == count
    received = receiver.finish()
    assert received["sequence"]["received"] == count
    assert received["sequence"]["lost"] == received["sequence"]["corrupted"] == 0
    report = bridge.stop()
    assert report["zero_copy"]
    assert report["directions"][0]["packets"] == count
    assert report["directions"][0]["dropped"] == 0
    sent_buffers = (tmp_path / "tx").read_text().splitlines()
    assert len(sent_buffers) == count
    assert any(len(line.split()) == 6 for line in sent_buffers)
    assert (tmp_path / "rx").read_text().splitlines() == sent_buffers


def test_bridge_copies_between_pipes_of_different_memory(daemon, run):
    bridge = run("ptnet-bridge", "netmap:left}1", "netmap:right{1").wait_ports("left}1", "right{1")
    receiver = run("ptnet-gen", "rx", "netmap:right}1", "--check", "--count", 3000).wait_ports("right}1")
    run("ptnet-gen", "tx", "netmap:left{1", "-s", "60-9000", "--payload-check", "-n", 3000).finish()
    assert receiver.finish()["sequence"]["corrupted"] == 0
    report = bridge.stop()
    assert not report["zero_copy"]
    assert report["directions"][0]["packets"] == 3000


def test_bridge_sleeps_while_a_reader_hangs(daemon, run):
    """Nothing is dropped, no processor time is used, the other direction goes on."""
    bridge = run("ptnet-bridge", "netmap:chain}1", "netmap:chain{2").wait_ports("chain}1", "chain{2")
    hung = run("ptnet-gen", "rx", "netmap:chain}2", "--check", "-n", 3 * SLOTS).wait_ports("chain}2").stopped()
    sender = run("ptnet-gen", "tx", "netmap:chain{1", "-n", 3 * SLOTS, "--timeout", 60).wait_ports("chain{1")

    def ticks():
        with open(f"/proc/{bridge.process.pid}/stat", encoding="ascii") as stat:
            return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))

    def queued():
        rings = daemon.ctl("stats", "chain{2")["ports"][0]["rings"]
        return sum(r["counters"]["packets"] for r in rings if r["direction"] == "tx")

    wait_until(lambda: queued() == SLOTS - 1, "the second pipe is full")
    before = ticks()
    time.sleep(1)  # a second in which a bridge that polls would use most of a processor
    assert ticks() - before < os.sysconf("SC_CLK_TCK") // 10
    hung.process.send_signal(signal.SIGCONT)
    assert hung.finish()["sequence"]["received"] == 3 * SLOTS
    sender.finish()
    report = bridge.stop()
    assert report["directions"][0]["packets"] == 3 * SLOTS
    assert report["directions"][0]["dropped"] == 0


def test_bridge_ends_on_its_own_when_told(daemon, run):
    """What it has taken arrives, whenever it is told to end."""
    for _ in range(2):
        bridge = run("ptnet-bridge", "netmap:chain}1", "netmap:chain{2").wait_ports("chain}1", "chain{2")
        receiver = run("ptnet-gen", "rx", "netmap:chain}2", "--join", "--idle-timeout", IDLE).wait_ports("chain}2")
        sender = run("ptnet-gen", "tx", "netmap:chain{1", "--rate", "100k", "--timeout", 0).wait_ports("chain{1")
        wait_until(
            lambda: daemon.ctl("stats", "chain{2")["ports"][0]["rings"][0]["counters"]["packets"] > 100,
            "packets go through",
        )
        report = bridge.stop()
        sender.stop()
        assert receiver.finish()["sequence"]["received"] == report["directions"][0]["packets"]


# ---- ptnet-replay ----


@pytest.mark.parametrize("writer", [PcapWriter, PcapNgWriter])
def test_replay_keeps_order_contents_and_times(daemon, run, tmp_path, writer):
    """Frames of one slot and of several; none arrives before its time."""
    frames = numbered(30) + [f for size in (1500, 3000, 9000) for f in numbered(3, size)]
    times = [n * 0.02 + (0.5 if n > 20 else 0) for n in range(len(frames))]
    file = write_capture(tmp_path / "sent", frames, times, writer)
    got = tmp_path / "got"
    receiver = run("ptnet-gen", "rx", "netmap:play}1", "-n", len(frames), "-w", got).wait_ports("play}1")
    start = time.time()
    sender = run("ptnet-replay", "-i", "netmap:play{1", "--speed", 2, file).finish()
    receiver.finish()
    received = read_frames(got)
    assert [f for _, f in received] == frames
    for (when, _), due in zip(received, times):
        assert when >= start + due / 2 - 0.001  # the receiver's clock is cut to microseconds
    assert sender["complete"]
    assert sender["packets"] == sender["late"]["packets"] == len(frames)
    assert sender["skipped"] == {"cut": 0, "too_long": 0}


def test_replay_rounds_and_rate(daemon, run, tmp_path):
    frames = numbered(50)
    file = write_capture(tmp_path / "sent", frames)
    got = tmp_path / "got"
    receiver = run("ptnet-gen", "rx", "netmap:play}1", "-n", 3000, "-w", got).wait_ports("play}1")
    start = time.time()
    sender = run("ptnet-replay", "-i", "netmap:play{1", "--loop", 60, "--rate", "5k", file).finish()
    assert time.time() - start >= 2999 / 5000
    receiver.finish()
    assert sender["packets"] == 3000
    assert [f for _, f in read_frames(got)] == frames * 60


def test_replay_several_files(daemon, run, tmp_path):
    frames = numbered(20)
    files = [
        write_capture(tmp_path / name, frames[part::2], [n * 0.002 + part * 0.001 for n in range(10)])
        for part, name in enumerate(("even", "odd"))
    ]
    for words, expected in (((), frames[0::2] + frames[1::2]), (("--merge",), frames)):
        got = tmp_path / "got"
        receiver = run("ptnet-gen", "rx", "netmap:play}1", "-n", 20, "-w", got).wait_ports("play}1")
        run("ptnet-replay", "-i", "netmap:play{1", *words, *files).finish()
        receiver.finish()
        assert [f for _, f in read_frames(got)] == expected


def test_replay_for_ever_until_told(daemon, run, tmp_path):
    file = write_capture(tmp_path / "sent", numbered(10))
    receiver = run("ptnet-gen", "rx", "netmap:play}1", "--idle-timeout", IDLE).wait_ports("play}1")
    sender = run("ptnet-replay", "-i", "netmap:play{1", "--loop", "forever", "--rate", "10Mbps", file)
    sender.wait_ports("play{1")
    wait_until(
        lambda: daemon.ctl("stats", "play{1")["ports"][0]["rings"][0]["counters"]["packets"] > 50,
        "it is in its sixth round",
    )
    report = sender.stop()
    assert not report["complete"]
    assert receiver.finish()["packets"] == report["packets"]


# ---- ptnet-lb ----

FLOWS = 60
ROUNDS = 12  # packets of a flow


def flows(turns=range(ROUNDS), among=range(FLOWS)):
    """[(flow, frame)]: packets of many flows, in both directions and in turn; each is different."""

    def frame(flow, turn):
        back = turn % 2
        protocol = (TCP, UDP)[flow % 2]
        ends = [f"10.0.{flow}.1", "10.1.0.1"]
        layers = IP(src=ends[back], dst=ends[1 - back])
        if flow % 3 == 1:
            ends = [f"fd00::{flow}:1", "fd00::ffff"]
            layers = IPv6(src=ends[back], dst=ends[1 - back])
        ports = [1000 + flow, 443]
        ether = Ether(src=f"02:00:00:00:0{back}:01", dst=f"02:00:00:00:0{1 - back}:01")
        if flow % 5 == 2:
            ether = ether / Dot1Q(vlan=10 + back)  # a tag of its own for each direction
        packet = ether / layers / protocol(sport=ports[back], dport=ports[1 - back])
        return bytes(packet / Raw(b"flow %d turn %d " % (flow, turn) * (1 + (flow + turn) % 40 * 2)))

    return [(flow, frame(flow, turn)) for turn in turns for flow in among]


class Spread:
    """A ptnet-lb from a pipe, and readers of its pipes; groups as {name: number}.

    Readers end after the packets that counts has for their pipe, else when nothing comes any more.

    All of it is in the global region, which has room for so many pipes.
    """

    def __init__(self, run, directory, groups, *words, reading=True, counts=None):
        self.run, self.directory, self.counts = run, directory, counts or {}
        self.pipes = [f"{name}{{{i}" for name, count in groups.items() for i in range(count)]
        groups = [word for name, count in groups.items() for word in ("-p", f"{name}:{count}")]
        self.lb = run("ptnet-lb", "-i", "netmap:feed}1@1", *groups, *words).wait_ports("feed}1", *self.pipes)
        self.readers = {pipe: self.read(pipe.replace("{", "}")) for pipe in self.pipes if reading}

    def read(self, port):
        capture = self.directory / f"got-{port}"
        count = self.counts.get(port.replace("}", "{"))
        words = ("-n", count) if count else ("--wait-first", TIMEOUT, "--idle-timeout", IDLE)
        words += ("-w", capture)
        reader = self.run("ptnet-gen", "rx", f"netmap:{port}", *words).wait_ports(port)
        reader.capture = capture
        return reader

    def send(self, frames, *words):
        """Send all frames; the load balancer has taken them when this returns."""
        file = write_capture(self.directory / "sent", frames)
        words = ("--timeout", TIMEOUT, *(words or ("--rate", "max")), file)
        report = self.run("ptnet-replay", "-i", "netmap:feed{1", *words).finish()
        assert report["packets"] == len(frames)

    def finish(self):
        """The load balancer's report, and what the reader of each pipe has got."""
        report = self.lb.stop()
        packets = {pipe["pipe"]: pipe["packets"] for group in report["groups"] for pipe in group}
        got = {}
        for pipe, reader in self.readers.items():
            if packets[pipe]:
                reader.finish()
            else:  # it would wait long for its first packet
                reader.stop()
            got[pipe] = [f for _, f in read_frames(reader.capture)]
        return report, got


def flow_lists(packets, frames):
    """{flow: its frames} of those among frames, in the order of frames."""
    flow_of = {frame: flow for flow, frame in packets}
    result = collections.defaultdict(list)
    for frame in frames:
        result[flow_of[frame]].append(frame)
    return result


def test_lb_spreads_flows(daemon, run, tmp_path):
    """Each packet arrives once; each flow in one pipe, in order, both directions together."""
    packets = flows()
    assert len({frame for _, frame in packets}) == FLOWS * ROUNDS
    spread = Spread(run, tmp_path, {"ids": 4})
    spread.send([frame for _, frame in packets])
    report, got = spread.finish()
    everything = flow_lists(packets, [frame for _, frame in packets])
    seen = {}
    for frames in got.values():
        assert frames, "a pipe without a packet"
        lists = flow_lists(packets, frames)
        assert not set(lists) & set(seen), "a flow in two pipes"
        seen.update(lists)
    assert seen == everything
    assert report["packets"] == len(packets)
    assert report["dropped"] == report["bad"] == 0
    assert report["flows_by"]["ports"] == len(packets)
    assert {p["pipe"]: p["packets"] for p in report["groups"][0]} == {pipe: len(frames) for pipe, frames in got.items()}
    assert report["extra_buffers"] == 1024


def test_lb_groups_get_everything_each(daemon, run, tmp_path):
    packets = flows()
    spread = Spread(run, tmp_path, {"a": 3, "b": 2})
    spread.send([frame for _, frame in packets])
    report, got = spread.finish()
    everything = flow_lists(packets, [frame for _, frame in packets])
    for group in "ab":
        seen = {}
        for pipe, frames in got.items():
            if pipe.startswith(group):
                seen.update(flow_lists(packets, frames))
        assert seen == everything
    assert report["dropped"] == 0
    assert sum(map(len, got.values())) == 2 * len(packets)


def test_lb_stuck_reader_costs_only_itself(daemon, run, tmp_path):
    # Which flows go into the first pipe is the same each time.
    first = Spread(run, tmp_path, {"ids": 4})
    first.send([frame for _, frame in flows(range(1))])
    _, got = first.finish()
    of_stuck = sorted(flow_lists(flows(range(1)), got["ids{0"]))
    of_others = [flow for flow in range(FLOWS) if flow not in of_stuck]
    counts = {pipe: ROUNDS * len(frames) for pipe, frames in got.items() if pipe != "ids{0"}
    nothing_is_left(daemon)

    # The first pipe gets more than its ring and all extra buffers hold. The others get fewer packets than a ring
    # has slots, so that nobody can be too slow for those.
    extra = 32
    turns = 3 * SLOTS // len(of_stuck)
    packets = [p for n in range(turns) for p in flows([n], of_stuck) + (flows([n], of_others) if n < ROUNDS else [])]
    spread = Spread(run, tmp_path, {"ids": 4}, "--extra-buffers", extra, counts=counts)
    hung = spread.readers["ids{0"].stopped()
    spread.send([frame for _, frame in packets])
    hung.process.send_signal(signal.SIGCONT)
    report, got = spread.finish()
    stuck, *others = report["groups"][0]
    everything = flow_lists(packets, [frame for _, frame in packets])
    assert all(pipe["dropped"] == 0 for pipe in others), report
    for flow in of_others:
        (pipe,) = [pipe for pipe, frames in got.items() if everything[flow][0] in frames]
        assert flow_lists(packets, got[pipe])[flow] == everything[flow]
    assert {pipe["pipe"]: pipe["packets"] for pipe in others} == counts
    assert sum(len(got[pipe["pipe"]]) for pipe in others) == ROUNDS * len(of_others)
    # Of its own packets the reader that hung has all that was not dropped, in order.
    assert stuck["packets"] + stuck["dropped"] == turns * len(of_stuck)
    assert stuck["dropped"] >= turns * len(of_stuck) - SLOTS - extra
    assert len(got["ids{0"]) == stuck["packets"]
    sent = iter(frame for flow, frame in packets if flow in of_stuck)
    assert all(frame in sent for frame in got["ids{0"])


def test_lb_other_traffic(daemon, run, tmp_path):
    """Frames that are no IP, and fragments: whole, once, by addresses."""
    fragments = [
        bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2", flags="MF" if n < 3 else 0, frag=n * 8, proto=17) / Raw(bytes([n]) * 64))
        for n in range(4)
    ]
    frames = fragments + [bytes(Ether() / ARP(pdst="10.0.0.2")), b"\xff" * 12 + b"\x88\xb5" + b"x" * 46]
    spread = Spread(run, tmp_path, {"ids": 4})
    spread.send(frames)
    report, got = spread.finish()
    assert sorted(f for pipe in got.values() for f in pipe) == sorted(frames)
    assert sum(all(f in pipe for f in fragments) for pipe in got.values()) == 1
    assert report["flows_by"] == {"ports": 0, "addresses": 4, "mac": 2, "nothing": 0}


def test_lb_killed_leaves_nothing(daemon, run, tmp_path):
    """Killed with extra buffers in hand and packets waiting: the next one finds all as new."""
    packets = [frame for _, frame in flows()]
    first = Spread(run, tmp_path, {"ids": 2}, "--slots", 16, "--extra-buffers", 64, reading=False)
    file = write_capture(tmp_path / "sent", packets)
    run("ptnet-replay", "-i", "netmap:feed{1", "--rate", "max", file).finish()
    first.lb.process.kill()
    first.lb.process.wait()
    nothing_is_left(daemon)
    second = Spread(run, tmp_path, {"ids": 2})
    second.send(packets)
    report, got = second.finish()
    assert sorted(f for pipe in got.values() for f in pipe) == sorted(packets)
    assert report["extra_buffers"] == 1024
