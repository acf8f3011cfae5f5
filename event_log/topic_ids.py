"""Which topics fed a database: positions belong to a topic's id (KIP-516), not to its name."""

from collections.abc import Mapping

from sqlalchemy import Connection, select
from sqlmodel import Field, SQLModel

from event_log.database import table_of
from event_log.statements import insert_new, insert_or_replace


class TopicRow(SQLModel, table=True):
    """A topic whose positions a database keeps, and the id that it had then."""

    __tablename__ = "topics"
    topic: str = Field(primary_key=True)
    id: str


_topics = table_of(TopicRow)


def topic_ids(connection: Connection) -> dict[str, str]:
    """The ids of the topics that a database was fed by."""
    return {row.topic: row.id for row in connection.execute(select(_topics))}


def keep_topic_ids(connection: Connection, ids: Mapping[str, str]) -> None:
    """Keep the ids of topics; one that is known already stays what it is."""
    if rows := [{"topic": topic, "id": life} for topic, life in ids.items()]:
        connection.execute(insert_new(connection, _topics), rows)


def replace_topic_ids(connection: Connection, ids: Mapping[str, str]) -> None:
    """Keep other ids for topics, whose positions must be made to fit with it."""
    if rows := [{"topic": topic, "id": life} for topic, life in ids.items()]:
        connection.execute(insert_or_replace(connection, _topics), rows)
