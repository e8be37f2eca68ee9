# SPDX-License-Identifier: BSD-2-Clause
"""Programs of Debian that know nothing of netmap do under ptnet-run what they do without it.

Those that speak netmap are built from Debian's sources by `make programs`: see tests/programs.
"""

import hashlib
import os
import re
import subprocess

import pytest

from daemon import Daemon
from guest import REPO
from program import Program, run

# What a shell does with descriptors and processes; each line of output is a result.
SHELL = r"""
set -eu -o pipefail
exec 7<"$1" 8>"$2/copy"
cat <&7 >&8
exec 7<&- 8>&-
cmp "$1" "$2/copy" && echo same
sha256sum <"$1" | cut -c1-16
(exec 3</dev/null; ls /proc/self/fd | wc -l)
diff <(sort "$1") <(sort -r "$1" | sort) && echo sorted
coproc tr a-z A-Z
echo "coprocess ${COPROC[1]:+works}" >&"${COPROC[1]}"
exec {out}>&"${COPROC[1]}"-
exec {out}>&-
read -r -u "${COPROC[0]}" line && echo "$line"
head -c 1000000 /dev/zero | tee >(wc -c >"$2/tee") | wc -c
for i in 1 2 3; do (sleep 0; exit $i) & done
for job in $(jobs -p); do wait "$job" || echo "ended with $?"; done
mkfifo "$2/fifo"; (echo through a fifo >"$2/fifo") & cat "$2/fifo"; wait
timeout 0.1 sleep 60 || echo "timeout says $?"
{ time -p true; } 2>&1 | wc -l
trap 'echo trapped' USR1; kill -USR1 $$
read -r -t 0.1 nothing <&0 || echo "read says $?"
exec bash -c 'echo replaced by "$0"' "$1"
"""

NGINX = """
user root;
daemon off;
worker_processes 2;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile {sendfile};
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen unix:{directory}/http;
        location / {{ root {directory}/files; }}
    }}
}}
"""

MEGABYTES = 64


@pytest.fixture(scope="module")
def daemon():
    with Daemon() as started:
        yield started


def test_shell(daemon, tmp_path):
    """Redirections, pipes, coprocesses, jobs, traps: bash says the same with and without."""
    text = tmp_path / "text"
    text.write_text("".join(f"line {n * 7919 % 1000}\n" for n in range(20000)))
    outputs = []
    for name in ("plain", "under"):
        folder = tmp_path / name
        folder.mkdir()
        words = ["bash", "-c", SHELL, "bash", text, folder]
        if name == "plain":
            done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
            outputs.append(done.stdout.rstrip("\n"))
        else:
            outputs.append(run(daemon, *words))
        assert (folder / "tee").read_text().strip() == "1000000"
    assert outputs[0] == outputs[1]
    assert outputs[0].splitlines()[-1] == f"replaced by {text}"


def test_python_subprocess(daemon, tmp_path):
    """Python's own tests of starting processes fail nowhere where they don't fail without. (Those of waiting for
    descriptors: test_host_programs.py.)"""
    words = ["/usr/bin/python3", "-m", "test", "-v", "test_subprocess"]

    def failing(command):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            cwd=tmp_path,
            text=True,
            check=False,
            timeout=600,
        )
        assert re.search(r"^Ran [1-9]\d* tests? in", done.stdout, re.MULTILINE), done.stdout[-2000:]
        return set(re.findall(r"^(?:FAIL|ERROR): (\S+ \(\S+\))", done.stdout, re.MULTILINE))

    under = failing(daemon.under_shim(*words))
    assert not under or under <= failing(words)


@pytest.mark.parametrize("sendfile", ["on", "off"])
def test_nginx_and_curl(daemon, tmp_path_factory, sendfile):
    """nginx serves, curl fetches, both under ptnet-run: epoll, sendfile, worker processes, signals."""
    nginx = subprocess.run([REPO / "scripts" / "unpacked", "nginx"], check=True, stdout=subprocess.PIPE, text=True)
    directory = tmp_path_factory.mktemp("nginx")
    (directory / "files").mkdir()
    content = hashlib.sha256()
    with (directory / "files" / "large").open("wb") as file:
        for _ in range(MEGABYTES):
            block = os.urandom(1 << 20)
            content.update(block)
            file.write(block)
    (directory / "nginx.conf").write_text(NGINX.format(directory=directory, sendfile=sendfile))
    words = [f"{nginx.stdout.strip()}/usr/sbin/nginx", "-p", directory, "-c", directory / "nginx.conf"]
    with Program(daemon, *words) as server:
        server.wait_for("start worker process")
        for number in range(2):
            fetched = directory / f"fetched{number}"
            url = ["--unix-socket", directory / "http", "http://host/large"]
            run(daemon, "curl", "--silent", "--fail", "--output", fetched, *url)
            assert hashlib.sha256(fetched.read_bytes()).digest() == content.digest()
        server.process.send_signal(15)
        server.wait()
