"""Questions to a cluster whose brokers come and go: asked again where another must answer."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from transport.retrying import until_it_works

_FIRST_PART = 5
"""The first try has this part of all the time; each further one has twice as long."""

_PASSING = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TRANSPORT,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)
"""What a client is told while a broker ends, and while another takes its place."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def answers(
    admin: AdminClient,
    timeout: float,
    ask: Callable[..., Mapping[Asked, "Future[Answer]"]],
    passing: Collection[int] = (),
) -> Mapping[Asked, "Future[Answer]"]:
    """Ask, and ask again while a broker that should answer is gone; all answers are there then.

    librdkafka (2.16) asks the broker that controls the cluster, or leads a partition, by the
    metadata it has. It waits for that one even where it has died, and so does each further
    question. So a try is short, and metadata is read before the next.

    Args:
        admin: the client that asks.
        timeout: seconds for all tries together.
        ask: asks, and takes how many seconds that may last as `request_timeout`.
        passing: codes of errors that may pass here, beside those of brokers that change.

    Raises:
        KafkaException: an answer was to the end that a broker is gone, or none came in time.
        TimeoutError: none came in time.
    """
    part, over = timeout / _FIRST_PART, monotonic() + timeout
    may_pass = {*_PASSING, *passing}

    def seconds() -> float:
        return max(0.1, min(part, over - monotonic()))

    def attempt() -> Mapping[Asked, "Future[Answer]"]:
        nonlocal part
        within = seconds()
        part *= 2
        found = ask(request_timeout=within)
        for answer in found.values():
            if (error := answer.exception(within)) and is_passing(error):
                raise error
        return found

    def is_passing(error: BaseException) -> bool:
        if isinstance(error, KafkaException):
            return error.args[0].code() in may_pass
        return isinstance(error, TimeoutError)

    def renew() -> None:
        with suppress(KafkaException):
            admin.list_topics(timeout=seconds())

    what = "a broker that should answer is gone"
    return until_it_works(attempt, what, is_passing, within=timeout, met=renew)
