# SPDX-License-Identifier: BSD-2-Clause
"""The guest driver and programs on /dev/netmap: who has the rings, nonsense written into them, sleepers whose
device goes away, resets, suspension, hot-plugging.

Two guests with two ports each, on a switch and on a pipe; netmap_probe.c plays the programs. The tests leave
both working, except for the last ones, which end alice.
"""

import json
import re
import subprocess

import pytest

from daemon import Daemon
from guest import REPO, Guest
from network import attach, bring_up, interface, netmap_program, ping, ring_states, wait_until

SOURCE = REPO / "tests" / "integration" / "netmap_probe.c"
RINGS = 4
CONFIG = {
    "switches": [{"name": "vale0"}],
    "ports": [*({"name": f"vale0:{name}", "rings": RINGS} for name in ("alice", "bob")), {"name": "vale0:plugged"}],
    "pipes": [{"name": "link{1"}],
}
PORTS = {"alice": {"switch": "vale0:alice", "pipe": "link{1"}, "bob": {"switch": "vale0:bob", "pipe": "link}1"}}
KERNEL = {"alice": "6.1", "bob": "6.12"}
NUMBER = {"alice": 1, "bob": 2}
SUBNET = {"switch": "10.0.0", "pipe": "10.0.1"}
# For what will be plugged in while alice runs.
SLOTS = [
    f"pcie-root-port,id=slot{number},chassis={number},io-reserve=4096,mem-reserve=16M,pref64-reserve=256M"
    for number in (1, 2)
]


class Party:
    """A guest and its two ports."""

    def __init__(self, daemon, name, guest):
        self.daemon = daemon
        self.guest = guest
        self.name = name
        self.number = NUMBER[name]
        self.ports = PORTS[name]
        self.check = guest.check
        self.run = guest.run
        self.spawn = guest.spawn

    def restore(self):
        """As it is between tests: interfaces up with their addresses. Their names may have changed."""
        self.names = {}
        # Nothing of the stacks' own shall wake a program: no IPv6, and all neighbours are known.
        self.check("cd /proc/sys/net/ipv6/conf; for i in all default; do echo 1 >$i/disable_ipv6; done")
        for kind, port in self.ports.items():
            self.names[kind] = interface(self.daemon, self.guest, port)
            bring_up(self.guest, self.names[kind], f"{SUBNET[kind]}.{self.number}/24")
            [peer] = set(NUMBER) - {self.name}
            self.add_neighbour(f"{SUBNET[kind]}.{NUMBER[peer]}", PORTS[peer][kind], self.names[kind])

    def add_neighbour(self, address, port, name):
        mac = self.daemon.ctl("port", "show", port)["mac"]
        self.check(f"arp -i {name} -s {address} {mac}")

    def restart(self):
        """A stack that lost its rings gets them back."""
        for name in self.names.values():
            self.check(f"ip link set {name} down")
        self.restore()

    def functions(self, kind):
        """The PCI addresses of a port's memory and of the port."""
        netif = self.check(f"basename $(readlink /sys/class/net/{self.names[kind]}/device)").strip()
        log = self.check("dmesg")
        memory = re.findall(rf"{netif} \S+ memory id (\d+), ", log)[-1]
        memdev = re.findall(rf"ptnet (\S+): memory id {memory}: ", log)[-1]
        return memdev, netif

    def probe(self, *words):
        """Start netmap-probe; it has its port bound when this returns."""
        job = self.spawn(f"netmap-probe {' '.join(map(str, words))}")
        job.wait_for("^ready")
        return job

    def ring(self, kind, direction, index):
        [ring] = [
            ring
            for ring in ring_states(self.daemon, self.ports[kind])
            if (ring["direction"], ring["index"]) == (direction, index)
        ]
        return ring

    def packets(self, kind, direction):
        return [
            ring["counters"]["packets"]
            for ring in ring_states(self.daemon, self.ports[kind])
            if ring["direction"] == direction
        ]


class Network:
    def __init__(self, daemon, alice, bob):
        self.daemon = daemon
        self.alice = alice
        self.bob = bob

    def check_ping(self, kind, count=10):
        target = f"{SUBNET[kind]}.{self.bob.number}"
        sent, received, output = ping(self.alice.guest, target, count, "-i 0.002")
        assert (sent, received) == (count, count), f"{output}\n{self.daemon.ctl_text('stats')}"


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    program = tmp_path_factory.mktemp("probe") / "netmap-probe"
    words = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE=", "-DNETMAP_OWNER", "-static"]
    subprocess.run([*words, "-I", REPO / "include", SOURCE, "-o", program], check=True)
    return program


@pytest.fixture(scope="module")
def booted(make_ptnet_image, probe):
    with Daemon(CONFIG) as daemon:
        guests = {}
        for name, kernel in KERNEL.items():
            image = make_ptnet_image(kernel, programs=[probe, "/bin/ping"])
            arguments = attach(daemon, *PORTS[name].values())
            if name == "alice":
                arguments = [*arguments, *(word for slot in SLOTS for word in ("-device", slot))]
            # bob's RAM is shared, for a driver that has its CSB there.
            shared = name == "bob"
            guest = Guest(name, image, qemu_args=arguments, cpus=2, shared_memory=shared, sessions=12)
            # Writing nonsense is what some of the programs are for.
            guest.expected_complaint = r"ring \d+ stopped:|a program has left"
            guests[name] = guest.start()
        parties = {}
        for name, guest in guests.items():
            guest.wait_ready()
            parties[name] = Party(daemon, name, guest)
            parties[name].restore()
        yield Network(daemon, **parties)
        for guest in guests.values():
            if guest.running():
                guest.shutdown()


@pytest.fixture
def network(booted):
    """The network, with both ways between its guests working before and after."""
    for kind in SUBNET:
        booted.check_ping(kind, 3)
    yield booted
    if booted.alice.guest.running():
        for kind in SUBNET:
            booted.check_ping(kind)


@pytest.fixture
def alice(network):
    return network.alice


@pytest.fixture
def bob(network):
    return network.bob


@pytest.mark.parametrize("how", ["poll", "epoll", "loop", "exchange"])
def test_frames_over_a_pipe_arrive_in_order(alice, bob, how):
    """With "exchange" the receiver gives back other buffers than it got, and the sender goes on with those."""
    for sender, receiver, length in ((alice, bob, 60), (bob, alice, 1514)):
        job = receiver.probe("rx", receiver.names["pipe"], 20000, how)
        output = sender.check(f"netmap-probe tx {sender.names['pipe']} 20000 {length}")
        assert "20000 frames, 0 lost, 0 bad" in job.check()
        assert ("other buffers in 0 slots" not in output) == (how == "exchange"), output


def test_classic_csb_in_guest_memory(network, alice, bob):
    bob.check("rmmod ptnet; modprobe ptnet region_csb=0")
    bob.restore()
    for kind, port in bob.ports.items():
        assert not network.daemon.ctl("port", "show", port)["attachment"]["extension"]
        network.check_ping(kind, 100)
        job = bob.probe("rx", bob.names[kind], 100, "poll")
        alice.check(f"netmap-probe tx {alice.names[kind]} 100 60")
        job.check()
        network.check_ping(kind)
    bob.check("rmmod ptnet; modprobe ptnet")
    bob.restore()
    for port in bob.ports.values():
        assert network.daemon.ctl("port", "show", port)["attachment"]["extension"]


@pytest.mark.parametrize("kind", SUBNET)
def test_unreleased_packets_go_to_the_stack_when_a_program_dies(network, alice, bob, kind):
    holder = bob.probe("hold", bob.names[kind])
    before = sum(bob.packets(kind, "rx"))
    job = alice.spawn(f"/bin/ping -n -q -c 1 -W 60 {SUBNET[kind]}.{bob.number}")
    wait_until(lambda: sum(bob.packets(kind, "rx")) > before, "the ping arrived")
    assert not job.done()  # nobody answers: the program has it
    holder.kill("KILL")
    holder.wait()
    assert "1 received" in job.check()


def test_other_rings_carry_traffic_while_one_is_held(network, alice, bob):
    """The stack sends on the rings that are left to it, whichever flow would have the held one."""
    job = netmap_program(alice.guest, f"ptnet-gen rx netmap:{alice.names['switch']}-2/T")
    before = alice.packets("switch", "tx")
    target = f"{SUBNET['switch']}.{bob.number}"
    # Nobody listens, each is told so: flows of which a quarter would have ring 2.
    alice.check(f"for i in $(seq 24); do nc -w 60 {target} 9 </dev/null 2>&1 | grep -q refused || exit 1; done")
    used = [after - old for old, after in zip(before, alice.packets("switch", "tx"))]
    assert used[2] == 0 and sum(number > 0 for number in used) >= 2, used
    job.kill()
    job.wait()
    network.check_ping("switch")


# On a pipe the region is the peer's, too: there it is spoilt for both.
@pytest.mark.parametrize(
    "kind,what", [(kind, what) for kind in SUBNET for what in ("positions", "slots", "region")][:5]
)
def test_a_program_that_writes_nonsense_harms_nobody_after_it(network, bob, kind, what):
    bob.check(f"netmap-probe scribble {bob.names[kind]} {what} 500")
    network.check_ping(kind)
    holder = bob.probe("hold", bob.names[kind])
    holder.kill("KILL")
    holder.wait()
    network.check_ping(kind)


@pytest.mark.parametrize("how", ["poll", "epoll"])
@pytest.mark.parametrize("what", ["port", "memory"])
def test_sleepers_see_the_device_go(network, alice, what, how):
    memdev, netif = alice.functions("switch")
    function = netif if what == "port" else memdev
    # POLLERR, EIO from both syncs; and SIGBUS if the memory is not there any more.
    signal = 0 if what == "port" else 7
    sleeper = alice.probe("wait", alice.names["switch"], how, signal)
    alice.check(f"echo {function} >/sys/bus/pci/drivers/ptnet/unbind")
    assert f"events 0x8 txsync 5 rxsync 5 signal {signal}" in sleeper.check().replace("0x18", "0x8")
    if what == "memory":
        assert alice.run(f"ip link set {alice.names['switch']} down; ip link set {alice.names['switch']} up").status
    alice.check(f"echo {function} >/sys/bus/pci/drivers/ptnet/bind")
    alice.restart()


@pytest.mark.parametrize("name", KERNEL)
def test_functions_removed_under_load(network, name):
    party, other = getattr(network, name), network.bob if name == "alice" else network.alice
    target = f"{SUBNET['switch']}.{other.number}"
    for function in (1, 0):
        address = party.functions("switch")[function]
        before = sum(party.packets("switch", "tx"))
        load = [party.spawn(f"netmap-probe tx {party.names['switch']} 1000000000 60")]
        wait_until(lambda: sum(party.packets("switch", "tx")) > before + 1000, "packets left")
        # From here on others try, which an exclusive user would be refused.
        load.append(party.spawn(f"netmap-probe churn {party.names['switch']} 200"))
        load.append(party.spawn(f"/bin/ping -n -q -i 0.002 -c 100 -w 2 {target}"))
        party.check(f"echo 1 >/sys/bus/pci/devices/{address}/remove; echo 1 >/sys/bus/pci/rescan")
        for job in load:
            job.wait()
        party.restart()
        network.check_ping("switch")


def test_hot_plugged_and_reset(network, alice):
    daemon, guest = network.daemon, alice.guest
    devices = [json.loads(word) for word in attach(daemon, "vale0:plugged")[1::2]]
    for number, device in enumerate(devices[::-1], 1):  # the port first: it finds its memory later
        guest.qmp("device_add", **device, bus=f"slot{number}")
    mac = daemon.ctl("port", "show", "vale0:plugged")["mac"]
    alice.check(f"until grep -lx {mac} /sys/class/net/*/address; do usleep 20000; done")
    name = interface(daemon, guest, "vale0:plugged")
    alice.check(f"until ip link set {name} up; do usleep 20000; done")
    bob = network.bob
    bob.check(f"ip addr replace 10.0.2.2/24 dev {bob.names['switch']}")
    bring_up(guest, name, "10.0.2.1/24")
    alice.add_neighbour("10.0.2.2", bob.ports["switch"], name)
    bob.add_neighbour("10.0.2.1", "vale0:plugged", bob.names["switch"])
    assert ping(guest, "10.0.2.2", 10, "-i 0.002")[1] == 10
    # QEMU resets it as it does all devices behind a root port. A program that sleeps goes on sleeping.
    address = alice.check(f"basename $(readlink /sys/class/net/{name}/device)").strip()
    alice.check(f"echo 1 >/sys/bus/pci/devices/{address}/reset")
    assert ping(guest, "10.0.2.2", 10, "-i 0.002")[1] == 10
    for how in ("poll", "epoll"):
        sleeper = alice.probe("wait", name, how, 0)
        alice.check(f"echo 1 >/sys/bus/pci/devices/{address}/reset")
        assert not sleeper.done(), sleeper.wait()
        bob.check(f"netmap-probe tx {bob.names['switch']} 1 60")
        assert "events 0x1 txsync 0 rxsync 0" in sleeper.check()
    alice.check(f"ip link set {name} down")


def test_suspended_and_resumed_with_programs_asleep(network, alice, bob):
    """A reset of everything, of which programs don't know. The next packet wakes them, however they sleep."""
    sleepers = [alice.probe("wait", alice.names["switch"], how, 0) for how in ("poll", "epoll")]
    job = alice.spawn("echo mem >/sys/power/state")
    alice.guest.wait_event("SUSPEND")
    alice.guest.qmp("system_wakeup")
    job.check()
    for sleeper in sleepers:
        assert not sleeper.done(), sleeper.wait()
    bob.check(f"netmap-probe tx {bob.names['switch']} 5 60")
    for sleeper in sleepers:
        assert "events 0x1 txsync 0 rxsync 0" in sleeper.check()
    for kind in SUBNET:
        network.check_ping(kind)
    # A machine that QEMU has woken cannot always power off (11.1).
    assert not alice.guest.complaints()
    alice.guest.kill()
