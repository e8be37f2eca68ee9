# SPDX-License-Identifier: BSD-2-Clause
"""Debian's daq (what Snort receives with): its netmap module, from a program that does as Snort does."""

import subprocess

import pytest

import frames
from conftest import REPO
from daemon import built
from program import Program, run

COUNT = 300


@pytest.fixture
def program(built_program, tmp_path):
    daq = built_program("daq")
    path = tmp_path / "daq_packets"
    source = REPO / "tests" / "programs" / "daq_packets.c"
    libs = [f"-L{daq}/lib", f"-Wl,-rpath,{daq}/lib", "-ldaq", "-lsfbpf"]
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", f"-I{daq}/include", source, "-o", path, *libs], check=True)
    return path, daq / "lib" / "daq"


def test_passive(daemon, program, tmp_path):
    """It opens the port by the legacy request and receives every packet. Names with a colon it would split."""
    path, modules = program
    sent = frames.mixed(COUNT)
    capture = frames.write(tmp_path / "sent.pcap", sent)
    with Program(daemon, path, modules, "tap{1", "passive", COUNT) as snort:
        snort.wait_for("started")
        run(daemon, built("ptnet-gen"), "tx", "-i", "netmap:tap}1", "--replay", capture)
        assert [bytes.fromhex(line) for line in snort.wait().splitlines()] == sent


def test_inline(daemon, program, tmp_path):
    """Between two pipes of one parent, which share their memory: it exchanges buffers instead of copying."""
    path, modules = program
    sent = frames.mixed(COUNT, seed=2)
    capture = frames.write(tmp_path / "sent.pcap", sent)
    got = tmp_path / "got.pcap"
    with Program(daemon, path, modules, "tap{1:tap{2", "inline", COUNT) as snort:
        snort.wait_for("started")
        words = ["rx", "-i", "netmap:tap}2", "--count", COUNT, "--capture", got]
        with Program(daemon, built("ptnet-gen"), *words) as receiver:
            run(daemon, built("ptnet-gen"), "tx", "-i", "netmap:tap}1", "--replay", capture)
            receiver.wait()
        assert [bytes.fromhex(line) for line in snort.wait().splitlines()] == sent
    assert frames.read(got) == sent
