"""Who waits for orders to be settled sees what will never settle them, and says so."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete

from cli import settled
from cli.composition import SERVICES, order_service
from cli.settings import Settings
from cli.standings import Found
from domain.contracts import NewOrder
from domain.errors import ShopError
from domain.money import Money
from domain.progress import Standing
from domain.status import Facts
from event_log.database import table_of
from event_log.outbox import OutboxRow
from transport.topics import TopicPartition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = NewOrder("x/1", "00001", NOW, Money(1200, "USD"), 1, "1 Order Street")
IDLE = tuple(Facts(name, partitions={"orders[0]": Standing(7, 7)}) for name in SERVICES)
LETTERS = Found("none", services=IDLE, dead_letters={"orders": 3, "authorizations": 1})
SEVERAL = pytest.mark.parametrize(
    "found",
    [
        replace(LETTERS, services=(*IDLE[1:], Facts("order", partitions={"o": Standing(7, 6)}))),
        replace(LETTERS, services=(*IDLE[1:], replace(IDLE[0], outbox=1))),
        replace(LETTERS, services=(*IDLE[1:], Facts("order"))),
        replace(LETTERS, held_up={"orders[0]": NOW}),
        replace(LETTERS, broker_trouble="away"),
        replace(LETTERS, dead_letters={}),
    ],
)


class Topics:
    """A partition to which somebody publishes at each look; the recorder is a look behind."""

    end = 0

    def __init__(self, _: object) -> None:
        """Begin with nothing."""

    def ends(self, _: object) -> dict[TopicPartition, int]:
        self.end += 1
        return {TopicPartition("orders", 0): self.end}

    def standings(
        self, ends: dict[TopicPartition, int], _: object
    ) -> dict[TopicPartition, Standing]:
        self.end += 1
        return {place: Standing(end, self.end - 2) for place, end in ends.items()}


class Clock:
    """A second goes by whenever somebody looks."""

    now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now

    def sleep(self, _: float) -> None:
        """Take no time."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settled, "ClusterView", Topics)
    monkeypatch.setattr(settled, "time", Clock())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home with an order whose NewOrder is published, and of which nothing else comes."""
    found = Settings(home=tmp_path)
    orders = order_service(found)
    orders.place([ORDER], NOW)
    orders.database.in_transaction(lambda made: made.execute(delete(table_of(OutboxRow))))
    monkeypatch.setattr(settled, "_behind", lambda *_: 0)
    return found


def finding(found: Found, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Have `found` found; gives how often."""
    looks = []
    monkeypatch.setattr(settled, "find_out", lambda *_: looks.append(1) or found)
    return lambda: len(looks)


def test_orders_that_are_dead_letters_end_the_wait(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = finding(LETTERS, monkeypatch)
    with pytest.raises(ShopError, match=r"^1 orders are open.* 4 dead letters are open .*list"):
        settled.wait_until_settled(settings, "none")
    assert looks() == 1


def test_what_the_broker_will_not_take_ends_it_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = replace(IDLE[0], refused=["order x/1 is too large"])
    finding(Found("none", services=(refused, *IDLE[1:])), monkeypatch)
    with pytest.raises(ShopError, match="nothing more is on its way: order x/1 is too large"):
        settled.wait_until_settled(settings, "none")


@SEVERAL
def test_while_something_may_come_it_is_waited_for_aloud_and_not_for_ever(
    found: Found,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = finding(found, monkeypatch)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(ShopError, match="nothing moved for 20 s: 1 orders are open"),
    ):
        settled.wait_until_settled(settings, "none", stalled_after=20)
    assert looks() == 2
    (said,) = caplog.messages
    assert said.startswith("still waiting: 1 orders are open")
    assert ("4 dead letters" in said) is bool(found.dead_letters)


def test_what_others_publish_later_is_not_waited_for(tmp_path: Path) -> None:
    assert settled.wait_until_settled(Settings(home=tmp_path), "none", stalled_after=20) == 0
