# SPDX-License-Identifier: BSD-2-Clause
"""/dev/netmap in guests of each kernel, by plain system calls: what netmap_api_checks.c checks."""

import re
import subprocess

import pytest

from conftest import KERNELS
from daemon import Daemon
from guest import REPO, Guest
from network import attach, faults, interface

SOURCE = REPO / "tests" / "integration" / "netmap_api_checks.c"
CONFIG = {
    "switches": [{"name": f"vale{number}"} for number in range(len(KERNELS))],
    "ports": [
        {"name": f"vale{number}:{name}", "rings": 2} for number in range(len(KERNELS)) for name in ("port", "peer")
    ],
}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "netmap-api-checks"
    words = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE=", "-static"]
    subprocess.run([*words, "-I", REPO / "include", SOURCE, "-o", path], check=True)
    return path


@pytest.fixture(scope="module")
def guests(program, make_ptnet_image):
    """A guest of each kernel that has both ports of a switch; a pair (guest, ports) for each kernel."""
    with Daemon(CONFIG) as daemon:
        started = {}
        for number, kernel in enumerate(KERNELS):
            ports = [f"vale{number}:port", f"vale{number}:peer"]
            image = make_ptnet_image(kernel, programs=[program])
            started[kernel] = (Guest(f"api{number}", image, qemu_args=attach(daemon, *ports)).start(), ports)
        names = {}
        for kernel, (guest, ports) in started.items():
            guest.wait_ready()
            names[kernel] = (guest, [interface(daemon, guest, port) for port in ports])
        yield names
        for guest, ports in started.values():
            # The program spoils one ring of one port, nobody else's, and ends in mid-exchange.
            guest.expected_complaint = "rx ring 0 stopped: the host stopped it|a program has left"
            guest.shutdown()
            assert {fault.split(":")[0] for fault in faults(daemon, ports[0])} <= {"rx0"}
            assert not faults(daemon, ports[1])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("state", ["down", "up"])
def test_system_calls(guests, kernel, state):
    """With the interfaces down; and up, when the stack gives the rings to a program and takes them back."""
    guest, names = guests[kernel]
    for name in names:
        # Nothing of the stack's own may come between: no IPv6, hence no neighbour discovery.
        guest.check(f"echo 1 >/proc/sys/net/ipv6/conf/{name}/disable_ipv6; ip link set {name} {state}")
    status, output = guest.run(f"netmap-api-checks {' '.join(names)} 2>&1")
    failed = [line for line in output.splitlines() if not line.startswith("ok ")]
    # The last line is there only if the program has come to its end.
    checks, failures = map(int, re.fullmatch(r"(\d+) checks, (\d+) failed", failed.pop()).groups())
    assert not failed
    assert (status, failures) == (0, 0)
    assert checks == output.count("\nok ") + output.startswith("ok ") > 100


def test_failure_is_noticed(guests):
    """With a peer that isn't there the program must fail, and say where."""
    guest, names = guests[KERNELS[0]]
    status, output = guest.run(f"netmap-api-checks {names[0]} nosuch0 2>&1")
    assert status == 1
    assert "FAILED nosuch0" in output
