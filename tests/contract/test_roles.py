"""Roles in Postgres that may only read: the dashboard's, of one schema, and the operator's, of all.

`shop migrate` makes the views and grants the rights; here they are made by hand.
"""

import itertools
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import ProgrammingError
from streamlit.testing.v1 import AppTest

from cli.dashboard_sources import sources_of
from cli.settings import Settings
from domain.errors import StoreError
from event_log.inbox import next_offsets
from event_log.log import last_position
from event_log.postgres import PostgresSchema
from reporting.dashboard.health_looking import look_at_proof, look_how_far, look_into
from reporting.dashboard.looking import Seen, look
from reporting.dashboard.orders_asked import Asked
from reporting.dashboard.orders_looking import look_at, look_for
from reporting.dashboard.sources import Sources
from reporting.history import report_at
from reporting.projections import all_projections
from reporting.proofs import keep
from reporting.read_only import ReadOnlyDatabase, look_up
from tests import expected
from tests.conftest import Home
from tests.contract.server import PostgresServer
from tests.contract.world import NAMES, ORDERS_PLACED, World

pytestmark = pytest.mark.parametrize("settled_world", ["postgresql"], indirect=True)

OTHERS = [name for name in NAMES if name not in ("report", "dead_letters")]
_numbers = itertools.count(1)


def role(server: PostgresServer, world: World, *schemas: str) -> World:
    """The same databases, for a role that may read these schemas and do nothing else."""
    name = f"reader_{next(_numbers)}"
    server.run(f"CREATE ROLE {name} LOGIN PASSWORD '{server.password}'")
    for schema in schemas:
        for right in ("USAGE ON SCHEMA", "SELECT ON ALL TABLES IN SCHEMA"):
            server.run(f'GRANT {right} "{schema}" TO {name}', world.database)
    home = Home(world.home.path, server.settings(world.database, name))
    return World(world.kind, home, world.topics)


@pytest.fixture
def dashboard(server: PostgresServer, world: World) -> Iterator[World]:
    """The databases for the dashboard's role, with a proof that was kept."""
    proved, parts = world.proved()
    keep(world.of("proofs"), proved, list(parts.values()), datetime.now(UTC))
    with world.changing("report") as connection:
        for name, schema in (("event_log", "event_log"), ("proofs", "proofs")):
            connection.exec_driver_sql(f"CREATE VIEW {name} AS SELECT * FROM {schema}.{name}")  # noqa: S608
    made = role(server, world, "report")
    yield made
    made.close()


@pytest.fixture
def sources(dashboard: World) -> Sources:
    return sources_of(dashboard.settings)


def test_all_that_the_pages_show_is_read_by_the_dashboards_role(
    dashboard: World, sources: Sources
) -> None:
    seen = look(sources, Seen())
    assert seen.trouble is None
    assert seen.report is not None
    assert seen.stamp is not None
    assert seen.report.totals.all.orders == ORDERS_PLACED
    log, projections = ReadOnlyDatabase(sources.log), ReadOnlyDatabase(sources.projections)
    end = last_position(log)
    assert report_at(log, projections, end, "USD")[0] == seen.report
    found = look_for(sources, Asked("USD", page=1)).found
    assert found is not None
    told = look_at(sources, found.stories[0].order_id)
    assert told.trouble is told.log_trouble is None
    assert len(told.events) >= 2
    reached = look_how_far(sources)
    assert reached.troubles == ()
    assert reached.log == seen.stamp
    assert {position for _, position in reached.projections} == {end}
    proof = look_at_proof(sources)
    assert (proof.trouble, proof.same, proof.log_position) == (None, True, end)
    assert proof.proved is not None
    assert proof.proved.holds
    for projection in all_projections().values():
        rows = look_into(sources, projection, "")
        assert rows.trouble is None
        assert rows.rows


def test_rows_are_found_by_how_their_key_begins_and_not_by_the_order_of_a_language(
    sources: Sources,
) -> None:
    stories = all_projections()["stories"]
    assert look_into(sources, stories, "CDNOW_master/0").rows
    for beginning in ("cdnow", "CDNOW-master", "ç", "a\0b"):
        found = look_into(sources, stories, beginning)
        assert (found.rows, found.trouble) == ((), None)


def test_the_dashboards_role_may_read_nothing_else_and_write_nothing(dashboard: World) -> None:
    for name in OTHERS:
        with pytest.raises(PermissionError, match=f"permission denied for schema {name}"):
            look_up(dashboard.of(name), next_offsets)
        query = f'SELECT * FROM "{name}".cluster'  # noqa: S608
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            ReadOnlyDatabase(dashboard.of(name)).reading() as connection,
        ):
            connection.exec_driver_sql(query)
    place = dashboard.of("report")
    assert isinstance(place, PostgresSchema)
    engine = place.connect()
    tables = ("revenue_by_day", "event_log", "proofs")
    for statement in (*(f"DELETE FROM {each}" for each in tables), "CREATE TABLE x (y int)"):  # noqa: S608
        with pytest.raises(ProgrammingError, match="permission denied"), engine.begin() as opened:
            opened.exec_driver_sql(statement)
    engine.dispose()


def page(sources):
    from reporting.dashboard import health

    health.show(sources)


def test_the_health_page_says_who_tells_what_the_role_may_not_ask(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Streamlit puts its script in this place, and processes that are started later would run it.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    shown = AppTest.from_function(page, args=(sources,), default_timeout=60).run()
    assert not shown.exception
    infos = [each.value for each in shown.info]
    reads_only = "The dashboard's role reads projections only: this is told by"
    assert infos == [
        f"{reads_only} `shop status`, typed in a terminal.",
        f"{reads_only} `shop dead-letters list`, typed in a terminal.",
    ]
    assert [each.value[:12] for each in shown.success] == ["**It holds**"]
    assert [each.key for each in shown.button] == [], "no proof is offered"
    said = "\n".join(each.value for each in shown.caption)
    assert "it is proved by `shop prove`" in said
    assert "The log's newest event is at position" in said
    assert list(shown.warning) == list(shown.error) == []


def test_without_rights_or_projections_the_pages_say_so(
    server: PostgresServer, world: World
) -> None:
    nobody = role(server, world)
    found = sources_of(nobody.settings)
    assert "permission denied" in str(look(found, Seen()).trouble)
    assert "permission denied" in str(look_for(found, Asked("USD")).trouble)
    nobody.close()


def test_the_operator_reads_the_report_and_says_how_far_it_is_behind(
    server: PostgresServer, world: World
) -> None:
    operator = role(server, world, "report", "event_log")
    orders = expected.purchases(ORDERS_PLACED)
    wanted = expected.report(orders, expected.outcomes(orders))
    done = operator.home.shop("report", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert {name: found[name] for name in wanted} == wanted
    before = "SELECT hash FROM event_log.event_log AS log WHERE log.position = at.position - 5"
    back = f"UPDATE projected AS at SET position = position - 5, hash = ({before})"  # noqa: S608
    world.change("report", back)
    # Who may not write is told so, and what he may do is done.
    done = operator.home.shop("report")
    assert done.returncode == 0
    assert "5 events behind the log: `shop run projector` takes them in" in done.stderr
    done = operator.home.shop("replay")
    assert done.returncode == 1
    assert done.stderr.startswith("shop: ")
    assert "permission denied" in done.stderr
    for said in (done.stderr, done.stdout):
        assert "Traceback" not in said
        assert server.password not in said
    operator.close()


def test_a_proof_needs_no_more_than_to_read(server: PostgresServer, world: World) -> None:
    operator = role(server, world, "event_log", "report", "order")
    assert {part.holds for part in operator.prove(settled=True).values()} == {True}
    operator.close()


def test_a_right_that_is_missing_is_no_failure_of_the_proof(
    server: PostgresServer, world: World
) -> None:
    operator = role(server, world, "event_log", "report")
    with pytest.raises(StoreError, match="orders can't be proved: permission denied for schema"):
        operator.prove(offline=True)
    server.run(f"REVOKE SELECT ON report.projected FROM {operator.name}", world.database)  # noqa: S608
    with pytest.raises(StoreError, match="projections can't be proved at the moment: permission"):
        operator.prove(offline=True)
    operator.close()


def test_settings_name_the_role_and_never_the_password(dashboard: World) -> None:
    assert isinstance(dashboard.settings, Settings)
    done = dashboard.home.shop("settings")
    password = dashboard.home.settings["SHOP_DATABASE_PASSWORD"]
    assert "postgresql://reader_" in done.stdout
    assert password not in done.stdout + done.stderr
