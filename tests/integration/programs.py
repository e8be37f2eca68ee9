# SPDX-License-Identifier: BSD-2-Clause
"""netmap programs on the host: a daemon that lets an ordinary user in, and ptnet-run."""

import os
import pathlib
import pwd
import shutil
import subprocess

from daemon import Daemon, build_dir

# Who runs the programs: nobody special. The daemon lets his group in.
USER = pwd.getpwnam("nobody")

CONFIG = {"netmap": {"group": str(USER.pw_gid), "mode": "0660", "global_region": True}}


def client_built(name):
    """A program for the host. With a sanitizer in it, it can't be preloaded: PTNET_CLIENT_BUILD names a build without."""
    folder = pathlib.Path(os.environ.get("PTNET_CLIENT_BUILD", build_dir())).resolve()
    for path in sorted(folder.rglob(name)):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{folder} has no {name}: build it first, or set PTNET_CLIENT_BUILD")


class Programs(Daemon):
    """A daemon, and copies of programs that the user can run wherever the checkout is.

    names   of programs that the build made
    """

    def __init__(self, names, config=None, **more):
        super().__init__({**CONFIG, **(config or {})}, **more)
        self.names = [*names, "ptnet-run", "libptnet-shim.so"]

    def start(self):
        super().start()
        self.directory.chmod(0o711)
        self.programs = self.directory / "programs"
        self.programs.mkdir(mode=0o755)
        for name in self.names:
            shutil.copy(client_built(name), self.programs)

    def command(self, *words):
        """PROGRAM ARGUMENT... as the words of a command line under ptnet-run."""
        program, *arguments = map(str, words)
        return [self.programs / "ptnet-run", "--socket", self.netmap, self.programs / program, *arguments]

    def run_as_user(self, *words, timeout=120):
        """Run a program as the user; returns its exit status and what it printed."""
        done = subprocess.run(
            self.command(*words),
            user=USER.pw_uid,
            group=USER.pw_gid,
            extra_groups=[],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stdout

    def left(self):
        """What programs made and is still there: names of ports, switches and regions."""
        return [thing["name"] for kind in ("port", "switch", "region") for thing in self.ctl(kind, "list")]
