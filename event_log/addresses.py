"""Addresses of Postgres databases: read as libpq reads them, and shown without what is secret."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from domain.errors import StoreError

_SCHEME = re.compile(r"([a-z][a-z0-9+]*)://")
_OURS = ("postgresql", "postgres")
_PORT = re.compile(r"[0-9]*")
_HOST_AND_PORT = re.compile(r"(?P<name>[^:/]+):(?P<port>[0-9]+)")


def parts_of(url: str) -> dict[str, str]:
    """The connection parameters in an address, by libpq's names, such as ``host`` and ``dbname``.

    A list of hosts, and one of their ports, has commas. ``options`` may be there several times: the
    server is given all of them, in their order; and so may ``host``, as ``host:port``, which is how
    SQLAlchemy lists them. Of anything else libpq would take the last one.

    Raises:
        StoreError: it can't be read, or says a parameter twice.
    """
    # Whoever works with files doesn't wait for the driver.
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    scheme = _SCHEME.match(url)
    if scheme and scheme[1] not in _OURS:
        raise StoreError(f"{scheme[1]} is no Postgres: its address begins with postgresql://")
    # The address may have a password in it, and is not repeated, nor are libpq's words about it.
    unreadable = StoreError(
        "the address of a Postgres database can't be read: it is "
        "postgresql://role@host:port/database?parameter=value, with libpq's parameters, and %XX "
        "for signs that mean something else there"
    )
    if not scheme:
        raise unreadable
    try:
        found = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except (ProgrammingError, UnicodeError):
        raise unreadable from None
    if not all(_PORT.fullmatch(port) for port in found.get("port", "").split(",")):
        raise unreadable
    by_name: dict[str, list[str]] = {}
    for name, value in _said(url):
        by_name.setdefault(name, []).append(value)
    hosts, options = by_name.pop("host", []), by_name.pop("options", [])
    for name, values in by_name.items():
        if len(values) > 1:
            raise StoreError(f"the address of a Postgres database says {name} twice: say it once")
    if options:
        found["options"] = " ".join(options)
    if hosts:
        listed = [(_HOST_AND_PORT.fullmatch(host), host) for host in hosts]
        found["host"] = ",".join(both["name"] if both else host for both, host in listed)
        if any(both for both, _ in listed):
            found["port"] = ",".join(both["port"] if both else "" for both, _ in listed)
    return found


def has_password(url: str) -> bool:
    """Whether there is a password in an address.

    Raises:
        StoreError: the address can't be read.
    """
    return any("password" in name for name in parts_of(url))


def hosts_of(parts: Mapping[str, str]) -> list[str]:
    """The servers that are tried one after another; one without a name is this machine's own."""
    return (parts.get("host") or parts.get("hostaddr") or "").split(",")


def shown(parts: Mapping[str, str]) -> str:
    """The address for people: whatever else it says, such as a key's file, is nobody's business."""
    role = f"{quote(parts['user'], safe='')}@" if "user" in parts else ""
    database = quote(parts.get("dbname", ""), safe="")
    hosts, ports = hosts_of(parts), parts.get("port", "").split(",")
    if any(host.startswith("/") for host in hosts):
        port = f"&port={parts['port']}" if "port" in parts else ""
        return f"postgresql://{role}/{database}?host={','.join(hosts)}{port}"
    if len(ports) == 1:
        ports *= len(hosts)
    named = [f"[{host}]" if ":" in host else host for host in hosts]
    places = [f"{host}:{port}" if port else host for host, port in zip(named, ports, strict=False)]
    return f"postgresql://{role}{','.join(places)}/{database}"


def _said(url: str) -> Iterator[tuple[str, str]]:
    """The parameters after an address's question mark, in order; libpq has read them before."""
    rest = url.partition("://")[2]
    role, is_there, after = rest.partition("@")
    if is_there and "/" not in role:
        # A password may have a question mark, too.
        rest = after
    for each in rest.partition("?")[2].split("&"):
        name, is_one, value = each.partition("=")
        if is_one:
            yield unquote(name), unquote(value)
