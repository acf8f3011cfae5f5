"""What the Orders page looks at: the orders' stories, and single events of the log."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from event_log.database import reason, table_of
from event_log.log import EventRow, RecordedEvent
from reporting.dashboard.orders_asked import Asked
from reporting.dashboard.orders_found import Found, find, story_of
from reporting.dashboard.sources import Sources
from reporting.projections.late import LateRow
from reporting.projections.stories import Story, StoryRow
from reporting.read_only import ReadOnlyDatabase, look_up
from reporting.revenue import RevenueRow

_events, _late, _revenue = table_of(EventRow), table_of(LateRow), table_of(RevenueRow)


_GONE = "they are not there any more"


@dataclass(frozen=True)
class Orders:
    """What was found; `empty` before the first order, and why it can't be read otherwise."""

    found: Found | None = None
    empty: bool = False
    trouble: str | None = None


@dataclass(frozen=True)
class Looked:
    """One order's story and its events; what of the log can't be read is in `log_trouble`.

    `loaded` says that nothing of its month was recorded before the month was over: no figure that
    was reported has changed by it.
    """

    story: Story | None = None
    loaded: bool = False
    events: tuple[RecordedEvent, ...] = ()
    empty: bool = False
    trouble: str | None = None
    log_trouble: str | None = None


def look_for(sources: Sources, asked: Asked) -> Orders:
    """The orders that are asked for."""

    def read(connection: Connection) -> Orders:
        found = find(connection, asked)
        if found.stories or found.more:
            return Orders(found)
        return Orders(found, empty=not find(connection, Asked(asked.currency)).stories)

    try:
        return look_up(sources.projections, read, StoryRow) or Orders(empty=True)
    except (SQLAlchemyError, OSError) as error:
        return Orders(trouble=reason(error))


def look_at(sources: Sources, order_id: str) -> Looked:
    """One order."""

    def read(connection: Connection) -> Looked:
        story = story_of(connection, order_id)
        return Looked(story, loaded=story is not None and _loaded(connection, story))

    try:
        tables = (StoryRow, RevenueRow, LateRow)
        known = look_up(sources.projections, read, *tables) or Looked(empty=True)
    except (SQLAlchemyError, OSError) as error:
        return Looked(trouble=reason(error))
    story = known.story
    if story is None:
        return known
    wanted = positions_of(story)
    try:
        events = events_at(ReadOnlyDatabase(sources.log), wanted)
    except (SQLAlchemyError, OSError, ValueError) as error:
        return replace(known, log_trouble=reason(error))
    missing = sorted(set(wanted) - {each.position for each in events})
    others = [each.position for each in events if each.correlation_id != order_id]
    trouble = None
    if missing or others:
        where = ", ".join(f"{each:,}" for each in missing or others)
        trouble = f"it doesn't have this order at position {where}; `shop prove` says what is wrong"
    return replace(known, events=events, log_trouble=trouble)


def _loaded(connection: Connection, story: Story) -> bool:
    """Whether all of an order's month, in its currency, was recorded when the month was over."""
    month = story.ordered_at[:7]
    late = select(func.sum(_late.c.orders)).where(_late.c.month == month)
    all_of_it = select(func.sum(_revenue.c.orders)).where(
        _revenue.c.day >= f"{month}-01", _revenue.c.day <= f"{month}-31"
    )
    counts = [
        connection.scalar(query.where(table.c.currency == story.currency))
        for query, table in ((late, _late), (all_of_it, _revenue))
    ]
    return counts[0] is not None and counts[0] == counts[1]


def after_orders(before: Orders, now: Orders) -> Orders:
    """What to show of orders: what was found `before`, where they can't be read now."""
    if now.trouble is not None:
        return replace(before, trouble=now.trouble)
    if now.empty and before.found is not None and before.found.stories:
        return replace(before, trouble=_GONE)
    return now


def after(before: Looked, now: Looked) -> Looked:
    """What to show of an order: what was seen of it `before`, where it can't be read now."""
    if now.trouble is not None:
        return replace(before, trouble=now.trouble)
    if now.empty and before.story is not None:
        return replace(before, trouble=_GONE)
    if now.log_trouble is not None and not now.events:
        return replace(now, events=before.events)
    return now


def positions_of(story: Story) -> list[int]:
    """Where the log has the steps of a story."""
    places = (story.placed_position, story.authorized_position, story.shipped_position)
    return [each for each in places if each is not None]


def events_at(log: ReadOnlyDatabase, positions: list[int]) -> tuple[RecordedEvent, ...]:
    """Single events of the log, by their positions."""
    with log.reading() as connection:
        rows = connection.execute(select(_events).where(_events.c.position.in_(positions)))
        return tuple(map(RecordedEvent._make, rows))
