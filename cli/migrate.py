"""`shop migrate`: every database's tables as this program needs them, and who may touch them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.console import err, out, print_json
from cli.secrets_folder import DATABASE_PASSWORD, read_passwords
from cli.settings import Settings
from domain.errors import ShopError
from event_log import revisions
from event_log.migrations.migrated import Migrated
from event_log.postgres import PostgresSchema

EXIT_NOT_CURRENT = 1


@dataclass(frozen=True)
class _Found:
    """What was found and done; `troubles` say what could not be."""

    databases: list[Migrated] = field(default_factory=list)
    access: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if anything would be changed.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="One JSON object, for a script to read.")
    ] = False,
) -> None:
    """Bring databases of an earlier revision to this version's tables, and give roles their rights.

    SQLite files are copied before. In Postgres it also makes what is not there yet: schemas, views,
    and with SHOP_PRINCIPALS the services' roles, with their passwords and no right too many.
    """
    settings = Settings()
    found = _in_postgres(settings, check) if settings.on_postgres else _in_files(settings, check)
    current = not found.troubles and all(each.is_current for each in found.databases)
    up_to_date = current and not found.access
    if json:
        print_json(
            {
                "revision": revisions.CURRENT,
                "up_to_date": up_to_date,
                "databases": [asdict(each) for each in found.databases],
                "access": found.access,
                "troubles": found.troubles,
            }
        )
    else:
        _print(found, settings.home, check=check, nothing=up_to_date)
    if found.troubles or (check and not up_to_date):
        raise typer.Exit(EXIT_NOT_CURRENT)


def _in_files(settings: Settings, check: bool) -> _Found:
    # Alembic takes longer to import than all else that a command needs.
    from cli.databases import OPENED
    from event_log.migrations.files import look_at_file, migrate_file

    found = _Found()
    for name, opened in OPENED.items():
        file = settings.database(name)
        if isinstance(file, Path) and file.exists():
            look, change = partial(look_at_file, file), partial(migrate_file, file, make=opened)
            _try(found, partial(look if check else change, name))
    return found


def _in_postgres(settings: Settings, check: bool) -> _Found:
    from cli.databases import OPENED
    from event_log.access.applying import bring_about_access, look_at_access
    from event_log.access.rights import RIGHTS
    from event_log.migrations.schemas import look_at_schema, migrate_schema, one_at_a_time

    # All is read before anything is changed.
    passwords = None
    if settings.principals:
        passwords = read_passwords(settings.principals, RIGHTS, DATABASE_PASSWORD)
    places = {name: settings.database(name) for name in OPENED}
    schemas = {name: each for name, each in places.items() if isinstance(each, PostgresSchema)}
    whole = replace(schemas["event_log"], schema="public")
    found = _Found()
    if check:
        for name, place in schemas.items():
            _try(found, partial(look_at_schema, place, name))
        found.access.extend(look_at_access(whole, passwords))
        return found
    with one_at_a_time(whole):
        for name, place in schemas.items():
            _try(found, partial(migrate_schema, place, name, OPENED[name]))
        if not found.troubles:
            found.access.extend(bring_about_access(whole, passwords))
    return found


def _try(found: _Found, work: Callable[[], Migrated]) -> None:
    # Each is for itself: one that is in use holds up no other.
    try:
        found.databases.append(work())
    except ShopError as error:
        found.troubles.append(str(error))


def _print(found: _Found, home: Path, *, check: bool, nothing: bool) -> None:
    current = revisions.CURRENT
    for each in found.databases:
        if each.is_current:
            out.print(f"{each.database}: up to date ({current})", highlight=False)
            continue
        would = "would be " if check else ""
        what = f"{would}brought from {each.found} to" if each.found else f"{would}made, at"
        copy = f"; as it was: {each.copy}" if each.copy else ""
        out.print(f"{each.database}: {what} {current}{copy}", highlight=False, markup=False)
    for told in found.access:
        out.print(f"{'would be: ' if check else ''}{told}", highlight=False, markup=False)
    for trouble in found.troubles:
        err.print(f"shop: {trouble}", style="red", markup=False, highlight=False)
    if not found.databases and not found.troubles:
        what = f"no database is in {home} yet: each is made by what opens it first"
        out.print(what, highlight=False, markup=False)
    elif nothing:
        out.print("all is up to date")
