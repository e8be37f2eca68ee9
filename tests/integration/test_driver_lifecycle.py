# SPDX-License-Identifier: BSD-2-Clause
"""The guest driver loaded, unloaded, bound, suspended, reset and held by programs, under traffic.

Each test has the interface of a guest of each kernel, with a peer on the same switch, and leaves it
working: that is checked after each. What the kernels think of it all is checked when they shut down.
"""

import re

import pytest

from conftest import KERNELS
from daemon import Daemon
from guest import Guest
from network import attach, bring_up, counters, faults, interface, netmap_program, ping, ring_states, wait_until

PEER_ADDRESS = "10.0.0.1"
CONFIG = {
    "switches": [{"name": "vale0"}],
    "ports": [{"name": "vale0:peer"}, *({"name": f"vale0:{kernel}", "rings": 2} for kernel in KERNELS)],
}
# Only one has RAM that the daemon could map, which ours needs in no case and older drivers always.
SHARED_MEMORY = {"6.1": False, "6.12": True}
# QEMU's devices with the same vendor and device id as ours; the cloud kernels have a driver for the first.
QEMUS_OWN = ["-device", "pcie-root-port,id=root-port,chassis=7", "-device", "qemu-xhci,id=xhci"]


@pytest.fixture(scope="module")
def daemon():
    with Daemon(CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def peer(daemon, make_ptnet_image):
    image = make_ptnet_image(programs=["/bin/ping"])
    with Guest("peer", image, qemu_args=attach(daemon, "vale0:peer")) as guest:
        bring_up(guest, interface(daemon, guest, "vale0:peer"), f"{PEER_ADDRESS}/24")
        yield guest


class Subject:
    """The guest whose driver is put to the test."""

    def __init__(self, daemon, guest, number):
        self.daemon = daemon
        self.guest = guest
        self.port = f"vale0:{guest.image.kernel}"
        self.address = f"10.0.0.{number}"
        self.check = guest.check
        self.run = guest.run
        self.restore()

    def restore(self):
        """As it is between tests: driver loaded, interface up with its address."""
        self.name = interface(self.daemon, self.guest, self.port)
        bring_up(self.guest, self.name, f"{self.address}/24")
        # Functions of ours are found by their driver, others by their ids.
        functions = self.check("ls -d /sys/bus/pci/drivers/ptnet/0000:*").split()
        [self.netif] = [path.rsplit("/", 1)[1] for path in functions if self.check(f"cat {path}/class") == "0x020000\n"]
        [self.memdev] = [path.rsplit("/", 1)[1] for path in functions if self.check(f"cat {path}/class") == "0x00ff00\n"]

    def running(self):
        return self.daemon.ctl("port", "show", self.port)["attachment"]["running"]

    def carrier(self):
        return self.check(f"cat /sys/class/net/{self.name}/carrier").strip()

    def wait_for_ring_1(self):
        """Until the daemon has taken more packets from TX ring 1 than now."""

        def packets():
            [ring] = [r for r in ring_states(self.daemon, self.port) if (r["direction"], r["index"]) == ("tx", 1)]
            return ring["counters"]["packets"]

        before = packets()
        wait_until(lambda: packets() > before + 20, "packets left ring 1")

    def check_ping(self, count=20):
        sent, received, output = ping(self.guest, PEER_ADDRESS, count, "-i 0.002")
        assert (sent, received) == (count, count), f"{output}\n{self.daemon.ctl_text('stats')}"


@pytest.fixture(scope="module", params=KERNELS)
def booted(request, daemon, make_ptnet_image):
    kernel = request.param
    image = make_ptnet_image(kernel, programs=["/bin/ping", "/usr/sbin/ethtool"])
    arguments = [*QEMUS_OWN, *attach(daemon, f"vale0:{kernel}")]
    shared = SHARED_MEMORY[kernel]
    with Guest("subject", image, qemu_args=arguments, cpus=2, shared_memory=shared, sessions=10) as guest:
        yield Subject(daemon, guest, number=10 + KERNELS.index(kernel))
        assert not faults(daemon, f"vale0:{kernel}")


@pytest.fixture
def subject(booted, peer):
    del peer  # it must be there
    yield booted
    booted.check_ping()


@pytest.fixture
def flood(subject, peer):
    """Both sides send as fast as they get answers, from before the test until after it."""
    jobs = [
        subject.guest.spawn(f"while :; do /bin/ping -f -q -w 60 {PEER_ADDRESS} >/dev/null 2>&1; usleep 20000; done"),
        peer.spawn(f"while :; do /bin/ping -f -q -w 60 {subject.address} >/dev/null 2>&1; usleep 20000; done"),
    ]
    wait_for_traffic(subject)
    yield
    wait_for_traffic(subject)
    for job in jobs:
        job.kill()
        job.wait()


def wait_for_traffic(subject):
    """Until the interface has sent and received more than now."""
    directory = f"/sys/class/net/{subject.name}/statistics"
    subject.check(
        f"cd {directory}; rx=$(cat rx_packets) tx=$(cat tx_packets);"
        " until [ $(cat rx_packets) -gt $((rx + 20)) ] && [ $(cat tx_packets) -gt $((tx + 20)) ]; do usleep 10000; done"
    )


def test_leaves_qemus_own_devices_alone(subject):
    listing = subject.check(
        "cd /sys/bus/pci/devices; for d in *; do"
        ' echo $d $(cat $d/vendor $d/device $d/class) "$(basename "$(readlink $d/driver)")"; done'
    )
    found = {}
    for line in listing.splitlines():
        address, vendor, device, pci_class, *driver = line.split()
        if (vendor, device) in (("0x1b36", "0x000c"), ("0x1b36", "0x000d")):
            found[device, pci_class] = (address, driver)
    assert set(found) == {
        ("0x000c", "0x00ff00"),
        ("0x000c", "0x060400"),
        ("0x000d", "0x020000"),
        ("0x000d", "0x0c0330"),
    }
    assert found["0x000c", "0x00ff00"][1] == ["ptnet"]
    assert found["0x000d", "0x020000"][1] == ["ptnet"]
    root_port, driver = found["0x000c", "0x060400"]
    assert driver == ["pcieport"]
    xhci, driver = found["0x000d", "0x0c0330"]
    assert driver != ["ptnet"]
    # Nor does it take them when they are free and it is told to.
    subject.check(f"echo {root_port} >/sys/bus/pci/drivers/pcieport/unbind")
    for address in (root_port, xhci):
        assert subject.run(f"echo {address} >/sys/bus/pci/drivers/ptnet/bind").status != 0
        assert subject.run(f"[ -e /sys/bus/pci/devices/{address}/driver ]").status != 0
    subject.check(f"echo {root_port} >/sys/bus/pci/drivers/pcieport/bind")


def test_ethtool(subject):
    def ethtool(option):
        output = subject.check(f"ethtool {option} {subject.name}")
        return dict(re.findall(r"^[ \t]*(.+?):[ \t]*(.*)$", output, re.MULTILINE)), output

    info, _ = ethtool("-i")
    assert info["driver"] == "ptnet"
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])
    assert info["bus-info"] == subject.netif
    _, rings = ethtool("-g")
    assert re.findall(r"^[RT]X:\s*(\d+)$", rings, re.MULTILINE) == ["1024"] * 4
    _, channels = ethtool("-l")
    assert re.findall(r"^Combined:\s*(\d+)$", channels, re.MULTILINE) == ["2", "2"]
    link, _ = ethtool("")
    assert link["Link detected"] == "yes"
    assert link["Speed"] == "10000Mb/s"

    def statistics():
        return {name: int(value) for name, value in ethtool("-S")[0].items() if value.isdigit()}

    def both():
        """The guest's and the host's, at a moment when nothing is on its way (the stack speaks when it likes)."""
        while True:
            first = counters(subject.daemon, subject.port, "tx")["packets"]
            in_guest = statistics()
            if counters(subject.daemon, subject.port, "tx")["packets"] == first:
                return in_guest, first

    before, on_host_before = both()
    subject.check_ping(50)
    after, on_host_after = both()
    on_host = on_host_after - on_host_before
    assert set(before) == set(after)
    sent = sum(after[f"tx{ring}_packets"] - before[f"tx{ring}_packets"] for ring in range(2))
    received = sum(after[f"rx{ring}_packets"] - before[f"rx{ring}_packets"] for ring in range(2))
    assert sent == on_host >= 50 and received >= 50
    assert sum(after[f"rx{ring}_interrupts"] - before[f"rx{ring}_interrupts"] for ring in range(2)) > 0
    assert not any(after[name] for name in after if name.endswith(("_faults", "_bad_packets")))


def test_unload_and_load(subject, flood):
    for _ in range(3):
        wait_for_traffic(subject)
        subject.check("rmmod ptnet")
        assert subject.run(f"[ -e /sys/class/net/{subject.name} ] || [ -e /dev/netmap ]").status != 0
        assert not subject.running()
        subject.check("modprobe ptnet")
        subject.restore()
        assert subject.running()


def test_unload_is_refused_while_a_program_holds_the_port(subject):
    program = netmap_program(subject.guest, f"ptnet-gen rx netmap:{subject.name}")
    assert subject.run("rmmod ptnet").status != 0
    assert not program.done()
    program.kill()
    assert program.wait().status == 0
    subject.check("rmmod ptnet && modprobe ptnet")
    subject.restore()


def test_unbind_and_bind(subject, flood):
    for _ in range(3):
        wait_for_traffic(subject)
        subject.check(f"echo {subject.netif} >/sys/bus/pci/drivers/ptnet/unbind")
        assert subject.run(f"[ -e /sys/class/net/{subject.name} ]").status != 0
        assert not subject.running()
        subject.check(f"echo {subject.netif} >/sys/bus/pci/drivers/ptnet/bind")
        subject.restore()


def test_remove_and_rescan(subject, flood):
    for functions in ((subject.netif,), (subject.netif, subject.memdev), (subject.memdev, subject.netif)):
        wait_for_traffic(subject)
        for function in functions:
            subject.check(f"echo 1 >/sys/bus/pci/devices/{function}/remove")
        assert not subject.running()
        subject.check("echo 1 >/sys/bus/pci/rescan")
        subject.restore()


def test_memory_goes_and_comes_back(subject, flood):
    subject.check(f"echo {subject.memdev} >/sys/bus/pci/drivers/ptnet/unbind")
    assert subject.carrier() == "0"
    assert not subject.running()
    assert subject.run(f"ip link set {subject.name} down; ip link set {subject.name} up").status != 0
    subject.check(f"echo {subject.memdev} >/sys/bus/pci/drivers/ptnet/bind; ip link set {subject.name} up")
    assert subject.carrier() == "1"


@pytest.mark.parametrize("function", ["netif", "memdev"])
def test_device_goes_while_a_program_holds_it(subject, function):
    program = netmap_program(subject.guest, f"ptnet-gen rx netmap:{subject.name}")
    address = getattr(subject, function)
    subject.check(f"echo {address} >/sys/bus/pci/drivers/ptnet/unbind")
    assert program.wait().status == 1  # it is told, and not killed
    subject.check(f"echo {address} >/sys/bus/pci/drivers/ptnet/bind; ip link set {subject.name} down")
    subject.restore()


def test_down_and_up(subject, flood):
    for _ in range(10):
        subject.check(f"ip link set {subject.name} down")
        assert not subject.running()
        subject.check(f"ip link set {subject.name} up")
        assert subject.carrier() == "1"
        wait_for_traffic(subject)


def test_mtu(subject, peer, flood):
    """Any MTU at any time; a frame of that size passes, a longer MTU than the port takes is refused."""
    peer_name = interface(subject.daemon, peer, "vale0:peer")
    assert subject.run(f"ip link set {subject.name} mtu 67").status != 0
    assert subject.run(f"ip link set {subject.name} mtu 65537").status != 0
    for mtu in (1280, 9000, 2034, 65000, 1500):
        subject.check(f"ip link set {subject.name} mtu {mtu}")
        peer.check(f"ip link set {peer_name} mtu {mtu}")
        sent, received, output = ping(subject.guest, PEER_ADDRESS, 3, f"-i 0.01 -M do -s {mtu - 28}")
        assert (sent, received) == (3, 3), output
        too_long = subject.run(f"/bin/ping -n -c 1 -W 1 -M do -s {mtu - 27} {PEER_ADDRESS} 2>&1").output
        assert re.search(f"[Mm]essage too long, mtu[:=] ?{mtu}", too_long), too_long


def test_program_killed(subject):
    """kill -9 of a program that holds the rings gives them back to the stack at once."""
    for what in ("rx", "tx --dst-mac 02:00:00:00:00:99", "rx --busy"):
        for rings in ("", "-1"):
            verb, *options = what.split()
            command = f"ptnet-gen {verb} netmap:{subject.name}{rings} {' '.join(options)}"
            program = netmap_program(subject.guest, command)
            if not rings:
                # The stack doesn't have the rings: no answer. It keeps what it is given to send.
                assert subject.run(f"/bin/ping -n -q -c 1 -W 1 {PEER_ADDRESS}").status == 1
            program.kill("KILL")
            subject.check_ping(3)
            assert program.wait().status == 128 + 9


def test_suspend_and_resume_then_reboot(subject, peer):
    """Suspend to RAM, which resets the device: the stack with ring 0 and a program with ring 1 go on.

    Then the machine starts over in mid-transfer, and nobody tells the driver; its peer only notices silence.
    """
    guest = subject.guest
    if "deep" not in subject.check("cat /sys/power/mem_sleep"):
        pytest.skip("this kernel cannot suspend to RAM")
    program = netmap_program(guest, f"ptnet-gen tx netmap:{subject.name}-1 --rate 1000 --dst-mac 02:00:00:00:00:99")
    subject.wait_for_ring_1()
    job = guest.spawn("echo mem >/sys/power/state")
    guest.wait_event("SUSPEND")
    assert not subject.running()
    guest.qmp("system_wakeup")
    job.check()
    subject.check_ping()
    assert not program.done()

    flood = peer.spawn(f"while :; do /bin/ping -f -q -w 60 {subject.address} >/dev/null 2>&1; usleep 20000; done")
    wait_for_traffic(subject)
    subject.wait_for_ring_1()
    # A machine that QEMU has woken can neither suspend again nor power off (11.1): starting over mends that, too.
    guest.qmp("set-action", reboot="reset")
    guest.qmp("system_reset")
    guest.wait_restarted()
    assert not subject.running()
    subject.restore()
    wait_for_traffic(subject)
    flood.kill()
    flood.wait()
    guest.qmp("set-action", reboot="shutdown")


def peer_sends(subject, count):
    """Let the daemon's other port send the subject as many packets."""
    [peer] = [guest for guest in Guest.started if guest.name == "peer"]
    name = interface(subject.daemon, peer, "vale0:peer")
    mac = subject.daemon.ctl("port", "show", subject.port)["mac"]
    peer.check(f"ptnet-gen tx netmap:{name} --count {count} --dst-mac {mac}")


def test_driver_without_the_extension(subject):
    """As netmap's own driver does, with the CSB in guest RAM: that needs RAM that QEMU shares."""
    subject.check("rmmod ptnet && modprobe ptnet region_csb=0")
    name = interface(subject.daemon, subject.guest, subject.port)
    assert not subject.daemon.ctl("port", "show", subject.port)["attachment"]["extension"]
    if SHARED_MEMORY[subject.guest.image.kernel]:
        subject.restore()
        subject.check_ping(200)
        for _ in range(3):
            subject.check(f"ip link set {subject.name} down && ip link set {subject.name} up")
        subject.check_ping()
        program = netmap_program(subject.guest, f"ptnet-gen rx netmap:{subject.name} --count 5")
        peer_sends(subject, 5)
        program.check()
    else:
        lines = len(subject.daemon.log().splitlines())
        assert subject.run(f"ip link set {name} up").status != 0
        told = subject.daemon.wait_log("share=on")
        assert subject.port in told and "memory-backend-memfd" in told
        assert len(subject.daemon.log().splitlines()) < lines + 10
    subject.check("rmmod ptnet && modprobe ptnet")
    subject.restore()
    assert subject.daemon.ctl("port", "show", subject.port)["attachment"]["extension"]


def test_daemon_ends_under_running_guests(make_ptnet_image):
    """ptnetd is killed: the guests live on, their interfaces say that the link is gone.

    They are idle in that moment: a QEMU (11.1) that is just awaiting the answer to a message aborts.
    """
    config = {"switches": [{"name": "vale0"}], "ports": [{"name": "vale0:one"}, {"name": "vale0:two"}]}
    daemon = Daemon(config)
    daemon.start()
    guests = {}
    for name, kernel in zip(("one", "two"), KERNELS):
        image = make_ptnet_image(kernel, programs=["/bin/ping", "/usr/sbin/ethtool"])
        guests[name] = Guest(name, image, qemu_args=attach(daemon, f"vale0:{name}")).start()
    ports = {}
    for number, (name, guest) in enumerate(guests.items(), start=1):
        guest.wait_ready()
        ports[name] = interface(daemon, guest, f"vale0:{name}")
        bring_up(guest, ports[name], f"10.0.0.{number}/24")
    one, two = guests.values()
    sent, received, output = ping(one, "10.0.0.2", 10, "-i 0.01")
    assert (sent, received) == (10, 10), output
    program = netmap_program(two, f"ptnet-gen rx netmap:{ports['two']}")
    daemon.kill()
    # Nobody asks: the interface notices by itself that what it sends isn't taken. (41 frames a ping.)
    flood = one.spawn("exec /bin/ping -f -q -s 60000 10.0.0.2 >/dev/null")
    one.check(f"until [ $(cat /sys/class/net/{ports['one']}/carrier) = 0 ]; do usleep 100000; done")
    flood.kill()
    flood.wait()
    for name, guest in guests.items():
        assert "Link detected: no" in guest.check(f"ethtool {ports[name]}")
        assert guest.check(f"cat /sys/class/net/{ports[name]}/carrier") == "0\n"
    # Nothing hangs: not a program, nor the end of an interface, nor its start, which fails, nor the driver's.
    assert not program.done()
    program.kill()
    program.wait()
    for name, guest in guests.items():
        guest.check(f"ip link set {ports[name]} down")
        assert guest.run(f"ip link set {ports[name]} up").status != 0
        guest.check("rmmod ptnet")
        guest.shutdown()
