"""Migrating a Postgres database, by `shop migrate`; and services in it, each by its own role."""

import json
from contextlib import closing
from dataclasses import replace

import pytest

from cli.databases import OPENED
from cli.place import read_purchases
from cli.secrets_folder import DATABASE_PASSWORD
from domain.house_accounts import HouseAccounts
from domain.money import Money
from event_log.access.rights import RIGHTS, VIEWS, role_of
from event_log.inbox import advance
from event_log.log import last_position
from event_log.outbox import enqueue
from event_log.revisions import CURRENT
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof import Head
from reporting.proofs import keep, newest
from reporting.read_only import ReadOnlyDatabase
from reporting.replay import replay
from reporting.report import report
from services.heartbeat import Heartbeat
from services.letter_store import keep_letters
from services.letters import LetterDesk
from services.payment import PaymentService
from services.recorder import RecorderService, open_log
from tests import expected
from tests.conftest import Home
from tests.contract.next_version import NextVersion
from tests.contract.stack import Stack, tables_of
from tests.integration.pipes import NOW, Shop
from transport.letters import read_letter
from transport.records import Outgoing
from transport.topics import TopicPartition


def test_without_principals_there_are_schemas_and_tables_only(empty_stack: Stack) -> None:
    home = empty_stack.migrate(principals=False)
    check = home.shop("migrate", "--check")
    assert check.returncode == 1
    assert f"order: would be made, at {CURRENT}" in check.stdout
    assert tables_of(empty_stack) == {}
    done = home.shop("migrate")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(tables_of(empty_stack)) == set(OPENED)
    assert set(VIEWS.values()) <= set(tables_of(empty_stack)["report"])
    assert home.shop("migrate", "--check").returncode == 0
    # Nobody was given, or lost, a right.
    found = empty_stack.done("--check")
    assert any(each.startswith("revoked: ") and "PUBLIC" in each for each in found)


def test_an_owner_who_is_no_superuser_will_do(empty_stack: Stack) -> None:
    run = empty_stack.server.run
    run("DROP ROLE IF EXISTS plain_owner")
    run(f"CREATE ROLE plain_owner LOGIN CREATEROLE PASSWORD '{empty_stack.server.password}'")
    run(f"ALTER DATABASE {empty_stack.database} OWNER TO plain_owner")
    empty_stack.owner = "plain_owner"
    # Roles that somebody else has made, which others of these tests may have done.
    roles = [role_of(principal) for principal in RIGHTS]
    make = f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{roles[0]}') THEN CREATE ROLE"
    run(f"DO $$ BEGIN {make} {roles[0]}; END IF; END $$")
    refused = empty_stack.migrate().shop("migrate")
    assert refused.returncode == 1
    assert "are as they were: permission denied to alter role" in refused.stderr
    assert "admin option on" in refused.stderr.lower()
    for (role,) in empty_stack.server.found("SELECT rolname FROM pg_roles"):
        if role in roles:
            run(f"GRANT {role} TO plain_owner WITH ADMIN OPTION, INHERIT FALSE, SET FALSE")
    assert empty_stack.done()
    empty_stack.connect("order").close()
    assert empty_stack.done("--check") == []
    empty_stack.write("order", "another")
    assert "role shop_order: its password is set" in empty_stack.done()
    empty_stack.connect("order").close()


def test_a_password_that_is_missing_changes_nothing(empty_stack: Stack) -> None:
    (empty_stack.folder / "principals" / "warehouse" / DATABASE_PASSWORD).unlink()
    done = empty_stack.migrate().shop("migrate")
    assert done.returncode == 1
    assert "the password of warehouse can't be read" in done.stderr
    assert tables_of(empty_stack) == {}


@pytest.fixture
def home(stack: Stack) -> Home:
    """Where the recorder runs."""
    return service(stack, "recorder")


def service(stack: Stack, principal: str) -> Home:
    settings = stack.server.settings(stack.database, role_of(principal))
    settings |= {"SHOP_DATABASE_PASSWORD": stack.passwords[principal], **stack.version}
    return Home(stack.folder, settings)


def test_a_service_whose_schema_is_not_its_own_or_not_there_says_so(
    stack: Stack, home: Home
) -> None:
    refused = home.shop("run", "payment")
    assert refused.returncode == 1
    assert "its role has no right on this schema" in refused.stderr
    stack.server.run("DROP SCHEMA event_log CASCADE", stack.database)
    done = home.shop("run", "recorder")
    assert done.returncode == 1
    assert "is not there yet, and its role may not make it: run `shop migrate`" in done.stderr
    assert f"event_log: made, at {CURRENT}" in stack.migrate().shop("migrate").stdout


def test_tables_that_a_service_has_open_are_not_changed_under_it(
    stack: Stack, next_version: NextVersion
) -> None:
    with closing(RecorderService(stack.place("recorder", "event_log")).database) as database:
        with database.reading():
            pass
        stack.version = next_version.environment
        assert (
            f"order: would be brought from {CURRENT}"
            in stack.migrate().shop("migrate", "--check").stdout
        )
        said = service(stack, "recorder").shop("run", "recorder")
        assert said.returncode == 1
        assert f"(schema event_log) is at revision {CURRENT}, and" in said.stderr
        assert "run `shop migrate`" in said.stderr
        refused = stack.migrate().shop("migrate")
        assert refused.returncode == 1
        assert "(schema event_log) is open in another process: stop the services" in refused.stderr
        assert f"order: brought from {CURRENT} to {next_version.after}" in refused.stdout
    both = [stack.migrate().start("migrate", "--json") for _ in range(2)]
    told = [json.loads(process.communicate(timeout=200)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    done = [each for said in told for each in said["databases"] if each["done"]]
    assert [(each["database"], each["found"]) for each in done] == [("event_log", CURRENT)]
    view = "the view of report.event_log is made"
    assert [view in said["access"] for said in told].count(True) == 1
    assert stack.migrate().shop("migrate", "--check").returncode == 0


def test_each_service_does_its_work_with_no_more_rights_than_it_has(stack: Stack) -> None:
    """All of a shop's work, each part by its own role."""
    of = {"order": "order", "payment": "payment", "warehouse": "warehouse", "event_log": "recorder"}
    shop = Shop(lambda schema: stack.place(of[schema], schema))
    for each in shop.services:
        each.database.bind_to_cluster("one")
    orders = read_purchases(expected.DATA, "USD")[0][:61]
    shop.place(orders[:60])
    first = shop.topics.of("orders")[0]
    broken = replace(first, offset=len(shop.topics.of("orders")), value=b"{")
    shop.topics.records["orders", first.partition].append(broken)
    shop.run()
    for schema, principal in of.items():
        assert Heartbeat(stack.place(principal, schema), principal).beat()
    payment = stack.place("responder", "payment")
    responder = PaymentService(payment, HouseAccounts(Money(1, "USD")))
    responder.database.in_transaction(lambda at: responder.decide(at, orders))
    responder.database.in_transaction(lambda at: enqueue(at, [Outgoing("replies", b"", (), b"")]))
    responder.database.in_transaction(lambda at: advance(at, {TopicPartition("asked", 0): 5}, NOW))
    assert Heartbeat(payment, "responder").beat()
    responder.database.close()
    log = open_log(stack.place("projector", "event_log"))
    projections = open_projections(stack.place("projector", "report"))
    assert Heartbeat(stack.place("projector", "report"), "projector").beat()
    end = catch_up(log, projections)
    assert end == last_position(log) > 100
    for _ in range(2):
        assert replay(log, projections, list(all_projections().values())).position == end

    desk = LetterDesk(stack.place("operator", "dead_letters"))
    came = [read_letter(each) for each in shop.topics.of("orders.dead-letter")]
    desk.database.in_transaction(lambda at: keep_letters(at, came))
    (letter,) = desk.letters()
    assert desk.send([letter.name], NOW) == 1
    keep(stack.place("operator", "proofs"), Head(end, b"", None, {}), [], NOW)
    # Who looks, looks by the views.
    seen = stack.place("dashboard", "report")
    proved = newest(seen)
    assert proved is not None
    assert proved.position == end
    looked = ReadOnlyDatabase(seen)
    told = expected.purchases(60)
    wanted = expected.report(told, expected.outcomes(told))["totals"]["accepted"]
    assert report(looked, "USD").totals.accepted._asdict() == wanted
    assert last_position(looked) == end
    for database in (log, projections, desk.database, looked):
        database.close()
    for each in shop.services:
        each.database.close()
    ReadOnlyDatabase(seen).close()
