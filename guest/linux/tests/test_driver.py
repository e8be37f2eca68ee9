# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""ptnet.ko in real guests: the netmap interface, who has the rings, and devices that go away."""

import contextlib
import json

import pytest
from conftest import KERNELS
from daemon import Daemon, built_module
from guest import Guest

SWITCH = {"ports": [{"name": "vale0:a"}, {"name": "vale0:b"}]}
SWITCH4 = {"ports": [{"name": "vale0:a", "rings": 4}, {"name": "vale0:b", "rings": 4}]}
PIPE = {"pipes": [{"name": "p{1"}]}
PORTS = {"switch": (SWITCH, "vale0:a", "vale0:b"), "pipe": (PIPE, "p{1", "p}1")}

PING = "ping -q -c 3 -W 20 10.0.0.2"
MEMDEV, NETIF = "0000:00:02.0", "0000:00:03.0"


@pytest.fixture
def two(make_image, probe):
    """two(config, port, port, ...): two guests whose interfaces are up, with 10.0.0.1 and 10.0.0.2."""
    stack = contextlib.ExitStack()

    def start(config, *ports, kernel="6.1", up=True, **options):
        daemon = stack.enter_context(Daemon(config))
        image = make_image(kernel, [built_module(kernel)], [probe])
        guests = [Guest(f"guest{n}", image, daemon.qemu_args(port), **options).start() for n, port in enumerate(ports)]
        for number, guest in enumerate(guests, 1):
            guest.wait_ready()
            if up:
                guest.check(f"ip link set eth0 up; ip addr add 10.0.0.{number}/24 dev eth0")
            stack.push(guest.__exit__)
        return guests

    with stack:
        yield start


def up_again(guest):
    guest.check("ip link set eth0 down; ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0 2>/dev/null; true")


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_request_answers_as_specified(two, kernel):
    alice, _ = two(SWITCH, "vale0:a", "vale0:b", kernel=kernel, up=False)
    alice.check("netmap-probe api eth0")
    alice.check("ip link set eth0 up; netmap-probe api eth0")


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("how", ["poll", "epoll", "loop"])
def test_frames_over_a_pipe_arrive_in_order(two, kernel, how):
    alice, bob = two(PIPE, "p{1", "p}1", kernel=kernel, up=False)
    for length in (60, 1514):
        receiver = bob.spawn(f"netmap-probe rx eth0 20000 {how}")
        receiver.wait_for("^ready")
        alice.check(f"netmap-probe tx eth0 20000 {length}")
        assert "20000 frames, 0 lost, 0 bad" in receiver.check()


@pytest.mark.parametrize("kind", PORTS)
def test_classic_csb_in_guest_memory(two, kind):
    alice, bob = two(*PORTS[kind], shared_memory=True)
    alice.check("rmmod ptnet; modprobe ptnet region_csb=0; ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0")
    assert "CSB in guest memory" in alice.check("dmesg")
    alice.check(PING)
    receiver = alice.spawn("netmap-probe rx eth0 100 poll")
    receiver.wait_for("^ready")
    bob.check("netmap-probe tx eth0 100 60")
    receiver.check()
    alice.check("rmmod ptnet; modprobe ptnet; ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0")
    assert "CSB in the region" in alice.check("dmesg | tail -5")
    alice.check(PING)


def test_unreleased_packets_go_to_the_stack_when_a_program_dies(two):
    alice, bob = two(PIPE, "p{1", "p}1")
    alice.check(PING)  # so that the address is known
    holder = bob.spawn("netmap-probe hold eth0")
    holder.wait_for("^ready")
    ping = alice.spawn("ping -c 1 -W 60 10.0.0.2")
    ping.wait_for("^PING")
    assert "0 received" in alice.run("ping -c 1 -W 2 10.0.0.2").output.replace("packets ", "")
    holder.kill("KILL")
    holder.wait()
    ping.check()


def test_other_rings_carry_traffic_while_one_is_held(two):
    alice, _ = two(SWITCH4, "vale0:a", "vale0:b", cpus=2)
    script = "for i in 1 2 3 4 5 6 7 8; do ping -q -c 1 -W 20 10.0.0.2 >/dev/null || exit 1; done"
    alice.check(PING)
    alice.check(script)


# Not on a pipe: there a buffer whose index was overwritten is lost to both ends.
@pytest.mark.parametrize("what", ["positions", "slots", "region"])
def test_a_program_that_writes_nonsense_harms_nobody_after_it(two, what):
    alice, bob = two(SWITCH, "vale0:a", "vale0:b")
    bob.check(f"netmap-probe scribble eth0 {what} 2000")
    alice.check(PING)
    bob.check("netmap-probe hold eth0 & pid=$!; sleep 1; kill -9 $pid")
    alice.check(PING)


def test_sleepers_see_the_interface_go(two):
    alice, _ = two(SWITCH4, "vale0:a", "vale0:b", cpus=2)
    sleeper = alice.spawn("netmap-probe wait eth0")
    sleeper.wait_for("^ready")
    alice.check(f"echo {NETIF} >/sys/bus/pci/drivers/ptnet/unbind")
    assert "events 0x8 txsync 5 rxsync 5 signal 0" in sleeper.check()
    alice.check(f"echo {NETIF} >/sys/bus/pci/drivers/ptnet/bind")
    up_again(alice)
    alice.check(PING)


def test_sleepers_see_the_region_go(two):
    alice, _ = two(SWITCH4, "vale0:a", "vale0:b", cpus=2)
    sleeper = alice.spawn("netmap-probe wait eth0")
    sleeper.wait_for("^ready")
    alice.check(f"echo {MEMDEV} >/sys/bus/pci/drivers/ptnet/unbind")
    assert "events 0x8 txsync 5 rxsync 5 signal 7" in sleeper.check()
    assert alice.run("ip link set eth0 down; ip link set eth0 up").status != 0
    alice.check(f"echo {MEMDEV} >/sys/bus/pci/drivers/ptnet/bind")
    up_again(alice)
    alice.check(PING)


@pytest.mark.parametrize("kernel", KERNELS)
def test_functions_removed_under_load(two, kernel):
    alice, _ = two(SWITCH4, "vale0:a", "vale0:b", kernel=kernel, cpus=2)
    for function in (NETIF, MEMDEV, NETIF, MEMDEV):
        load = [
            alice.spawn("netmap-probe churn eth0 200"),
            alice.spawn("ping -q -i 0.01 -c 100 10.0.0.2"),
            alice.spawn("netmap-probe tx eth0 100000 60"),
        ]
        alice.check(f"usleep 100000; echo 1 >/sys/bus/pci/devices/{function}/remove")
        alice.check("usleep 100000; echo 1 >/sys/bus/pci/rescan")
        for job in load:
            job.wait()
        up_again(alice)
        alice.check(PING)


def test_reloaded_under_traffic_but_not_under_a_program(two):
    alice, _ = two(SWITCH, "vale0:a", "vale0:b", cpus=2)
    holder = alice.spawn("netmap-probe hold eth0")
    holder.wait_for("^ready")
    assert alice.run("rmmod ptnet").status != 0
    holder.kill()
    holder.wait()
    traffic = alice.spawn("ping -q -i 0.01 -c 200 10.0.0.2")
    for _ in range(5):
        alice.check("rmmod ptnet; modprobe ptnet")
        up_again(alice)
        alice.check(PING)
    traffic.wait()


def test_suspended_and_resumed_with_a_program_asleep(two):
    alice, bob = two(SWITCH, "vale0:a", "vale0:b")
    alice.check(PING)
    sleeper = alice.spawn("netmap-probe wait eth0")
    sleeper.wait_for("^ready")
    suspension = alice.spawn("echo mem >/sys/power/state")
    alice.wait_event("SUSPEND")
    alice.qmp("system_wakeup")
    suspension.check()
    bob.check("netmap-probe tx eth0 5 60")
    assert "events 0x1 txsync 0 rxsync 0" in sleeper.check()
    alice.check(PING)
    alice.kill()  # after S3, QEMU's power-off does not always work


def test_root_ports_and_xhci_are_left_alone_and_hot_plugged_functions_are_not(make_image, probe):
    with Daemon(SWITCH) as daemon:
        arguments = ["-device", "qemu-xhci"]
        for number in (1, 2):
            arguments += ["-device", f"pcie-root-port,id=port{number},chassis={number},io-reserve=4096"]
            arguments[-1] += ",mem-reserve=16M,pref64-reserve=256M"
        image = make_image("6.1", [built_module("6.1")], [probe])
        with Guest("alice", image, arguments) as alice:
            drivers = alice.check("for d in /sys/bus/pci/devices/*; do cat $d/class; readlink $d/driver || echo; done")
            lines = [line.rsplit("/", 1)[-1] for line in drivers.split("\n")]
            found = sorted(zip(lines[::2], lines[1::2]))
            assert [driver for kind, driver in found if kind == "0x060400"] == ["pcieport", "pcieport"]
            assert [driver for kind, driver in found if kind == "0x0c0330"] == [""]
            assert "ptnet" not in lines
            devices = [json.loads(word) for word in daemon.qemu_args("vale0:a") if word.startswith("{")]
            for number, device in enumerate(devices[::-1], 1):  # the port first
                alice.qmp("device_add", **device, id=f"function{number}", bus=f"port{number}")
            alice.check("until ip link show eth0 2>/dev/null; do usleep 20000; done")
            alice.check("until ip link set eth0 up; do usleep 20000; done; netmap-probe api eth0")
