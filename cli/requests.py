"""`shop ask` and `shop requests`: the message-driven way, one order at a time and looked at."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer
from rich.markup import escape
from sqlalchemy import Connection

from cli.asking import ASK_SECONDS, desk
from cli.composition import looked_up
from cli.console import err, out, print_json, refuse_no_figure
from cli.settings import Settings
from cli.tables import Table
from cli.telemetry import telling
from domain.contracts import NewOrder
from domain.customers import canonical
from domain.errors import ContractError, ShopError, StoreError
from domain.house_accounts import house_address
from domain.money import format_amount, parse_amount
from domain.requests import RequestState
from event_log.revisions import is_current
from request_reply.outcomes import (
    Accepted,
    Declined,
    InDoubt,
    NotSent,
    Outcome,
    Stopped,
    TimedOut,
)
from services.asked import RequestRow, Standing, counts, standings
from transport.codec import refuse_broken

ASK_AGAIN = "ask again with the same --order to know"


def ask(
    customer: Annotated[str, typer.Option(help="Customer id, such as 00042.")],
    amount: Annotated[str, typer.Option(help="Amount, such as 12.50.")],
    order: Annotated[str | None, typer.Option(help="Order id; else a new one.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.01, max=86_400, help="Seconds to wait.")
    ] = ASK_SECONDS,
    trace: Annotated[bool, typer.Option("--trace", help="Show what goes over the wire.")] = False,
) -> None:
    """Ask the payment service to authorize one order, and print the answer."""
    refuse_no_figure("--timeout", timeout)
    settings = Settings()
    customer_id = canonical(customer)
    if customer_id is None:
        raise typer.BadParameter(
            f"customer {customer!r} is not a number of at most 18 digits, such as 00042"
        )
    asked = NewOrder(
        order_id=f"ask/{uuid4()}" if order is None else order,
        customer_id=customer_id,
        ordered_at=datetime.now(UTC).replace(microsecond=0),
        amount=parse_amount(amount, settings.currency),
        items=1,
        billing_address=house_address(customer_id),
    )
    try:
        refuse_broken(asked)
    except ContractError as error:
        raise typer.BadParameter(str(error)) from error
    with telling("order"), desk(settings, _show if trace else None) as made:
        began = time.perf_counter()
        outcome = made.requester.authorize(asked, timeout)
        milliseconds = (time.perf_counter() - began) * 1000
    said = _in_words(outcome)
    out.print(
        f"order {asked.order_id}, customer {customer_id}, "
        f"{format_amount(asked.amount.cents, settings.currency)} {settings.currency}: "
        f"{said} ({milliseconds:.1f} ms)",
        highlight=False,
    )
    if not isinstance(outcome, Accepted | Declined):
        raise typer.Exit(1)


def requests(
    state: Annotated[RequestState | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10**6, help="The newest so many.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what the order service has asked the payment service, and how that stands."""
    place = Settings().database("order")

    def look(connection: Connection) -> tuple[list[Standing], dict[RequestState, int]]:
        is_current(connection, place)
        return standings(connection, state, limit), counts(connection)

    looked = looked_up(place, look, RequestRow)
    if looked is None:
        raise StoreError(
            f"there is no database of the order service at {place}: set SHOP_HOME, or "
            "SHOP_DATABASE_URL, to where it is"
        )
    found, total = looked
    if json:
        every = {each.value: total.get(each, 0) for each in RequestState}
        print_json({"counts": every, "requests": [asdict(each) for each in found]})
        return
    table = Table()
    table.texts("order")
    table.names("state", "answer", "asked (UTC)")
    table.figures("settled after")
    for each in found:
        took = (
            f"{(each.settled_at - each.asked_at).total_seconds():.3f} s" if each.settled_at else ""
        )
        asked_at = f"{each.asked_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(escape(each.order_id), each.state.value, each.outcome or "", asked_at, took)
    out.print(table)
    out.print(", ".join(f"{total.get(each, 0):,} {each.value}" for each in RequestState))


def _show(direction: str, where: str, headers: object, body: bytes | None) -> None:
    err.print(f"[bold]{direction}[/] {where}", highlight=False)
    for name, value in headers or ():  # type: ignore[attr-defined]
        readable = (value or b"").decode(errors="replace")
        shown = readable if readable.isprintable() else f"0x{value.hex()}"
        err.print(f"    {name}: {shown}", markup=False, highlight=False)
    err.print(f"    {(body or b'').decode(errors='replace')}", markup=False, highlight=False)


def _in_words(outcome: Outcome) -> str:
    match outcome:
        case Accepted():
            return "accepted"
        case Declined(reason=reason):
            return f"declined, {reason.value.replace('_', ' ')}"
        case Stopped():
            raise ShopError("the requester was stopped before an answer came")
        case NotSent(why=why):
            return f"no decision: nobody was asked: {why}"
        case InDoubt(why=why):
            return f"no decision: it may have been asked, {ASK_AGAIN}: {why}"
        case TimedOut(seconds=seconds):
            return f"no decision: no answer within {seconds:g} s, which may still come; {ASK_AGAIN}"
    return f"no decision: {outcome}"
