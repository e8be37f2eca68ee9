# SPDX-License-Identifier: BSD-2-Clause
"""docs/first-netmap-program.md as its reader follows it, and the same in Python: examples/receive.py."""

import os
import re
import shlex
import subprocess

import pytest

from daemon import Daemon, build_dir, built
from guest import REPO
from program import Program, run

PAGE = (REPO / "docs" / "first-netmap-program.md").read_text()


def command(containing):
    """The only command line of the page that contains a text, without sudo."""
    lines = re.findall(r"^ {4}(\S.*)$", PAGE, re.MULTILINE)
    (line,) = [line for line in lines if containing in line]
    return line.removeprefix("sudo ")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The library as it is installed: (environment for compiling, environment for running)."""
    root = tmp_path_factory.mktemp("installed")
    command_line = ["meson", "install", "-C", build_dir(), "--no-rebuild", "--quiet", "--destdir", root]
    subprocess.run(command_line, check=True, stdout=subprocess.DEVNULL)
    (pc,) = root.rglob("libnetmap.pc")
    compile_env = {"PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(root)}
    return compile_env, {"LD_LIBRARY_PATH": str(pc.parents[1])}


@pytest.fixture
def daemon():
    with Daemon() as started:
        yield started


@pytest.fixture
def run_env(installed, tmp_path):
    """The environment of the page's program, which compiles with the page's command, without a warning."""
    compile_env, env = installed
    (source,) = re.findall(r"^```c\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "receive.c").write_text(source)
    line = command("pkg-config").replace("-Wall", "-Wall -Wextra -Werror")
    assert "-Werror" in line
    subprocess.run(["bash", "-c", line], cwd=tmp_path, env={**os.environ, **compile_env}, check=True)
    return env


def test_page(daemon, run_env, tmp_path):
    """The program of the page receives what the page sends, and ends."""
    words = shlex.split(command("ptnet-run ./receive"))
    assert words[0] == "ptnet-run"
    with Program(daemon, *words[1:], env=run_env, cwd=tmp_path) as receiver:
        receiver.wait_for("waiting for 5 packets")
        words = shlex.split(command("ptnet-gen tx"))
        assert words[:2] == ["ptnet-run", "ptnet-gen"]
        run(daemon, built("ptnet-gen"), *words[2:])
        lines = receiver.wait().splitlines()
    assert len(lines) == 5
    assert all(re.fullmatch(r"60 bytes: ff ff ff ff ff ff( [0-9a-f]{2}){26}", line) for line in lines)
    # Five frames, not one five times: ptnet-gen numbers them in the IP header.
    assert [line.split()[20:22] for line in lines] == [["00", f"{number:02x}"] for number in range(5)]


def test_page_port_deleted(daemon, run_env, tmp_path):
    """The program of the page ends when its port is taken away."""
    with Program(daemon, "./receive", "vale0:receiver", env=run_env, cwd=tmp_path) as receiver:
        receiver.wait_for("waiting for 5 packets")
        daemon.ctl("port", "del", "vale0:receiver", "--force")
        receiver.wait(status=1)
        receiver.wait_for("the port is gone")


def test_page_without_daemon(run_env, tmp_path):
    """What the reader sees who forgot the daemon."""
    env = {**os.environ, **run_env, "PTNET_SOCKET": str(tmp_path / "nobody")}
    done = subprocess.run([built("ptnet-run"), "./receive"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot open /dev/netmap" in done.stderr


@pytest.mark.parametrize(
    "receiver, sender, size",
    [("vale0:receiver", "vale0:sender", 60), ("netmap:x}1", "netmap:x{1", 5000)],
    ids=["vale", "pipe"],
)
def test_python_example(daemon, installed, receiver, sender, size):
    """It prints what is sent, long packets of several slots in one piece, and ends after as many as it was told."""
    _, run_env = installed
    with Program(daemon, REPO / "examples" / "receive.py", "-n", 3, receiver, env=run_env) as example:
        example.wait_for("receiving on")
        frames = ["--src-mac", "02:00:00:00:00:07", "-s", size, "-n", 3]
        run(daemon, built("ptnet-gen"), "tx", "-i", sender, *frames, "--timeout", 0)
        lines = example.wait().splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines):
        start = f"{size} bytes 02:00:00:00:00:07 > ff:ff:ff:ff:ff:ff type 0800: 45 00 "
        assert line.startswith(start), line
        assert line.split()[11:13] == ["00", f"{number:02x}"]


def test_python_example_is_interrupted(daemon, installed):
    _, run_env = installed
    with Program(daemon, REPO / "examples" / "receive.py", "vale0:x", env=run_env) as example:
        example.wait_for("receiving on")
        example.interrupt()
        assert example.wait() == ""


def test_python_example_port_deleted(daemon, installed):
    _, run_env = installed
    with Program(daemon, REPO / "examples" / "receive.py", "vale0:gone", env=run_env) as example:
        example.wait_for("receiving on")
        daemon.ctl("port", "del", "vale0:gone", "--force")
        example.wait(status=1)
        example.wait_for("receive.py: vale0:gone: the port has stopped")


def test_python_example_bad_name(daemon, installed):
    _, run_env = installed
    with Program(daemon, REPO / "examples" / "receive.py", "nothing", env=run_env) as example:
        example.wait(status=1)
        example.wait_for("Invalid argument")
