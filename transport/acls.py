"""The broker's ACLs and passwords: how they differ from the table, and how they are made so."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from domain.errors import NotLetIn
from domain.principals import Principal
from transport.access import Right
from transport.clients import admin_client
from transport.servers import SecuredServers
from transport.topics import TOPICS, dead_letter_topic
from transport.trouble import Tried, ask_cluster, denied, trouble

TIMEOUT_SECONDS = 30.0
"""How long the broker has for an answer."""

SCRAM_ITERATIONS = 4096
"""The least that Kafka takes; more would slow guessing down, and nobody guesses 32 random bytes."""

CLUSTER = "kafka-cluster"
"""The name of the one resource of its kind."""

ALL_NAMES = "*"


class Acl(NamedTuple):
    """An ACL as the broker has it, in Kafka's words; `pattern` is LITERAL or PREFIXED."""

    principal: str
    kind: str
    name: str
    pattern: str
    host: str
    operation: str
    permission: str

    def __str__(self) -> str:
        name = self.name if self.pattern == "LITERAL" else f"{self.name}… ({self.pattern})"
        host = "" if self.host == ALL_NAMES else f" from {self.host}"
        said = "may" if self.permission == "ALLOW" else "must not"
        return f"{self.principal} {said} {self.operation} {self.kind} {name}{host}"


@dataclass(frozen=True)
class Difference:
    """How the broker's ACLs differ from the table.

    `missing` are to be made. `foreign` are not in the table and are to go: of our principals, or of
    our topics and groups by name. `covering` are patterns of other principals that cover ours
    beside what may be others'.
    """

    missing: Sequence[Acl]
    foreign: Sequence[Acl]
    covering: Sequence[Acl]

    def __bool__(self) -> bool:
        return bool(self.missing or self.foreign or self.covering)


def difference(servers: SecuredServers, table: Iterable[Right]) -> Difference:
    """Compare the broker's ACLs with the table.

    Raises:
        AccessDenied: this principal may not see them.
        BrokerError: the broker doesn't answer.
    """
    wanted = {acl_of(right) for right in table}
    there = _describe(servers)
    ours = _our_resources(wanted)
    principals = {f"User:{principal}" for principal in Principal}
    others = sorted(there - wanted)
    foreign = [acl for acl in others if acl.principal in principals or _names_ours(acl, ours)]
    covering = [acl for acl in others if acl not in foreign and _covers_ours(acl, ours)]
    return Difference(sorted(wanted - there), foreign, covering)


def make_so(servers: SecuredServers, found: Difference) -> None:
    """Create what is missing and delete what is foreign; what covers others' too is left.

    Raises:
        AccessDenied: this principal may not change them.
        BrokerError: the broker refuses, or doesn't answer.
    """
    admin = admin_client(servers)
    _require_on_cluster(servers, admin, "ACLs can't be changed", "ALTER")
    # First what is missing: a service that runs never lacks a right that it has before and after.
    answers: dict[Any, Future[Any]] = {}
    try:
        if found.missing:
            new = [AclBinding(*_parts(acl)) for acl in found.missing]
            answers |= admin.create_acls(new, request_timeout=TIMEOUT_SECONDS)
            wait(answers.values(), TIMEOUT_SECONDS)
        if found.foreign:
            old = [AclBindingFilter(*_parts(acl)) for acl in found.foreign]
            answers |= admin.delete_acls(old, request_timeout=TIMEOUT_SECONDS)
        for answer in answers.values():
            answer.result(TIMEOUT_SECONDS)
    except (KafkaException, TimeoutError) as error:
        raise trouble(servers, "ACLs can't be changed", error, Tried("ALTER", CLUSTER)) from error


def unknown_passwords(
    servers: SecuredServers, passwords: Mapping[Principal, str]
) -> list[Principal]:
    """Whose passwords the broker doesn't know, found out by logging in with each.

    Raises:
        BrokerError: the broker doesn't answer.
    """

    def is_known(principal: Principal) -> bool:
        login = replace(servers, username=str(principal), password=passwords[principal])
        try:
            ask_cluster(login, TIMEOUT_SECONDS)
        except NotLetIn:
            return False
        return True

    # At once: a broker takes its time to refuse.
    with ThreadPoolExecutor(len(passwords)) as threads:
        known = list(threads.map(is_known, passwords))
    return [principal for principal, is_so in zip(passwords, known, strict=True) if not is_so]


def set_passwords(servers: SecuredServers, passwords: Mapping[Principal, str]) -> None:
    """Make passwords known to the broker, in place of those it knew.

    Raises:
        AccessDenied: this principal may not.
        BrokerError: the broker refuses, or doesn't answer.
    """
    if not passwords:
        return
    admin = admin_client(servers)
    _require_on_cluster(servers, admin, "passwords can't be changed", "ALTER")
    how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, SCRAM_ITERATIONS)
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(str(principal), how, password.encode())
        for principal, password in passwords.items()
    ]
    try:
        answers = admin.alter_user_scram_credentials(changes, request_timeout=TIMEOUT_SECONDS)
        for answer in answers.values():
            answer.result(TIMEOUT_SECONDS)
    except (KafkaException, TimeoutError) as error:
        tried = Tried("ALTER", CLUSTER)
        raise trouble(servers, "passwords can't be changed", error, tried) from error


def _describe(servers: SecuredServers) -> set[Acl]:
    admin = admin_client(servers)
    _require_on_cluster(servers, admin, "ACLs can't be seen", "DESCRIBE")
    # Its stubs leave out that a filter may have no name, principal and host.
    every = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]
        ResourcePatternType.ANY,
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    try:
        found = admin.describe_acls(every, request_timeout=TIMEOUT_SECONDS).result(TIMEOUT_SECONDS)
    except (KafkaException, TimeoutError) as error:
        raise trouble(servers, "ACLs can't be seen", error) from error
    return {_acl(binding) for binding in found}


def _require_on_cluster(
    servers: SecuredServers, admin: AdminClient, what: str, operation: str
) -> None:
    """Ask first whether something may be done at all.

    librdkafka takes a refused DescribeAcls for one that found nothing.

    Raises:
        AccessDenied: it may not.
        BrokerError: the broker doesn't answer.
    """
    try:
        asked = admin.describe_cluster(
            include_authorized_operations=True, request_timeout=TIMEOUT_SECONDS
        )
        allowed = asked.result(TIMEOUT_SECONDS).authorized_operations or ()
    except (KafkaException, TimeoutError) as error:
        raise trouble(servers, what, error) from error
    if operation not in {each.name for each in allowed}:
        raise denied(servers, what, "cluster", Tried(operation, CLUSTER))


def _our_resources(wanted: Iterable[Acl]) -> set[tuple[str, str]]:
    # Also topics that nobody has a right on: some of them might be given one.
    names = [name for topic in TOPICS for name in (topic.name, dead_letter_topic(topic.name))]
    return {("TOPIC", name) for name in names} | {(acl.kind, acl.name) for acl in wanted}


def _names_ours(acl: Acl, ours: set[tuple[str, str]]) -> bool:
    return acl.pattern == "LITERAL" and (acl.kind, acl.name) in ours


def _covers_ours(acl: Acl, ours: set[tuple[str, str]]) -> bool:
    names = [name for kind, name in ours if kind == acl.kind]
    if acl.pattern == "PREFIXED":
        return any(name.startswith(acl.name) for name in names)
    return acl.name == ALL_NAMES and bool(names)


def acl_of(right: Right) -> Acl:
    """A line of the table as the ACL that gives the right."""
    return Acl(
        f"User:{right.principal}",
        right.kind.name,
        right.name,
        "LITERAL",
        ALL_NAMES,
        right.operation.value,
        "ALLOW",
    )


def _acl(binding: Any) -> Acl:
    # What librdkafka calls BROKER is Kafka's CLUSTER.
    kind = "CLUSTER" if binding.restype is ResourceType.BROKER else binding.restype.name
    return Acl(
        binding.principal,
        kind,
        binding.name,
        binding.resource_pattern_type.name,
        binding.host,
        binding.operation.name,
        binding.permission_type.name,
    )


def _parts(acl: Acl) -> tuple[Any, ...]:
    return (
        ResourceType.BROKER if acl.kind == "CLUSTER" else ResourceType[acl.kind],
        acl.name,
        ResourcePatternType[acl.pattern],
        acl.principal,
        acl.host,
        AclOperation[acl.operation],
        AclPermissionType[acl.permission],
    )
