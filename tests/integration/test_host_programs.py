# SPDX-License-Identifier: BSD-2-Clause
"""Programs on the host under ptnet-run: netmap's, and such as never heard of it."""

import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import sys

import pytest

from daemon import TIMEOUT, Daemon, built

HERE = pathlib.Path(__file__).parent / "host"


def host_tests():
    """The names of the tests in the C program; none if it hasn't been built."""
    try:
        listing = subprocess.run([built("host-programs"), "--list"], stdout=subprocess.PIPE, check=True, text=True)
    except FileNotFoundError:
        return ["host-programs-not-built"]
    return listing.stdout.split()


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as running:
        yield running


@pytest.fixture(scope="module", params=[100, 0], ids=["looks", "sleeps-at-once"])
def any_daemon(request):
    """One whose programs look before they sleep, if that pays, and one whose programs sleep at once."""
    with Daemon({"engine": {"look_max_us": request.param}}) as running:
        yield running


@pytest.mark.parametrize("name", host_tests())
def test_descriptor(any_daemon, name):
    """What programs do with descriptors: tests/integration/host."""
    done = any_daemon.run(built("host-programs"), name, f"h{host_tests().index(name)}")
    assert done.returncode == 0, done.stdout


# They start other programs, which would be without the shim; or cancel threads, which AddressSanitizer cannot bear.
NOT_LINKED = {"executed", "spawned", "vforked", "cancelled-threads"}


def linked_tests():
    """Those that a build with a sanitizer runs once more; other builds have no such program."""
    try:
        built("host-programs-with-shim")
    except FileNotFoundError:
        return []
    return [name for name in host_tests() if name not in NOT_LINKED]


if linked_tests():

    @pytest.mark.parametrize("name", linked_tests())
    def test_descriptor_sanitized(daemon, name):
        """The same with the shim linked into a program that is built with a sanitizer."""
        options = {"ASAN_OPTIONS": "detect_leaks=0", "PTNET_SOCKET": str(daemon.netmap)}
        options["TSAN_OPTIONS"] = f"die_after_fork=0 {os.environ.get('TSAN_OPTIONS', '')}"
        done = subprocess.run(
            [built("host-programs-with-shim"), name, f"s{host_tests().index(name)}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **options},
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stdout


# ---- ptnet-gen ----


def gen(daemon, *words, **options):
    return daemon.spawn(built("ptnet-gen"), *words, "--json", **options)


def report(process, statuses=(0,)):
    """What a ptnet-gen printed at its end; status 3 says that packets were lost."""
    output, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode in statuses, output
    return json.loads(output[output.index("{") :])


@pytest.mark.parametrize("sender, receiver", [("netmap:gen{1", "netmap:gen}1"), ("netmap:gen}2", "netmap:gen{2")])
def test_gen_through_a_pipe(daemon, sender, receiver):
    """A pipe loses nothing, whoever is slower, and whichever end is opened first."""
    rx = gen(daemon, "rx", receiver, "-n", "1000000", "--check", "--wait-first", str(TIMEOUT))
    tx = gen(daemon, "tx", sender, "-n", "1000000", "--timeout", str(TIMEOUT))
    assert report(tx)["packets"] == 1000000
    received = report(rx)
    assert received["packets"] == 1000000
    assert received["sequence"]["lost"] == 0


def test_gen_through_a_switch(daemon):
    """A switch loses what the receiver has no room for; what comes is in order and whole."""
    rx = gen(daemon, "rx", "valegen:b", "--check", "--wait-first", str(TIMEOUT), "--idle-timeout", "2")
    daemon_has_port(daemon, "valegen:b")
    tx = gen(daemon, "tx", "valegen:a", "-n", "1000000")
    assert report(tx)["packets"] == 1000000
    received = report(rx, statuses=(0, 3))
    assert 0 < received["packets"] <= 1000000
    assert received["sequence"]["reordered"] == 0


def test_gen_ping_and_pong(daemon):
    pong = gen(daemon, "pong", "valeping:b", "-n", "1000", "--wait-first", str(TIMEOUT))
    daemon_has_port(daemon, "valeping:b")
    ping = gen(daemon, "ping", "valeping:a", "-n", "1000", "--timeout", str(TIMEOUT))
    assert report(ping)["packets"] == 1000
    report(pong)


def daemon_has_port(daemon, name):
    """Wait until a program has opened the port: a switch would lose what is sent before."""
    for _ in range(100000):
        if name in daemon.ctl_text("--json", "show"):
            return
    raise daemon.error(f"nobody opened {name}")


# ---- Python ----


@pytest.mark.parametrize("method", ["select", "poll", "epoll", "asyncio"])
def test_python(daemon, method):
    port = f"valepy:{method}"
    # Its standard input is a pipe that never becomes readable.
    receiver = daemon.spawn(sys.executable, HERE / "receiver.py", method, port, "3", stdin=subprocess.PIPE)
    assert receiver.stdout.readline() == "open\n"
    report(gen(daemon, "tx", "valepy:sender", "-n", "3", "--dst-mac", "02:00:00:00:00:99"))
    lines = [receiver.stdout.readline() for _ in range(3)]
    assert receiver.wait(TIMEOUT) == 0
    assert all(line.startswith("020000000099") for line in lines)


# ---- programs that have nothing to do with netmap ----


def test_bash(daemon):
    """Redirections choose numbers of their own; a subshell has what its parent has."""
    script = """
        exec 5<>/dev/netmap 200>&1
        exec {copy}>&5
        (exec 5>&-; echo inner >&200) | cat
        exec 5>&- {copy}>&-
        for ((i = 0; i < 50; i++)); do x=$(echo $i | sed s/^/n/); done
        echo "$x" >&200
    """
    done = daemon.run("bash", "-c", script)
    assert (done.returncode, done.stdout) == (0, "inner\nn49\n")


def test_python_without_netmap(daemon):
    """Python's own tests of what the shim stands in front of."""
    tests = ["test_select", "test_poll", "test_epoll", "test_selectors", "test_fcntl", "test_mmap", "test_ioctl"]
    available = subprocess.run(
        [sys.executable, "-c", "import test.test_select"], stderr=subprocess.DEVNULL, check=False
    )
    if available.returncode != 0:
        tests = None
    code = "import subprocess, threading; print(subprocess.run(['echo', 'child'], capture_output=True).stdout)"
    done = daemon.run(sys.executable, *(["-m", "test", *tests] if tests else ["-c", code]), timeout=5 * TIMEOUT)
    assert done.returncode == 0, done.stdout


def test_other_preloaded_objects(daemon):
    """What is preloaded already stays, an allocator for one."""
    allocators = sorted(pathlib.Path("/usr/lib").glob("*/libjemalloc.so.2"))
    path = str(allocators[0]) if allocators else "libm.so.6"
    done = daemon.run(
        built("host-programs"), "ping-pong", "jemalloc", env={**os.environ, "LD_PRELOAD": path}, stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = daemon.run("sh", "-c", "echo $LD_PRELOAD", env={**os.environ, "LD_PRELOAD": path})
    assert re.fullmatch(rf".*/libptnet-shim\.so:{re.escape(path)}\n", done.stdout)


@pytest.mark.parametrize("name", ["copies", "many-ports", "epoll-level"])
def test_an_allocator_that_unmaps(daemon, tmp_path, name):
    """An allocator gives memory back while the shim is at work below it."""
    source = tmp_path / "allocator.c"
    source.write_text(
        """
        #define _GNU_SOURCE
        #include <string.h>
        #include <sys/mman.h>
        struct head { size_t size, pad; };
        void *malloc(size_t size)
        {
            struct head *h = mmap(0, size + sizeof(*h), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

            if (h == MAP_FAILED)
                return 0;
            h->size = size;
            return h + 1;
        }
        void free(void *p)
        {
            struct head *h = (struct head *)p - 1;

            if (p)
                munmap(h, h->size + sizeof(*h));
        }
        void *calloc(size_t count, size_t size) { return malloc(count * size); }
        void *realloc(void *p, size_t size)
        {
            void *q = malloc(size);

            if (q && p)
                memcpy(q, p, ((struct head *)p)[-1].size < size ? ((struct head *)p)[-1].size : size);
            free(p);
            return q;
        }
        """
    )
    library = tmp_path / "allocator.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-O1", "-o", library, source], check=True)
    done = daemon.run(built("host-programs"), name, f"u{host_tests().index(name)}", env={**os.environ, "LD_PRELOAD": str(library)})
    assert done.returncode == 0, done.stdout


# A signal for whoever has a handler for it, when the thread is as good as asleep. If the program says so, what it waits for keeps
# waking it, and is gone when it looks: somebody else was faster. That the kernel then lets no signal in is the worst case.
LAST_MOMENT = r"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <poll.h>
    #include <signal.h>
    #include <stdio.h>
    #include <unistd.h>
    #include <sys/epoll.h>
    int in_vain;
    static int woken_in_vain(void)
    {
        if (in_vain > 100) {
            puts("a signal is held back for ever");
            fflush(stdout);
            _exit(3);
        }
        return in_vain && in_vain++;
    }
    static void signal_now(void)
    {
        struct sigaction action;

        sigaction(SIGUSR1, 0, &action);
        if (action.sa_handler != SIG_DFL)
            raise(SIGUSR1);
    }
    int epoll_pwait2(int fd, struct epoll_event *events, int room, const struct timespec *timeout, const sigset_t *mask)
    {
        int (*next)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *) = dlsym(RTLD_NEXT, "epoll_pwait2");

        signal_now();
        if (woken_in_vain())
            return 0;
        return next(fd, events, room, timeout, mask);
    }
    int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
    {
        int (*next)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *) = dlsym(RTLD_NEXT, "ppoll");

        if (!timeout || timeout->tv_sec) {
            signal_now();
            if (woken_in_vain())
                return 0;
        }
        return next(fds, count, timeout, mask);
    }
"""
SLEEPS = r"""
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <signal.h>
    #include <stdio.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/ioctl.h>
    #include <sys/select.h>
    #include <unistd.h>
    #include <net/netmap.h>
    static volatile sig_atomic_t caught;
    static void handler(int number) { caught += number == SIGUSR1; }
    static int interrupted(const char *call, int result)
    {
        if (result != -1 || errno != EINTR || caught != 1)
            return printf("%s: %d, %s, %d signals\n", call, result, strerror(errno), caught);
        return caught = 0;
    }
    int main(void)
    {
        struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
        struct nmreq_header header = {.nr_version = NETMAP_API, .nr_reqtype = NETMAP_REQ_REGISTER, .nr_body = (uintptr_t)&reg};
        struct sigaction action = {.sa_handler = handler};
        struct timespec minute = {60, 0};
        int fd = open("/dev/netmap", O_RDWR), epoll = epoll_create1(0), failed = 0, pipe_fds[2], hung_up[2];
        struct epoll_event event = {EPOLLIN, {0}};
        sigset_t signals;
        int *in_vain = dlsym(RTLD_DEFAULT, "in_vain");
        fd_set in, except;

        strcpy(header.nr_name, "vale7:sleeper");
        if (fd < 0 || ioctl(fd, NIOCCTRL, &header) || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) || pipe(pipe_fds) || pipe(hung_up) ||
            close(hung_up[1]))
            return 2;
        struct pollfd fds[] = {{fd, POLLIN, 0}, {pipe_fds[0], POLLIN, 0}};
        sigaction(SIGUSR1, &action, 0);
        failed |= interrupted("poll", poll(fds, 1, 60000));
        failed |= interrupted("poll with others", poll(fds, 2, 60000));
        FD_ZERO(&in);
        FD_SET(fd, &in);
        failed |= interrupted("select", select(fd + 1, &in, 0, 0, &(struct timeval){60, 0}));
        /* Wakes up once for what is in no set, and waits on. */
        FD_SET(fd, &in);
        FD_ZERO(&except);
        FD_SET(hung_up[0], &except);
        failed |= interrupted("select in two pieces", select(hung_up[0] + 1, &in, 0, &except, &(struct timeval){60, 0}));
        failed |= interrupted("epoll_wait", epoll_wait(epoll, &event, 1, 60000));
        sigprocmask(SIG_SETMASK, 0, &signals);
        failed |= interrupted("ppoll", ppoll(fds, 1, &minute, &signals));
        failed |= interrupted("epoll_pwait", epoll_pwait(epoll, &event, 1, 60000, &signals));
        *in_vain = 1;
        failed |= interrupted("poll in vain", poll(fds, 1, 60000));
        *in_vain = 1;
        failed |= interrupted("poll with others in vain", poll(fds, 2, 60000));
        *in_vain = 1;
        failed |= interrupted("epoll_wait in vain", epoll_wait(epoll, &event, 1, 60000));
        return failed != 0;
    }
"""


def run_at_the_right_moment(daemon, tmp_path, library, program):
    """The program, and between the shim and the C library another preloaded object."""
    include = HERE.parents[2] / "include"
    for name, text, *options in (("moment.so", library, "-shared", "-fPIC"), ("program", program)):
        source = tmp_path / f"{name}.c"
        source.write_text(text)
        subprocess.run(["cc", "-I", include, *options, "-o", tmp_path / name, source, "-ldl", "-lpthread"], check=True)
    return daemon.run(tmp_path / "program", env={**os.environ, "LD_PRELOAD": str(tmp_path / "moment.so")})


def test_a_signal_at_the_last_moment_ends_the_sleep(daemon, tmp_path):
    """One that comes after the program's call has begun and before it sleeps, as in the kernel."""
    done = run_at_the_right_moment(daemon, tmp_path, LAST_MOMENT, SLEEPS)
    assert (done.returncode, done.stdout) == (0, "")


# The program may do something when a call is about to enter the kernel.
MOMENTS = """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <sys/epoll.h>
    void (*before_looking)(int epoll), (*before_sleeping)(void);
    int epoll_wait(int fd, struct epoll_event *events, int room, int timeout)
    {
        int (*next)(int, struct epoll_event *, int, int) = dlsym(RTLD_NEXT, "epoll_wait");

        if (before_looking)
            before_looking(fd);
        return next(fd, events, room, timeout);
    }
    int epoll_pwait2(int fd, struct epoll_event *events, int room, const struct timespec *timeout, const sigset_t *mask)
    {
        int (*next)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *) = dlsym(RTLD_NEXT, "epoll_pwait2");

        if (before_sleeping)
            before_sleeping();
        return next(fd, events, room, timeout, mask);
    }
"""
TWO_WAIT = r"""
    #define _GNU_SOURCE
    #define NETMAP_WITH_LIBS
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <pthread.h>
    #include <semaphore.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/ioctl.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #include <net/netmap_user.h>
    struct port { int fd; struct netmap_if *interface; };
    static struct port from, to;
    static sem_t as_good_as_asleep, sleep_on;
    static int epoll;
    static struct port port(const char *name)
    {
        struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
        struct nmreq_header header = {.nr_version = NETMAP_API, .nr_reqtype = NETMAP_REQ_REGISTER, .nr_body = (uintptr_t)&reg};
        int fd = open("/dev/netmap", O_RDWR);
        void *region;

        strcpy(header.nr_name, name);
        if (fd < 0 || ioctl(fd, NIOCCTRL, &header))
            exit(2);
        region = mmap(0, reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (region == MAP_FAILED)
            exit(2);
        return (struct port){fd, NETMAP_IF(region, reg.nr_offset)};
    }
    static void **variable(const char *name) { return dlsym(RTLD_DEFAULT, name); }
    /* Returns when the kernel would have an epoll_wait() look at the epoll. */
    static void send_packet(int epoll)
    {
        struct netmap_ring *ring = NETMAP_TXRING(from.interface, 0);
        struct netmap_slot *slot = &ring->slot[ring->head];
        struct pollfd fds = {epoll, POLLIN, 0};

        memset(NETMAP_BUF(ring, slot->buf_idx), 0xff, slot->len = 60);
        NETMAP_BUF(ring, slot->buf_idx)[6] = 2;
        ring->head = ring->cur = nm_ring_next(ring, ring->head);
        if (ioctl(from.fd, NIOCTXSYNC) || syscall(SYS_ppoll, &fds, 1, 0, 0, 8) != 1)
            exit(2);
    }
    static void hold_sleeper(void)
    {
        *variable("before_sleeping") = 0;
        sem_post(&as_good_as_asleep);
        sem_wait(&sleep_on);
    }
    static void *sleeper(void *unused)
    {
        struct epoll_event event;

        if (epoll_wait(epoll, &event, 1, -1) != 1)
            exit(3);
        return unused;
    }
    int main(void)
    {
        struct epoll_event event = {EPOLLIN, {0}};

        from = port("vale7:from");
        to = port("vale7:to");
        epoll = epoll_create1(0);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, to.fd, &event))
            return 2;
        alarm(30);
        /* Once the kernel's come first, once ours. */
        for (int others = 0; others < 2; others++) {
            struct netmap_ring *ring = NETMAP_RXRING(to.interface, 0);
            pthread_t thread;

            *variable("before_sleeping") = hold_sleeper;
            pthread_create(&thread, 0, sleeper, 0);
            sem_wait(&as_good_as_asleep);
            if (others && epoll_wait(epoll, &event, 1, 0))
                return 4;
            *variable("before_looking") = send_packet;
            epoll_wait(epoll, &event, 1, 0);
            *variable("before_looking") = 0;
            sem_post(&sleep_on);
            pthread_join(thread, 0);
            ring->head = ring->cur = ring->tail;
            ioctl(to.fd, NIOCRXSYNC);
        }
        return 0;
    }
"""


def test_who_looks_does_not_keep_a_sleeper_asleep(daemon, tmp_path):
    """A thread that only looks, epoll_wait() with time-out 0, takes the wake-up of one that is about to sleep in the same epoll."""
    done = run_at_the_right_moment(daemon, tmp_path, MOMENTS, TWO_WAIT)
    assert (done.returncode, done.stdout) == (0, "")


def test_address_sanitizer(daemon, tmp_path):
    """A program with the shared runtime, which insists on being first, and one with the static one."""
    source = tmp_path / "program.c"
    source.write_text(
        """
        #include <fcntl.h>
        #include <poll.h>
        #include <unistd.h>
        int main(void)
        {
            int fd = open("/dev/netmap", O_RDWR);
            struct pollfd p = {fd, POLLIN, 0};
            char byte;

            if (fd < 0 || poll(&p, 1, 0) != 1 || p.revents != POLLERR || read(fd, &byte, 1) != -1)
                return 1;
            return close(fd);
        }
        """
    )
    for compiler in [["gcc"], ["gcc", "-static-libasan"], ["clang"]]:
        if shutil.which(compiler[0]) is None:
            continue
        subprocess.run([*compiler, "-fsanitize=address", "-o", tmp_path / "program", source], check=True)
        done = daemon.run(tmp_path / "program")
        assert done.returncode == 0, f"{compiler}: {done.stdout}"


# ---- ptnet-run itself ----


def test_the_daemon_dies():
    """Who sleeps on a port is woken with an error; so is who sends."""
    daemon = Daemon()
    daemon.start()
    rx = daemon.spawn(built("ptnet-gen"), "rx", "valedie:b")
    daemon_has_port(daemon, "valedie:b")
    tx = daemon.spawn(built("ptnet-gen"), "tx", "valedie:a")
    daemon_has_port(daemon, "valedie:a")
    daemon.kill()
    for process in (rx, tx):
        process.communicate(timeout=TIMEOUT)
        assert process.returncode > 0


def test_the_daemon_dies_and_there_is_no_descriptor_to_wait_with():
    daemon = Daemon()
    daemon.start()
    sender = daemon.spawn(built("host-programs"), "--until-it-fails", "starved{1")
    assert sender.stdout.readline() == "sends\n"
    # It shall be waiting for an answer that does not come.
    os.kill(daemon.process.pid, signal.SIGSTOP)
    daemon.kill()
    output, _ = sender.communicate(timeout=TIMEOUT)
    assert sender.returncode == 0, output


def test_no_daemon(tmp_path):
    program = "import os\ntry: os.open('/dev/netmap', os.O_RDWR)\nexcept OSError as e: print(e.errno)"
    command = [built("ptnet-run"), "--socket", tmp_path / "nobody", "--verbose", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert done.stdout == "2\n"
    assert "does ptnetd run?" in done.stderr
    done = subprocess.run([*command[:3], "--check"], capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert done.returncode == 1
    assert "cannot connect" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_no_permission(daemon):
    program = "import os\ntry: os.open('/dev/netmap', os.O_RDWR)\nexcept OSError as e: print(e.errno)"
    nobody = pwd.getpwnam("nobody")
    os.chmod(daemon.directory, 0o755)
    # The build folder need not be one that others may enter.
    shim = daemon.directory / "bin"
    shim.mkdir()
    for name in ("ptnet-run", "libptnet-shim.so"):
        shutil.copy(built(name), shim)
    command = [shim / "ptnet-run", "--socket", daemon.netmap, "--verbose", sys.executable, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=TIMEOUT, cwd="/", user=nobody.pw_uid, group=nobody.pw_gid
    )
    assert done.stdout == "13\n"
    assert "group" in done.stderr


def test_reason_without_a_name(daemon):
    """--verbose, of a descriptor that has no port."""
    program = "import fcntl, os\ntry: fcntl.ioctl(os.open('/dev/netmap', os.O_RDWR), 0x6994)\nexcept OSError as e: print(e.errno)"
    command = [built("ptnet-run"), "--socket", daemon.netmap, "--verbose", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT)
    assert (done.stdout, done.stderr) == ("6\n", "ptnetmap: the descriptor has no port\n")


@pytest.mark.parametrize(
    "words, status, message",
    [
        (["no-such-program-anywhere"], 127, "not found"),
        (["/nowhere/program"], 127, "No such file"),
        (["/etc/passwd"], 126, "not an executable"),
        ([], 125, "which program"),
        (["--nonsense"], 125, "unrecognized"),
        (["--socket", "relative", "true"], 125, "absolute path"),
    ],
)
def test_what_cannot_be_run(words, status, message):
    done = subprocess.run([built("ptnet-run"), *words], capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert done.returncode == status
    assert message in done.stderr


def test_static_programs_are_refused(daemon):
    done = daemon.run(built("ptnet-gen-static"), "--help")
    assert done.returncode == 126
    assert "statically linked" in done.stdout


def test_scripts_are_followed_to_their_interpreter(daemon, tmp_path):
    interpreter = tmp_path / "interpreter"
    shutil.copy(built("ptnet-gen-static"), interpreter)
    script = tmp_path / "script"
    script.write_text(f"#!{interpreter}\n")
    script.chmod(0o755)
    done = daemon.run(script)
    assert done.returncode == 126
    assert f"{interpreter} is statically linked" in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="makes a setuid program of another user's")
def test_setuid_programs_are_refused(daemon, tmp_path):
    program = tmp_path / "program"
    shutil.copy(shutil.which("true"), program)
    os.chown(program, pwd.getpwnam("nobody").pw_uid, -1)
    program.chmod(0o4755)
    done = daemon.run(program)
    assert done.returncode == 126
    assert "setuid" in done.stdout


def test_words_after_the_program_are_its_own(daemon):
    assert daemon.run("echo", "--help-me", "-v", "--").stdout == "--help-me -v --\n"
    assert daemon.run("--", "echo", "--").stdout == "--\n"
    assert daemon.run("sh", "-c", "exit 7").returncode == 7


def test_check(daemon):
    done = daemon.run("--check", "sh")
    assert done.returncode == 0, done.stdout
    assert "ptnetd answers" in done.stdout and "can be run" in done.stdout
