# SPDX-License-Identifier: BSD-2-Clause
"""The harness itself: guests without any device of ours.

A test that can't fail is worth nothing, so most of this is about whether trouble is noticed.
"""

import hashlib
import random

import pytest

from conftest import KERNELS
from guest import CommandFailed, Guest, GuestComplained, GuestDied, GuestPanic, GuestTimeout, guest_kernel


@pytest.fixture(scope="module")
def guest(make_image):
    with Guest("harness", make_image()) as running:
        yield running


@pytest.fixture(scope="module")
def saved(make_image, tmp_path_factory):
    """A guest that has been booted once, for all who need one of their own."""
    path = tmp_path_factory.mktemp("saved") / "state"
    Guest("victim", make_image()).start().wait_ready().save(path)
    return path


@pytest.fixture
def own_guest(make_image, saved):
    """A guest to break: nothing checks how it ends."""
    running = Guest("victim", make_image(), saved=saved).start().wait_ready()
    yield running
    running.kill()


@pytest.mark.parametrize("kernel", KERNELS)
def test_boots_and_powers_off(make_image, kernel):
    with Guest("boot", make_image(kernel), cpus=2) as guest:
        assert guest.check("uname -r").strip() == guest_kernel("release", kernel)
        assert guest.check("hostname; nproc") == "boot\n2\n"
    assert not guest.running()
    assert guest.process.returncode == 0
    assert guest.shutdown_reason() == "guest-shutdown"


def test_exit_status_and_both_outputs(guest):
    assert guest.run("echo out; echo err >&2; exit 3") == (3, "out\nerr\n")
    assert guest.run("true") == (0, "")
    assert guest.run("no-such-command").status == 127
    assert guest.run("kill -9 $$").status == 128 + 9
    with pytest.raises(CommandFailed, match="exit status 1: false"):
        guest.check("false")


def test_awkward_bytes_survive(guest):
    awkward = "a'b\"c\\d$HOME `id` %s\t*\r ü€ ~!# done 0 5 \x01\x04\x11\x13\x1a\x7f"
    guest.put("/tmp/awkward", awkward.encode())
    assert guest.check("cat /tmp/awkward") == awkward
    assert guest.check("cat <<'END'\n" + awkward + "\nEND\n") == awkward + "\n"
    every_byte = bytes(range(256)) * 3
    guest.put("/tmp/bytes", every_byte)
    assert guest.get("/tmp/bytes") == every_byte
    guest.put("/tmp/empty", b"")
    assert guest.get("/tmp/empty") == b""


def test_large_output_and_large_input(guest):
    data = random.Random(1).randbytes(1 << 20)
    guest.put("/tmp/large", data)
    assert guest.check("sha256sum </tmp/large").split()[0] == hashlib.sha256(data).hexdigest()
    assert guest.get("/tmp/large") == data
    script = "# " + "x" * 100_000 + "\necho long"
    assert guest.check(script) == "long\n"


def test_commands_run_side_by_side(guest):
    reader = guest.spawn("mkfifo /tmp/fifo; echo reading; cat /tmp/fifo; exit 4")
    reader.wait_for("^reading$")
    assert not reader.done()
    assert reader.output_so_far() == "reading\n"
    guest.check("echo hello >/tmp/fifo")
    assert reader.wait() == (4, "reading\nhello\n")
    assert reader.done()


def test_kill_ends_a_command_and_its_children(guest):
    job = guest.spawn("sleep 1000 | sleep 1000")
    job.kill("KILL")
    assert job.wait().status == 128 + 9
    assert guest.run("pidof sleep").status == 1


def test_what_a_command_leaves_running_holds_nothing(guest):
    assert guest.check("sleep 1000 & echo $!").strip().isdigit()
    assert guest.run("killall sleep").status == 0


def test_timeout_is_reported_and_other_sessions_go_on(guest):
    job = guest.spawn("sleep 1000")
    with pytest.raises(GuestTimeout, match="guest harness: did not finish in time: sleep 1000"):
        job.wait(timeout=0.1)
    assert guest.check("echo fine") == "fine\n"
    job.kill()
    assert job.wait().status == 128 + 15


def test_modules_and_programs_come_with_what_they_need(make_image):
    image = make_image(modules=["veth"], programs=["/usr/bin/tcpdump", "/bin/busybox:busybox2"], files=["/etc/os-release:/etc/here"])
    with Guest("tools", image) as guest:
        guest.check("modprobe veth && ip link add v0 type veth && ip link show v0")
        assert "libpcap" in guest.check("tcpdump --version")
        assert guest.check("busybox2 basename /a/b") == "b\n"
        assert "ID=debian" in guest.check("cat /etc/here")


def test_shared_memory_and_extra_arguments(make_image):
    arguments = ["-device", "pvpanic-pci"]
    with Guest("shared", make_image(), qemu_args=arguments, memory="192M", shared_memory=True) as guest:
        assert guest.qmp("query-memdev")[0]["share"]
        assert "0x0011" in guest.check("cat /sys/bus/pci/devices/*/device")


def test_large_bars_get_an_address(make_image):
    """A port's region is a 64-bit BAR of any size; firmware and kernel must place it."""
    arguments = []
    for address, size in (("10", "64M"), ("11", "8G")):
        arguments += ["-object", f"memory-backend-memfd,id=bar{address},size={size},share=on,reserve=off"]
        arguments += ["-device", f"ivshmem-plain,memdev=bar{address},addr={address}"]
    with Guest("bars", make_image(), qemu_args=arguments) as guest:
        for address, mebibytes in (("10", 64), ("11", 8192)):
            start, end, _ = guest.check(f"sed -n 3p /sys/bus/pci/devices/0000:00:{address}.0/resource").split()
            assert int(start, 16) != 0
            assert (int(end, 16) + 1 - int(start, 16)) >> 20 == mebibytes


def test_killed_qemu_is_reported(own_guest):
    job = own_guest.spawn("sleep 1000")
    own_guest.process.kill()
    with pytest.raises(GuestDied, match="QEMU ended with SIGKILL.*during: sleep 1000"):
        job.wait()


def test_panic_is_reported_with_the_console(own_guest):
    with pytest.raises(GuestPanic, match=r"(?s)kernel panic, during: echo c.*sysrq triggered crash"):
        own_guest.run("echo c >/proc/sysrq-trigger")
    assert own_guest.process.returncode == 0  # -no-reboot: QEMU sees a reset, ends, and is content
    assert own_guest.shutdown_reason() == "guest-reset"


def test_reboot_is_no_clean_end(own_guest):
    with pytest.raises(GuestDied, match="reason guest-reset"):
        own_guest.run("reboot -f")


def test_kernel_complaint_fails_the_shutdown(make_image, saved):
    def complaining_guest():
        guest = Guest("complains", make_image(), saved=saved).start().wait_ready()
        guest.check("echo 'WARNING: CPU: 0 PID: 1 at drivers/net/ptnet.c' >/dev/kmsg")
        return guest

    with pytest.raises(GuestComplained, match="WARNING:"):
        complaining_guest().shutdown()
    guest = complaining_guest()
    guest.expected_complaint = r"ptnet\.c"
    guest.shutdown()


def test_bad_qemu_argument_is_reported(make_image):
    with pytest.raises(GuestDied, match="'no-such-device' is not a valid device model name"):
        Guest("wrong", make_image(), qemu_args=["-device", "no-such-device"]).start().wait_ready()
