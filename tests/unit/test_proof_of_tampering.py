"""Whoever changes the log, or a database beside it, is found out: by which part, and where.

Changes are made with sqlite3 alone, by somebody who can remove the triggers and knows the chain.
"""

import pytest

from tests.unit.test_proof_world import (
    COLUMNS,
    World,
    another_amount,
    by,
    checked,
    failing,
    hash_again,
    place_of,
    put,
    row_of,
    what,
    where,
    world,
)

__all__ = ["world"]


class TestTheLog:
    """Rows of the log, with the chain left as it is."""

    def test_a_changed_amount(self, world: World) -> None:
        with world.tamper() as log:
            row = row_of(log, "AuthorizationAccepted")
            put(log, another_amount(row))
        parts = world.prove()
        assert failing(parts) >= {"chain", "offsets", "orders"}
        assert where(parts["chain"]) == f"position {row['position']}"
        assert where(parts["offsets"]) == place_of(row)
        assert by(parts["offsets"]) == {"cents": 500}
        assert where(parts["orders"]) == f"order {row['correlation_id']}"
        assert by(parts["orders"]) == {"orders": 1, "cents": 500}

    @pytest.mark.parametrize(
        ("kind", "part"),
        [
            ("NewOrder", "orders"),
            ("AuthorizationAccepted", "shipments"),
            ("OrderShipped", "shipments"),
        ],
    )
    def test_a_row_deleted_in_the_middle(self, world: World, kind: str, part: str) -> None:
        with world.tamper() as log:
            row = row_of(log, kind)
            log.execute("DELETE FROM event_log WHERE position = ?", (row["position"],))
        parts = world.prove(settled=True)
        assert where(parts["chain"]) == f"position {row['position']}"
        assert by(parts["chain"]) == {"positions": 1}
        assert where(parts["offsets"]) == place_of(row)
        assert where(parts[part]) == f"order {row['correlation_id']}"
        # A shipment may be on its way for all that the log itself can tell.
        assert (part in failing(world.prove())) == (kind != "OrderShipped")

    def test_a_tail_that_was_cut_off(self, world: World) -> None:
        with world.tamper() as log:
            (last,) = log.execute("SELECT max(position) FROM event_log").fetchone()
            log.execute("DELETE FROM event_log WHERE position > ?", (last - 5,))
        parts = world.prove()
        assert parts["chain"].holds
        assert failing(parts) >= {"offsets", "projections"}
        assert "not in the log" in what(parts["offsets"])
        assert where(parts["projections"]) == f"position {last}"

    def test_two_rows_swapped(self, world: World) -> None:
        with world.tamper() as log:
            one, other = row_of(log, "NewOrder"), row_of(log, "OrderShipped")
            log.execute("UPDATE event_log SET position = -1 WHERE position = ?", (one["position"],))
            log.execute(
                "UPDATE event_log SET position = ? WHERE position = ?",
                (one["position"], other["position"]),
            )
            log.execute(
                "UPDATE event_log SET position = ? WHERE position = -1", (other["position"],)
            )
        parts = world.prove()
        assert where(parts["chain"]) == f"position {min(one['position'], other['position'])}"
        assert "offsets" not in failing(parts)

    def test_a_row_there_twice(self, world: World) -> None:
        with world.tamper() as log:
            row = row_of(log, "NewOrder")
            (last,) = log.execute("SELECT max(position) FROM event_log").fetchone()
            twin = {**row, "position": last + 1, "event_id": "twin", "offset": 10_000}
            put(log, twin)
        parts = world.prove()
        assert failing(parts) >= {"chain", "offsets", "orders"}
        assert where(parts["chain"]) == f"position {last + 1}"
        assert where(parts["offsets"]) == place_of(twin)
        assert where(parts["orders"]) == f"order {row['correlation_id']}"

    @pytest.mark.parametrize("position", [0, -7])
    def test_a_row_before_the_first(self, world: World, position: int) -> None:
        with world.tamper() as log:
            row = row_of(log, "AuthorizationAccepted")
            put(log, {**row, "position": position, "event_id": "before", "offset": 10_000})
        parts = world.prove()
        assert where(parts["chain"]) == f"position {position}"
        assert "offsets" in failing(parts)

    def test_a_text_that_cannot_be_read(self, world: World) -> None:
        with world.tamper() as log:
            row = row_of(log, "NewOrder")
            log.execute(
                "UPDATE event_log SET source = CAST(x'fffe41' AS TEXT) WHERE position = ?",
                (row["position"],),
            )
        parts = world.prove()
        assert where(parts["chain"]) == f"position {row['position']}"
        assert "can't be read" in what(parts["chain"])
        assert "offsets" in failing(parts)


class TestAForgedChain:
    """Rows of the log, with every hash from there on computed anew."""

    def test_a_changed_amount(self, world: World) -> None:
        with world.tamper() as log:
            row = row_of(log, "AuthorizationDeclined")
            put(log, another_amount(row))
            hash_again(log)
        parts = world.prove()
        assert parts["chain"].holds
        assert failing(parts) >= {"offsets", "projections", "orders"}
        assert where(parts["offsets"]) == place_of(row)
        assert by(parts["offsets"]) == {"cents": 500}
        assert "its hash is" in what(parts["projections"])

    def test_an_order_changed_as_a_whole(self, world: World) -> None:
        """All of an order's rows say the same other amount: only Kafka and the hash tell."""
        with world.tamper() as log:
            order = row_of(log, "OrderShipped")["correlation_id"]
            rows = log.execute(
                "SELECT * FROM event_log WHERE correlation_id = ? AND type != 'shop.OrderShipped'",
                (order,),
            ).fetchall()
            assert len(rows) == 2
            for row in rows:
                put(log, another_amount(dict(zip(COLUMNS, row, strict=True))))
            hash_again(log)
        parts = world.prove()
        assert failing(parts) == {"offsets", "projections"}
        assert by(parts["offsets"]) == {"cents": 500}

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("event_id", "another"),
            ("source", "/shop/elsewhere"),
            ("subject", "another"),
            ("causation_id", None),
            ("published_time", "2026-01-01T00:00:01.000000Z"),
        ],
    )
    def test_a_changed_header(self, world: World, column: str, value: str | None) -> None:
        with world.tamper() as log:
            row = row_of(log, "OrderShipped")
            put(log, {**row, column: value})
            log.execute(
                "DELETE FROM event_log WHERE position = ? AND event_id = ? AND ? = 'event_id'",
                (row["position"], row["event_id"], column),
            )
            hash_again(log)
        parts = world.prove()
        assert parts["chain"].holds
        assert where(parts["offsets"]) == place_of(row)
        assert f"{column} is" in what(parts["offsets"])

    def test_a_row_deleted(self, world: World) -> None:
        with world.tamper() as log:
            row = row_of(log, "OrderShipped")
            log.execute("DELETE FROM event_log WHERE position = ?", (row["position"],))
            hash_again(log)
        parts = world.prove()
        assert parts["chain"].holds
        assert failing(parts) >= {"offsets", "projections"}
        assert where(parts["offsets"]) == place_of(row)

    def test_a_whole_order_deleted(self, world: World) -> None:
        with world.tamper() as log:
            order = row_of(log, "OrderShipped")["correlation_id"]
            log.execute("DELETE FROM event_log WHERE correlation_id = ?", (order,))
            hash_again(log)
        assert failing(world.prove()) == {"offsets", "projections"}
        parts = world.prove(settled=True)
        assert where(parts["orders"]) == f"order {order}"
        assert "not recorded yet" in what(parts["orders"])

    def test_a_shipment_made_up(self, world: World) -> None:
        with world.tamper() as log:
            declined = row_of(log, "AuthorizationDeclined")
            shipped = row_of(log, "OrderShipped")
            (last,) = log.execute("SELECT max(position) FROM event_log").fetchone()
            body = shipped["body"].replace(
                shipped["correlation_id"].encode(), declined["correlation_id"].encode()
            )
            made_up = {
                **shipped,
                "position": last + 1,
                "event_id": "made up",
                "body": body,
                **dict.fromkeys(("subject", "correlation_id"), declined["correlation_id"]),
                "offset": 10_000,
            }
            put(log, made_up)
            hash_again(log)
        parts = world.prove()
        assert where(parts["offsets"]) == place_of(made_up)
        assert "forged" in what(parts["offsets"])
        assert where(parts["shipments"]) == f"order {declined['correlation_id']}"
        assert "declined at position" in what(parts["shipments"])

    def test_rows_swapped(self, world: World) -> None:
        """The chain is right again, and every offset is there: what was recorded last tells."""
        with world.tamper() as log:
            one, other = row_of(log, "NewOrder"), row_of(log, "OrderShipped")
            first, second = one["position"], other["position"]
            move = "UPDATE event_log SET position = ? WHERE position = ?"
            for now, before in ((-1, first), (first, second), (second, -1)):
                log.execute(move, (now, before))
            hash_again(log)
        parts = world.prove()
        assert failing(parts) == {"projections"}


class TestBesideTheLog:
    """What the log's database notes beside the log, and the order service's own database."""

    def test_a_repeat_made_up_to_hide_a_deleted_row(self, world: World) -> None:
        with world.tamper() as log:
            row, other = row_of(log, "OrderShipped"), row_of(log, "NewOrder")
            log.execute("DELETE FROM event_log WHERE position = ?", (row["position"],))
            place = (row["topic"], row["partition"], row["offset"])
            log.execute("INSERT INTO repeats VALUES (?, ?, ?, ?)", (*place, other["event_id"]))
            hash_again(log)
        parts = world.prove()
        assert where(parts["offsets"]) == place_of(row)
        assert f"noted as a repeat of event {other['event_id']}" in what(parts["offsets"])

    def test_an_order_that_the_service_has_otherwise(self, world: World) -> None:
        with world.tamper("order") as orders:
            (order,) = orders.execute(
                "SELECT order_id FROM orders WHERE state = 'shipped' ORDER BY order_id LIMIT 1"
            ).fetchone()
            orders.execute("UPDATE orders SET state = 'declined' WHERE order_id = ?", (order,))
        parts = world.prove()
        assert failing(parts) == {"orders"}
        assert where(parts["orders"]) == f"order {order}"
        assert what(parts["orders"]) == "the log says accepted, the order service declined"

    def test_an_order_that_the_service_has_lost(self, world: World) -> None:
        with world.tamper("order") as orders:
            (order,) = orders.execute("SELECT min(order_id) FROM orders").fetchone()
            orders.execute("DELETE FROM orders WHERE order_id = ?", (order,))
        parts = world.prove()
        assert failing(parts) == {"orders"}
        assert where(parts["orders"]) == f"order {order}"

    def test_without_the_service_the_log_is_proved_alone(self, world: World) -> None:
        world.shop.order.database.close()
        (world.folder / "order.sqlite").unlink()
        parts = world.prove(settled=True)
        assert failing(parts) == set()
        assert checked(parts["orders"])["order_service"] is None
