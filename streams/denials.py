"""What Faust's client says when the broker's authorizer refuses, in the project's words."""

import logging

from aiokafka.errors import (  # type: ignore[import-untyped]
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)

from domain.errors import AccessDenied
from transport.servers import Servers
from transport.trouble import Tried, denied

_DENIED = (TopicAuthorizationFailedError, GroupAuthorizationFailedError)


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
        while error is not None:
            if isinstance(error, _DENIED):
                record.exc_info = record.exc_text = None
            error = error.__cause__ or error.__context__
        return True


def say_denials_briefly() -> None:
    """From now on, have a denial logged in a line: where it was raised says nothing.

    Faust's consumer, its worker, aiokafka and asyncio may each log it, with its traceback.
    """
    brief = _WithoutTraceback()
    for handler in logging.getLogger().handlers:
        handler.addFilter(brief)
