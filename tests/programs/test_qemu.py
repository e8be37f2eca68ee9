# SPDX-License-Identifier: BSD-2-Clause
"""Debian's QEMU with its netmap backend: guests with virtio-net that know nothing of netmap."""

import itertools
import shutil

import pytest

from guest import Guest, build_image, qemu_command
from program import Program


class NetmapGuest(Guest):
    """A guest whose QEMU is the one that was built, under ptnet-run, with `-netdev netmap`."""

    def __init__(self, daemon, qemu, name, image, port):
        number = {"alice": 1, "bob": 2}[name]
        self.mac = f"52:54:00:00:00:0{number}"
        arguments = ["-netdev", f"netmap,id=net,ifname={port}"]
        arguments += ["-device", f"virtio-net-pci,netdev=net,mac={self.mac},romfile="]
        super().__init__(name, image, qemu_args=arguments)
        self.daemon = daemon
        self.qemu = qemu

    def command(self, ports, qmp):
        words = super().command(ports, qmp)
        usual = qemu_command()
        assert tuple(words[: len(usual)]) == usual
        # Firmware is where the usual QEMU has it.
        firmware = itertools.chain.from_iterable(pair for pair in itertools.pairwise(usual) if pair[0] == "-L")
        return self.daemon.under_shim(self.qemu, *firmware, *words[len(usual) :])


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image"
    return build_image(path, modules=["virtio_net"], programs=[shutil.which("socat")])


@pytest.mark.parametrize("ports", [("vale0:alice", "vale0:bob"), ("netmap:vms{1", "netmap:vms}1")], ids=["vale", "pipe"])
def test_two_guests(daemon, built_program, image, ports):
    """They ping each other, with packets of all sizes, and 8 MB cross over TCP."""
    qemu = built_program("qemu") / "qemu-system-x86_64"
    guests = [NetmapGuest(daemon, qemu, *words) for words in zip(("alice", "bob"), (image, image), ports)]
    for guest in guests:
        guest.start()
    try:
        for number, guest in enumerate(guests, 1):
            guest.wait_ready()
            guest.check("modprobe virtio_net")
            guest.check(
                f"name=$(basename $(dirname $(grep -lx {guest.mac} /sys/class/net/*/address)))"
                f" && ip addr add 10.0.0.{number}/24 dev $name && ip link set $name up"
            )
        alice, bob = guests
        for size in (0, 56, 1000, 1472):
            alice.check(f"ping -q -c 10 -i 0.05 -s {size} 10.0.0.2")
            bob.check(f"ping -q -c 10 -i 0.05 -s {size} 10.0.0.1")
        job = bob.spawn("socat -u TCP-LISTEN:5000 CREATE:/tmp/got && sha256sum </tmp/got")
        bob.check("until grep -qi :1388 /proc/net/tcp*; do usleep 10000; done")
        sent = alice.check("head -c 8000000 /dev/urandom >/tmp/sent && sha256sum </tmp/sent")
        alice.check("socat -u OPEN:/tmp/sent TCP:10.0.0.2:5000")
        assert job.check() == sent
        for guest in guests:
            guest.shutdown()
    finally:
        for guest in guests:
            guest.kill()


def test_wrong_port(daemon, built_program):
    """QEMU says why it can't have a port."""
    qemu = built_program("qemu") / "qemu-system-x86_64"
    words = ["-machine", "none", "-display", "none", "-netdev", "netmap,id=net,ifname=netmap:nothing"]
    with Program(daemon, qemu, *words) as program:
        program.wait(status=1)
        program.wait_for("Failed to nm_open() netmap:nothing: No such device or address")
