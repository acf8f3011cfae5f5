"""Databases that earlier versions made, as SQL: each file is named after the commit that made it.

`make.py` makes them. One has two commits in its name: the first one made its databases, and the
second one opened them, which made the tables that it knew and they lacked.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from transport.records import Record

HERE = Path(__file__).parent


def parts(name: str) -> dict[str, str]:
    """The SQL of a file, by database; that of schemas is called ``postgres``."""
    found = re.split(r"^-- (\w+)\n", (HERE / f"{name}.sql").read_text(), flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def as_files(name: str, folder: Path) -> dict[str, Path]:
    """The databases of a file, as SQLite files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for database, sql in parts(name).items():
        if database not in ("postgres", "topics"):
            made[database] = folder / f"{database}.sqlite"
            with closing(sqlite3.connect(made[database])) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(sql)
    return made


def published(name: str) -> Iterator[Record]:
    """What was published, as Kafka would have it."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(parts(name)["topics"])
        for topic, partition, place, key, body, said in connection.execute("SELECT * FROM records"):
            headers = tuple(
                (header, None if value is None else value.encode())
                for header, value in json.loads(said)
            )
            yield Record(topic, partition, place, key, body, headers)
