"""Coverage is measured of all tests but those that are marked `unmeasured`; without `coverage run`, of none."""

from __future__ import annotations

import os
import sys

import coverage
import pytest


@pytest.mark.unmeasured
def test_what_is_unmeasured_runs_at_full_speed() -> None:
    """Nothing traces it."""
    assert sys.gettrace() is None


def test_all_else_is_measured() -> None:
    """Whatever ran before it: where coverage is measured, this is; what tests start isn't."""
    assert (sys.gettrace() is not None) == (coverage.Coverage.current() is not None)
    assert "COVERAGE_PROCESS_CONFIG" not in os.environ
