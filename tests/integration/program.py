# SPDX-License-Identifier: BSD-2-Clause
"""A program of this host under ptnet-run, whose output is waited for line by line."""

import os
import pathlib
import signal
import subprocess
import threading

from daemon import TIMEOUT
from guest import die_with_parent
from network import wait_until


class ProgramError(Exception):
    """A program did not do what it should; the message ends with what it printed."""


class Program:
    """A program under ptnet-run. Use it as a context manager: leaving the block ends it.

    daemon  the Daemon whose ports it gets
    words   the program and its arguments
    env     further environment variables
    cwd     where it runs
    """

    def __init__(self, daemon, *words, env=(), cwd=None):
        self.words = [str(word) for word in words]
        self.output, self.errors = [], []
        self.grew = threading.Condition()
        self.open_pipes = 2
        self.process = subprocess.Popen(
            daemon.under_shim(*self.words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PTNET_VERBOSE": "1", **dict(env)},
            cwd=cwd,
            process_group=0,
            preexec_fn=die_with_parent,
        )
        pipes = ((self.process.stdout, self.output), (self.process.stderr, self.errors))
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in pipes]
        for reader in self.readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def _read(self, pipe, lines):
        for line in pipe:
            with self.grew:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self.grew.notify_all()
        with self.grew:
            self.open_pipes -= 1
            self.grew.notify_all()

    def wait_for(self, text, timeout=TIMEOUT):
        """Wait until it has printed a line with this text, on either output."""
        with self.grew:
            found = self.grew.wait_for(
                lambda: any(text in line for line in self.output + self.errors) or not self.open_pipes, timeout
            )
            if not found or not any(text in line for line in self.output + self.errors):
                raise self.error(f"did not print '{text}'")

    def wait(self, timeout=TIMEOUT, status=0):
        """Wait for its end, which must be with this status; returns what it printed on standard output."""
        try:
            ended = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self.error(f"still runs after {timeout} seconds") from None
        for reader in self.readers:
            reader.join(timeout)
        if ended != status:
            raise self.error(f"ended with status {ended}")
        return "\n".join(self.output)

    def interrupt(self):
        """What Ctrl-C does, once it sleeps: who notes a signal and then goes to sleep notices it when he wakes up."""
        wait_until(self.sleeps, f"{self.words[0]} sleeps")
        self.process.send_signal(signal.SIGINT)

    def sleeps(self):
        """The state is the field behind the name, which is in brackets."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rpartition(")")[2].split()[0] == "S"

    def kill(self):
        """End it and what it started, if it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def error(self, message):
        printed = "\n".join([*self.output[-40:], "--- on standard error", *self.errors[-40:]])
        return ProgramError(f"{' '.join(self.words)}: {message}\n{printed}")


def run(daemon, *words, timeout=TIMEOUT, status=0, **options):
    """Run a program under ptnet-run to its end; returns what it printed on standard output."""
    with Program(daemon, *words, **options) as program:
        return program.wait(timeout, status)
