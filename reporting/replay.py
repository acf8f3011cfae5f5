"""Replay: projections made anew from the log beside the live ones, and put in their place.

Nothing here reaches further than the two databases: a replay can't publish anything.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from uuid import uuid4

from sqlalchemy import Connection, MetaData, Table, inspect, quoted_name, select

from domain.errors import ShopError
from event_log.database import Database, table_of
from event_log.log import last_position
from reporting import projector
from reporting.agreement import Disagreement, disagreements
from reporting.projection import Projection, shadow_table
from reporting.projector import Reached, ReplayedRow, View, live
from reporting.proof import Head
from reporting.proof_of_log import prove_chain
from reporting.set_aside import aside, forget
from reporting.told import read_told

Progress = Callable[[str, int, int], None]
"""Is told what is done, how much of it, and of how much."""

READING, CHECKING_LOG, CHECKING_ROWS = "replayed", "log checked", "rows checked"


_replayed = table_of(ReplayedRow)


class ReplayRefused(ShopError):
    """A replay whose rows, or whose log, are not right: the live projections stay as they are."""

    def __init__(self, message: str, found: dict[str, list[Disagreement]] | None = None) -> None:
        super().__init__(message)
        self.found = found or {}


@dataclass(frozen=True)
class Replayed:
    """What a replay came to: the position it swapped at, and where it began (0 unless resumed)."""

    position: int
    resumed_at: int


@lru_cache
def shadow(projection: Projection) -> View:
    """The rows that a replay makes, beside the live ones."""
    return View(projection, shadow_table(projection), _replayed)


def replay(
    log: Database,
    projections: Database,
    chosen: Sequence[Projection],
    progress: Progress = lambda what, done, total: None,
    again: Collection[int] = frozenset(),
) -> Replayed:
    """Make projections anew from the log, check them, and swap them in, in one transaction.

    What an earlier call that was stopped has done is not done again. Until the swap, the live
    projections serve and may be brought up to date by anybody.

    Args:
        log: the event log.
        projections: the database of the projections.
        chosen: the projections to make anew.
        progress: is told how far it is.
        again: positions of events that were set aside, and are taken in again from now on; then
            all projections must be chosen.

    Raises:
        Unreadable: an event can't be read.
        ReplayRefused: the log's hash chain is broken, or rows are not what their checks give. The
            shadow is kept to be looked at, and the next replay begins anew.
        StoreError: a database can't be used, the projections were made from another log, or
            another replay runs.
    """
    views = [shadow(projection) for projection in chosen]
    with projections.alone("replay"):
        projector.refuse_another_log(log, projections, map(live, chosen))
        projections.in_transaction(partial(_prepare, log, views, bool(again)))
        began = _least(projections, views)
        _read_all(log, projections, views, progress, again)
        _check(log, projections, views, progress, again)
        # The lock of the swap holds up the live projections: most of what came is taken in before.
        _read_all(log, projections, views, progress, again)
        return Replayed(projections.in_transaction(partial(_swap, log, views, again)), began)


def _prepare(log: Database, views: Iterable[View], anew: bool, connection: Connection) -> None:
    """Begin the shadows that are not begun yet, and anew those that nothing good can come of."""
    for view in views:
        name = view.projection.name
        there = inspect(connection).has_table(view.table.name)
        known = connection.execute(_replayed.select().filter_by(projection=name)).first()
        at = view.reached(connection)
        good = known is not None and not known.refused and projector.follows(log, at)
        if there and good and not anew:
            continue
        _empty(connection, view.table)
        view.move(connection, Reached())


def _empty(connection: Connection, table: Table) -> None:
    if connection.dialect.name != "sqlite":
        # The projector's role makes no tables there.
        connection.exec_driver_sql(f'TRUNCATE "{table.name}"')
        return
    table.drop(connection, checkfirst=True)
    # Names of indexes are the database's, and stay when a table is renamed: each needs a new one.
    made = table.to_metadata(MetaData())
    token = uuid4().hex[:8]
    for number, index in enumerate(sorted(made.indexes, key=lambda each: str(each.name))):
        # Without the columns' names: Postgres takes 63 characters.
        index.name = quoted_name(f"ix_{table.name}_{number}_{token}", None)
    made.create(connection)


def _read_all(
    log: Database,
    projections: Database,
    views: Sequence[View],
    progress: Progress,
    again: Collection[int],
) -> None:
    end = last_position(log)
    while True:
        progress(READING, min(_least(projections, views), end), end)
        if not projector.take_in(log, projections, views, again=again):
            return
        # It may have grown meanwhile.
        end = max(end, _least(projections, views))


def _least(projections: Database, views: Sequence[View]) -> int:
    return min(place.position for place in projector.places(projections, views))


def _check(
    log: Database,
    projections: Database,
    views: Sequence[View],
    progress: Progress,
    again: Collection[int],
) -> None:
    reached = max(projector.places(projections, views))
    with projections.reading() as connection:
        left_out = frozenset(aside(connection)) - frozenset(again)
    _check_log(log, reached, progress, left_out)
    wrong: dict[str, list[Disagreement]] = {}
    for number, view in enumerate(views):
        progress(CHECKING_ROWS, number, len(views))
        projection = view.projection
        found = disagreements(
            log, projections, projection, reached.position, view=view, again=again
        )
        if found:
            wrong[projection.name] = found
    progress(CHECKING_ROWS, len(views), len(views))
    if wrong:
        projections.in_transaction(partial(_refuse, wrong))
        first = "; ".join(f"{name}: {found[0]}" for name, found in wrong.items())
        raise ReplayRefused(
            f"the rows are not what the log says, and the live ones stay. {first}. What was made "
            "is kept beside them, and the next replay begins anew",
            wrong,
        )


def _check_log(
    log: Database, reached: Reached, progress: Progress, left_out: Collection[int]
) -> None:
    head = Head(reached.position, reached.hash, None, {})
    told = partial(progress, CHECKING_LOG)
    # In this process alone: others would live on if it was killed.
    finding = prove_chain(log, head, told, 1, left_out)
    if finding.failure is not None:
        failure = finding.failure
        raise ReplayRefused(
            f"the log {log} fails at {failure.where}: {failure.what}. The live projections "
            "stay; `shop prove` says more"
        )


def _refuse(names: Iterable[str], connection: Connection) -> None:
    for name in names:
        connection.execute(_replayed.update().filter_by(projection=name), {"refused": True})


def _swap(
    log: Database, views: Sequence[View], again: Collection[int], connection: Connection
) -> int:
    """Put the shadows in the place of the live tables; what came during the check is taken in."""
    forget(connection, again)
    left_out = aside(connection)
    while events := read_told(log, _position(views, connection), projector.BATCH, left_out):
        projector.take(views, events, connection)
    for view in views:
        old = live(view.projection)
        if connection.dialect.name == "sqlite":
            old.table.drop(connection)
            rename = f'ALTER TABLE "{view.table.name}" RENAME TO "{old.table.name}"'
            connection.exec_driver_sql(rename)
        else:
            # Whoever reads sees rows as they were when he began, but tables as they are now: under
            # the live name he would find a shadow that had some of its rows then, or none.
            connection.execute(old.table.delete())
            names = [column.name for column in old.table.columns]
            connection.execute(old.table.insert().from_select(names, select(view.table)))
            _empty(connection, view.table)
        old.move(connection, view.reached(connection))
        connection.execute(_replayed.delete().filter_by(projection=view.projection.name))
    return _position([live(view.projection) for view in views], connection)


def _position(views: Iterable[View], connection: Connection) -> int:
    return min(view.reached(connection).position for view in views)
