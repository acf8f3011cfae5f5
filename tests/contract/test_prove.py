"""The proof on SQLite and on Postgres: what nobody touched holds, and what was changed is named."""

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from cli.prove import databases_of
from domain.errors import StoreError
from event_log.database import Database
from event_log.inbox import PositionRow
from reporting.export import By
from reporting.exports import form_named
from reporting.figure import Stamp, as_fields, stamp
from reporting.proof import Head, PartName
from reporting.proof_of_log import open_log_to_prove
from reporting.proof_run import Proof
from reporting.proofs import keep, newest
from reporting.read_only import ReadOnlyDatabase
from reporting.report import as_json, report
from tests import expected
from tests.contract.server import PostgresServer
from tests.contract.world import (
    ORDERS_PLACED,
    World,
    hash_again,
    place_of,
)
from tests.unit.test_proof_world import checked, failing, failure
from transport.codec import decode


def another_amount(connection: Connection, row: dict[str, Any]) -> None:
    said: Any = decode(f"{row['type']}.v1", row["body"])
    cents = said.amount.cents
    body = row["body"].replace(b'"cents":%d' % cents, b'"cents":%d' % (cents + 500))
    statement = text("UPDATE event_log SET body = :body WHERE position = :position")
    connection.execute(statement, {"body": body, "position": row["position"]})


def delete(connection: Connection, position: int) -> None:
    connection.execute(text("DELETE FROM event_log WHERE position = :at"), {"at": position})


def last_position(world: World) -> int:
    ((last,),) = world.rows("event_log", "SELECT max(position) FROM event_log")
    return int(last)


def test_what_nobody_touched_holds_and_everything_is_counted(world: World) -> None:
    parts = world.prove(settled=True)
    assert failing(parts) == set()
    events = last_position(world)
    wanted = expected.purchases(ORDERS_PLACED)
    decided = expected.outcomes(wanted)
    accepted = sum(outcome == "accepted" for outcome in decided.values())
    assert accepted < len(decided), "no order was declined: the test would miss half"
    assert checked(parts["chain"]) == {"positions": events}
    offsets = checked(parts["offsets"])
    assert offsets["offsets"] == offsets["recorded"] == events
    projections = checked(parts["projections"])
    assert {each["position"] for each in projections.values()} == {events}
    assert projections["stories"]["rows"] == ORDERS_PLACED
    sums = checked(parts["orders"])["currencies"]["USD"]
    assert sums["placed"] == {
        "orders": ORDERS_PLACED,
        "cents": sum(order.cents for order in wanted),
    }
    assert sums["accepted"]["orders"] == accepted
    assert checked(parts["orders"])["order_service"] == {"orders": ORDERS_PLACED}
    shipments = checked(parts["shipments"])
    counts = (shipments["accepted"], shipments["shipped"], shipments["under_way"])
    assert counts == (accepted, accepted, 0)


def test_both_databases_are_proved_to_have_the_same(world: World) -> None:
    head, parts = world.proved(settled=True)
    row = world.rows("event_log", "SELECT hash FROM event_log WHERE position = :at", at=head[0])
    assert head == Head(last_position(world), bytes(row[0][0]), "2026-01-01T00:00:00Z", head[3])
    assert parts["offsets"].finding is not None
    assert parts["offsets"].finding.notes == []
    assert sum(head.handled.values()) == head.position


class TestTheLog:
    """Rows of the log, with the chain left as it is."""

    def test_a_changed_amount(self, world: World) -> None:
        row = world.row_of("AuthorizationAccepted")
        with world.changing() as connection:
            another_amount(connection, row)
        parts = world.prove()
        assert failing(parts) >= {"chain", "offsets", "orders"}
        assert failure(parts["chain"]).where == f"position {row['position']}"
        assert failure(parts["offsets"]).where == place_of(row)
        assert failure(parts["offsets"]).by == {"cents": 500}
        assert failure(parts["orders"]).where == f"order {row['correlation_id']}"
        assert failure(parts["orders"]).by == {"orders": 1, "cents": 500}

    @pytest.mark.parametrize(
        ("kind", "part"),
        [
            ("NewOrder", "orders"),
            ("AuthorizationAccepted", "shipments"),
            ("OrderShipped", "shipments"),
        ],
    )
    def test_a_row_deleted_in_the_middle(self, world: World, kind: str, part: str) -> None:
        row = world.row_of(kind)
        with world.changing() as connection:
            delete(connection, row["position"])
        parts = world.prove(settled=True)
        assert failure(parts["chain"]).where == f"position {row['position']}"
        assert failure(parts["chain"]).by == {"positions": 1}
        assert failure(parts["offsets"]).where == place_of(row)
        assert failure(parts[part]).where == f"order {row['correlation_id']}"

    def test_a_tail_that_was_cut_off(self, world: World) -> None:
        last = last_position(world)
        world.change("event_log", "DELETE FROM event_log WHERE position > :at", at=last - 5)
        parts = world.prove()
        assert parts["chain"].holds
        assert failing(parts) >= {"offsets", "projections"}
        assert "not in the log" in failure(parts["offsets"]).what
        assert failure(parts["projections"]).where == f"position {last}"

    def test_a_row_before_the_first(self, world: World) -> None:
        world.change("event_log", "UPDATE event_log SET position = 0 WHERE position = 1")
        assert failure(world.prove()["chain"]).where == "position 0"

    def test_a_body_that_is_no_text(self, world: World) -> None:
        row = world.row_of("NewOrder")
        statement = "UPDATE event_log SET body = :body WHERE position = :at"
        world.change("event_log", statement, body=b"\xff\xfe\0", at=row["position"])
        parts = world.prove()
        assert failing(parts) >= {"chain", "offsets", "projections", "orders"}
        assert failure(parts["chain"]).where == f"position {row['position']}"
        assert failure(parts["orders"]).where == f"order {row['correlation_id']}"


class TestAForgedChain:
    """Rows of the log, with every hash from there on computed anew."""

    def test_a_changed_amount(self, world: World) -> None:
        row = world.row_of("AuthorizationDeclined")
        with world.changing() as connection:
            another_amount(connection, row)
            hash_again(connection)
        parts = world.prove()
        assert parts["chain"].holds
        assert failing(parts) >= {"offsets", "projections", "orders"}
        assert failure(parts["offsets"]).where == place_of(row)
        assert failure(parts["offsets"]).by == {"cents": 500}
        assert "its hash is" in failure(parts["projections"]).what

    def test_a_repeat_made_up_to_hide_a_deleted_row(self, world: World) -> None:
        row, other = world.row_of("OrderShipped"), world.row_of("NewOrder")
        with world.changing() as connection:
            delete(connection, row["position"])
            connection.execute(
                text("INSERT INTO repeats VALUES (:topic, :partition, :offset, :event_id)"),
                {**row, "event_id": other["event_id"]},
            )
            hash_again(connection)
        parts = world.prove()
        assert failure(parts["offsets"]).where == place_of(row)
        assert f"noted as a repeat of event {other['event_id']}" in failure(parts["offsets"]).what

    def test_an_offset_that_kafka_never_had(self, world: World) -> None:
        row = world.row_of("OrderShipped")
        statement = 'UPDATE event_log SET "offset" = 100000 WHERE position = :at'
        with world.changing() as connection:
            connection.execute(text(statement), {"at": row["position"]})
            hash_again(connection)
        found = failure(world.prove()["offsets"])
        assert found.where == place_of({**row, "offset": 100_000})
        assert "forged" in found.what


class TestBesideTheLog:
    """Projections, and the order service's own database."""

    @pytest.mark.parametrize(
        ("table", "column"), [("revenue_by_day", "cents"), ("order_stories", "cents")]
    )
    def test_a_projection_that_somebody_changed(
        self, world: World, table: str, column: str
    ) -> None:
        world.change("report", f"UPDATE {table} SET {column} = {column} + 7")  # noqa: S608
        parts = world.prove()
        assert failing(parts) == {"projections"}
        assert failure(parts["projections"]).by == {column: 7}

    def test_an_order_that_the_service_has_otherwise(self, world: World) -> None:
        ((order,),) = world.rows(
            "order", "SELECT min(order_id) FROM orders WHERE state = 'shipped'"
        )
        world.change(
            "order", "UPDATE orders SET state = 'declined' WHERE order_id = :order", order=order
        )
        parts = world.prove()
        assert failing(parts) == {"orders"}
        assert failure(parts["orders"]).where == f"order {order}"
        assert failure(parts["orders"]).what == "the log says accepted, the order service declined"

    def test_an_order_that_the_service_has_lost(self, world: World) -> None:
        ((order,),) = world.rows("order", "SELECT min(order_id) FROM orders")
        world.change("order", "DELETE FROM orders WHERE order_id = :order", order=order)
        parts = world.prove()
        assert failing(parts) == {"orders"}
        assert failure(parts["orders"]).where == f"order {order}"

    def test_without_service_and_projections_the_log_is_proved_alone(self, world: World) -> None:
        for name in ("order", "report"):
            place = world.of(name)
            if isinstance(place, Path):
                place.unlink()
            else:
                ReadOnlyDatabase(place).close()
                with world.changing() as connection:
                    connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        parts = world.prove(settled=True)
        assert failing(parts) == set()
        assert checked(parts["orders"])["order_service"] is None
        assert checked(parts["projections"]) == {}


def test_without_kafka_the_rest_is_proved(world: World) -> None:
    parts = world.prove(offline=True)
    assert failing(parts) == set()
    assert parts["offsets"].holds is None


def test_a_proof_is_kept_and_the_newest_is_found(world: World) -> None:
    assert newest(world.of("proofs")) is None
    head, parts = world.proved()
    keep(world.of("proofs"), head, list(parts.values()), datetime(2026, 3, 1, tzinfo=UTC))
    world.change("report", "UPDATE revenue_by_day SET cents = cents + 7")
    head, parts = world.proved()
    keep(world.of("proofs"), head, list(parts.values()), datetime(2026, 3, 2, tzinfo=UTC))
    found = newest(world.of("proofs"))
    assert found is not None
    assert found.ended_at == datetime(2026, 3, 2, tzinfo=UTC)
    assert (found.position, found.hash, found.holds) == (head.position, head.hash.hex(), False)
    assert [part.word for part in found.parts].count("fails") == 1


def test_a_figures_stamp_is_the_logs(world: World) -> None:
    log, row = ReadOnlyDatabase(world.of("event_log")), world.row_of("NewOrder")
    found = stamp(log, row["position"], "USD")
    assert found == Stamp(row["position"], row["hash"].hex(), "2026-01-01T00:00:00Z", "USD")
    with pytest.raises(StoreError, match=r"has no position 100000, .* `shop prove` says"):
        stamp(log, 100_000, "USD")


def prove_file(world: World, file: Path) -> Any:
    with closing(Proof(databases_of(world.settings), settled=False)) as proof:
        return proof.figures(file)


def exported(world: World, file: Path) -> bytes:
    log, projections = (ReadOnlyDatabase(world.of(each)) for each in ("event_log", "report"))
    found = report(projections, "USD")
    stamped = stamp(log, found.position, "USD")
    if file.suffix == ".json":
        return json.dumps({**as_json(found), **as_fields(stamped)}).encode()
    return form_named(file).make(found, stamped, By.MONTH, file.name, datetime.now(UTC))


@pytest.mark.parametrize("suffix", ["json", "csv", "parquet", "html"])
def test_an_exported_figure_is_proved_and_a_changed_log_denies_it(
    world: World, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"report.{suffix}"
    file.write_bytes(exported(world, file))
    assert prove_file(world, file).holds
    with world.changing() as connection:
        another_amount(connection, world.row_of("AuthorizationAccepted"))
    part = prove_file(world, file)
    assert "cents" in str(failure(part).by) or "cents" in failure(part).what
    with world.changing() as connection:
        hash_again(connection)
    last = last_position(world)
    assert failure(prove_file(world, file)).where == f"position {last}"


def test_a_log_that_is_not_there_is_not_made(empty_world: World) -> None:
    place = empty_world.of("event_log")
    with pytest.raises(StoreError, match="there is no event log at"):
        open_log_to_prove(place)
    assert ReadOnlyDatabase(place).identity() is None


def test_a_database_that_is_no_log_is_refused(empty_world: World) -> None:
    Database(empty_world.of("event_log"), [PositionRow]).close()
    with pytest.raises(StoreError, match="is no event log"):
        open_log_to_prove(empty_world.of("event_log"))


@pytest.mark.parametrize("settled_world", ["postgresql"], indirect=True)
def test_a_server_that_is_away_is_no_failure_of_the_proof(
    server: PostgresServer, world: World
) -> None:
    with closing(Proof(databases_of(world.settings), settled=False)) as proof:
        server.stop()
        try:
            for name in (PartName.CHAIN, PartName.PROJECTIONS, PartName.ORDERS):
                with pytest.raises(StoreError, match="can't be proved at the moment: "):
                    proof.run(name, lambda done, total: None)
            with pytest.raises(StoreError, match="can't be read: "):
                open_log_to_prove(world.of("event_log"))
        finally:
            server.start()
        assert proof.run(PartName.CHAIN, lambda done, total: None).holds
