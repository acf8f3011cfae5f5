"""Programs that tests need, and that aren't Python's."""

import os
import shutil
from typing import NoReturn

import pytest

MISSING_FAILS = "TESTS_MISSING_FAILS"
"""The variable that is set where a program that isn't there is a failure."""


def missing(reason: str) -> NoReturn:
    """Skip the test for want of a program; in CI that is a failure."""
    if os.environ.get(MISSING_FAILS):
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str, reason: str) -> str:
    """Where a program is, on the PATH or where Debian has servers; else it is `missing`."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return found or missing(reason)


def chromium() -> str | None:
    """Where Chromium is: with windows, which nobody sees, it takes a third of a core more."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")
