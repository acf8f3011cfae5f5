"""`shop run responder`: the payment service, asked by messages."""

import signal
import threading
from functools import partial

from cli.composition import (
    payment_service,
    publisher,
    topic_lives,
    until_open,
    wait_for_topics,
)
from cli.settings import Settings
from domain.principals import Principal
from request_reply.responder import Responder
from services.learning import learn_decisions
from services.watchdog import watched
from transport.topics import PAYMENT_REPLIES, PAYMENT_REQUESTS

RESPONDER = "responder"


def run_responder(settings: Settings) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Raises:
        BrokerError: there is no broker.
        StoreError: the payment database can't be used, or is not of these topics.
        OffsetGap: requests are gone that nobody has handled.
    """
    service = until_open(
        partial(payment_service, settings), "payment's database", within=float("inf")
    )
    service.database.be_patient()
    servers, cluster = wait_for_topics(settings, Principal.RESPONDER)
    service.database.bind_to_cluster(cluster)
    lives = topic_lives(RESPONDER, servers, service.database)
    lives.bind()
    learn_decisions(service, servers)
    allowed = frozenset({PAYMENT_REPLIES, *settings.reply_topics})
    responder = Responder(service, servers, publisher(servers), reply_topics=allowed, lives=lives)
    # Until now nothing is under way: a signal may end it anywhere.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with watched(
        RESPONDER,
        service.database,
        [PAYMENT_REQUESTS],
        servers,
        settings.stalled_after,
        lives.require,
        settings.reply_topics,
    ):
        responder.run(stop)
