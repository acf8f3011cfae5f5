"""What requests get, decided in one transaction: answers, error replies, dead letters."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from domain.contracts import Authorization, Failure
from domain.errors import ContractError, StoreError
from event_log.inbox import advance, next_offsets, refuse_behind
from event_log.outbox import enqueue
from event_log.topic_ids import topic_ids
from request_reply.requests import Answer, BrokenRequest, Request, Unaddressed, failed
from services.batch import offsets_after
from services.payment import PaymentService
from transport.envelope import format_time
from transport.letters import dead_letters
from transport.topics import TopicPartition

_log = logging.getLogger(__name__)

NAME = "responder"
"""Under which name dead letters are written."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a record gets: an answer, if it may be told; why it is a dead letter, if it is."""

    asked: Request | BrokenRequest | Unaddressed
    answer: Answer | None
    why: ContractError | None = None


class Verdicts:
    """Decides batches of requests on the payment service's accounts."""

    def __init__(self, service: PaymentService, clock: Callable[[], datetime]) -> None:
        """Decide by `service`; by `clock` requests are past their deadline."""
        self._service = service
        self._database = service.database
        self._clock = clock

    def on(
        self,
        understood: Sequence[Request | BrokenRequest | Unaddressed],
        reached: Mapping[TopicPartition, int],
    ) -> tuple[list[Verdict], bool]:
        """Decide a batch: accounts, dead letters and positions in one transaction.

        Where that fails unexpectedly, each request is decided in a transaction of its own, so that
        one that can't be decided holds none of its neighbours up.

        Args:
            understood: the batch.
            reached: positions that the database must have come to.

        Returns:
            For each record its verdict, in order; and whether dead letters wait in the outbox.

        Raises:
            StoreBehind: the database has not come to `reached`; nothing has changed.
            StoreError: the database can't be written.
        """
        requests = [asked for asked in understood if isinstance(asked, Request)]

        def keep(connection: Connection, decided: Sequence[Verdict]) -> tuple[list[Verdict], bool]:
            following = iter(decided)
            verdicts = [
                next(following) if isinstance(asked, Request) else _undecided(asked)
                for asked in understood
            ]
            return verdicts, self._keep(connection, verdicts, reached)

        try:
            return self._database.in_transaction(
                lambda connection: keep(connection, self._decide(connection, requests))
            )
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 whatever it was, the neighbours go on
            _log.warning(
                "%d requests can't be decided together, each is decided alone: %r",
                len(requests),
                error,
            )
        alone = [self._decide_alone(request) for request in requests]
        return self._database.in_transaction(lambda connection: keep(connection, alone))

    def _decide_alone(self, request: Request) -> Verdict:
        try:
            (verdict,) = self._database.in_transaction(
                lambda connection: self._decide(connection, [request])
            )
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 whatever it was, who asked is told
            order_id = request.order.order_id
            _log.exception(
                "%s: order %s can't be decided",
                *(request.record.place, order_id),
                extra={"order_id": order_id},
            )
            message = "deciding failed; the responder's log says why"
            answer = failed(order_id, Failure.INTERNAL_ERROR, message, request.expires_at)
            return Verdict(request, answer)
        return verdict

    def _decide(self, connection: Connection, requests: Sequence[Request]) -> list[Verdict]:
        now = self._clock()
        # By identity: the same order may be asked twice, with two deadlines.
        expired = {
            id(request.order)
            for request in requests
            if request.expires_at is not None and request.expires_at <= now
        }
        answers = self._service.decide(
            connection,
            [request.order for request in requests],
            may_decide=lambda order: id(order) not in expired,
        )
        return [
            _verdict(request, answer) for request, answer in zip(requests, answers, strict=True)
        ]

    def _keep(
        self,
        connection: Connection,
        verdicts: Sequence[Verdict],
        reached: Mapping[TopicPartition, int],
    ) -> bool:
        """Write dead letters and positions; a record that came before has its letter already."""
        now = self._clock()
        refused = [(each.asked.record, each.why) for each in verdicts if each.why is not None]
        before, lives = next_offsets(connection), topic_ids(connection) if refused else {}
        refuse_behind(self._database, before, reached)
        letters = dead_letters(refused, NAME, now, before, lives)
        advance(connection, offsets_after([verdict.asked.record for verdict in verdicts]), now)
        return enqueue(connection, letters) > 0


def _verdict(request: Request, answer: Authorization | ContractError | None) -> Verdict:
    order_id, deadline = request.order.order_id, request.expires_at
    if answer is None:
        until = format_time(deadline) if deadline else "never"
        message = f"not decided by {until}, its deadline"
        return Verdict(request, failed(order_id, Failure.EXPIRED, message, deadline))
    if isinstance(answer, ContractError):
        refusal = failed(order_id, Failure.REFUSED, str(answer), deadline)
        return Verdict(request, refusal, answer)
    return Verdict(request, answer)


def _undecided(asked: BrokenRequest | Unaddressed) -> Verdict:
    return Verdict(asked, asked.answer if isinstance(asked, BrokenRequest) else None, asked.why)
