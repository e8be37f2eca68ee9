# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures of the tests that run real guests. Run them with /usr/bin/python3 -m pytest."""

import pytest

from daemon import Daemon, built, built_module
from guest import Guest, build_image

# The series that the guest driver supports and Debian 12 ships.
KERNELS = ("6.1", "6.12")


@pytest.fixture(scope="session")
def make_image(tmp_path_factory):
    """make_image(kernel, modules, programs, files): as guest.build_image, each image built once."""
    directory = tmp_path_factory.mktemp("images")
    images = {}

    def make(kernel="6.1", modules=(), programs=(), files=()):
        key = (kernel, *map(tuple, (map(str, modules), map(str, programs), map(str, files))))
        if key not in images:
            images[key] = build_image(directory / f"{len(images)}.img", kernel, modules, programs, files)
        return images[key]

    return make


@pytest.fixture(scope="session")
def make_ptnet_image(make_image):
    """As make_image, with our guest driver, which /init loads, and ptnet-gen in the image."""

    def make(kernel="6.1", modules=(), programs=(), files=()):
        return make_image(kernel, [built_module(kernel), *modules], [built("ptnet-gen"), *programs], files)

    return make


def clean_up(started, keep):
    """End whatever was started and isn't among those to keep, and remove its files."""
    for thing in [thing for thing in started if thing not in keep]:
        thing.kill()
        thing.remove_files()
        started.remove(thing)


@pytest.fixture(autouse=True)
def clean_up_test():
    """A test leaves nothing running but what fixtures of wider scope had started before it."""
    guests, daemons = list(Guest.started), list(Daemon.started)
    yield
    clean_up(Guest.started, guests)
    clean_up(Daemon.started, daemons)


@pytest.fixture(autouse=True, scope="session")
def clean_up_session():
    yield
    clean_up(Guest.started, [])
    clean_up(Daemon.started, [])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show what guests and daemons had to say when a test fails."""
    report = (yield).get_result()
    if report.failed:
        for guest in Guest.started:
            report.sections.append((f"console of guest {guest.name}", guest.console()))
            report.sections.append((f"QEMU of guest {guest.name}", guest.qemu_log()))
        for daemon in Daemon.started:
            report.sections.append(("log of ptnetd", daemon.log()))
