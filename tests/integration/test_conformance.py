# SPDX-License-Identifier: BSD-2-Clause
"""Every line of the specification's list of conformance, by tests/conformance: see docs/conformance.md."""

import re
import subprocess

import pytest

from conftest import KERNELS
from daemon import Daemon, built
from guest import REPO, Guest
from network import attach, faults, interface
from programs import Programs

SOURCES = REPO / "tests" / "conformance"
PAGE = REPO / "docs" / "conformance.md"


def all_tests():
    """{name: set of "host" and "guest"} of all tests that the program has."""
    listed = subprocess.run([built("conformance"), "--list"], stdout=subprocess.PIPE, check=True, text=True)
    return {name: set(where) for name, *where in map(str.split, listed.stdout.splitlines())}


def complaints(output):
    """What the program said of tests that failed."""
    return [line for line in output.splitlines() if re.match(r"FAILED|  |no test|usage", line)]


def run_in_guest(guest, ports, *words):
    """Run the program in a guest; returns its exit status, and what it said about each test."""
    status, output = guest.run(f"conformance --ports {' '.join(ports)} {' '.join(words)} 2>&1")
    return status, output


# ---- the table in docs/conformance.md ----

LINES = 75  # of the specification's list


def table():
    """[(line, host, guest, test)] of the page; test is None where it is in another program."""
    rows = []
    for row in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if row.startswith("|") and re.fullmatch(r"[PQ]?\d+", cells[0]):
            line, _, host, guest, test = cells
            other = re.fullmatch(r"`(\S+)`", test)
            if other:
                assert (REPO / other.group(1)).is_file(), row
            rows.append((line, host, guest, None if other else test))
    return rows


def test_table_has_every_line_once():
    lines = [line for line, *_ in table()]
    assert lines[:LINES] == [str(number) for number in range(1, LINES + 1)]
    for letter in "PQ":
        own = [line for line in lines[LINES:] if line[0] == letter]
        assert own == [f"{letter}{number}" for number in range(1, len(own) + 1)]


def test_table_and_tests_agree():
    named = [test for *_, test in table() if test]
    assert len(named) == len(set(named))
    listed = all_tests()
    assert set(named) == set(listed)
    for line, host, guest, test in table():
        if test:
            assert re.fullmatch(r"[A-Q]?\d+", line) and re.match(rf"[A-Q]?{line}-", test), (line, test)
            where = listed[test]
            assert bool(re.match("supported|differs|waits for NIC ports", host)) == ("host" in where), (line, host)
            assert bool(re.match("the same|supported", guest)) == ("guest" in where), (line, guest)


# ---- on the host ----


def names_for(where):
    """Names of the tests that run there, from the table: which is compared with the program's own list above."""
    column = {"host": 1, "guest": 2}[where]
    runs = {"host": "supported|differs|waits for NIC ports", "guest": "the same|supported"}[where]
    return [row[3] for row in table() if row[3] and re.match(runs, row[column])]


@pytest.fixture(scope="module")
def host():
    with Programs(["conformance"]) as programs:
        yield programs


@pytest.mark.parametrize("name", names_for("host"))
def test_host(host, name):
    status, output = host.run_as_user("conformance", "--run", name)
    assert not complaints(output)
    assert (status, output) == (0, f"ok {name}\n1 passed, 0 failed\n")


def test_nothing_is_left(host):
    """After all of them: each program's ports went with it, and the regions with those."""
    assert host.left() == []


def test_name_parsing():
    """Line 69."""
    subprocess.run([built("test_libnetmap_parse")], check=True, capture_output=True)


def test_failure_is_noticed():
    """A test that needs what is not there must fail and say so: here, somebody else's group."""
    with Programs(["conformance"], {"netmap": {"group": "root", "mode": "0660"}}) as programs:
        status, output = programs.run_as_user("conformance", "--run", "A1-ring-layout", "B5-pools-info-no-name")
    assert status == 1
    assert "open /dev/netmap: Permission denied" in output
    assert output.endswith("0 passed, 2 failed\n")


# ---- in guests ----


@pytest.fixture(scope="module")
def guest_program(tmp_path_factory):
    path = tmp_path_factory.mktemp("conformance") / "conformance"
    words = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
    sources = sorted(SOURCES.glob("*.c"))
    subprocess.run(
        [*words, "-D_GNU_SOURCE=", "-static", "-pthread", "-I", REPO / "include", *sources, "-o", path], check=True
    )
    return path


@pytest.fixture(scope="module")
def guests(guest_program, make_ptnet_image):
    """A guest of each kernel that has both ports of a switch; a pair (guest, ports) for each kernel."""
    config = {
        "switches": [{"name": f"vale{number}"} for number in range(len(KERNELS))],
        "ports": [
            {"name": f"vale{number}:{name}", "rings": 2} for number in range(len(KERNELS)) for name in ("port", "peer")
        ],
    }
    with Daemon(config) as daemon:
        started = {}
        for number, kernel in enumerate(KERNELS):
            ports = [f"vale{number}:port", f"vale{number}:peer"]
            image = make_ptnet_image(kernel, programs=[guest_program])
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
def test_guest(guests, kernel, state):
    """With the interfaces down; and up, when the stack gives the rings to a program and takes them back."""
    guest, ports = guests[kernel]
    for port in ports:
        # Nothing of the stack's own may come between: no IPv6, hence no neighbour discovery.
        guest.check(f"echo 1 >/proc/sys/net/ipv6/conf/{port}/disable_ipv6; ip link set {port} {state}")
    status, output = run_in_guest(guest, ports, "--all")
    assert not complaints(output)
    passed = re.findall(r"^ok (\S+)$", output, re.MULTILINE)
    assert sorted(passed) == sorted(names_for("guest"))
    assert status == 0


def test_failure_is_noticed_in_guest(guests):
    """With a peer that isn't there a test that needs it must fail, and say where."""
    guest, ports = guests[KERNELS[0]]
    status, output = run_in_guest(guest, [ports[0], "nosuch0"], "--run", "Q12-traffic", "C8-all-nic")
    assert status == 1
    assert re.search(r"nosuch0: .*\nFAILED Q12-traffic\nok C8-all-nic\n1 passed, 1 failed", output), output
