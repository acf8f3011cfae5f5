"""Which reply belongs to which request, and where it goes: headers as spring-kafka uses them.

Source: spring-kafka's `KafkaHeaders` and `ReplyingKafkaTemplate`: ``kafka_correlationId`` is bytes
that the responder gives back as they are, ``kafka_replyTopic`` a topic's name in UTF-8, and
``kafka_replyPartition`` a partition as 4 bytes, big-endian. The deadline is the CloudEvents
extension ``expirytime`` (RFC 3339).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.errors import MalformedRecord
from transport.envelope import Headers, format_time, once, parse_time, refuse_unreadable

CORRELATION_ID = "kafka_correlationId"
REPLY_TOPIC = "kafka_replyTopic"
REPLY_PARTITION = "kafka_replyPartition"
EXPIRY_TIME = "ce_expirytime"
MAX_CORRELATION_BYTES = 256

_PARTITION = struct.Struct(">i")


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """Where a reply goes, and the correlation id that it carries.

    Without `partition` the topic is the requester's own, and any partition of it will do.
    """

    topic: str
    partition: int | None
    correlation_id: bytes


def request_headers(address: ReturnAddress, expires_at: datetime | None) -> Headers:
    """What a request carries beside its envelope."""
    headers: Headers = [
        (CORRELATION_ID, address.correlation_id),
        (REPLY_TOPIC, address.topic.encode()),
    ]
    if address.partition is not None:
        headers.append((REPLY_PARTITION, _PARTITION.pack(address.partition)))
    if expires_at is not None:
        headers.append((EXPIRY_TIME, format_time(expires_at).encode()))
    return headers


def return_address(headers: Iterable[tuple[str, bytes | None]]) -> ReturnAddress:
    """Where the reply to a request goes.

    Raises:
        MalformedRecord: correlation id or reply topic is missing, doubled or wrong.
    """
    found = once(headers, CORRELATION_ID, REPLY_TOPIC, REPLY_PARTITION)
    correlation = found.get(CORRELATION_ID)
    if correlation is None:
        refuse_unreadable(headers)
    if not correlation or len(correlation) > MAX_CORRELATION_BYTES:
        raise MalformedRecord(f"header {CORRELATION_ID} is missing, empty or too long")
    try:
        topic = (found.get(REPLY_TOPIC) or b"").decode()
    except UnicodeDecodeError as error:
        raise MalformedRecord(f"header {REPLY_TOPIC} is not UTF-8") from error
    if not topic:
        raise MalformedRecord(f"header {REPLY_TOPIC} is missing: nobody to reply to")
    packed = found.get(REPLY_PARTITION)
    if packed is None:
        return ReturnAddress(topic, None, correlation)
    if len(packed) != _PARTITION.size or _PARTITION.unpack(packed)[0] < 0:
        raise MalformedRecord(f"header {REPLY_PARTITION} is not a partition in 4 bytes")
    return ReturnAddress(topic, _PARTITION.unpack(packed)[0], correlation)


def expiry_of(headers: Iterable[tuple[str, bytes | None]]) -> datetime | None:
    """When a request is not to be decided any more; `None` is never.

    Raises:
        MalformedRecord: the header is doubled or no time.
    """
    text = once(headers, EXPIRY_TIME).get(EXPIRY_TIME)
    if text is None:
        return None
    try:
        return parse_time(text.decode(), EXPIRY_TIME)
    except UnicodeDecodeError as error:
        raise MalformedRecord(f"header {EXPIRY_TIME} is not UTF-8") from error
