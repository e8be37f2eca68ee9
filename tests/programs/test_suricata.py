# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Suricata, built with its netmap capture method: alerts on what comes to a netmap port, and an IPS."""

import time

import pytest

import frames
from daemon import TIMEOUT, built
from program import Program, run

COUNT = 400
STARTED = "Engine started"

YAML = """%YAML 1.1
---
default-log-dir: {folder}
stats: {{enabled: no}}
outputs:
  - fast: {{enabled: yes, filename: fast.log, append: no}}
logging:
  default-log-level: info
  outputs:
    - console: {{enabled: yes}}
app-layer: {{protocols: {{}}}}
netmap:
{netmap}
"""

RULES = """
alert udp any any -> any 53 (msg:"found"; content:"number 39"; sid:1;)
drop tcp any any -> any 80 (msg:"dropped"; sid:2;)
"""


@pytest.fixture
def suricata(daemon, built_program, tmp_path):
    """suricata(INTERFACE, NETMAP): start it there, with this part of the configuration."""
    folder = built_program("suricata")
    started = []

    def start(interface, netmap):
        (tmp_path / "suricata.yaml").write_text(YAML.format(folder=tmp_path, netmap=netmap))
        (tmp_path / "own.rules").write_text(RULES)
        words = [folder / "bin" / "suricata", "-c", tmp_path / "suricata.yaml", "-S", tmp_path / "own.rules"]
        words += ["-l", tmp_path, "--runmode", "workers", f"--netmap={interface}"]
        program = Program(daemon, *words, cwd=tmp_path)
        started.append(program)
        program.wait_for(STARTED, timeout=2 * TIMEOUT)
        return program

    yield start
    for program in started:
        program.kill()


def wait_for_alerts(path, number):
    """Wait until it has logged so many; its log is all that it says while it runs."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= number:
            return
        assert time.monotonic() < deadline, f"{len(lines)} of {number} alerts"
        time.sleep(0.05)


@pytest.mark.parametrize(
    "interface, sender", [("vale0:ids", "vale0:gen"), ("netmap:ids", "netmap:ids{0")], ids=["vale", "pipe"]
)
def test_ids(daemon, suricata, tmp_path, interface, sender):
    """It alerts on exactly the packets that the rules describe."""
    sent = frames.mixed(COUNT)
    expected = [frame for frame in sent if b"number 39" in frame and frame[23] == 17]
    tcp = [frame for frame in sent if frame[23] == 6]
    capture = frames.write(tmp_path / "sent.pcap", sent)
    program = suricata(interface, f"  - {{interface: '{interface}', threads: 1}}")
    run(daemon, built("ptnet-gen"), "tx", "-i", sender, "--replay", capture, "--timeout", 0)
    # An IDS reports what it would drop.
    wait_for_alerts(tmp_path / "fast.log", len(expected) + len(tcp))
    program.interrupt()
    program.wait()
    alerts = (tmp_path / "fast.log").read_text().splitlines()
    assert len([line for line in alerts if "[1:1:" in line]) == len(expected)
    # Each of them is a flow of its own.
    assert len([line for line in alerts if "[1:2:" in line]) == len(tcp)


def test_ips(daemon, suricata, tmp_path):
    """Between two pipes: what a drop rule describes is not passed, everything else is, unchanged."""
    sent = frames.mixed(COUNT, seed=3)
    passed = [frame for frame in sent if frame[23] == 17]
    capture = frames.write(tmp_path / "sent.pcap", sent)
    got = tmp_path / "got.pcap"
    line = "  - {{interface: '{}', copy-iface: '{}', copy-mode: ips, threads: 1}}\n"
    suricata("netmap:in", line.format("netmap:in", "netmap:out") + line.format("netmap:out", "netmap:in"))
    words = [built("ptnet-gen"), "rx", "-i", "netmap:out{0", "--count", len(passed), "--capture", got]
    with Program(daemon, *words) as receiver:
        run(daemon, built("ptnet-gen"), "tx", "-i", "netmap:in{0", "--replay", capture, "--timeout", 0)
        receiver.wait()
    assert frames.read(got) == passed
