# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own tcpdump and ngrep, with Debian's libpcap built where net/netmap_user.h is."""

import pytest

import frames
from daemon import built
from program import Program, run

COUNT = 400


@pytest.fixture
def capture(tmp_path):
    sent = frames.mixed(COUNT)
    return sent, frames.write(tmp_path / "sent.pcap", sent)


@pytest.fixture
def libpcap(built_program):
    return {"LD_LIBRARY_PATH": str(built_program("libpcap"))}


def is_dns(frame):
    return frame[23] == 17 and frame[36:38] == (53).to_bytes(2, "big")


@pytest.mark.parametrize(
    "receiver, sender", [("vale0:dump", "vale0:gen"), ("netmap:pair}1", "netmap:pair{1")], ids=["vale", "pipe"]
)
@pytest.mark.parametrize("filtered", [False, True])
def test_tcpdump(daemon, libpcap, capture, tmp_path, receiver, sender, filtered):
    """Writes exactly what was sent, in its order; with an expression exactly what it matches."""
    sent, path = capture
    expected = [frame for frame in sent if is_dns(frame)] if filtered else sent
    assert expected
    got = tmp_path / "got.pcap"
    # libpcap's netmap module counts for -c what comes, not what matches.
    words = ["tcpdump", "-i", receiver, "-w", got, "-c", len(sent), *(["udp port 53"] if filtered else [])]
    with Program(daemon, *words, env=libpcap) as tcpdump:
        tcpdump.wait_for("listening on")
        # It ends without giving its last slots back: the sender doesn't wait for that.
        run(daemon, built("ptnet-gen"), "tx", "-i", sender, "--replay", path, "--timeout", 0)
        tcpdump.wait()
    assert frames.read(got) == expected


def test_tcpdump_is_interrupted(daemon, libpcap):
    """Ctrl-C ends it while it waits in poll, and it says so."""
    with Program(daemon, "tcpdump", "-i", "vale0:dump", "-w", "/dev/null", env=libpcap) as tcpdump:
        tcpdump.wait_for("listening on")
        tcpdump.interrupt()
        tcpdump.wait()
        tcpdump.wait_for("0 packets captured")


def test_ngrep(daemon, libpcap, capture):
    """A pattern in the payload finds the packets that have it."""
    sent, path = capture
    expected = sum(b"number 39" in frame for frame in sent)
    words = ["ngrep", "-q", "-l", "-n", expected, "-d", "vale0:grep", "number 39"]
    with Program(daemon, *words, env=libpcap) as ngrep:
        ngrep.wait_for("interface:")
        run(daemon, built("ptnet-gen"), "tx", "-i", "vale0:gen", "--replay", path)
        found = [line for line in ngrep.wait().splitlines() if line.startswith("  number 39")]
        assert len(found) == expected
