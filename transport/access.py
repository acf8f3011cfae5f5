"""Who may do what on Kafka: the one table, from which the broker's ACLs are made.

READ and WRITE of a topic include DESCRIBE, by which it is seen at all; READ of a group is to join
it and to commit its offsets. An idempotent producer needs nothing but WRITE of some topic. `admin`
is Kafka's superuser, and not in the table; dashboard and projector do nothing on Kafka.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from domain.principals import Principal
from transport.topics import (
    ALL_TOPICS,
    AUTHORIZATIONS,
    ORDERS,
    PAYMENT_REPLIES,
    PAYMENT_REQUESTS,
    REPORTING_REQUESTS,
    TOPICS,
    WAREHOUSE_REQUESTS,
    dead_letter_topic,
)


class Kind(StrEnum):
    """What a right is for; all of them are named, none by a pattern."""

    TOPIC = "topic"
    GROUP = "group"


class Operation(StrEnum):
    """What may be done, as Kafka calls it."""

    READ = "READ"
    WRITE = "WRITE"
    DESCRIBE = "DESCRIBE"
    DESCRIBE_CONFIGS = "DESCRIBE_CONFIGS"


class Right(NamedTuple):
    """One line of the table: a principal may do this with that topic or group."""

    principal: Principal
    kind: Kind
    name: str
    operation: Operation


def group_of(principal: Principal) -> str:
    """The consumer group in which a service reads."""
    return f"shop-{principal}"


_READS = {
    # With orders it hears what was shipped; as a requester it reads its replies.
    Principal.ORDER: (ORDERS, AUTHORIZATIONS, PAYMENT_REPLIES),
    Principal.PAYMENT: (ORDERS,),
    Principal.RESPONDER: (PAYMENT_REQUESTS,),
    Principal.WAREHOUSE: (WAREHOUSE_REQUESTS,),
    Principal.RECORDER: (ORDERS, AUTHORIZATIONS, REPORTING_REQUESTS),
    # Since when records wait, whether the log has them all, and the letters.
    Principal.OPERATOR: (
        *(topic.name for topic in TOPICS),
        *(dead_letter_topic(topic.name) for topic in TOPICS),
    ),
}

_LEARNS = {
    # Read back at a start, so that after a restore from a backup they know what they have said.
    Principal.ORDER: (PAYMENT_REQUESTS,),
    Principal.PAYMENT: (AUTHORIZATIONS, PAYMENT_REPLIES),
    Principal.RESPONDER: (AUTHORIZATIONS, PAYMENT_REPLIES),
}

_WRITES = {
    Principal.ORDER: (ORDERS, WAREHOUSE_REQUESTS, PAYMENT_REQUESTS, REPORTING_REQUESTS),
    Principal.PAYMENT: (AUTHORIZATIONS,),
    Principal.RESPONDER: (PAYMENT_REPLIES,),
    Principal.WAREHOUSE: (ORDERS,),
    # Letters go back to where they came from.
    Principal.OPERATOR: tuple(topic.name for topic in TOPICS),
}

SERVICES = (
    Principal.ORDER,
    Principal.PAYMENT,
    Principal.RESPONDER,
    Principal.WAREHOUSE,
    Principal.RECORDER,
)
"""Those who read in a consumer group, and put what they can't handle beside."""

_TWINS = {Principal.PAYMENT: Principal.RESPONDER, Principal.RESPONDER: Principal.PAYMENT}
"""Two that work on one database have one outbox, and each publishes what the other one left."""


def rights(reply_topics: Iterable[str] = ()) -> tuple[Right, ...]:
    """The table, in the order of principals; `reply_topics` are those of SHOP_REPLY_TOPICS."""
    found: list[Right] = []
    for principal in Principal:
        reads = (*_READS.get(principal, ()), *_LEARNS.get(principal, ()))
        writes = list(_writes(principal, reply_topics))
        found += [Right(principal, Kind.TOPIC, name, Operation.READ) for name in reads]
        found += [Right(principal, Kind.TOPIC, name, Operation.WRITE) for name in writes]
        # Whether records can vanish there; and how large a letter may be that goes back.
        looks = ALL_TOPICS if principal is Principal.OPERATOR else kept_for(principal)
        found += [Right(principal, Kind.TOPIC, name, Operation.DESCRIBE_CONFIGS) for name in looks]
        if principal in SERVICES:
            found.append(Right(principal, Kind.GROUP, group_of(principal), Operation.READ))
        if principal is Principal.OPERATOR:
            found += [
                Right(principal, Kind.GROUP, group_of(service), Operation.DESCRIBE)
                for service in SERVICES
            ]
    return tuple(found)


def kept_for(principal: Principal) -> tuple[str, ...]:
    """The topics that must keep their records for a service: what it reads, and its letters."""
    if principal not in SERVICES:
        return ()
    reads = _READS[principal]
    letters = (dead_letter_topic(topic) for topic in reads)
    return tuple(dict.fromkeys([*reads, *_LEARNS.get(principal, ()), *letters]))


def learned_by(principal: Principal) -> tuple[str, ...]:
    """The topics that a service reads back at its start, to know again what it has said."""
    return _LEARNS.get(principal, ())


def _writes(principal: Principal, reply_topics: Iterable[str]) -> Iterable[str]:
    twin = _TWINS.get(principal)
    # Replies never wait in an outbox.
    left = [topic for topic in _own_writes(twin) if topic != PAYMENT_REPLIES] if twin else []
    more = reply_topics if principal is Principal.RESPONDER else ()
    return dict.fromkeys([*_own_writes(principal), *left, *more])


def _own_writes(principal: Principal) -> list[str]:
    letters = _READS[principal] if principal in SERVICES else ()
    return [*_WRITES.get(principal, ()), *(dead_letter_topic(topic) for topic in letters)]
