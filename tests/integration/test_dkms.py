# SPDX-License-Identifier: BSD-2-Clause
"""The DKMS recipe: its source tree, built by the commands of its dkms.conf as dkms would."""

import re
import shlex
import subprocess

from conftest import KERNELS
from guest import REPO, guest_kernel


def run(*words, **options):
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{shlex.join(map(str, words))}: status {done.returncode}\n{done.stdout}"
    return done.stdout


def test_source_tree_builds(tmp_path):
    run("make", "-C", REPO / "guest/linux", "dkms-source", f"DESTDIR={tmp_path}")
    [source] = (tmp_path / "usr/src").iterdir()
    version = re.search(r'PTNET_DRIVER_VERSION +"(.+)"', (source / "ptnet.h").read_text()).group(1)
    assert source.name == f"ptnet-{version}"
    for path in source.rglob("*"):  # complete by itself
        assert not path.is_symlink()

    release = guest_kernel("release", KERNELS[0])
    build = tmp_path / "dkms" / "ptnet" / version / "build"
    build.parent.mkdir(parents=True)
    source.rename(build)
    # dkms.conf is a piece of shell that uses dkms's variables.
    variables = f"dkms_tree={tmp_path}/dkms kernel_source_dir=/lib/modules/{release}/build"
    told = run("bash", "-euc", f'{variables}; . "$0"; printf "%s\\n" "$PACKAGE_NAME $PACKAGE_VERSION" "${{MAKE[0]}}" "$CLEAN"', build / "dkms.conf")
    package, make, clean = told.splitlines()
    assert package == f"ptnet {version}"
    output = run("bash", "-euc", make, cwd=build)
    assert "warning:" not in output.lower()
    assert run("modinfo", "-F", "vermagic", build / "ptnet.ko").split()[0] == release
    assert run("modinfo", "-F", "version", build / "ptnet.ko").strip() == version
    run("bash", "-euc", clean, cwd=build)
    assert not (build / "ptnet.ko").exists()
