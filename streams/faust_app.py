"""A worker's Faust app: how Faust is set, and how it is stopped."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import faust
from yarl import URL

from streams.bounded import BoundedApp
from streams.lean import STOPS_WITHIN_SECONDS, EagerTransport, QuietMonitor
from transport.bounds import FETCHED_BYTES
from transport.servers import MECHANISM, SecuredServers, Servers, tls_context

_log = logging.getLogger(__name__)


class FaustWorker(faust.Worker):
    """Faust's worker, which is not waited for where it can't stop.

    Its client's thread can end without saying so when the broker is away. What it leaves undone is
    leaving its consumer group: the database's positions say what was handled.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # At its end it would show the cursor again, also where there is none, before a log line.
        self.spinner = None

    async def stop(self) -> None:
        """Stop, or go on without having stopped."""
        stopping = asyncio.ensure_future(super().stop())
        done, _ = await asyncio.wait({stopping}, timeout=STOPS_WITHIN_SECONDS)
        for each in done:
            each.result()
        if not done:
            _log.warning(
                "Faust did not stop within %g s and is left behind; the broker takes this process "
                "out of its group by itself",
                STOPS_WITHIN_SECONDS,
            )


def faust_app(name: str, servers: Servers, data: Path, batch: int) -> faust.App:
    """The app of the service `name`; `data` is a folder for Faust's own files."""
    app = BoundedApp(
        f"shop-{name}",
        broker=f"kafka://{servers}",
        broker_credentials=_credentials(servers),
        # Faust takes it for a format string.
        datadir=str(data).replace("{", "{{").replace("}", "}}"),
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=0.5,
        # A worker that died holds its partitions back for so long.
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        # Counts of records; bytes are bounded beside them (`streams.bounded`).
        broker_max_poll_records=4 * batch,
        stream_buffer_maxsize=16 * batch,
        consumer_max_fetch_size=FETCHED_BYTES,
        stream_wait_empty=False,
        cython_optimizations=True,
        autodiscover=False,
        Monitor=QuietMonitor,
    )
    app.transport = EagerTransport([URL(url) for url in app.conf.broker_consumer], app)
    return app


def _credentials(servers: Servers) -> faust.SASLCredentials | None:
    if not isinstance(servers, SecuredServers):
        return None
    # With a context Faust takes SASL_SSL; the context checks the names in the certificate.
    return faust.SASLCredentials(
        username=servers.username,
        password=servers.password,
        mechanism=MECHANISM,
        ssl_context=tls_context(servers),
    )
