# SPDX-License-Identifier: BSD-2-Clause
"""A real virtual machine under test: stock QEMU, Debian's cloud kernel, our initramfs.

The guest's /init (scripts/guest-init) serves shell commands on virtio-serial ports, one command at a
time on each. A command's output is collected in the guest and sent with its length in front, so any
bytes survive and nothing in an output can be taken for the end of it. The kernel's console is a
log file here, shown when something goes wrong.

Nothing sleeps: whoever waits, waits on a socket that also ends when QEMU does.

    with Guest("alice", image, qemu_args=[...]) as guest:
        guest.check("ip link set ptnet0 up")               # fails unless its exit status is 0
        job = guest.spawn("nc -l -p 1234")                 # runs while others do
        ...
        status, output = job.wait()

To boot several at once, call start() on each and then wait_ready() on each, from one thread (QEMU is
made to die with the thread that started it).
"""

import base64
import ctypes
import functools
import json
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from typing import NamedTuple

REPO = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = REPO / "scripts"

# Emulated guests on a busy machine with two CPUs are slow; these bound a hang, they measure nothing.
BOOT_TIMEOUT = 180
RUN_TIMEOUT = 120

# What a healthy kernel, and a driver of ours that has nothing to complain of, never say. Checked when a guest
# is shut down.
COMPLAINT = re.compile(
    r"BUG:|WARNING:|Oops|Kernel panic|general protection fault|Call Trace|UBSAN:|KASAN:"
    r"|refcount_t:|list_(?:add|del) corruption|unregister_netdevice: waiting|blocked for more than"
    r"|soft lockup|rcu: .*(?:stall|starved)|irq \d+: nobody cared|Out of memory"
    r"|ring \d+ stopped:|a program has left|cannot be started again|the host starts with"
)


class GuestError(Exception):
    """Something is wrong with a guest; the message says which and shows its console."""


class GuestDied(GuestError):
    """QEMU ended when it should be running."""


class GuestPanic(GuestDied):
    """The guest's kernel panicked."""


class GuestTimeout(GuestError):
    """A guest didn't answer in time."""


class GuestComplained(GuestError):
    """The guest's kernel logged a bug or a warning."""


class CommandFailed(GuestError):
    """A command that was to succeed in a guest did not."""


class Result(NamedTuple):
    status: int  # exit status, 128 + N after signal N
    output: str  # stdout and stderr; bytes that aren't UTF-8 as surrogates (surrogateescape)


@functools.cache
def qemu_command():
    """The command that starts a QEMU with vfio-user, as a tuple of words. Fetched on first use."""
    which = subprocess.run([SCRIPTS / "qemu", "--which"], stdout=subprocess.PIPE, check=True, text=True)
    return tuple(shlex.split(which.stdout))


@functools.cache
def accelerator():
    """kvm where this machine can run a stock kernel in it, else tcg. PTNET_ACCEL decides otherwise.

    /dev/kvm alone proves nothing: it exists on nested hosts whose processor offers no vmx or svm.
    """
    if "PTNET_ACCEL" in os.environ:
        return os.environ["PTNET_ACCEL"]
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    virtualises = flags and {"vmx", "svm"} & set(flags.group(1).split())
    return "kvm" if virtualises and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


@functools.cache
def guest_kernel(what, kernel):
    """scripts/guest-kernel's answer to "release", "vmlinuz" or "modules"."""
    answer = subprocess.run(
        [SCRIPTS / "guest-kernel", what, kernel], stdout=subprocess.PIPE, check=True, text=True
    )
    return answer.stdout.strip()


class Image(NamedTuple):
    """What a guest boots: a kernel (series or release) and an initramfs made for it."""

    kernel: str
    initramfs: pathlib.Path


def build_image(output, kernel="6.1", modules=(), programs=(), files=()):
    """Make an initramfs. The lists are scripts/make-initramfs's options -m, -b and -f."""
    command = [SCRIPTS / "make-initramfs", "-o", output, "-k", kernel]
    for option, values in (("-m", modules), ("-b", programs), ("-f", files)):
        for value in values:
            command += [option, value]
    subprocess.run(command, check=True)
    return Image(kernel, pathlib.Path(output))


def die_with_parent():
    """In the child, before exec: a killed test run leaves no QEMU behind."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Session:
    """One virtio-serial port, where one command at a time runs. Belongs to a Guest."""

    def __init__(self, guest, number, sock):
        self.guest = guest
        self.number = number
        self.sock = sock
        self.received = b""

    def _receive(self, deadline, what):
        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self.sock.recv(1 << 20)
        except TimeoutError:
            raise self.guest.error(GuestTimeout, f"did not finish in time: {what}") from None
        except ConnectionError:
            data = b""
        if not data:
            self.guest.raise_died(what)
        self.received += data

    def read_line(self, deadline, what):
        while b"\n" not in self.received:
            self._receive(deadline, what)
        line, self.received = self.received.split(b"\n", 1)
        return line.decode("ascii", "replace").split()

    def read_bytes(self, length, deadline, what):
        # Gathered in a list: appending a megabyte at a time to bytes would copy it all each time.
        chunks = []
        while True:
            chunk, self.received = self.received[:length], self.received[length:]
            chunks.append(chunk)
            length -= len(chunk)
            if not length:
                return b"".join(chunks)
            self._receive(deadline, what)

    def send(self, data, timeout, what):
        self.sock.settimeout(timeout)
        try:
            self.sock.sendall(data)
        except TimeoutError:
            raise self.guest.error(GuestTimeout, f"did not take: {what}") from None
        except (BrokenPipeError, ConnectionError):
            self.guest.raise_died(what)

    def read_answer(self, timeout, what):
        deadline = time.monotonic() + timeout
        word, status, length = self.read_line(deadline, what)
        assert word == "done", f"guest-init answered {word!r}"
        return int(status), self.read_bytes(int(length), deadline, what)


class Job:
    """A command that runs in a guest. Made by Guest.spawn."""

    def __init__(self, guest, session, command):
        self.guest = guest
        self.command = command
        self.session = session
        self.result = None
        line = b"run %s\n" % base64.b64encode(command.encode("utf-8", "surrogateescape"))
        session.send(line, RUN_TIMEOUT, command)
        word, group = session.read_line(time.monotonic() + RUN_TIMEOUT, f"start of {command}")
        assert word == "started", f"guest-init answered {word!r}"
        self.group = int(group)

    def done(self):
        """Whether the command has ended. Doesn't wait."""
        if self.result:
            return True
        return bool(self.session.received or select.select([self.session.sock], [], [], 0)[0])

    def wait(self, timeout=RUN_TIMEOUT):
        """Wait for the end of the command and return its Result. After GuestTimeout it still runs."""
        if not self.result:
            status, output = self.session.read_answer(timeout, self.command)
            self.result = Result(status, output.decode("utf-8", "surrogateescape"))
            self.guest.idle.append(self.session)
        return self.result

    def check(self, timeout=RUN_TIMEOUT):
        """Wait, and return the output of a command that has to succeed."""
        status, output = self.wait(timeout)
        if status != 0:
            raise self.guest.error(CommandFailed, f"exit status {status}: {self.command}\n{output}")
        return output

    def output_so_far(self):
        if self.result:
            return self.result.output
        return self.guest.check(f"cat /run/ptnet/{self.session.number}.out")

    def wait_for(self, pattern, timeout=RUN_TIMEOUT):
        """Wait until the running command has printed a line that grep -E PATTERN finds.

        Looks every 20 ms, in the guest: busybox has nothing that waits for a file to grow. Fails when
        the command ends without having printed one.
        """
        out = f"/run/ptnet/{self.session.number}.out"
        found = f"grep -Eq -e {shlex.quote(pattern)} {out}"
        status, _ = self.guest.run(
            f"until {found}; do kill -0 -{self.group} 2>/dev/null || exec {found}; usleep 20000; done", timeout
        )
        if status != 0:
            raise self.guest.error(CommandFailed, f"ended without printing {pattern}: {self.command}\n{self.output_so_far()}")

    def kill(self, sig="TERM"):
        """Signal the command and what it started. It is still to be waited for."""
        # It may end by itself before the signal arrives, so a failure means nothing.
        self.guest.run(f"kill -s {sig} -- -{self.group}")


class Guest:
    """A virtual machine. Use it as a context manager: leaving the block shuts it down and checks it.

    name            for messages, and the guest's host name
    image           an Image (see build_image)
    qemu_args       further QEMU arguments, e.g. what ptnetctl qemu-args prints, split into words
    shared_memory   guest RAM that other processes may map (memory-backend-memfd,share=on)
    append          further words for the kernel's command line
    sessions        how many commands can run at once
    machine         QEMU's machine type; "pc" lets devices be added to the root bus of a running guest
    saved           a file that save() has made of a guest with the same arguments: start in its state
    """

    started = []  # every guest of the current test, for conftest.py to show their consoles

    def __init__(
        self, name, image, qemu_args=(), memory="256M", cpus=1, shared_memory=False, append="", sessions=8,
        machine="q35", saved=None,
    ):  # fmt: skip
        self.name = name
        self.image = image
        self.qemu_args = list(qemu_args)
        self.memory = memory
        self.cpus = cpus
        self.shared_memory = shared_memory
        self.append = append
        self.machine = machine
        self.saved = saved
        self.process = None
        self.sessions = [None] * sessions
        self.idle = []
        self.events = []
        self.expected_complaint = None  # a pattern, where a test provokes what COMPLAINT finds

    # Start and end

    def command(self, ports, qmp):
        """The QEMU command line; ports and qmp are descriptors of connected sockets."""
        acc = accelerator()
        machine = f"{self.machine},accel={acc},usb=off,vmport=off"
        memory = []
        if self.shared_memory:
            machine += ",memory-backend=ram"
            memory = ["-object", f"memory-backend-memfd,id=ram,size={self.memory},share=on"]
        words = [
            *qemu_command(),
            *("-name", self.name, *memory, "-machine", machine, "-cpu", "host" if acc == "kvm" else "max"),
            *("-smp", str(self.cpus), "-m", self.memory),
            # A panic must end QEMU, not start over: panic=-1 asks for a reset, -no-reboot turns it into an end.
            *("-no-user-config", "-nodefaults", "-display", "none", "-no-reboot"),
            *("-kernel", guest_kernel("vmlinuz", self.image.kernel), "-initrd", str(self.image.initramfs)),
            "-append",
            # On a busy machine the kernel finds that QEMU's timers don't tick in time, and panics.
            f"console=ttyS0 quiet panic=-1 oops=panic no_timer_check guest.hostname={self.name}"
            f" guest.sessions={len(ports)} {self.append}",
            *("-chardev", f"file,id=console,path={self.console_path}", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=qmp,fd={qmp}", "-qmp", "chardev:qmp"),
            *("-device", f"virtio-serial-pci,max_ports={len(ports) + 1}"),
        ]
        for number, descriptor in enumerate(ports):
            words += ["-chardev", f"socket,id=session{number},fd={descriptor}"]
            words += ["-device", f"virtserialport,chardev=session{number},name=ptnet.{number}"]
        if self.saved:
            words += ["-incoming", f"file:{self.saved}"]
        return words + self.qemu_args

    def start(self):
        """Start QEMU and return at once."""
        assert not self.process, "a Guest starts once"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"ptnet-{self.name}-"))
        # Called by conftest.py when a test's console has been shown, else when Python ends.
        self.remove_files = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.console_path = self.directory / "console"
        self.console_path.touch()
        # Socket pairs, whose other ends QEMU inherits: connected from the start, closed when QEMU ends.
        ours, theirs = zip(*(socket.socketpair() for _ in range(len(self.sessions) + 1)))
        descriptors = [end.fileno() for end in theirs]
        with open(self.directory / "qemu.log", "wb") as log:
            self.process = subprocess.Popen(
                self.command(descriptors[1:], descriptors[0]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=descriptors,
                preexec_fn=die_with_parent,
            )
        for end in theirs:
            end.close()
        self.monitor = ours[0]
        self.monitor_buffer = b""
        self.sessions = [Session(self, number, sock) for number, sock in enumerate(ours[1:])]
        Guest.started.append(self)
        return self

    def wait_ready(self, timeout=BOOT_TIMEOUT):
        """Wait until the guest takes commands."""
        deadline = time.monotonic() + timeout
        for session in self.sessions if not self.saved else ():
            word, _ = session.read_line(deadline, "boot")
            assert word == "ready", f"guest-init said {word!r}"
        # QMP's greeting, there since QEMU's start
        if self._monitor_message(deadline) is None:
            self.raise_died("start")
        self.qmp("qmp_capabilities")
        if self.saved and self.qmp("query-status")["status"] != "running":
            self.wait_event("RESUME", timeout)
        self.idle = list(self.sessions)
        return self

    def wait_restarted(self, timeout=BOOT_TIMEOUT):
        """Wait until the guest takes commands again after a reset; what ran in it before is forgotten."""
        self.wait_event("RESET", timeout)
        deadline = time.monotonic() + timeout
        for session in self.sessions:
            while session.read_line(deadline, "boot")[:1] != ["ready"]:
                pass
        self.idle = list(self.sessions)

    def save(self, path):
        """Write the guest's state, with no command running, to a file, and end it."""
        assert len(self.idle) == len(self.sessions)
        self.qmp("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        self.qmp("migrate", uri=f"file:{path}")
        while (status := self.wait_event("MIGRATION")["data"]["status"]) != "completed":
            if status == "failed":
                raise self.error(GuestError, f"could not be saved: {self.qmp('query-migrate')}")
        self.kill()

    def __enter__(self):
        try:
            return self.start().wait_ready()
        except BaseException:
            self.kill()
            raise

    def __exit__(self, exception, *_):
        if exception or not self.running():
            # What went wrong is known already, or the test ended the guest itself.
            self.kill()
        else:
            self.shutdown()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def shutdown(self, timeout=RUN_TIMEOUT):
        """Power off in good order. Fails if QEMU ends in any other manner or the kernel complained."""
        try:
            session = self.idle.pop() if self.idle else self.sessions[0]
            session.send(b"run %s\n" % base64.b64encode(b"exec poweroff -f"), timeout, "poweroff")
            try:
                status = self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise self.error(GuestTimeout, "did not power off") from None
            reason = self.shutdown_reason()
            if status != 0 or reason != "guest-shutdown":
                raise self.error(GuestDied, f"QEMU ended with status {status}, reason {reason}, at power-off")
            complaints = self.complaints()
            if complaints:
                raise self.error(GuestComplained, f"its kernel logged {complaints[0]!r}")
        finally:
            self.kill()

    def kill(self):
        """End QEMU as kill -9 does, if it still runs, and free what belongs to it here."""
        if self.process is None:
            return
        if self.running():
            self.process.kill()
        self.process.wait()
        for session in self.sessions:
            session.sock.close()
        self.monitor.close()

    # Commands

    def spawn(self, command):
        """Start a shell script in the guest and return its Job when it runs."""
        if not self.idle:
            running = len(self.sessions)
            raise self.error(GuestError, f"{running} commands are running, make it with more sessions")
        return Job(self, self.idle.pop(), command)

    def run(self, command, timeout=RUN_TIMEOUT):
        """Run a shell script in the guest; return (exit status, output)."""
        return self.spawn(command).wait(timeout)

    def check(self, command, timeout=RUN_TIMEOUT):
        """Run a shell script that has to succeed; return its output."""
        return self.spawn(command).check(timeout)

    def put(self, path, data, timeout=RUN_TIMEOUT):
        """Write bytes to a file in the guest. The path must be one word."""
        assert re.fullmatch(r"\S+", path)
        what = f"put {path}"
        session = self.idle.pop()
        session.send(b"put %d %s\n" % (len(data), path.encode()), timeout, what)
        session.send(data, timeout, what)
        status, output = session.read_answer(timeout, what)
        self.idle.append(session)
        if status != 0:
            raise self.error(CommandFailed, f"exit status {status}: {what}\n{output.decode()}")

    def get(self, path, timeout=RUN_TIMEOUT):
        """Read a file of the guest, as bytes."""
        return self.check(f"cat -- {shlex.quote(path)}", timeout).encode("utf-8", "surrogateescape")

    # QEMU's monitor

    def _monitor_message(self, deadline):
        """The next QMP message, or None when QEMU has closed it."""
        while b"\n" not in self.monitor_buffer:
            self.monitor.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self.monitor.recv(1 << 16)
            except TimeoutError:
                raise self.error(GuestTimeout, "QEMU's monitor did not answer") from None
            except ConnectionError:
                data = b""
            if not data:
                return None
            self.monitor_buffer += data
        line, self.monitor_buffer = self.monitor_buffer.split(b"\n", 1)
        return json.loads(line)

    def qmp(self, command, **arguments):
        """Execute a QMP command and return what it returns. Events on the way are kept."""
        deadline = time.monotonic() + RUN_TIMEOUT
        message = json.dumps({"execute": command, "arguments": arguments})
        try:
            self.monitor.sendall(message.encode() + b"\n")
        except OSError:
            self.raise_died(f"QMP {command}")
        while True:
            answer = self._monitor_message(deadline)
            if answer is None:
                self.raise_died(f"QMP {command}")
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise self.error(GuestError, f"QMP {command}: {answer['error']['desc']}")
            else:
                return answer["return"]

    def wait_event(self, name, timeout=RUN_TIMEOUT):
        """Wait for a QMP event, take it out of those kept, and return it."""
        deadline = time.monotonic() + timeout
        while True:
            for event in self.events:
                if event["event"] == name:
                    self.events.remove(event)
                    return event
            message = self._monitor_message(deadline)
            if message is None:
                self.raise_died(f"event {name}")
            self.events.append(message)

    def shutdown_reason(self):
        """Why QEMU, which has ended, did so: guest-shutdown, guest-reset, host-signal, ... or None."""
        deadline = time.monotonic() + RUN_TIMEOUT
        try:
            while message := self._monitor_message(deadline):
                if "event" in message:
                    self.events.append(message)
        except OSError:
            pass  # closed here by kill()
        reasons = [event["data"]["reason"] for event in self.events if event["event"] == "SHUTDOWN"]
        return reasons[-1] if reasons else None

    # Diagnosis

    def console(self):
        """All that the guest's kernel and /init have printed."""
        return self.console_path.read_text("utf-8", "replace").replace("\r", "")

    def complaints(self):
        """The lines of the console that should not be there."""
        expected = re.compile(self.expected_complaint or r"(?!)")
        lines = self.console().splitlines()
        return [line for line in lines if COMPLAINT.search(line) and not expected.search(line)]

    def qemu_log(self):
        """What QEMU itself has printed."""
        return (self.directory / "qemu.log").read_text("utf-8", "replace")

    def error(self, kind, message):
        """An exception of this kind that shows the console from the first complaint on, or its end."""
        lines = self.console().splitlines()
        complaints = [number for number, line in enumerate(lines) if COMPLAINT.search(line)]
        start = max(complaints[0] - 3, 0) if complaints else -25
        shown = "\n".join(lines[start:][:60])
        return kind(f"guest {self.name}: {message}\n{self.qemu_log()}--- its console ---\n{shown}")

    def raise_died(self, during):
        """Raise what tells best why QEMU is no longer there."""
        try:
            status = self.process.wait(RUN_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise self.error(GuestError, f"QEMU runs but closed its socket, during: {during}") from None
        if "Kernel panic" in self.console():
            raise self.error(GuestPanic, f"kernel panic, during: {during}")
        end = signal.Signals(-status).name if status < 0 else f"status {status}"
        raise self.error(GuestDied, f"QEMU ended with {end}, reason {self.shutdown_reason()}, during: {during}")
