"""`shop dead-letters`: look at what could not be handled, mend it, and send it again."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import click
import typer
from rich import box
from rich.table import Table

from cli.composition import bootstrap_servers, publisher, wait_for_topics
from cli.console import err, out, print_json
from cli.letter_edits import Edits, checked, edited
from cli.letter_view import as_json, print_letter
from cli.settings import Settings
from domain.errors import BrokerError, ShopError
from domain.letters import LetterState
from event_log.outbox import Relay
from services.letter_store import Letter
from services.letters import LetterDesk

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
    found = [
        letter
        for letter in _select(_desk(Settings()).letters(), topic, service, reason, since)
        if state in ("all", letter.state)
    ]
    if json:
        print_json({"letters": [as_json(letter) for letter in found]})
        return
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True)
    for heading in ("letter", "state", "refused by", "tries", "last refused (UTC)", "reason"):
        table.add_column(heading, no_wrap=heading != "reason", overflow="fold")
    for letter in found:
        last = letter.refusals[-1]
        services = ", ".join(sorted({refusal.service for refusal in letter.refusals}))
        when, tries = f"{last.time:%Y-%m-%d %H:%M:%S}", str(letter.letter.tries)
        table.add_row(letter.name, letter.state.value, services, tries, when, last.reason)
    out.print(table)
    out.print(f"{len(found):,} letters")


@dead_letters_app.command("show")
def show_letter(
    name: Name,
    raw: Annotated[bool, typer.Option("--raw", help="Only the body, byte for byte.")] = False,
    json: Json = False,
) -> None:
    """Show a letter: who refused it and why, its headers and body, and what was done with it."""
    letter = _named(_desk(Settings()), name)
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
    settings = Settings()
    desk = _desk(settings)
    letter = _named(desk, name)
    new = None
    if body is not None:
        new = sys.stdin.buffer.read() if str(body) == "-" else _read(body)
    edits = Edits(new, set_ or [], key, header or [], remove_header or [])
    if editor:
        text = click.edit((letter.letter.body or b"").decode(errors="replace"))
        edits = replace(edits, body=text.encode() if text is not None else None)
    if edits.nothing():
        raise typer.BadParameter("nothing to change: give --set, --body, --key, --header, …")
    mended = edited(letter.letter, edits)
    checked(mended, frozenset(settings.reply_topics))
    desk.edit(letter, mended, note, datetime.now(UTC))
    out.print(f"{name} is mended; `shop dead-letters send {name}` sends it")


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
    settings = Settings()
    desk = _desk(settings)
    if names:
        chosen = [_named(desk, name) for name in names]
    else:
        chosen = _select(desk.letters(), topic, service, reason, since)
        chosen = [letter for letter in chosen if again or letter.state is LetterState.OPEN]
    for letter in chosen:
        if letter.state is not LetterState.OPEN and not again:
            raise ShopError(
                f"{letter.name} was {letter.state.value} on {letter.done[-1].at:%Y-%m-%d %H:%M:%S} "
                "UTC; --again sends it nevertheless"
            )
    desk.send(chosen, datetime.now(UTC))
    relay = Relay(desk.database, publisher(bootstrap_servers(settings)))
    relay.drain()
    out.print(f"{len(chosen):,} letters are on their way")


@dead_letters_app.command("drop")
def drop_letters(
    names: Annotated[list[str], typer.Argument(help="Letters.", metavar="LETTER…")],
    reason: Annotated[str, typer.Option(help="Why they will not be sent.")],
) -> None:
    """Close letters without sending them; they stay to be seen."""
    desk = _desk(Settings())
    for letter in [_named(desk, name) for name in names]:
        desk.drop(letter, reason, datetime.now(UTC))
    out.print(f"{len(names):,} letters are dropped; `list --state dropped` shows them")


def _desk(settings: Settings) -> LetterDesk:
    """The letter desk, up to date; while the broker is away, with what it knew before."""
    desk = LetterDesk(settings.database("dead_letters"))
    try:
        servers, cluster = wait_for_topics(settings, seconds=5)
    except BrokerError as error:
        err.print(f"only letters that were seen before: {error}", style="yellow", markup=False)
        return desk
    desk.database.bind_to_cluster(cluster)
    desk.take_in(
        servers,
        datetime.now(UTC),
        lambda why: err.print(why, style="yellow", markup=False, highlight=False),
    )
    return desk


def _named(desk: LetterDesk, name: str) -> Letter:
    for letter in desk.letters():
        if letter.name == name:
            return letter
    raise ShopError(f"there is no letter {name!r}; `shop dead-letters list --state all` shows all")


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
    try:
        return file.read_bytes()
    except OSError as error:
        raise ShopError(f"{file} can't be read: {error.strerror}") from error
