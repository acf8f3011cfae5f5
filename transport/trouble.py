"""What went wrong with a broker, in words that say what to do."""

import logging
import socket
import ssl
from collections.abc import Iterable
from time import monotonic
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, TopicCollection
from confluent_kafka.admin import AdminClient

from domain.errors import AccessDenied, BrokerError, NotLetIn
from transport.servers import SecuredServers, Servers, client_settings, principal, tls_context

PROBE_SECONDS = 3.0
"""How long an address has for a handshake that is tried to find out why nothing else works."""

# librdkafka tries on and says so each time: what it says last is in the message that is raised.
_quiet = logging.getLogger(f"{__name__}.librdkafka")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False

_DENIED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "transactional id",
}

_SILENT = {
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._SSL,
    KafkaError._AUTHENTICATION,
    KafkaError.REQUEST_TIMED_OUT,
}
"""What librdkafka says where it could not talk to a broker, whatever the reason."""


_NOT_SEEN = {KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC}
"""What librdkafka says of a topic that isn't there, and of one that may not be seen."""


class Tried(NamedTuple):
    """What was tried when a broker refused: an operation in Kafka's words, on topics or a group."""

    operation: str
    name: str


def is_denial(error: KafkaError) -> bool:
    """Whether the broker's authorizer refused."""
    return error.code() in _DENIED


def refuse_denied(messages: Iterable[Message]) -> None:
    """Look among what a consumer without a group got for a topic that may not be read.

    Raises:
        KafkaException: there is one; librdkafka tells it as a message, and tries on.
    """
    for message in messages:
        error = message.error()
        # Another denial is of the group, whose name a consumer must have and doesn't use.
        if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise KafkaException(error)


def trouble(
    servers: Servers, what: str, error: KafkaError | Exception, tried: Tried | None = None
) -> BrokerError:
    """The error to raise for one of librdkafka's.

    Args:
        servers: the broker that was asked, and as whom.
        what: what could not be done, the beginning of a sentence.
        error: what librdkafka said, or the time that ran out.
        tried: what the right is called that a denial means.
    """
    if isinstance(error, KafkaException):
        error = error.args[0]
    known = error if isinstance(error, KafkaError) else None
    kind = _DENIED.get(known.code()) if known is not None else None
    if kind is None and known is not None and known.code() in _NOT_SEEN:
        kind = "topic" if tried is not None and _is_hidden(servers, tried.name) else None
    if kind is not None:
        return denied(servers, what, kind, tried)
    silent = known is None or known.code() in _SILENT
    # Who has no password has been let in before, or was told at the start.
    if silent and isinstance(servers, SecuredServers):
        found = why_silent(servers)
        if found is not None:
            return NotLetIn(f"{what}: {found}")
    return BrokerError(f"{what}: {known.str() if known is not None else 'no answer in time'}")


def denied(servers: Servers, what: str, kind: str, tried: Tried | None) -> AccessDenied:
    """The error that names the right which a principal lacks."""
    if kind == "cluster" and tried is not None and tried.operation == "WRITE":
        # An idempotent producer gets its number from the cluster if it may write anywhere at all.
        right = f"WRITE any topic, {tried.name} neither"
    elif tried is None:
        right = f"do that with this {kind}"
    else:
        right = f"{tried.operation} {kind} {tried.name}"
    return AccessDenied(
        f"{what}: {principal(servers)} may not {right}. `shop acl show` says who may do what, and "
        "`shop acl apply` gives the rights; or these are another service's credentials"
    )


def ask_cluster(servers: Servers, timeout: float) -> str:
    """The id of the cluster that answers within `timeout` seconds.

    Raises:
        NotLetIn: it is there and won't talk with us; said as soon as that is known.
        BrokerError: nobody answers in time.
    """
    heard: list[KafkaError] = []
    settings: dict[str, Any] = {
        **client_settings(servers),
        "error_cb": heard.append,
        "log_level": 0,
        "logger": _quiet,
    }
    deadline = monotonic() + timeout
    client = AdminClient(settings)
    asked = client.describe_cluster(request_timeout=max(timeout, 0.1))
    while not asked.done() and monotonic() < deadline:
        client.poll(0.05)
        for error in heard:
            if error.code() == KafkaError._AUTHENTICATION:
                raise _not_authenticated(servers, error)
            if error.code() == KafkaError._SSL:
                found = _why_no_handshake(servers)
                if isinstance(found, NotLetIn):
                    raise found
        heard.clear()
    try:
        return str(asked.result(timeout=0.1).cluster_id)
    except (KafkaException, TimeoutError) as error:
        found = _why_no_handshake(servers)
        if found is not None:
            raise found from error
        said = error.args[0].str() if isinstance(error, KafkaException) else "no answer in time"
        raise BrokerError(said) from error


def _is_hidden(servers: Servers, topic: str) -> bool:
    """Whether a topic may not be described."""
    if isinstance(servers, str):
        return False
    settings: dict[str, Any] = {**client_settings(servers), "log_level": 0, "logger": _quiet}
    client = AdminClient(settings)
    asked = client.describe_topics(TopicCollection([topic]), request_timeout=PROBE_SECONDS)[topic]
    try:
        asked.result(PROBE_SECONDS)
    except KafkaException as error:
        return bool(error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED)
    except TimeoutError:
        pass
    return False


def why_silent(servers: Servers) -> NotLetIn | None:
    """Why a broker that is there doesn't talk with us; `None` where that isn't known."""
    try:
        ask_cluster(servers, PROBE_SECONDS)
    except NotLetIn as error:
        return error
    except BrokerError:
        pass
    return None


def _why_no_handshake(servers: Servers) -> BrokerError | None:
    for address in str(servers).split(","):
        host, _, port = address.strip().rpartition(":")
        if not port.isdigit():
            continue
        found = (
            _why_no_tls(servers, host.strip("[]"), int(port))
            if isinstance(servers, SecuredServers)
            else _why_no_plaintext(host.strip("[]"), int(port))
        )
        if found is not None:
            return found
    return None


def _not_authenticated(servers: Servers, error: KafkaError) -> NotLetIn:
    if "mechanism" in error.str() and "invalid credentials" not in error.str():
        return NotLetIn(f"the broker at {servers} knows passwords another way: {error.str()}")
    return NotLetIn(
        f"the broker at {servers} doesn't accept the password of {principal(servers)}, or knows "
        "nobody of that name: see KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD; `shop acl apply` "
        "makes passwords known to it"
    )


def _why_no_tls(servers: SecuredServers, host: str, port: int) -> BrokerError | None:
    try:
        raw = socket.create_connection((host, port), PROBE_SECONDS)
    except OSError:
        return None
    try:
        with raw, tls_context(servers).wrap_socket(raw, server_hostname=host):
            return None
    except ssl.SSLCertVerificationError as error:
        # X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH.
        if error.verify_code in (62, 64):
            return NotLetIn(
                f"the certificate of the broker at {host}:{port} is for other names than {host}: "
                "ask for it by one of those, or make one by `shop secrets create FOLDER --renew "
                f"broker --host {host}`"
            )
        return NotLetIn(
            f"the certificate of the broker at {host}:{port} isn't trusted "
            f"({error.verify_message}): {servers.ca}, which KAFKA_SSL_CA names, must be the "
            "authority that signed it"
        )
    except (ssl.SSLError, ConnectionError) as error:
        # It may pass: so does a broker that is just ending.
        return BrokerError(
            f"what listens at {host}:{port} doesn't speak TLS as Kafka does ({error}): it may be a "
            "PLAINTEXT listener, see KAFKA_SECURITY_PROTOCOL and KAFKA_BOOTSTRAP_SERVERS"
        )
    except OSError:
        return None


def _why_no_plaintext(host: str, port: int) -> NotLetIn | None:
    context = ssl.create_default_context()
    # Nothing is said over it but hello: who is there doesn't matter, only that it speaks TLS.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), PROBE_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host),
        ):
            return NotLetIn(
                f"the broker at {host}:{port} speaks TLS, and was spoken to without: set "
                "KAFKA_SECURITY_PROTOCOL=SASL_SSL, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and "
                "KAFKA_SSL_CA"
            )
    except OSError:
        return None
