"""`shop run responder`: the payment service, asked by messages."""

import logging
import signal
import threading

from cli.composition import payment_service, publisher, wait_for_topics
from cli.settings import Settings
from domain.principals import Principal
from request_reply.responder import Responder
from services.watchdog import watched
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS

RESPONDER = "responder"

_log = logging.getLogger(__name__)


def run_responder(settings: Settings) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Raises:
        BrokerError: there is no broker.
        StoreError: the payment database can't be used.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = payment_service(settings)
    servers, cluster = wait_for_topics(settings, Principal.RESPONDER)
    service.database.bind_to_cluster(cluster)
    allowed = frozenset({PAYMENT_REPLIES, *settings.reply_topics})
    responder = Responder(service, servers, publisher(servers), reply_topics=allowed)
    topics, limit = [PAYMENT_REQUESTS], settings.stalled_after
    with watched(
        RESPONDER, service.database, topics, servers, limit, reply_topics=settings.reply_topics
    ):
        responder.run(stop)
