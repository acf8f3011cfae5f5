"""A stack on a container engine is started where that is asked for: `make test-engine`."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("TEST_ENGINE"):
        for item in items:
            if "tests/engine/" in item.nodeid:
                item.add_marker(pytest.mark.skip("asked for by `make test-engine`"))
