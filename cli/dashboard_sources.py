"""Where the dashboard's pages take what they show from: made once for all who look."""

from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial

from cli.dashboard_health import health_of, letter_text
from cli.in_background import InBackground
from cli.prove import databases_of, kafka_of
from cli.settings import Settings
from domain.errors import BrokerError
from reporting.dashboard.prover import Prover
from reporting.dashboard.sources import Sources
from reporting.proof import PartName
from reporting.proof_run import Proof
from reporting.proofs import keep

LOOK_EVERY_SECONDS = 3.0
USELESS_AFTER_SECONDS = 20.0
WAIT_SECONDS = 1.0


@lru_cache(maxsize=1)
def sources() -> Sources:
    """The sources, by the settings of this process."""
    return sources_of(Settings())


def sources_of(settings: Settings) -> Sources:
    """The sources, by settings.

    In Postgres the dashboard's role may read one schema: `shop migrate` has put views of the log
    and of the proofs into that of the projections. Nothing else can be asked for.
    """
    if settings.on_postgres:
        readable = settings.database("report")
        written = settings.database("event_log")
        return Sources(
            readable, readable, settings.currency, readable, health=None, written=written
        )
    health = InBackground(
        partial(health_of, settings), LOOK_EVERY_SECONDS, USELESS_AFTER_SECONDS, WAIT_SECONDS
    )
    return Sources(
        log=settings.database("event_log"),
        projections=settings.database("report"),
        currency=settings.currency,
        proofs=settings.database("proofs"),
        health=health.newest,
        letter=partial(letter_text, settings),
        prover=Prover(partial(prove_all, settings)),
    )


def prove_all(settings: Settings, prover: Prover) -> None:
    """Prove all parts as `shop prove` does, and keep the result; without a broker, offline.

    Raises:
        ShopError: there is nothing to prove, Kafka can't be read, or the result can't be kept.
    """
    with closing(Proof(databases_of(settings), settled=False)) as made, ExitStack() as stack:
        away = None
        try:
            made.ask(stack.enter_context(closing(kafka_of(settings, made.fed_by()))))
        except BrokerError as error:
            away = f"Kafka could not be asked: {error.__cause__ or error}"
        parts = []
        for name in PartName:
            part = made.run(name, partial(prover.progress, name))
            if part.skipped is not None and away is not None:
                part = replace(part, skipped=away)
            prover.ended(part)
            parts.append(part)
        keep(settings.database("proofs"), made.head, parts, datetime.now(UTC))
