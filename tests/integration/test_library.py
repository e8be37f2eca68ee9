# SPDX-License-Identifier: BSD-2-Clause
"""libnetmap as programs meet it: installed, found with pkg-config, compiled and linked in every way."""

import errno
import os
import re
import subprocess

import pytest

from daemon import build_dir
from guest import REPO

PROGRAMS = REPO / "tests" / "integration" / "library"

STRICT = ["-Wall", "-Wextra", "-Werror"]
# clang has no way to say in C++ that an array without a size is meant: no -pedantic there.
COMPILERS = {
    "gcc-c99": ["gcc", "-std=c99", "-pedantic"],
    "gcc-gnu11": ["gcc", "-std=gnu11", "-pedantic"],
    "clang-c99": ["clang", "-std=c99", "-pedantic"],
    "clang-gnu17": ["clang", "-std=gnu17", "-pedantic"],
    "g++-c++98": ["g++", "-x", "c++", "-std=c++98"],
    "g++-c++20": ["g++", "-x", "c++", "-std=c++20", "-pedantic"],
    "clang++-c++98": ["clang++", "-x", "c++", "-std=c++98"],
    "clang++-c++20": ["clang++", "-x", "c++", "-std=c++20"],
}


class Installed:
    """What `meson install` puts into a root of its own."""

    def __init__(self, root):
        self.root = root
        command = ["meson", "install", "-C", build_dir(), "--no-rebuild", "--quiet", "--destdir", root]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.pc = self.only("libnetmap.pc")
        self.libdir = self.only("libnetmap.a").parent

    def only(self, name):
        (path,) = self.root.rglob(name)
        return path

    def pkg_config(self, *words):
        env = {**os.environ, "PKG_CONFIG_LIBDIR": str(self.pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(self.root)}
        command = ["pkg-config", *words, "libnetmap"]
        return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.split()

    def compile(self, compiler, source, program, *, linking="shared"):
        """Compile as a program's own Makefile would, with what pkg-config says and nothing else."""
        if linking == "static":
            libs = ["-static", *self.pkg_config("--libs", "--static")]
        else:
            libs = [*self.pkg_config("--libs"), f"-Wl,-rpath,{self.libdir}"]
        words = [*compiler, *STRICT, "-O2", *self.pkg_config("--cflags"), source, "-x", "none", "-o", program, *libs]
        subprocess.run(words, check=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("library"))


def run(program, *words):
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("linking", ["shared", "static"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_programs_of_both_styles(installed, tmp_path, compiler, linking):
    """They compile without a warning, link, and work as far as that goes without a port."""
    for style in ("nmport", "nm_open"):
        program = tmp_path / style
        installed.compile(COMPILERS[compiler], PROGRAMS / f"{style}.c", program, linking=linking)
        status, output, messages = run(program)
        assert status == 0, output + messages
        if style == "nm_open":
            # D twice, RD once, ND never.
            expected = [r"\[\d+\] a message", r"\[\d+\] a message with a value", r"\[\d+\] at most 1 in a second"]
            lines = messages.splitlines()
            assert len(lines) == len(expected), messages
            for line, pattern in zip(lines, expected):
                assert re.fullmatch(r"\d{3}\.\d{6} without_port " + pattern, line)


def test_linked_as_asked(installed, tmp_path):
    """The shared program needs libnetmap.so.1, the static one nothing."""
    for linking, needed in (("shared", True), ("static", False)):
        program = tmp_path / linking
        installed.compile(["gcc"], PROGRAMS / "nmport.c", program, linking=linking)
        dynamic = subprocess.run(["objdump", "-p", program], check=True, stdout=subprocess.PIPE, text=True).stdout
        assert (re.search(r"NEEDED\s+libnetmap\.so\.1\n", dynamic) is not None) == needed


@pytest.mark.skipif(os.path.exists("/dev/netmap"), reason="this host has a netmap of its own")
def test_without_netmap(installed, tmp_path):
    """The library says what to do where there is no /dev/netmap."""
    program = tmp_path / "nmport"
    installed.compile(["gcc"], PROGRAMS / "nmport.c", program)
    status, output, messages = run(program, "vale0:x")
    assert (status, messages) == (1, "")
    message, error = output.splitlines()
    assert message.startswith("callback: ") and "ptnet-run" in message and "/dev/netmap" in message
    assert error == f"errno {errno.ENOENT}"


@pytest.mark.parametrize("header", ["net/netmap.h", "net/netmap_user.h", "libnetmap.h"])
def test_headers_stand_alone(installed, header):
    """Each may be the first and only one, in C and in C++, with and without the header-only library."""
    for compiler in COMPILERS.values():
        for define in ([], ["-DNETMAP_WITH_LIBS"]):
            words = [*compiler, *STRICT, *define, *installed.pkg_config("--cflags"), "-fsyntax-only", "-"]
            if "-x" not in words:
                words[1:1] = ["-x", "c"]
            subprocess.run(words, input=f"#include <{header}>\n#include <{header}>\n", check=True, text=True)


def declared_functions(installed):
    text = installed.only("libnetmap.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#define .*(?:\\\n.*)*", "", text, flags=re.MULTILINE)
    return set(re.findall(r"\b(nm(?:port|req|ctx)_\w+)\(", text))


def test_symbols(installed):
    """Exactly what the header declares is exported, under one version."""
    shared = installed.libdir / "libnetmap.so.1"
    output = subprocess.run(["nm", "-D", "--defined-only", shared], check=True, stdout=subprocess.PIPE, text=True).stdout
    symbols = {words[2] for words in map(str.split, output.splitlines()) if words[1] == "T"}
    declared = declared_functions(installed)
    assert len(declared) > 30
    assert symbols == {f"{name}@@LIBNETMAP_1" for name in declared}


def test_static_names(installed):
    """What the static library defines for everybody bears the library's name."""
    archive = installed.libdir / "libnetmap.a"
    command = ["nm", "--extern-only", "--defined-only", archive]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    names = {line.split()[2] for line in output.splitlines() if len(line.split()) == 3}
    assert declared_functions(installed) <= names
    assert {name for name in names if not re.match(r"(nmport|nmreq|nmctx|libnetmap)_", name)} == set()
