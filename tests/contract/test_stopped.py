"""An event that can't be read stops the projections by name, and is set aside by command."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.standings import find_out
from cli.status import what_is_wrong
from domain.errors import ShopError
from event_log.database import Database
from event_log.log import last_position
from event_log.outbox import waiting
from reporting import told
from reporting.agreement import disagreements
from reporting.dashboard.health_looking import look_how_far
from reporting.dashboard.looking import Seen, look
from reporting.dashboard.sources import Sources
from reporting.figure import as_fields, stamp
from reporting.history import compare, report_at
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof import Finding
from reporting.proof_of_figure import prove_figures
from reporting.proof_of_log import look as look_at_log
from reporting.proof_of_log import prove_chain
from reporting.proof_of_projections import prove_projections
from reporting.read_only import ReadOnlyDatabase
from reporting.replay import replay
from reporting.report import as_json, report
from reporting.set_aside import aside_in, refuse_to_take_in, set_aside, stopped
from reporting.told import Unreadable
from services.batch import handle_batch
from services.recorder import RecorderService
from tests.by_hand import NOW, accepted, declined, deliveries, put, put_unreadable
from tests.contract.conftest import Places
from tests.contract.world import World

BAD = 3
DECLINED = "shop.AuthorizationDeclined.v1"
ALL = list(all_projections().values())

Databases = tuple[Database, Database]


@pytest.fixture
def log(recorder: RecorderService) -> Database:
    """Two events, one that can't be read, and two more."""
    database = recorder.database
    put(database, [accepted("a", "1997-01-05", 1000), declined("b", "1997-01-06", 20)])
    assert put_unreadable(database, accepted("x", "1997-01-07", 99)) == BAD
    put(database, [accepted("c", "1997-02-05", 300), declined("d", "1997-02-06", 4)])
    return database


@pytest.fixture
def projections(places: Places) -> Iterator[Database]:
    made = open_projections(places.of("report"))
    yield made
    made.close()


def cents(found: object) -> tuple[int, int]:
    totals = found.totals  # type: ignore[attr-defined]
    return totals.accepted.cents, totals.all_declined.cents


def why_stopped(projections: Database) -> str | None:
    with projections.reading() as connection:
        return stopped(connection)


def proved(log: Database, projections: Database) -> Finding:
    place = ReadOnlyDatabase(projections.place)
    return prove_projections(log, place, lambda done, total: None)


def test_what_comes_before_it_is_reported_and_it_is_named(
    log: Database, projections: Database
) -> None:
    for _ in range(2):
        with pytest.raises(Unreadable, match=r"position 3 .* of order x, .* --without 3 --note"):
            catch_up(log, projections)
        found = report(projections, "USD")
        assert (found.position, cents(found)) == (2, (1000, 20))
        said = why_stopped(projections)
        assert said is not None
        for part in ("position 3", "order x", "shop.AuthorizationAccepted.v1"):
            assert part in said
    assert report_at(log, projections, 2, "USD")[0] == found
    assert [disagreements(log, projections, each, 2) for each in ALL] == [[]] * len(ALL)
    sources = Sources(log.place, projections.place, "USD")
    assert look(sources, Seen()).stopped == said
    assert any("stops before position 3" in each for each in look_how_far(sources).troubles)


def test_set_aside_everything_else_is_reported_and_proved(
    log: Database, projections: Database, tmp_path: Path
) -> None:
    with pytest.raises(Unreadable):
        catch_up(log, projections)
    set_aside(log, projections, BAD, "asked the source")
    assert catch_up(log, projections) == 5
    assert why_stopped(projections) is None
    found = report(projections, "USD")
    assert (found.position, cents(found)) == (5, (1300, 24))
    assert report_at(log, projections, 5, "USD")[0] == found
    assert compare(log, projections, 0, 5, "USD", 9).orders_in_all == 4
    assert [disagreements(log, projections, each, 5) for each in ALL] == [[]] * len(ALL)
    finding = proved(log, projections)
    assert finding.failure is None
    (note,) = finding.notes
    assert "position 3" in note
    assert "asked the source" in note
    head = look_at_log(ReadOnlyDatabase(log.place))
    looked = ReadOnlyDatabase(log.place)
    for aside, holds in (((), False), ((BAD,), True)):
        chain = prove_chain(looked, head, lambda done, total: None, 1, aside)
        assert (chain.failure is None) is holds
    replay(log, projections, ALL)
    assert report(projections, "USD") == found
    sources = Sources(log.place, projections.place, "USD")
    seen = look(sources, Seen())
    assert (seen.stopped, seen.stamp and seen.stamp.set_aside) == (None, (BAD,))
    put(log, [accepted("e", "1997-02-07", 5)])
    assert catch_up(log, projections) == 6


def test_a_figure_says_what_it_is_without_and_only_what_cant_be_read(
    log: Database, projections: Database, tmp_path: Path
) -> None:
    set_aside(log, projections, BAD, "asked the source")
    catch_up(log, projections)
    found, head = report(projections, "USD"), look_at_log(ReadOnlyDatabase(log.place))
    stamped = stamp(log, 5, "USD", aside_in(projections))
    assert stamp(log, 2, "USD", aside_in(projections)).set_aside == ()
    file = tmp_path / "report.json"
    file.write_text(json.dumps({**as_json(found), **as_fields(stamped)}))
    finding = prove_figures(log, head, file)
    assert (finding.failure, len(finding.notes)) == (None, 1)
    forged = {**as_json(found), **as_fields(replace(stamped, set_aside=(BAD, 4)))}
    file.write_text(json.dumps(forged))
    failure = prove_figures(log, head, file).failure
    assert failure is not None
    assert (failure.where, "though it can be read" in failure.what) == ("position 4", True)


def test_only_what_cant_be_read_is_set_aside(log: Database, projections: Database) -> None:
    for position, why in ((1, "can be read"), (9, "no position 9")):
        with pytest.raises(ShopError, match=why):
            set_aside(log, projections, position, "no reason")
    assert aside_in(projections) == ()


def test_it_is_taken_in_again_once_it_can_be_read(
    recorder: RecorderService, projections: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a newer program: this one doesn't know a type at first."""
    log = recorder.database
    put(log, [accepted("a", "1997-01-05", 1000), declined("b", "1997-01-06", 20)])
    put(log, [accepted("c", "1997-02-05", 300)])
    with monkeypatch.context() as patch:
        patch.delitem(told._DECODERS, DECLINED)
        with pytest.raises(Unreadable, match="no event is called so"):
            catch_up(log, projections)
        set_aside(log, projections, 2, "of a newer program")
        assert catch_up(log, projections) == 3
        assert cents(report(projections, "USD")) == (1300, 0)
        assert proved(log, projections).failure is None
        with pytest.raises(ShopError, match="still can't be read"):
            refuse_to_take_in(log, projections, [2])
    failure = proved(log, projections).failure
    assert failure is not None
    assert "though it can be read" in failure.what
    with pytest.raises(ShopError, match="1 is not set aside: those are 2"):
        refuse_to_take_in(log, projections, [1])
    refuse_to_take_in(log, projections, [2])
    replay(log, projections, ALL, again=[2])
    assert aside_in(projections) == ()
    assert cents(report(projections, "USD")) == (1300, 20)
    assert proved(log, projections).failure is None


def test_said_again_it_is_refused_and_the_recorder_goes_on(
    recorder: RecorderService, log: Database
) -> None:
    good = [each.record for each in deliveries([accepted("x", "1997-01-07", 99)], 70)]
    more = [each.record for each in deliveries([accepted("y", "1997-01-07", 98)], 71)]
    handle_batch(recorder, [*good, *more], NOW)
    assert last_position(log) == 6
    assert waiting(log) == 1


def test_the_commands_say_so_and_give_the_way_out(empty_world: World) -> None:
    world = empty_world
    recorder = RecorderService(world.of("event_log"))
    put(recorder.database, [accepted("a", "1997-01-05", 1000)])
    put_unreadable(recorder.database, accepted("x", "1997-01-07", 99))
    put(recorder.database, [accepted("c", "1997-02-05", 300)])
    recorder.database.close()
    projections = open_projections(world.of("report"))
    with pytest.raises(Unreadable):
        catch_up(recorder.database, projections)

    def wrong() -> list[str]:
        found = find_out(world.settings, datetime.now(UTC))
        return [each for each in what_is_wrong(found, []) if each.startswith("report:")]

    (sentence,) = wrong()
    assert "position 2" in sentence
    assert "order x" in sentence
    before = world.home.shop("report", "--json")
    assert before.returncode == 0, before.stderr
    assert json.loads(before.stdout)["totals"]["accepted"] == {"orders": 1, "cents": 1000}
    assert "position 2" in before.stderr
    bare = world.home.shop("replay", "--without", "2")
    assert (bare.returncode, "--note" in bare.stderr) == (2, True)
    done = world.home.shop("replay", "--without", "2", "--note", "asked the source")
    assert done.returncode == 0, done.stderr
    assert "up to position 3" in done.stdout
    assert wrong() == []
    (left,) = find_out(world.settings, datetime.now(UTC)).set_aside
    assert "asked the source" in left
    after = json.loads(world.home.shop("report", "--json").stdout)
    assert (after["totals"]["accepted"]["cents"], after["set_aside"]) == (1300, [2])
    held = world.home.shop("prove", "--offline", "--part", "chain", "--part", "projections")
    assert held.returncode == 0, held.stdout
    assert "asked the source" in " ".join(held.stdout.split())
    again = world.home.shop("replay", "--with", "2")
    assert (again.returncode, "still can't be read" in again.stderr) == (1, True)
    assert world.home.shop("replay").returncode == 0
    projections.close()
