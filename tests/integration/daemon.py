# SPDX-License-Identifier: BSD-2-Clause
"""A ptnetd under test, with a configuration, a control socket and a log of its own."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref

from guest import REPO, die_with_parent, guest_kernel

# Bounds a hang; generous because the sanitizer builds are slow and the machine is shared.
TIMEOUT = 60

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")


class DaemonError(Exception):
    """Something is wrong with the daemon; the message ends with its log."""


class ControlError(DaemonError):
    """ptnetctl failed. status and stderr are what it ended with and said."""

    def __init__(self, message, status, stderr):
        super().__init__(message)
        self.status = status
        self.stderr = stderr


def build_dir():
    """The meson build folder: PTNET_BUILD, or build/ in the repository."""
    return pathlib.Path(os.environ.get("PTNET_BUILD", REPO / "build")).resolve()


def built(name):
    """The path of a program that the build made, in whatever folder of it."""
    for path in sorted(build_dir().rglob(name)):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{build_dir()} has no {name}: build it first, or set PTNET_BUILD")


def built_module(kernel, name="ptnet.ko"):
    """The path of the guest module that the build made for a guest kernel (series or release)."""
    release = guest_kernel("release", kernel)
    for path in sorted(build_dir().rglob(name)):
        magic = subprocess.run(["modinfo", "-F", "vermagic", path], stdout=subprocess.PIPE, check=True, text=True)
        if magic.stdout.split()[0] == release:
            return path
    raise FileNotFoundError(f"{build_dir()} has no {name} for kernel {release}")


class Daemon:
    """A running ptnetd. Use it as a context manager: leaving the block stops it and checks how it ends.

    config  the configuration, as it is written in JSON
    args    further arguments
    env     further environment variables
    """

    started = []  # every daemon of the current test, for conftest.py to show their logs

    def __init__(self, config=None, args=(), env=()):
        self.config = config if config is not None else {}
        self.args = list(args)
        self.env = dict(env)
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, exception, *_):
        if exception:
            self.kill()
        else:
            self.stop()

    def start(self):
        """Start it and wait until it says that it is ready."""
        # Directly under /tmp, because a socket's path must be shorter than 108 bytes.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ptnetd-"))
        # Called by conftest.py when a test's log has been shown, else when Python ends.
        self.remove_files = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.control = self.directory / "control"
        self.netmap = self.directory / "netmap.sock"
        config = self.directory / "config.json"
        config.write_text(json.dumps(self.config, indent=2))
        self.lines = []
        self.log_grew = threading.Condition()
        self.log_ended = False
        self.process = subprocess.Popen(
            [built("ptnetd"), "--config", config, "--control", self.control, *self.args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.env},
            preexec_fn=die_with_parent,
        )
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        Daemon.started.append(self)
        try:
            self.wait_log(r"\bready\b")
            if not self.control.exists():
                raise self.error(f"ready, but there is no control socket {self.control}")
        except BaseException:
            self.kill()
            raise

    def _read_log(self):
        for line in self.process.stderr:
            with self.log_grew:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.log_grew.notify_all()
        with self.log_grew:
            self.log_ended = True
            self.log_grew.notify_all()

    def log(self):
        """All that it has logged so far."""
        with self.log_grew:
            return "\n".join(self.lines)

    def wait_log(self, pattern, timeout=TIMEOUT, after=0):
        """Wait for a log line that matches the pattern, from line number AFTER on; return it."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self.log_grew:
            while True:
                for line in self.lines[after:]:
                    if wanted.search(line):
                        return line
                after = len(self.lines)
                if self.log_ended or not self.log_grew.wait(deadline - time.monotonic()):
                    raise self.error(f"did not log /{pattern}/")

    def ctl(self, *words, timeout=TIMEOUT):
        """Run ptnetctl --json WORDS... and return what it prints, parsed (None if nothing)."""
        output = self.ctl_text("--json", *words, timeout=timeout)
        return json.loads(output) if output.strip() else None

    def ctl_text(self, *words, timeout=TIMEOUT):
        """Run ptnetctl WORDS... and return what it prints."""
        command = [built("ptnetctl"), "--control", self.control, *map(str, words)]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            said = f"ptnetctl {shlex.join(map(str, words))}: status {done.returncode}: {done.stderr}"
            raise ControlError(f"{said}\n{self._log_tail()}", done.returncode, done.stderr)
        return done.stdout

    def under_shim(self, *words):
        """The words of a command as words of one that runs it on this daemon's ports."""
        return [str(built("ptnet-run")), "--socket", str(self.netmap), *map(str, words)]

    def run(self, *words, timeout=TIMEOUT, **options):
        """Run a host program on this daemon's ports, to its end; return what subprocess.run() does."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.run(self.under_shim(*words), timeout=timeout, text=True, check=False, **options)

    def spawn(self, *words, **options):
        """Start a host program on this daemon's ports; it dies with us."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(self.under_shim(*words), text=True, preexec_fn=die_with_parent, **options)

    def qemu_args(self, port):
        """What ptnetctl says to add to a QEMU command line, as words for Guest(qemu_args=...)."""
        return shlex.split(self.ctl_text("qemu-args", port))

    def resources(self):
        """How many descriptors and threads it has, and how much memory of its own in kB.

        Waits until it has nothing to close, and as many threads for that as stay when there is nothing.
        """
        process = pathlib.Path(f"/proc/{self.process.pid}")
        deadline = time.monotonic() + TIMEOUT
        while True:
            names = []
            for task in (process / "task").iterdir():
                with contextlib.suppress(OSError):  # it has just ended
                    names.append((task / "comm").read_text().strip())
            if names.count("closer") == 2 and self.ctl("version")["closing"] == 0:
                break
            if time.monotonic() > deadline:
                raise self.error(f"is still closing after {TIMEOUT} s, with threads {names}")
            time.sleep(0.01)
        rollup = (process / "smaps_rollup").read_text()
        memory = int(re.search(r"^Anonymous:\s*(\d+) kB", rollup, re.MULTILINE).group(1))
        return len(os.listdir(process / "fd")), len(names), memory

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=TIMEOUT):
        """Ask it to end. It must do so with status 0, with no sanitizer's report, and tidy up."""
        try:
            if self.running():
                self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise self.error("did not end when told to") from None
            self.reader.join(timeout)
            if status != 0:
                raise self.error(f"ended with status {status}")
            report = SANITIZER.search(self.log())
            if report:
                raise self.error(f"a sanitizer reports: {report.group()}")
            if self.control.exists():
                raise self.error(f"left its control socket {self.control} behind")
        finally:
            self.kill()

    def kill(self):
        """End it as kill -9 does, if it still runs."""
        if self.process is None:
            return
        if self.running():
            self.process.kill()
        self.process.wait()
        self.reader.join(TIMEOUT)

    def _log_tail(self):
        return "--- end of ptnetd's log ---\n" + "\n".join(self.log().splitlines()[-40:])

    def error(self, message):
        return DaemonError(f"ptnetd: {message}\n{self._log_tail()}")

