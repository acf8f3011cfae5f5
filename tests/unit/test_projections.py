"""Projections: each is found, and its fold makes the same rows however the log is split."""

from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contracts import AuthorizationAccepted, AuthorizationDeclined, Event
from event_log.database import table_of
from reporting import projector
from reporting.projection import Projection
from reporting.projections import all_projections
from tests import some_events

EACH = pytest.mark.parametrize("projection", all_projections().values(), ids=lambda each: each.name)


def test_what_the_package_has_is_found_by_itself() -> None:
    folder = Path(projector.__file__).parent / "projections"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {each.alone.__module__.rpartition(".")[2] for each in all_projections().values()} == (
        modules
    )
    assert set(all_projections()) >= {*("revenue", "customers", "declines", "late", "stories")}
    tables = [table_of(each.table).name for each in all_projections().values()]
    assert len(set(tables)) == len(tables)


@EACH
@given(events=some_events.events(), data=st.data())
def test_any_split_gives_the_same_rows(
    projection: Projection, events: list[Event], data: st.DataObject
) -> None:
    told = some_events.told(events)
    found: dict[Any, Any] = {}
    left = told
    while left:
        size = data.draw(st.integers(1, len(left)))
        made = projection.fold(left[:size])
        touched = {key: row for key, row in found.items() if key in made}
        found |= projection.take(touched, made)
        left = left[size:]
    assert found == projection.fold(told)


@given(events=some_events.events())
def test_an_order_is_late_when_its_month_was_over_and_is_a_part_of_the_revenue(
    events: list[Event],
) -> None:
    told = some_events.told(events)
    wanted: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0])
    for each in told:
        said, recorded = each.event, datetime.fromisoformat(each.recorded_at)
        if not isinstance(said, AuthorizationAccepted | AuthorizationDeclined):
            continue
        when = said.ordered_at
        if (when.year, when.month) >= (recorded.year, recorded.month):
            continue
        outcome = getattr(said, "reason", None)
        key = (f"{when:%Y-%m}", said.amount.currency, f"{recorded:%Y-%m-%d}")
        cell = wanted[*key, outcome.value if outcome else "accepted"]
        cell[0] += 1
        cell[1] += said.amount.cents
    found = all_projections()["late"].fold(told)
    assert found == {key: (*key, *cell) for key, cell in wanted.items()}
