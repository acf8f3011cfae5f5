"""`shop acl` on a real broker, and what changing a password does to who is connected."""

import json
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from cli.secrets_folder import FORMER, KAFKA_PASSWORD, renew_passwords
from domain.errors import NotLetIn
from domain.principals import Principal
from tests.access.conftest import change, home_of
from tests.conftest import Home
from tests.secured_broker import SecuredBroker
from tests.waiting import wait_for
from transport.access import Kind, Operation, Right, rights
from transport.acls import Difference, difference, make_so
from transport.clients import Publisher, admin_client, cluster_id
from transport.records import Outgoing

RECORD = Outgoing("orders.dead-letter", b"k", [], b"{}")


@pytest.fixture
def admin(broker: SecuredBroker, tmp_path: Path) -> Home:
    return home_of(broker, Home(tmp_path / "home"), "admin")


def made(broker: SecuredBroker, kind: str, name: str, pattern: str, principal: str) -> None:
    """An ACL that somebody makes by hand."""
    acl = AclBinding(
        ResourceType[kind],
        name,
        ResourcePatternType[pattern],
        principal,
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    client = admin_client(broker.servers("admin"))
    client.create_acls([acl])[acl].result(30)


def test_applied_again_nothing_changes(admin: Home) -> None:
    done = admin.shop("acl", "apply", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (
        0,
        {"passwords": [], "missing": [], "foreign": [], "covering": []},
    )
    done = admin.shop("acl", "check")
    assert (done.returncode, done.stdout) == (0, "the broker's ACLs are as the table says\n")


def test_what_is_missing_and_what_is_foreign_is_found_and_mended(
    broker: SecuredBroker, admin: Home
) -> None:
    change(broker, take=[Right(Principal.ORDER, Kind.TOPIC, "orders", Operation.WRITE)])
    made(broker, "TOPIC", "orders", "LITERAL", "User:mallory")
    made(broker, "TOPIC", "of.others", "LITERAL", "User:order")
    made(broker, "GROUP", "*", "LITERAL", "User:projector")
    # Someone else's own business.
    made(broker, "TOPIC", "of.others", "LITERAL", "User:other")
    done = admin.shop("acl", "check")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "missing: User:order may WRITE TOPIC orders",
        "not in the table: User:mallory may READ TOPIC orders",
        "not in the table: User:order may READ TOPIC of.others",
        "not in the table: User:projector may READ GROUP *",
    ]
    found = json.loads(admin.shop("acl", "check", "--json").stdout)
    assert {name: len(acls) for name, acls in found.items()} == {
        "missing": 1,
        "foreign": 3,
        "covering": 0,
    }
    done = admin.shop("acl", "apply")
    assert done.returncode == 0, done.stderr
    assert "ACLs created: 1, removed: 3" in done.stdout
    assert admin.shop("acl", "check").returncode == 0


def test_a_pattern_of_others_that_covers_ours_is_said_and_left(
    broker: SecuredBroker, admin: Home
) -> None:
    made(broker, "TOPIC", "pay", "PREFIXED", "User:mallory")
    try:
        for command in ("check", "apply", "check"):
            done = admin.shop("acl", command)
            assert done.returncode == 1
            assert "User:mallory may READ TOPIC pay… (PREFIXED)" in done.stdout
    finally:
        for acl in difference(broker.servers("admin"), rights()).covering:
            make_so(broker.servers("admin"), Difference((), [acl], ()))
    assert admin.shop("acl", "check").returncode == 0


def test_the_table_is_shown(admin: Home) -> None:
    shown = json.loads(admin.shop("acl", "show", "--json").stdout)["rights"]
    assert [tuple(each.values()) for each in shown] == [tuple(map(str, r)) for r in rights()]
    assert "shop-payment" in admin.shop("acl", "show").stdout


def test_a_new_password_works_and_the_old_one_does_not(broker: SecuredBroker, admin: Home) -> None:
    """Who is connected stays connected until it connects again."""
    old = broker.servers("payment")
    connected = Publisher(old)
    connected.publish([RECORD])
    renew_passwords(broker.secrets, Principal.PAYMENT)
    new = broker.servers("payment")
    assert new.password != old.password
    with pytest.raises(NotLetIn, match="doesn't accept the password of User:payment"):
        cluster_id(new)
    done = admin.shop("acl", "apply")
    assert "passwords made known: payment" in done.stdout, done.stderr
    assert old.password not in done.stdout + done.stderr
    assert new.password not in done.stdout + done.stderr
    cluster_id(new)
    with pytest.raises(NotLetIn, match="doesn't accept the password of User:payment"):
        cluster_id(old)
    connected.publish([RECORD])
    Publisher(new).publish([RECORD])


def test_the_admin_changes_its_own_password_by_the_former_one(
    broker: SecuredBroker, admin: Home
) -> None:
    old = broker.servers("admin")
    renew_passwords(broker.secrets, Principal.ADMIN)
    former = broker.secrets / "admin" / f"{KAFKA_PASSWORD}{FORMER}"
    assert former.read_text() == old.password
    done = admin.shop("acl", "apply")
    assert (done.returncode, "passwords made known: admin" in done.stdout) == (0, True), done.stderr
    assert not former.exists()
    cluster_id(broker.servers("admin"))
    with pytest.raises(NotLetIn):
        cluster_id(old)
    assert admin.shop("acl", "check").returncode == 0
    # The broker reads its own copy when it starts.
    assert broker.password("broker") == broker.password("admin")
    broker.stop()
    broker.start()
    wait_for(lambda: admin.shop("acl", "check").returncode == 0, "the same ACLs")


def test_no_secret_is_in_the_broker_s_log_or_configuration(broker: SecuredBroker) -> None:
    said = broker.log + (broker.folder / "server.properties").read_text()
    said += (broker.folder / "console.log").read_text()
    for principal in Principal:
        assert broker.password(principal) not in said
    assert "PRIVATE KEY" not in said
