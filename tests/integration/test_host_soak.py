# SPDX-License-Identifier: BSD-2-Clause
"""Two hundred host programs that attach, send, receive and die at random; soak/netmap_soak.c says how.

Here: what the daemon holds afterwards, and whether it accounts for what was lost. 25 seconds in
`make check`, five minutes in `make soak`. PTNET_SEED repeats the random numbers of an earlier run.
"""

import json
import os
import pathlib
import random
import re
import subprocess

import pytest

from daemon import Daemon, built
from guest import REPO, die_with_parent
from network import faults, ring_states, wait_until

SOURCE = REPO / "tests" / "integration" / "soak" / "netmap_soak.c"
SECONDS = 300 if os.environ.get("PTNET_SOAK") else 25
WARM_UP = 4
KILLS_PER_SECOND = 20  # at the least: on a busy machine it takes longer
# 200 programs: two for each pipe and each pair on a switch, six for each group that shares its two ports.
PIPES, PAIRS, GROUPS = 35, 35, 10
# The others of these are made by the first program that opens them, and go with the last.
CONFIGURED = 18
SLOTS = 256
CONFIG = {
    "regions": [
        # Programs have buffers of their own, too.
        {"name": "pipes", "buf_num": CONFIGURED * 4 * SLOTS + 1000, "if_num": 400},
        *({"name": f"group{number}", "buf_num": 8 * 2 * SLOTS, "if_num": 60} for number in range(GROUPS)),
    ],
    "ports": [
        *(
            {"name": f"vale{number}:{end}", "slots": SLOTS, "pipes": 0}
            for number in range(CONFIGURED)
            for end in ("tx", "rx")
        ),
        *(
            {"name": f"vale{number}:{end}", "rings": 2, "slots": SLOTS, "region": f"group{number}"}
            for number in range(GROUPS)
            for end in ("gtx", "grx")
        ),
    ],
    "pipes": [{"name": f"soak{number}{{1", "slots": SLOTS, "region": "pipes"} for number in range(CONFIGURED)],
}
# What nobody here does: these would be a fault of the daemon, or of what one program leaves to the next.
NEVER = ("drop_bad_slot", "drop_too_short", "drop_too_long", "drop_too_many_fragments", "faults", "interrupts_failed")


@pytest.fixture(scope="module")
def netmap_soak(tmp_path_factory):
    program = tmp_path_factory.mktemp("soak") / "netmap-soak"
    words = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE="]
    subprocess.run([*words, "-I", REPO / "include", SOURCE, "-o", program], check=True)
    return program


def run(daemon, netmap_soak, seconds, seed):
    """Run it; returns what it reports. What it says when it fails is its last line."""
    socket = daemon.directory / "netmap.sock"
    words = [built("ptnet-run"), "--socket", socket, "--", netmap_soak]
    words += [seconds, KILLS_PER_SECOND * seconds, seed, PIPES, PAIRS, GROUPS]
    done = subprocess.run(
        list(map(str, words)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=10 * seconds + 300,
        preexec_fn=die_with_parent,
    )
    assert done.returncode == 0, f"PTNET_SEED={seed}: {done.stdout[-4000:]}\n{daemon.ctl_text('stats')}"
    return json.loads(done.stdout.splitlines()[-1])


def threads(daemon):
    """Of each thread: whether it sleeps, and how often it has been woken or interrupted."""
    found = {}
    for task in pathlib.Path(f"/proc/{daemon.process.pid}/task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        switches = int(status["voluntary_ctxt_switches"]) + int(status["nonvoluntary_ctxt_switches"])
        # TSan has one of its own, which says no other name.
        if status["Name"].strip() == "ptnetd" and task.name != str(daemon.process.pid):
            continue
        found[task.name] = (status["State"].startswith("S"), switches)
    return found


class Holdings:
    """What the daemon holds when all its clients have gone and it has nothing left to do."""

    def __init__(self, daemon):
        self.descriptors, self.threads, self.memory = daemon.resources()
        # Nobody spins: all threads sleep, and go on sleeping.
        before = {}

        def at_rest():
            nonlocal before
            before, last = threads(daemon), before
            return before == last and all(asleep for asleep, _ in before.values())

        wait_until(at_rest, "the daemon was at rest", interval=0.2)
        status = (pathlib.Path(f"/proc/{daemon.process.pid}") / "status").read_text()
        self.sanitized = int(re.search(r"^VmSize:\s*(\d+) kB", status, re.MULTILINE).group(1)) > 1 << 30
        self.regions = {
            region["name"]: (region["bufs_free"], region["rings_free"], region["ports"])
            for region in daemon.ctl("region", "list")
        }
        self.ports = sorted(port["name"] for port in daemon.ctl("port", "list"))


def losses_the_daemon_knows_of(daemon, port, ring):
    [counters] = [
        found["counters"] for found in ring_states(daemon, port) if (found["direction"], found["index"]) == ("rx", ring)
    ]
    return counters["drop_ring_full"]


def test_two_hundred_programs_come_send_receive_and_die(netmap_soak):
    seed = int(os.environ.get("PTNET_SEED", random.randrange(1 << 32)))
    with Daemon(CONFIG) as daemon:
        # What grows once, and never again, does it here.
        run(daemon, netmap_soak, WARM_UP, seed + 1)
        before = Holdings(daemon)
        report = run(daemon, netmap_soak, SECONDS, seed)
        after = Holdings(daemon)
        print(f"PTNET_SEED={seed}: {report}")
        print(f"memory: {before.memory} kB, then {after.memory} kB")

        # It was what it is meant to be.
        assert report["clients"] == 200
        assert report["kills"] >= KILLS_PER_SECOND * SECONDS and all(report[name] for name in ("ends", "dooms", "both"))
        assert report["pipe_packets"] > 10000 and report["switch_packets"] > 10000
        # What was missing, if anything, had no room. A port of which nothing is left had room: more than its sender
        # may have on the way, and nobody else to send to it.
        configured = {port["name"] for port in daemon.ctl("port", "list")}
        for missing in report["missing"]:
            assert missing["port"] in configured, missing
            known = losses_the_daemon_knows_of(daemon, missing["port"], missing["ring"])
            assert missing["packets"] <= known, (missing, known)
        for port in configured:
            assert not faults(daemon, port)
            for ring in ring_states(daemon, port):
                assert not any(ring["counters"][name] for name in NEVER), (port, ring)
                assert ring["state"] == "stopped", (port, ring)

        assert after.descriptors == before.descriptors
        assert after.threads == before.threads
        assert after.regions == before.regions
        assert after.ports == before.ports
        # A sanitizer's memory grows by its own rules.
        assert after.memory < before.memory + 2048 or after.sanitized
