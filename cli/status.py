"""`shop status`: how each service does, and what is wrong."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import Annotated, Any

import typer
from rich.console import Group as Lines
from rich.live import Live
from rich.text import Text

from cli.console import out, print_json
from cli.settings import Settings
from cli.standings import SOURCES, Found, find_out, waits_in_words
from cli.tables import Table
from domain.status import (
    Beat,
    Facts,
    Verdict,
    Word,
    judge,
    judge_alone,
    where_orders_wait,
    where_records_wait,
)
from transport.local_broker.interrupts import Interrupts

WATCH_EVERY_SECONDS = 2.0

_STYLES = {
    Word.OK: "green",
    Word.IDLE: "green",
    Word.BEHIND: "yellow",
    Word.THROTTLED: "yellow",
    Word.NOT_RUNNING: "dim",
}


def status(
    service: Annotated[
        str | None, typer.Option(help="Only whether this service lives and goes on.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
) -> None:
    """Show how each service does. Exit code 1 when something is wrong.

    Services that were stopped with nothing to do are not wrong; that new orders wait for them is
    said.
    """
    if service is not None and service not in SOURCES:
        raise typer.BadParameter(f"{service!r} is not one of {', '.join(SOURCES)}")
    if watch and json:
        raise typer.BadParameter("--json is one moment, --watch goes on: take one")
    settings = Settings()
    if watch:
        # A SIGTERM too must give the terminal its cursor back.
        with Interrupts():
            _watch(settings, service)
    now = datetime.now(UTC)
    found = find_out(settings, now, service)
    verdicts = _verdicts(found, now, alone=service is not None)
    wrong = what_is_wrong(found, verdicts, alone=service is not None)
    waits = what_waits(found, verdicts, now, alone=service is not None)
    if json:
        print_json(_as_json(found, verdicts, wrong, waits))
    else:
        out.print(_page(found, verdicts, wrong, waits, now))
    if wrong:
        raise typer.Exit(1)


def _watch(settings: Settings, service: str | None) -> None:
    def page() -> Lines:
        now, alone = datetime.now(UTC), service is not None
        found = find_out(settings, now, service)
        verdicts = _verdicts(found, now, alone=alone)
        wrong = what_is_wrong(found, verdicts, alone=alone)
        return _page(found, verdicts, wrong, what_waits(found, verdicts, now, alone=alone), now)

    if not out.is_terminal:
        while True:
            out.print(page())
            sys.stdout.flush()
            time.sleep(WATCH_EVERY_SECONDS)
    with Live(page(), console=out, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            time.sleep(WATCH_EVERY_SECONDS)
            live.update(page(), refresh=True)


def _verdicts(found: Found, now: datetime, *, alone: bool) -> list[Verdict]:
    return [judge_alone(facts, now) if alone else judge(facts, now) for facts in found.services]


def what_is_wrong(found: Found, verdicts: Sequence[Verdict], *, alone: bool = False) -> list[str]:
    """Everything that is wrong, in sentences; a service alone has no blame for the rest."""
    wrong = [sentence for verdict in verdicts for sentence in verdict.wrong]
    if alone:
        return [*wrong, *found.troubles]
    letters = [
        f"{topic}: {_letters(count)} (`shop dead-letters list --topic {topic}`)"
        for topic, count in (found.dead_letters or {}).items()
    ]
    broker = [found.broker_trouble] if found.broker_trouble else []
    return [*broker, *wrong, *letters, *found.troubles]


def what_waits(
    found: Found, verdicts: Sequence[Verdict], now: datetime, *, alone: bool = False
) -> str | None:
    """Where new orders would wait, and what waits since a quota holds it back, in sentences."""
    orders = None if alone else where_orders_wait(zip(found.services, verdicts, strict=True))
    held_back = [where_records_wait(facts, now) for facts in found.services]
    return "; ".join(filter(None, [*held_back, orders])) or None


def _letters(count: int) -> str:
    return "1 dead letter is open" if count == 1 else f"{count:,} dead letters are open"


def _page(
    found: Found,
    verdicts: Sequence[Verdict],
    wrong: Sequence[str],
    waits: str | None,
    now: datetime,
) -> Lines:
    table = Table()
    table.names("service", "")
    table.texts("processes", "group")
    table.figures("lag")
    table.names("last progress")
    table.figures("outbox", "early")
    for facts, verdict in zip(found.services, verdicts, strict=True):
        group = found.groups.get(facts.name)
        table.add_row(
            facts.name,
            Text(verdict.word.value, style=_STYLES.get(verdict.word, "red")),
            processes(verdict),
            f"{group.state}, {group.members}" if group else "",
            "?" if facts.lag is None else f"{facts.lag:,}",
            _ago(facts.last_progress, now),
            f"{facts.outbox:,}",
            "" if facts.early is None else f"{facts.early:,}",
        )
    away = ", which does not answer" if found.servers and found.broker_trouble else ""
    lines: list[Any] = [Text(f"broker: {found.servers or 'none'}{away}")]
    lines = [*lines, table] if found.broker_asked else [table]
    if found.log_position is not None:
        reached = found.report_position or 0
        lines.append(Text(f"log at position {found.log_position:,}, report at {reached:,}"))
    lines += [
        Text(sentence, style="yellow")
        for sentence in starmap(waits_in_words, found.held_up.items())
        if sentence not in wrong
    ]
    lines += [Text(sentence, style="yellow") for sentence in found.set_aside]
    # One line where it may be searched for, all of it where it is looked at.
    folded: Any = {"no_wrap": False, "overflow": "fold"} if out.is_terminal else {}
    if away and found.broker_trouble not in wrong:
        lines.append(Text(str(found.broker_trouble), style="red", **folded))
    lines += [Text(sentence, style="red", **folded) for sentence in wrong]
    if waits is not None:
        return Lines(*lines, Text(waits, style="yellow", **folded))
    return Lines(*lines, Text("" if wrong else "nothing is wrong", style="green"))


def processes(verdict: Verdict) -> str:
    """A service's processes by name, and those that are gone."""
    parts = [beat.process for beat in verdict.alive]
    parts += [f"{beat.process} gone" for beat in verdict.gone]
    return ", ".join(parts)


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    return f"{timedelta(seconds=int((now - moment).total_seconds()))} ago"


def _as_json(
    found: Found, verdicts: Sequence[Verdict], wrong: Sequence[str], waits: str | None
) -> dict[str, Any]:
    return {
        "ok": not wrong,
        "wrong": list(wrong),
        "waits": waits,
        "broker": {
            "bootstrap_servers": None if found.servers is None else str(found.servers),
            "reachable": found.broker_trouble is None,
        }
        if found.broker_asked
        else None,
        "services": {
            facts.name: _service(found, facts, verdict)
            for facts, verdict in zip(found.services, verdicts, strict=True)
        },
        "dead_letters": found.dead_letters,
        "held_up": {name: _moment(since) for name, since in found.held_up.items()},
        "log_position": found.log_position,
        "report_position": found.report_position,
        "set_aside": list(found.set_aside),
    }


def _service(found: Found, facts: Facts, verdict: Verdict) -> dict[str, Any]:
    group = found.groups.get(facts.name)
    return {
        "status": verdict.word.value,
        "processes": [_process(beat) for beat in verdict.alive],
        "gone": [_process(beat) for beat in verdict.gone],
        "group": group._asdict() if group else None,
        "lag": facts.lag,
        "partitions": None
        if facts.partitions is None
        else {
            name: {"end": standing.end, "position": standing.position, "lag": standing.lag}
            for name, standing in facts.partitions.items()
        },
        "stuck": list(facts.stuck),
        "last_progress": _moment(facts.last_progress),
        "outbox": facts.outbox,
        "outbox_since": _moment(facts.outbox_since),
        "early": facts.early,
        "wrong": verdict.wrong,
    }


def _process(beat: Beat) -> dict[str, Any]:
    return {
        "process": beat.process,
        "started_at": _moment(beat.started_at),
        "seen_at": _moment(beat.seen_at),
        "throttled_until": _moment(beat.throttled_until),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
