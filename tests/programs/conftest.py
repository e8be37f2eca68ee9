# SPDX-License-Identifier: BSD-2-Clause
"""Tests of Debian's netmap programs, as scripts/netmap-programs has built them (make programs)."""

import os
import pathlib
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
# What starts daemons and programs is the integration tests'.
sys.path.insert(0, str(REPO / "tests" / "integration"))


@pytest.fixture
def daemon(request):
    from daemon import Daemon  # pylint: disable=import-outside-toplevel

    with Daemon() as started:
        request.node.daemon_under_test = started
        yield started


@pytest.fixture(scope="session")
def built_program():
    """built_program(NAME): the folder where make programs keeps NAME; skips the test if it was not built."""
    folder = pathlib.Path(os.environ.get("PTNET_PROGRAMS", REPO / "build-programs")).resolve()

    def get(name):
        if not (folder / f"{name}.built").exists():
            pytest.skip(f"{name} was not built: make programs")
        return folder / name

    return get


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show what the daemon had to say when a test fails."""
    report = (yield).get_result()
    daemon = getattr(item, "daemon_under_test", None)
    if report.failed and daemon is not None:
        report.sections.append(("log of ptnetd", daemon.log()))
