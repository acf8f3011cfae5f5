"""What Faust's client says when the broker's authorizer refuses, in the project's words."""

import logging

from aiokafka.errors import (  # type: ignore[import-untyped]
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)

from domain.errors import AccessDenied
from transport.servers import Servers
from transport.trouble import Tried, denied

_LOGGERS = ("streams.lean", "faust.transport.consumer", "faust.worker")
"""Who logs, each with its own traceback, what ends a consumer: the app's consumer among them."""


def denial(servers: Servers, group: str, error: BaseException | None) -> AccessDenied | None:
    """The right that is missing, where that is why a worker ended."""
    what = "records can't be read any more, and nothing is lost"
    if isinstance(error, TopicAuthorizationFailedError):
        topics = error.args[0] if error.args else ""
        named = topics if isinstance(topics, str) else ", ".join(sorted(topics))
        return denied(servers, what, "topic", Tried("READ", named))
    if isinstance(error, GroupAuthorizationFailedError):
        return denied(servers, what, "group", Tried("READ", group))
    return None


class _WithoutTraceback(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, TopicAuthorizationFailedError | GroupAuthorizationFailedError):
            record.exc_info = None
        return True


def say_denials_briefly() -> None:
    """From now on, have Faust log a denial in a line, for where it was raised says nothing."""
    brief = _WithoutTraceback()
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(brief)
