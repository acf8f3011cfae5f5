"""Whoever changes a projection is found out: which row, and by how much."""

import pytest

from cli.place import read_purchases
from tests import expected
from tests.unit.test_proof_world import (
    ORDERS_PLACED,
    World,
    by,
    checked,
    failing,
    notes,
    what,
    where,
    world,
)

__all__ = ["world"]


class TestProjections:
    """Rows of projections, and where they say that they are."""

    @pytest.mark.parametrize(
        ("statement", "where_", "by_"),
        [
            (
                "UPDATE revenue_by_day SET cents = cents + 100 WHERE outcome = 'accepted' "
                "AND day = (SELECT min(day) FROM revenue_by_day)",
                "revenue 1997-01-01 USD accepted",
                {"cents": 100},
            ),
            (
                "DELETE FROM revenue_by_day WHERE outcome = 'accepted' "
                "AND day = (SELECT min(day) FROM revenue_by_day)",
                "revenue 1997-01-01 USD accepted",
                None,
            ),
            (
                "INSERT INTO revenue_by_day VALUES ('1996-12-31', 'USD', 'accepted', 1, 500)",
                "revenue 1996-12-31 USD accepted",
                {"orders": 1, "cents": 500},
            ),
            (
                "INSERT INTO declines_by_month VALUES ('1996-12', 'USD', 'no_funds', 1, 500)",
                "declines 1996-12 USD no_funds",
                {"orders": 1, "cents": 500},
            ),
            (
                "UPDATE customers SET accepted_cents = accepted_cents - 1 WHERE customer_id = "
                "(SELECT min(customer_id) FROM customers)",
                "customers 00001 USD",
                {"accepted_cents": -1},
            ),
            (
                "UPDATE order_stories SET state = 'placed' WHERE order_id = "
                "(SELECT min(order_id) FROM order_stories)",
                "stories CDNOW_master/00001/19970101/1/11.77",
                {},
            ),
        ],
    )
    def test_a_changed_row(
        self, world: World, statement: str, where_: str, by_: dict[str, int] | None
    ) -> None:
        with world.tamper("report") as projections:
            assert projections.execute(statement).rowcount == 1
        parts = world.prove()
        assert failing(parts) == {"projections"}
        assert where(parts["projections"]) == where_
        assert by_ is None or by(parts["projections"]) == by_

    @pytest.mark.parametrize(
        ("statement", "what_"),
        [
            ("UPDATE projected SET position = position - 1", "its hash is"),
            ("UPDATE projected SET position = position + 1", "no such position"),
            ("UPDATE projected SET hash = zeroblob(32)", "its hash is"),
            ("DELETE FROM projected", "the projection has this row, and the log doesn't"),
        ],
    )
    def test_another_place(self, world: World, statement: str, what_: str) -> None:
        with world.tamper("report") as projections:
            projections.execute(statement)
        parts = world.prove()
        assert failing(parts) == {"projections"}
        assert what_ in what(parts["projections"])

    def test_one_that_is_behind_is_right_where_it_is(self, world: World) -> None:
        before = checked(world.prove()["projections"])["revenue"]["position"]
        orders = read_purchases(expected.DATA, "USD")[0]
        world.shop.place(orders[ORDERS_PLACED : ORDERS_PLACED + 5])
        world.shop.run()
        parts = world.prove()
        assert failing(parts) == set()
        assert checked(parts["projections"])["revenue"]["position"] == before
        assert checked(parts["chain"])["positions"] > before

    def test_what_was_not_made_yet_is_said(self, world: World) -> None:
        with world.tamper("report") as projections:
            projections.execute("DROP TABLE declines_by_month")
        parts = world.prove()
        assert failing(parts) == set()
        assert notes(parts["projections"]) == "the projection declines was not made yet"
        (world.folder / "report.sqlite").unlink()
        assert "the projection revenue was not made yet" in notes(world.prove()["projections"])
