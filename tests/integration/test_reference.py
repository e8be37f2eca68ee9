# SPDX-License-Identifier: BSD-2-Clause
"""ptnetd and the reference model (tests/reference) do the same random operations, and must agree."""

import os
import re
import secrets

import pytest

from programs import Programs

SOAK = os.environ.get("PTNET_SOAK")
# Each mistake that the model can be told to make.
MISTAKES = ("byte", "flood", "learn", "full", "chain", "tail", "reset", "exclusive")


@pytest.fixture
def programs():
    with Programs(["compare"]) as programs:
        yield programs
        assert programs.left() == []


def test_agree(programs):
    """With PTNET_SOAK a million operations, others each time."""
    operations = 1000000 if SOAK else 40000
    seed = secrets.randbits(32) if SOAK else 1
    status, output = programs.run_as_user("compare", "--seed", seed, "--operations", operations, timeout=3600)
    assert status == 0, output
    assert re.search(rf"^{operations // 100}\d\d operations, seed {seed}: no difference$", output, re.MULTILINE)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_of_the_model_is_found(mistake):
    with Programs(["compare"]) as programs:
        status, output = programs.run_as_user(
            "compare", "--seed", 3, "--operations", 200000, "--mistake", mistake, timeout=600
        )
    assert status == 1, output
    assert "DIFFERENCE at operation" in output
