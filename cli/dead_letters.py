"""`shop dead-letters`: look at what could not be handled, mend it, and send it again."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.composition import publisher, require_home, wait_for_topics
from cli.console import err, out, print_json, print_json_list
from cli.letter_edits import Edits, checked, edited, in_editor, past_deadline
from cli.letter_view import as_json, print_letter, print_letters
from cli.settings import Settings
from domain.errors import BrokerError, ShopError, StoreError
from domain.letters import LetterState
from domain.principals import Principal
from event_log.outbox import Relay, set_aside, waiting
from services.letter_store import Letter
from services.letters import LetterDesk
from transport.cluster import ClusterView
from transport.codec import MAX_BODY_BYTES
from transport.servers import Servers

dead_letters_app = typer.Typer(
    help="What could not be handled: look, mend, send again.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="A letter, such as orders/2/17.", metavar="LETTER")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object, for a script to read.")]
Topic = Annotated[str | None, typer.Option(help="Only of this topic.")]
Service = Annotated[str | None, typer.Option(help="Only those that this service refused.")]
Reason = Annotated[str | None, typer.Option(help="Only those whose reason has these words.")]
Since = Annotated[datetime | None, typer.Option(help="Only those refused since then (UTC).")]


@dead_letters_app.command("list")
def list_letters(
    topic: Topic = None,
    service: Service = None,
    reason: Reason = None,
    since: Since = None,
    state: Annotated[str, typer.Option(help="open, sent, dropped, or all.")] = "open",
    json: Json = False,
) -> None:
    """Show the letters: one for each record that could not be handled."""
    if state not in ("all", *LetterState):
        raise typer.BadParameter(f"{state!r} is none of open, sent, dropped, all")
    desk = _desk(Settings())
    found = [
        letter
        for letter in _select(desk.letters(with_bodies=False), topic, service, reason, since)
        if state in ("all", letter.state)
    ]
    if json:
        print_json_list("letters", (as_json(desk.letter(letter.name)) for letter in found))
    else:
        print_letters(found)


@dead_letters_app.command("show")
def show_letter(
    name: Name,
    raw: Annotated[bool, typer.Option("--raw", help="Only the body, byte for byte.")] = False,
    json: Json = False,
) -> None:
    """Show a letter: who refused it and why, its headers and body, and what was done with it."""
    letter = _desk(Settings()).letter(name)
    if raw:
        sys.stdout.buffer.write(letter.letter.body or b"")
    elif json:
        print_json(as_json(letter))
    else:
        print_letter(letter)


@dead_letters_app.command("edit")
def edit_letter(
    name: Name,
    body: Annotated[
        Path | None, typer.Option(help="A file with the new body; - is standard input.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the body, such as amount.cents=1200."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="The new key.")] = None,
    header: Annotated[list[str] | None, typer.Option(help="NAME=VALUE.")] = None,
    remove_header: Annotated[list[str] | None, typer.Option(help="NAME.")] = None,
    editor: Annotated[bool, typer.Option("--editor", help="Open the body in $EDITOR.")] = False,
    note: Annotated[str, typer.Option(help="Why, for who looks later.")] = "",
) -> None:
    """Mend a letter; it is kept only if its contract holds then. Nothing is sent yet."""
    if editor and body is not None:
        raise typer.BadParameter("--editor and --body are two ways to give the body: take one")
    if not (editor or body or set_ or key is not None or header or remove_header):
        raise typer.BadParameter("nothing to change: give --set, --body, --key, --header, …")
    settings = Settings()
    desk = _desk(settings)
    letter = desk.letter(name)
    new = _read(body) if body is not None else None
    if editor:
        new = in_editor(letter.letter.body)
    mended = edited(letter.letter, Edits(new, set_ or [], key, header or [], remove_header or []))
    checked(mended, frozenset(settings.reply_topics))
    now = datetime.now(UTC)
    desk.edit(letter, mended, note, now)
    _warn(past_deadline(name, mended, now))
    out.print(f"{name} is mended; `shop dead-letters send {name}` sends it", highlight=False)


@dead_letters_app.command("send")
def send_letters(
    names: Annotated[
        list[str] | None, typer.Argument(help="Letters, such as orders/2/17.", metavar="LETTER…")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All open ones that match.")] = False,
    topic: Topic = None,
    service: Service = None,
    reason: Reason = None,
    since: Since = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also those that were sent or dropped before.")
    ] = False,
) -> None:
    """Send letters back to where they came from; each has its effect once."""
    if bool(names) == every:
        raise typer.BadParameter("name the letters, or say --all")
    if names and any(each is not None for each in (topic, service, reason, since)):
        raise typer.BadParameter("filters go with --all; named letters are sent as named")
    settings = Settings()
    desk, servers = _reached(settings)
    if not names:
        names = [
            letter.name
            for letter in _select(desk.letters(with_bodies=False), topic, service, reason, since)
            if again or letter.state is LetterState.OPEN
        ]
    now = datetime.now(UTC)
    topics = {desk.letter(name).letter.failure.topic for name in names}
    largest = ClusterView(servers).largest(topics)
    count = desk.send(names, now, closed_too=again, largest=largest)
    # One at a time: all of them may be more than memory should hold.
    for name in dict.fromkeys(names):
        _warn(past_deadline(name, desk.letter(name).letter, now))
    _publish(desk, servers)
    out.print(f"{count:,} letters are on their way", highlight=False)


@dead_letters_app.command("drop")
def drop_letters(
    names: Annotated[list[str], typer.Argument(help="Letters.", metavar="LETTER…")],
    reason: Annotated[str, typer.Option(help="Why they will not be sent.")],
) -> None:
    """Close letters without sending them; they stay to be seen."""
    if not reason.strip():
        raise typer.BadParameter("--reason is for who looks later: say something")
    _desk(Settings()).drop(names, reason, datetime.now(UTC))
    out.print(f"{len(set(names)):,} letters are dropped; `list --state dropped` shows them")


def _desk(settings: Settings) -> LetterDesk:
    """The letter desk, up to date; while the broker is away, with what it knew before."""
    try:
        desk, _servers = _reached(settings)
    except BrokerError as error:
        place = settings.database("dead_letters")
        if isinstance(place, Path) and not place.exists():
            raise
        _warn(f"only letters that were seen before: {error}")
        return LetterDesk(place)
    return desk


def _reached(settings: Settings) -> tuple[LetterDesk, Servers]:
    """The letter desk, up to date, and where its broker is.

    What a former command could not publish is published now.

    Raises:
        BrokerError: the broker is away.
    """
    require_home(settings)
    servers, cluster = wait_for_topics(settings, Principal.OPERATOR, seconds=5)
    desk = collected(settings, servers, cluster, _warn)
    with desk.database.reading() as connection:
        left = len(set_aside(connection))
    if left := left + waiting(desk.database):
        _warn(f"{left:,} letters of a former `send` were not out yet: they are sent now")
        try:
            _publish(desk, servers)
        except (BrokerError, StoreError) as error:
            _warn(str(error))
    return desk, servers


def collected(
    settings: Settings, servers: Servers, cluster: str, refused: Callable[[str], None]
) -> LetterDesk:
    """The letter desk with all that the dead-letter topics have by now.

    Args:
        settings: the settings.
        servers: where the broker is.
        cluster: its cluster's id.
        refused: is told of what there is no letter of ours.

    Raises:
        BrokerError: the topics can't be read.
        StoreError: there is no home to keep the letters in, they can't be kept, or are of
            another cluster.
    """
    require_home(settings)
    desk = LetterDesk(settings.database("dead_letters"))
    desk.database.bind_to_cluster(cluster)
    desk.take_in(servers, refused)
    return desk


def _publish(desk: LetterDesk, servers: Servers) -> None:
    try:
        Relay(desk.database, publisher(servers)).drain()
    except BrokerError as error:
        raise BrokerError(
            f"{error}. The letters wait; the next `shop dead-letters` command sends them"
        ) from error
    with desk.database.reading() as connection:
        for why in set_aside(connection):
            _warn(f"a letter is not out, and the next command tries it again: {why}")


def _warn(text: str | None) -> None:
    if text is not None:
        err.print(text, style="yellow", markup=False, highlight=False, emoji=False)


def _select(
    letters: list[Letter],
    topic: str | None,
    service: str | None,
    reason: str | None,
    since: datetime | None,
) -> list[Letter]:
    after = since.replace(tzinfo=UTC) if since else None
    return [
        letter
        for letter in letters
        if topic in (None, letter.letter.failure.topic)
        and any(
            service in (None, refusal.service)
            and (reason or "").lower() in refusal.reason.lower()
            and (after is None or refusal.time >= after)
            for refusal in letter.refusals
        )
    ]


def _read(file: Path) -> bytes:
    # One byte more than is taken, so that what is larger is refused as that.
    most = MAX_BODY_BYTES + 1
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(most)
        with file.open("rb") as opened:
            return opened.read(most)
    except OSError as error:
        raise ShopError(f"{file} can't be read: {error.strerror}") from error
