# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The guest driver's own tests use the harness, and the fixtures, of tests/integration.

    /usr/bin/python3 -m pytest guest/linux/tests       (PTNET_BUILD names the build folder)
"""

import pathlib
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(REPO / "tests/integration"))

import importlib.util  # noqa: E402

# By path: pytest calls this file conftest, too.
_spec = importlib.util.spec_from_file_location("integration_conftest", REPO / "tests/integration/conftest.py")
_integration = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_integration)

KERNELS = _integration.KERNELS
make_image = _integration.make_image
clean_up_test = _integration.clean_up_test
clean_up_session = _integration.clean_up_session
pytest_runtest_makereport = _integration.pytest_runtest_makereport


@pytest.fixture(scope="session")
def probe(tmp_path_factory):
    """The program that plays netmap program in the guest."""
    program = tmp_path_factory.mktemp("probe") / "netmap-probe"
    subprocess.run(
        ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-DNETMAP_OWNER"]
        + ["-I", REPO / "include", "-o", program, pathlib.Path(__file__).with_name("netmap-probe.c")],
        check=True,
    )
    return program
