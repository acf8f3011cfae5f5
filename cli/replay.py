"""`shop replay`: projections made anew from the log, or the log's events published again."""

import re
import reprlib
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]
from rich.progress import Progress, TaskID

from cli.composition import bootstrap_servers, publisher
from cli.console import RateColumn, err, out, print_json, progress_bar
from cli.report import moment
from cli.settings import Settings
from domain.contracts import AuthorizationFailed, payload_of
from domain.errors import ContractError, ShopError, StoreError
from event_log.database import Database
from event_log.log import RecordedEvent, last_position, read
from reporting import replay as replaying
from reporting.history import first_position, position_at
from reporting.projection import Projection
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof_of_log import open_log_to_prove
from reporting.replay import ReplayRefused
from reporting.set_aside import refuse_to_take_in, set_aside
from transport.bounds import batches
from transport.clients import admin_client
from transport.cluster import ClusterView
from transport.codec import decode
from transport.envelope import Envelope, to_headers
from transport.records import Outgoing
from transport.servers import Servers
from transport.topics import TOPIC_NAME, TOPICS, dead_letter_topic, topic_config
from transport.trouble import Tried, trouble

PUBLISHED_AT_ONCE = 5000
"""Events that are sent before the broker's answers are waited for."""

EXIT_TERMINATED = 143


def replay(
    projections: Annotated[
        list[str] | None, typer.Argument(help="Which; all if none is named.")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="Publish the log's events to this new topic instead.")
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="With --to: first position, or time of recording.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="With --to: last position, or time of recording.")
    ] = None,
    into_live_topic: Annotated[
        bool,
        typer.Option(
            "--into-live-topic",
            help="With --to: the topic may be one that services read. They take each event for a "
            "repeat, if they still know its id.",
        ),
    ] = False,
    without: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**18,
            help="Go on without the event at this position, which can't be read.",
        ),
    ] = None,
    note: Annotated[str | None, typer.Option(help="With --without: why, for whoever asks.")] = None,
    with_: Annotated[
        list[int] | None,
        typer.Option("--with", help="Take in again what was set aside at this position."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Make projections anew from the log, beside the live ones, and swap them in.

    They are swapped in when the log's hash chain is whole and the rows are those of a second
    computation; else the live ones stay, and the exit code is 1. It may be stopped at any time: the
    next call goes on from there.

    With --to, the log's events are published again, in order, under their own ids and times.

    An event that can't be read stops all projections. With --without they go on without it, from
    where they are: the log keeps it, each figure says that it isn't in it, and --with takes it in
    again, once a program can read it.
    """
    settings = Settings()
    if (without is None) is not (note is None):
        raise typer.BadParameter("--without needs a --note that says why, and --note goes with it")
    if sum(map(bool, (without, with_, projections, to))) > 1:
        raise typer.BadParameter("--without, --with, --to and projections go alone each")
    if without is not None and note is not None:
        _set_aside(settings, without, note, json=json)
        return
    if to is not None:
        _republish(settings, to, from_, until, into_live_topic=into_live_topic, json=json)
        return
    if from_ is not None or until is not None or into_live_topic:
        raise typer.BadParameter("--from, --until and --into-live-topic go with --to")
    _rebuild(settings, _chosen(projections or []), with_ or [], json=json)


def _chosen(names: list[str]) -> list[Projection]:
    known = all_projections()
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _set_aside(settings: Settings, position: int, note: str, *, json: bool) -> None:
    log = open_log_to_prove(settings.database("event_log"))
    projections = open_projections(settings.database("report"))
    made = set_aside(log, projections, position, note)
    if not json:
        out.print(f"{made}", markup=False, highlight=False)
    reached = catch_up(log, projections)
    if json:
        print_json({"set_aside": made.position, "order": made.order_id, "position": reached})
        return
    out.print(f"the projections went on without it, up to position {reached:,}", highlight=False)


def _rebuild(settings: Settings, chosen: list[Projection], again: list[int], *, json: bool) -> None:
    log = open_log_to_prove(settings.database("event_log"))
    projections = open_projections(settings.database("report"))
    refuse_to_take_in(log, projections, again)
    names = [projection.name for projection in chosen]
    try:
        with _stoppable(lambda: "the next `shop replay` goes on from there"), _bar() as bar:
            done = replaying.replay(log, projections, chosen, _Steps(bar), again)
    except ReplayRefused as refused:
        if json:
            found = {name: [asdict(each) for each in some] for name, some in refused.found.items()}
            why = {"reason": str(refused), "disagreements": found}
            print_json({"swapped": False, "projections": names, **why})
            raise typer.Exit(1) from None
        raise
    if json:
        print_json({"swapped": True, "projections": names, **asdict(done)})
        return
    resumed = f", resumed at {done.resumed_at:,}" if done.resumed_at else ""
    out.print(f"replayed and swapped in up to position {done.position:,}{resumed}: ", end="")
    out.print(", ".join(names))


class _Steps:
    """Shows a replay's steps, one bar for each."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            # What an earlier call has done is no rate of this one.
            self._tasks[what] = self._bar.add_task(what, completed=done, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)


def _republish(
    settings: Settings,
    topic: str,
    from_: str | None,
    until: str | None,
    *,
    into_live_topic: bool,
    json: bool,
) -> None:
    if not re.fullmatch(TOPIC_NAME, topic):
        raise typer.BadParameter(
            f"--to {reprlib.repr(topic)} is no topic's name: 1 to 249 letters a to z, digits, ., _ "
            "and -"
        )
    start = None if from_ is None else moment(from_, "--from")
    end = None if until is None else moment(until, "--until")
    if topic in _live_topics(settings) and not into_live_topic:
        raise ShopError(
            f"topic {topic} is live, and services would read every event again: name a new topic, "
            "or say --into-live-topic if that is wanted"
        )
    log = open_log_to_prove(settings.database("event_log"))
    first = 1 if start is None else first_position(log, start)
    last = last_position(log) if end is None else position_at(log, end)
    servers = bootstrap_servers(settings)
    _prepare_topic(settings, servers, topic, resumed=from_ is not None or into_live_topic)
    published = _publish(log, servers, topic, first, last)
    if json:
        print_json({"topic": topic, "from": first, "until": last, "published": published})
    else:
        out.print(f"{published:,} events published to {topic}, positions {first:,} to {last:,}")


def _publish(log: Database, servers: Servers, topic: str, first: int, last: int) -> int:
    """Publish the events of some positions, and return how many there are.

    Raises:
        ShopError: it can't go on; the message says from which position on it can later.
    """
    sink = publisher(servers)
    following = first

    def so_far() -> str:
        published = f"{following - first:,} events were published to {topic}"
        upto = f", up to position {following - 1}" if following > first else ""
        on = f"--from {following} goes on from there"
        return f"{published}{upto}; some later ones may be there already, and {on}"

    count = max(0, last - first + 1)
    events = read(log, after=first - 1, limit=count)
    with _stoppable(so_far), _bar() as bar:
        task = bar.add_task("published", total=count)
        try:
            for batch in batches(events, PUBLISHED_AT_ONCE, lambda event: len(event.body)):
                _refuse_gaps(log, batch, following)
                sink.publish([outgoing_again(event, topic) for event in batch])
                following += len(batch)
                bar.update(task, completed=following - first)
        except ShopError as error:
            raise ShopError(f"{error}. {so_far()}") from error
    return following - first


def _refuse_gaps(log: Database, events: Sequence[RecordedEvent], first: int) -> None:
    for wanted, event in enumerate(events, first):
        if event.position != wanted:
            raise StoreError(
                f"the log {log} has no position {wanted}: `shop prove` says what is wrong"
            )


def outgoing_again(event: RecordedEvent, topic: str) -> Outgoing:
    """A recorded event as it was published, for another topic: ids, times, cause, key and body.

    Raises:
        StoreError: its body can't be read.
    """
    name = f"{event.type}.v{event.version}"
    try:
        said = decode(name, event.body)
    except ContractError as error:
        raise StoreError(
            f"position {event.position} of the log can't be read as {name}: {error}. "
            "`shop prove` says what is wrong"
        ) from error
    if isinstance(said, AuthorizationFailed):
        raise StoreError(f"position {event.position} of the log is a reply, and no event")
    envelope = Envelope(
        id=event.event_id,
        type=name,
        source=event.source,
        time=event.published_time,
        subject=event.subject,
        correlation_id=event.correlation_id,
        causation_id=event.causation_id,
    )
    key = payload_of(said).customer_id.encode()
    return Outgoing(topic, key, to_headers(envelope), event.body)


def _live_topics(settings: Settings) -> set[str]:
    names = {topic.name for topic in TOPICS} | set(settings.reply_topics)
    return names | {dead_letter_topic(name) for name in names}


def _prepare_topic(settings: Settings, servers: Servers, topic: str, *, resumed: bool) -> None:
    """Create the topic, unless it is there and empty or wanted as it is.

    Raises:
        BrokerError: the broker refuses it.
        ShopError: it has records.
    """
    admin = admin_client(servers)
    try:
        if topic not in admin.list_topics(timeout=30).topics:
            config = topic_config(topic, settings.replication, settings.retention_days)
            new = NewTopic(topic, settings.partitions, settings.replication, config=config)
            admin.create_topics([new])[topic].result(timeout=30)
            return
    except KafkaException as error:
        what = f"topic {topic} can't be created on {servers}"
        raise trouble(servers, what, error, Tried("CREATE", topic)) from error
    if resumed:
        return
    cluster = ClusterView(servers)
    if cluster.held_up([topic]):
        raise ShopError(f"topic {topic} has an open transaction: name a new one")
    records = sum(each.lag for each in cluster.standings(cluster.ends([topic]), {}).values())
    if records:
        raise ShopError(
            f"topic {topic} has {records:,} records already: name a new one, or go on where an "
            "earlier call was stopped with --from"
        )


def _bar() -> Progress:
    return progress_bar("{task.description}", RateColumn())


@contextmanager
def _stoppable(what_then: Callable[[], str]) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C end it in order, and say what then."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        err.print(f"shop: stopped; {what_then()}", markup=False, highlight=False)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
