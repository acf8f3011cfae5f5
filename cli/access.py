"""`shop acl`: who may do what on Kafka, as the table says and as the broker has it."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cli.composition import bootstrap_servers
from cli.console import err, out, print_json
from cli.secrets_folder import FORMER, KAFKA_PASSWORD, read_passwords
from cli.settings import Settings
from cli.tables import Table
from domain.errors import NotLetIn, ShopError
from domain.principals import Principal
from transport.access import Right, rights
from transport.acls import Acl, Difference, difference, make_so, set_passwords, unknown_passwords
from transport.clients import cluster_id
from transport.servers import SecuredServers

REACH_SECONDS = 10.0
"""How long the broker has to answer at all."""

acl_app = typer.Typer(help="Who may do what on Kafka.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON object, for a script to read.")]


@acl_app.command("show")
def show(
    json: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/access.md has it.")] = False,
) -> None:
    """Show the table: each principal, and what it may do with which topic or group."""
    table = rights(Settings().reply_topics)
    if json:
        print_json({"rights": [right._asdict() for right in table]})
    elif markdown:
        out.print(as_markdown(table), markup=False, highlight=False)
    else:
        shown = Table()
        shown.names("principal", "")
        shown.texts("name", "may")
        for line in _lines(table):
            shown.add_row(*line)
        out.print(shown)


@acl_app.command("apply")
def apply(json: Json = False) -> None:
    """Make the broker's passwords and ACLs as SHOP_PRINCIPALS and the table say, as admin.

    Exit codes: 0 they are so now; 1 something could not be made so, or is not ours to remove.
    """
    settings = Settings()
    passwords = _passwords(settings)
    servers = _as_admin(settings)
    table = rights(settings.reply_topics)
    unknown = unknown_passwords(servers, passwords)
    set_passwords(servers, {principal: passwords[principal] for principal in unknown})
    if Principal.ADMIN in unknown:
        servers = replace(servers, password=passwords[Principal.ADMIN])
    with suppress(OSError):
        # It logs in no more; where its folder can't be written it stays, and harms nobody.
        _former(settings).unlink()
    found = difference(servers, table)
    make_so(servers, found)
    if json:
        print_json({"passwords": unknown, **_as_json(found)})
    else:
        out.print(f"passwords made known: {', '.join(unknown) or 'none'}", highlight=False)
        out.print(f"ACLs created: {len(found.missing)}, removed: {len(found.foreign)}")
        _say("removed", found.foreign)
        _say("not ours to remove, and covers what is ours", found.covering)
    if found.covering:
        raise typer.Exit(1)


@acl_app.command("check")
def check(json: Json = False) -> None:
    """Compare the broker's ACLs with the table; exit code 1 if they differ."""
    settings = Settings()
    found = difference(_secured(settings), rights(settings.reply_topics))
    if json:
        print_json(_as_json(found))
    elif not found:
        out.print("the broker's ACLs are as the table says")
    else:
        _say("missing", found.missing)
        _say("not in the table", [*found.foreign, *found.covering])
        err.print("`shop acl apply` makes them as the table says", highlight=False)
    if found:
        raise typer.Exit(1)


def as_markdown(table: Iterable[Right]) -> str:
    """The table in Markdown, as docs/access.md has it."""
    rows = [f"| {' | '.join(line)} |" for line in _lines(table, code="`")]
    return "\n".join(["| principal | | name | may |", "| --- | --- | --- | --- |", *rows])


def _lines(table: Iterable[Right], code: str = "") -> list[tuple[str, str, str, str]]:
    """A line for each principal and topic or group, with all that it may do there."""
    may: dict[tuple[Principal, str, str], list[str]] = {}
    for principal, kind, name, operation in table:
        may.setdefault((principal, kind, name), []).append(operation)
    return [
        (f"{code}{principal}{code}", kind, f"{code}{name}{code}", ", ".join(operations))
        for (principal, kind, name), operations in may.items()
    ]


def _passwords(settings: Settings) -> dict[Principal, str]:
    folder = settings.principals
    if folder is None:
        raise ShopError(
            "SHOP_PRINCIPALS must name the folder that `shop secrets create` made: it has the "
            "password of each principal"
        )
    return read_passwords(folder, Principal, KAFKA_PASSWORD)


def _secured(settings: Settings) -> SecuredServers:
    servers = bootstrap_servers(settings)
    if not isinstance(servers, SecuredServers):
        raise ShopError(
            f"the broker at {servers} is spoken with without a password, and can't tell who asks: "
            "set KAFKA_SECURITY_PROTOCOL=SASL_SSL, and KAFKA_SASL_USERNAME=admin"
        )
    return servers


def _as_admin(settings: Settings) -> SecuredServers:
    """The broker, spoken with by a password that it knows: admin's, or the one before it."""
    servers = _secured(settings)
    try:
        cluster_id(servers, REACH_SECONDS)
    except NotLetIn:
        former = _former(settings)
        if not former.is_file():
            raise
        servers = replace(servers, password=former.read_text(encoding="utf-8").strip())
        cluster_id(servers, REACH_SECONDS)
    return servers


def _former(settings: Settings) -> Path:
    return (settings.principals or Path()) / Principal.ADMIN / f"{KAFKA_PASSWORD}{FORMER}"


def _as_json(found: Difference) -> dict[str, list[dict[str, str]]]:
    return {
        name: [acl._asdict() for acl in acls]
        for name, acls in (
            ("missing", found.missing),
            ("foreign", found.foreign),
            ("covering", found.covering),
        )
    }


def _say(what: str, acls: Sequence[Acl]) -> None:
    for acl in acls:
        out.print(f"{what}: {acl}", markup=False, highlight=False)
