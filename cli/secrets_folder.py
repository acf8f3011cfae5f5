"""`shop secrets create`: passwords and certificates for a stack of one's own, in a folder.

::

    FOLDER/ca.pem, ca.key                          the authority that signs the broker's certificate
    FOLDER/broker/keystore.pem, truststore.pem,    what `deploy/kafka/server.properties` reads
                  kafka_sasl_password, cluster_id
    FOLDER/<principal>/kafka_sasl_password,        a service gets its own alone, by SHOP_SECRETS
                       shop_database_password, ca.pem
"""

import os
import re
import reprlib
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from cli.console import out
from domain.errors import ShopError
from domain.principals import BROKER, Principal
from transport.local_broker.storage import new_cluster_id

HOSTS = ("localhost", "127.0.0.1", "kafka", "kafka-1", "kafka-2", "kafka-3")
"""Names that the broker's certificate is good for, whatever else it is."""

MAX_HOST = 253
"""Most characters of a host's name (RFC 1035, section 2.3.4, without the root's dot)."""

_LABEL = "[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")

Name = TypeVar("Name", bound=str)

DAYS = 365
PASSWORD_BYTES = 32
OWN, SHARED = 0o600, 0o644

KAFKA_PASSWORD = "kafka_sasl_password"  # noqa: S105 a file's name
CLUSTER_ID = "cluster_id"
DATABASE_PASSWORD = "shop_database_password"  # noqa: S105 a file's name
FORMER = ".former"
"""Ends the names of admin's passwords that were renewed: by them the new ones are made known."""

secrets_app = typer.Typer(help="Passwords and certificates for a stack.", no_args_is_help=True)


@secrets_app.command("create")
def create(
    folder: Annotated[Path, typer.Argument(help="Where they go; it must not be there yet.")],
    host: Annotated[
        list[str] | None,
        typer.Option(help=f"One more name or address of a broker, beside {', '.join(HOSTS)}."),
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=36_500, help="How long the certificate is good.")
    ] = DAYS,
    renew: Annotated[
        str | None,
        typer.Option(help="Only this, anew: a principal's passwords, or broker, its certificate."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave a folder that is there already as it is.")
    ] = False,
    shared: Annotated[
        bool,
        typer.Option(
            "--shared",
            help="Readable for every user: in a volume of which each service mounts its own part.",
        ),
    ] = False,
) -> None:
    """Make random passwords, and certificates by an authority of your own; print none of them."""
    from cli.certificates import ends

    hosts = list(dict.fromkeys([*HOSTS, *map(_host, host or ())]))
    now = datetime.now(UTC)
    if renew is None and keep and (folder / "ca.pem").exists():
        out.print(f"{folder} is there already, and stays as it is", markup=False, highlight=False)
    elif renew is None:
        make_folder(folder, hosts, days, now, shared=shared)
        names = ", ".join(Principal)
        out.print(f"{folder} has a password for each of {names}", markup=False, highlight=False)
    elif renew == BROKER:
        renew_certificate(folder, hosts, days, now)
        out.print("the broker has a new certificate; it reads it when it starts", highlight=False)
    elif renew in list(Principal):
        renew_passwords(folder, Principal(renew))
        out.print(
            f"{renew} has new passwords; `shop acl apply` and `shop migrate` make them known",
            highlight=False,
        )
    else:
        raise typer.BadParameter(f"{renew!r} is none of {', '.join([BROKER, *Principal])}")
    for name, file in (("authority", "ca.pem"), ("broker", f"{BROKER}/keystore.pem")):
        until = ends((folder / file).read_bytes())
        out.print(f"the {name}'s certificate ends on {until:%Y-%m-%d %H:%M} UTC", highlight=False)


def _host(name: str) -> str:
    """A host's name or address, as a certificate may have it.

    Raises:
        BadParameter: it is neither.
    """
    try:
        ip_address(name)
    except ValueError:
        if len(name) > MAX_HOST or not _HOST.fullmatch(name):
            raise typer.BadParameter(
                f"{reprlib.repr(name)} is no host's name or address; a name has letters a to z, "
                "digits, - and ., and others in their xn-- form"
            ) from None
    return name


def make_folder(
    folder: Path, hosts: Sequence[str], days: int, now: datetime, *, shared: bool = False
) -> None:
    """Make a folder of secrets as a whole, or nothing.

    Args:
        folder: it must not be there, or be empty.
        hosts: names and addresses of brokers.
        days: how long the broker's certificate is good.
        now: the time (UTC, aware).
        shared: whether every user may read them, not their owner alone.

    Raises:
        ShopError: there is something already, or nothing can be made there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ShopError(
            f"{folder} is there already, and its secrets may be in use: name another folder, or "
            f"renew one of them by --renew {BROKER}|{'|'.join(Principal)}"
        )
    # Loaded where certificates are made: every command knows this module.
    from cli.certificates import new_authority

    authority_key, authority = new_authority(now)
    files = {"ca.key": authority_key, "ca.pem": authority, ".gitignore": b"*\n"}
    for principal in Principal:
        for file in (KAFKA_PASSWORD, DATABASE_PASSWORD):
            files[f"{principal}/{file}"] = _password()
        files[f"{principal}/ca.pem"] = authority
    files |= _of_broker(authority_key, authority, hosts, days, now)
    # No secret: an installation's own, so that another one's broker isn't taken for it.
    files[f"{BROKER}/{CLUSTER_ID}"] = new_cluster_id().encode()
    files[f"{BROKER}/{KAFKA_PASSWORD}"] = files[f"{Principal.ADMIN}/{KAFKA_PASSWORD}"]
    _write_all(folder, files, SHARED if shared else OWN)


def read_passwords(folder: Path, names: Iterable[Name], file: str) -> dict[Name, str]:
    """Each principal's password, from the `file` of that name in its own folder in `folder`.

    Raises:
        ShopError: one is missing or empty, or can't be read.
    """
    found = {}
    for name in names:
        path = folder / name / file
        try:
            found[name] = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ShopError(f"the password of {name} can't be read, {path}: {why}") from None
        if not found[name] or "\0" in found[name]:
            raise ShopError(
                f"the password of {name} is empty or none, {path}: `shop secrets create` makes one"
            )
    return found


def renew_certificate(folder: Path, hosts: Sequence[str], days: int, now: datetime) -> None:
    """Give the broker another key and certificate, by the same authority.

    Raises:
        ShopError: the folder has no authority.
    """
    authority_key, authority = _read(folder / "ca.key"), _read(folder / "ca.pem")
    for name, content in _of_broker(authority_key, authority, hosts, days, now).items():
        _replace(folder / name, content)


def renew_passwords(folder: Path, principal: Principal) -> None:
    """Give a principal other passwords; admin's former ones are kept beside, to be changed by.

    Raises:
        ShopError: the folder has none of it.
    """
    for file in (folder / principal / name for name in (KAFKA_PASSWORD, DATABASE_PASSWORD)):
        former = _read(file)
        if principal is Principal.ADMIN:
            _replace(file.with_name(file.name + FORMER), former)
        _replace(file, _password())
    if principal is Principal.ADMIN:
        _replace(folder / BROKER / KAFKA_PASSWORD, _read(folder / principal / KAFKA_PASSWORD))


def _of_broker(
    authority_key: bytes, authority: bytes, hosts: Sequence[str], days: int, now: datetime
) -> dict[str, bytes]:
    from cli.certificates import new_broker_certificate

    key, certificate = new_broker_certificate(authority_key, authority, hosts, now, days)
    return {f"{BROKER}/keystore.pem": key + certificate, f"{BROKER}/truststore.pem": authority}


def _password() -> bytes:
    # Letters, digits, - and _: whoever reads it, a shell or a properties file, takes it as it is.
    return secrets.token_urlsafe(PASSWORD_BYTES).encode()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ShopError(
            f"{file} can't be read: {error.strerror}. Name a folder that `shop secrets create` made"
        ) from error


def _replace(file: Path, content: bytes) -> None:
    """Write a file in one step, readable for whom the authority's certificate is."""
    new = file.with_name(f".{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        _write(new, content, (file.parent.parent / "ca.pem").stat().st_mode & SHARED)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ShopError(f"{file} can't be written: {error.strerror}") from error


def _write(file: Path, content: bytes, mode: int) -> None:
    # By these modes from the first moment, whatever the umask.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWN)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchmod(descriptor, mode)
        stream.write(content)


def _write_all(folder: Path, files: Mapping[str, bytes], mode: int) -> None:
    made: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Beside it, and with the mode 0700 from the beginning.
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name, content in files.items():
            file = made / name
            file.parent.mkdir(exist_ok=True)
            _write(file, content, OWN if name == "ca.key" else mode)
        for path in (made, *(each for each in made.iterdir() if each.is_dir())):
            # Whoever may read a file may get to it.
            path.chmod(0o700 | mode | (mode & 0o044) >> 2)
        made.rename(folder)
    except OSError as error:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise ShopError(f"{folder} can't be made: {error.strerror}") from error
