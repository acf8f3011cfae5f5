"""All services and the report on real purchases, to the cent, on SQLite and on Postgres."""

from collections.abc import Iterator

import pytest

from cli.place import read_purchases
from event_log.log import last_position
from event_log.outbox import waiting
from reporting.agreement import disagreements
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.report import as_json, report
from tests import expected
from tests.contract.conftest import Places
from tests.integration.pipes import Shop

PURCHASES = 800


@pytest.fixture
def shop(places: Places) -> Iterator[Shop]:
    made = Shop(places.of)
    yield made
    for service in made.services:
        service.database.close()


def test_real_purchases_are_reported_to_the_cent(places: Places, shop: Shop) -> None:
    assert shop.place(read_purchases(expected.DATA, "USD")[0][:PURCHASES]) == PURCHASES
    shop.run()
    # Delivered again, and by somebody who has seen nothing yet, it is the same.
    again = Shop(places.of)
    again.topics = shop.topics
    again.run()
    for service in again.services:
        assert waiting(service.database) == 0
        service.database.close()
    projections = open_projections(places.of("report"))
    assert catch_up(shop.recorder.database, projections) == last_position(shop.recorder.database)
    found = as_json(report(projections, "USD"))
    orders = expected.purchases(PURCHASES)
    wanted = expected.report(orders, expected.outcomes(orders))
    assert {name: found[name] for name in wanted} == wanted
    assert all(cell["orders"] for cell in wanted["totals"]["declined"].values())
    for projection in all_projections().values():
        assert disagreements(shop.recorder.database, projections, projection) == []
    assert shop.order.open_orders() == 0
    assert shop.order.known_orders() == PURCHASES
    projections.close()
