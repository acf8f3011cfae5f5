"""The short form of the harness: nothing lost, nothing twice. ``make faults`` is the long one."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.faults.on_postgres import stack_on_postgres
from tests.faults.run import (
    SHORT,
    SHORT_ON_POSTGRES,
    leader_killed,
    measure,
    mutation,
    topic_made_anew,
)
from tests.faults.stack import Stack, stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = int(os.environ.get("FAULTS_SEED") or secrets.randbelow(2**31))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One stack for all scenarios: what one leaves behind, the next one meets."""
    with stack(tmp_path_factory.mktemp("faults"), SEED) as running:
        yield running


@pytest.mark.parametrize("name", SHORT)
def test_nothing_is_lost_and_nothing_twice(made: Stack, name: str) -> None:
    if name == "disk full" and os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    row = measure(name, made, SHORT[name])
    assert row.wrong == {}, f"FAULTS_SEED={SEED}"
    assert (row.lost, row.doubled) == (0, 0)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The same, on a Postgres server that all of these scenarios may do with as they like."""
    with stack_on_postgres(tmp_path_factory.mktemp("faults-postgres"), SEED) as running:
        yield running


@pytest.mark.parametrize("name", SHORT_ON_POSTGRES)
def test_postgres_is_waited_for_and_nothing_is_lost(on_postgres: Stack, name: str) -> None:
    row = measure(name, on_postgres, SHORT_ON_POSTGRES[name])
    assert row.wrong == {}, f"FAULTS_SEED={SEED}"
    assert (row.lost, row.doubled) == (0, 0)


def test_three_brokers_and_the_leader_killed_under_load() -> None:
    row = leader_killed(SEED, 1, 900, 60)
    assert row.wrong == {}, f"FAULTS_SEED={SEED}"


def test_a_topic_made_anew_is_refused_before_anything_is_done() -> None:
    assert topic_made_anew(SEED, 300).wrong == {}, f"FAULTS_SEED={SEED}"


def test_the_harness_finds_a_program_that_is_wrong() -> None:
    """`make faults` tries all that are."""
    assert "said once" in mutation("no-inbox", SEED).wrong, f"FAULTS_SEED={SEED}"
