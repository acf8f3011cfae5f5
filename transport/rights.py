"""Whether the broker lets a process do what it does: asked before it begins, and later on."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from domain.errors import BrokerError
from domain.principals import Principal
from transport.access import Kind, Operation, Right, rights
from transport.clients import admin_client
from transport.servers import Servers
from transport.trouble import Tried, denied, trouble

TIMEOUT_SECONDS = 10.0
"""How long the broker has for an answer."""


class RightsView:
    """Asks again and again whether a process may do what it does; one client for all questions."""

    def __init__(self, servers: Servers, who: Principal, reply_topics: Iterable[str] = ()) -> None:
        """Connect with the first question.

        Args:
            servers: the broker, and as whom it is spoken with, which need not be `who`.
            who: in whose place this process works.
            reply_topics: topics that the responder may reply to, beside payment.replies.
        """
        self._servers = servers
        self._who = who
        self._needed = [right for right in rights(reply_topics) if right.principal is who]
        self._admin = admin_client(servers)

    def require(self) -> None:
        """Check that all topics are there, and that they and the group may be used.

        A broker without an authorizer lets everybody do everything.

        Raises:
            AccessDenied: a right is missing; the message names it.
            BrokerError: a topic isn't there, or the broker doesn't say.
        """
        missing = [
            *_missing_on_topics(self._servers, self._admin, self._needed),
            *_missing_on_groups(self._admin, self._needed),
        ]
        if missing:
            first, *others = missing
            more = f", and {len(others)} rights more are missing" if others else ""
            what = f"this process can't work as {self._who}{more}"
            raise denied(self._servers, what, first.kind, Tried(first.operation, first.name))


def require_rights(servers: Servers, who: Principal, reply_topics: Iterable[str] = ()) -> None:
    """Check once, as `RightsView` does.

    Raises:
        AccessDenied: a right is missing; the message names it.
        BrokerError: a topic isn't there, or the broker doesn't say.
    """
    RightsView(servers, who, reply_topics).require()


def _missing_on_topics(
    servers: Servers, admin: AdminClient, needed: Iterable[Right]
) -> list[Right]:
    wanted = [right for right in needed if right.kind is Kind.TOPIC]
    names = list(dict.fromkeys(right.name for right in wanted))
    if not names:
        return []
    answers = admin.describe_topics(
        TopicCollection(names),
        request_timeout=TIMEOUT_SECONDS,
        include_authorized_operations=True,
    )
    allowed, absent = {}, []
    for name, answer in answers.items():
        try:
            allowed[name] = _operations(answer.result(TIMEOUT_SECONDS))
        except (KafkaException, TimeoutError) as error:
            code = error.args[0].code() if isinstance(error, KafkaException) else None
            if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                allowed[name] = set()
            elif code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                absent.append(name)
            else:
                what = f"the broker at {servers} does not say what is allowed"
                raise trouble(servers, what, error) from error
    if absent:
        raise BrokerError(
            f"the broker at {servers} has no topic {', '.join(absent)}: run `shop topics create`"
        )
    return [right for right in wanted if right.operation not in allowed[right.name]]


def _missing_on_groups(admin: AdminClient, needed: Iterable[Right]) -> list[Right]:
    wanted = [right for right in needed if right.kind is Kind.GROUP]
    if not wanted:
        return []
    answers = admin.describe_consumer_groups(
        list(dict.fromkeys(right.name for right in wanted)),
        request_timeout=TIMEOUT_SECONDS,
        include_authorized_operations=True,
    )
    denied_groups, allowed = set(), {}
    for name, answer in answers.items():
        try:
            allowed[name] = _operations(answer.result(TIMEOUT_SECONDS))
        except (KafkaException, TimeoutError) as error:
            code = error.args[0].code() if isinstance(error, KafkaException) else None
            # Of a group that nobody has joined yet only this is said; anything else shows later.
            if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
                denied_groups.add(name)
    return [
        right
        for right in wanted
        if right.name in denied_groups
        or (allowed.get(right.name) and right.operation not in allowed[right.name])
    ]


def _operations(described: Any) -> set[Operation]:
    named = {each.name for each in described.authorized_operations or ()}
    return {operation for operation in Operation if operation in named}
