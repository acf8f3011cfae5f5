"""The table of rights: that it says what services use, no more, and that the page has it."""

from pathlib import Path

from cli.access import as_markdown
from cli.composition import READS, SERVICES, learned
from cli.settings import Settings
from cli.standings import SOURCES
from domain.principals import Principal
from transport.access import Kind, Operation, group_of, kept_for, learned_by, rights
from transport.topics import (
    ALL_TOPICS,
    ORDERS,
    PAYMENT_REPLIES,
    PAYMENT_REQUESTS,
    TOPICS,
    dead_letter_topic,
)

TABLE = rights()


def names(principal: str, operation: Operation, kind: Kind = Kind.TOPIC) -> set[str]:
    wanted = (principal, operation, kind)
    return {r.name for r in TABLE if (r.principal, r.operation, r.kind) == wanted}


def test_services_read_what_they_subscribe_to(tmp_path: Path) -> None:
    for name, make in SERVICES.items():
        subscribed = set(make(Settings(home=tmp_path)).subscriptions)
        # As a requester the order service reads its replies too.
        assert names(name, Operation.READ) == subscribed | set(learned(name))
    assert names("responder", Operation.READ) == {PAYMENT_REQUESTS, *learned("responder")}
    assert READS.keys() == {*SERVICES, "responder"}


def test_a_service_may_look_how_its_topics_keep_their_records() -> None:
    for name in READS:
        kept = set(kept_for(Principal(name)))
        assert names(name, Operation.DESCRIBE_CONFIGS) == kept >= set(READS[name])
        assert {dead_letter_topic(topic) for topic in READS[name]} <= kept
    assert names("operator", Operation.DESCRIBE_CONFIGS) == set(ALL_TOPICS)


def test_services_read_in_the_groups_that_status_looks_for() -> None:
    groups = {name: source.group for name, source in SOURCES.items() if source.group is not None}
    for name in SOURCES:
        wanted = {groups[name]} if name in groups else set()
        assert names(name, Operation.READ, Kind.GROUP) == wanted
    assert {name: group_of(Principal(name)) for name in groups} == groups
    assert names("operator", Operation.DESCRIBE, Kind.GROUP) == set(groups.values())


def test_whoever_reads_may_put_aside_what_it_cannot_handle() -> None:
    for name in SOURCES:
        # What it reads back it has written itself.
        for topic in names(name, Operation.READ) - set(learned_by(Principal(name))):
            assert dead_letter_topic(topic) in names(name, Operation.WRITE)


def test_nobody_reads_letters_but_the_operator_and_nobody_but_one_writes_a_topic() -> None:
    topics = [topic.name for topic in TOPICS]
    letters = {dead_letter_topic(topic) for topic in topics}
    assert {r.principal for r in TABLE if r.name in letters and r.operation == Operation.READ} == {
        Principal.OPERATOR
    }
    writers = {
        topic: {r.principal for r in TABLE if r.name == topic and r.operation == Operation.WRITE}
        - {Principal.OPERATOR}
        for topic in topics
    }
    assert writers == {
        # NewOrder, and OrderShipped.
        ORDERS: {Principal.ORDER, Principal.WAREHOUSE},
        # The responder too: what the payment service left in the outbox of their one database.
        "authorizations": {Principal.PAYMENT, Principal.RESPONDER},
        "warehouse.requests": {Principal.ORDER},
        PAYMENT_REQUESTS: {Principal.ORDER},
        PAYMENT_REPLIES: {Principal.RESPONDER},
        "reporting.requests": {Principal.ORDER},
    }


def test_all_are_named_and_none_by_a_pattern() -> None:
    known = {name for t in TOPICS for name in (t.name, dead_letter_topic(t.name))}
    known |= {source.group for source in SOURCES.values()}
    assert {right.name for right in TABLE} <= known
    assert len(set(TABLE)) == len(TABLE)
    assert not {Principal.ADMIN, Principal.DASHBOARD, Principal.PROJECTOR} & {
        right.principal for right in TABLE
    }


def test_the_responder_may_write_to_the_reply_topics_of_the_settings() -> None:
    more = set(rights(["mine"])) - set(TABLE)
    assert more == {(Principal.RESPONDER, Kind.TOPIC, "mine", Operation.WRITE)}


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    assert as_markdown(TABLE) in page, "`shop acl show --markdown` prints it"
