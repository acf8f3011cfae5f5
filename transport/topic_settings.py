"""Topics that somebody else made, or changed: refused where their settings can lose records."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from domain.errors import UnsafeTopic
from domain.topic_settings import unsafe
from transport.asking import answers
from transport.clients import admin_client
from transport.servers import Servers
from transport.topics import topic_config
from transport.trouble import Tried, trouble

TIMEOUT_SECONDS = 10.0
"""How long the broker has for an answer."""


class Keeping(NamedTuple):
    """How records are to be kept: copies of each, and days."""

    replication: int
    retention_days: int


class Changed(NamedTuple):
    """A setting in force, and what it should be."""

    found: str
    wanted: str


def require_safe(servers: Servers, topics: Iterable[str], keeping: Keeping) -> None:
    """Check that no setting of these topics can lose records that nobody has read.

    What counts is what is in force: a topic without a setting of its own has the broker's.

    Raises:
        UnsafeTopic: one has such settings; the message names them all, and what mends them.
        AccessDenied: the settings of one may not be read.
        BrokerError: the broker doesn't say.
    """
    if wrong := unsafe_topics(servers, topics, keeping):
        raise UnsafeTopic(in_words(wrong))


def unsafe_topics(
    servers: Servers, topics: Iterable[str], keeping: Keeping
) -> dict[str, dict[str, Changed]]:
    """The topics with settings that can lose records, and which these are.

    Raises:
        AccessDenied: the settings of one may not be read.
        BrokerError: the broker doesn't say.
    """
    wrong = {}
    for topic, found in _settings(servers, topics).items():
        wanted = topic_config(topic, *keeping)
        if bad := unsafe(found, wanted):
            wrong[topic] = {name: Changed(found[name], value) for name, value in bad.items()}
    return wrong


def in_words(wrong: Mapping[str, Mapping[str, Changed]]) -> str:
    """What is wrong with topics, and what to do."""
    said = "; ".join(
        f"topic {topic} has "
        + ", ".join(f"{name}={each.found} (not {each.wanted})" for name, each in names.items())
        for topic, names in sorted(wrong.items())
    )
    return (
        f"{said}: records that nobody has read can vanish. `shop topics create --mend` gives "
        "topics the settings they should have; a shorter time that is meant is "
        "SHOP_RETENTION_DAYS, for every process"
    )


def mend(servers: Servers, topics: Iterable[str], keeping: Keeping) -> list[str]:
    """Give topics the settings that keep their records, and say which these were.

    Raises:
        AccessDenied: they may not be changed.
        BrokerError: the broker doesn't change them.
    """
    wrong = unsafe_topics(servers, topics, keeping)
    asked = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, each.wanted, incremental_operation=AlterConfigOpType.SET)
                for name, each in names.items()
            ],
        )
        for topic, names in wrong.items()
    ]
    if not asked:
        return []
    admin = admin_client(servers)
    answers = admin.incremental_alter_configs(asked, request_timeout=TIMEOUT_SECONDS)
    for each, answer in answers.items():
        try:
            answer.result(TIMEOUT_SECONDS)
        except (KafkaException, TimeoutError) as error:
            what = f"the settings of topic {each.name} can't be changed"
            tried = Tried("ALTER_CONFIGS", str(each.name))
            raise trouble(servers, what, error, tried) from error
    return sorted(wrong)


def _settings(servers: Servers, topics: Iterable[str]) -> dict[str, dict[str, str]]:
    asked = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
    if not asked:
        return {}
    admin = admin_client(servers)
    found, topic = {}, ", ".join(str(each.name) for each in asked)
    try:
        described = answers(
            admin,
            TIMEOUT_SECONDS,
            partial(admin.describe_configs, asked),
            # Of several brokers one may not have heard yet of a topic that another one just made.
            passing=[KafkaError.UNKNOWN_TOPIC_OR_PART],
        )
        for each, answer in described.items():
            topic = str(each.name)
            found[topic] = {
                name: str(entry.value)
                for name, entry in answer.result().items()
                if entry.value is not None
            }
    except (KafkaException, TimeoutError) as error:
        what = f"the broker at {servers} does not say how topic {topic} keeps its records"
        raise trouble(servers, what, error, Tried("DESCRIBE_CONFIGS", topic)) from error
    return found
