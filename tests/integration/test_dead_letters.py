"""`shop dead-letters`, as a user mends what went wrong."""

import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]

from cli.asking import desk
from domain.contracts import AuthorizePayment, NewOrder
from domain.house_accounts import house_address
from domain.money import Money
from request_reply.correlation import ReturnAddress, request_headers
from services.letters import LetterDesk
from tests.conftest import Home
from tests.integration.test_pipeline import header, records
from tests.integration.test_styles import running, servers_of, settings_of
from tests.waiting import wait_for
from transport.clients import admin_client
from transport.records import Outgoing, outgoing

pytestmark = pytest.mark.slow

SERVICES = ("order", "payment", "recorder", "responder")


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[Home]:
    with running(module_home, *SERVICES):
        yield module_home


def order_of(name: str, number: int = 1) -> NewOrder:
    return NewOrder(
        order_id=f"letters/{name}",
        customer_id=f"{number:05}",
        ordered_at=datetime(2026, 3, 1, tzinfo=UTC),
        amount=Money(1200, "USD"),
        items=1,
        billing_address=house_address(str(number)),
    )


def produce(home: Home, *outs: Outgoing, **settings: Any) -> None:
    producer = Producer({"bootstrap.servers": servers_of(home), **settings})
    for out in outs:
        producer.produce(out.topic, out.body, out.key, headers=list(out.headers))
    assert producer.flush(30) == 0


def new_order(order: NewOrder, **changes: Any) -> Outgoing:
    """Its NewOrder, with fields of the body changed behind the codec's back."""
    out = outgoing(order, "/tests", datetime.now(UTC))
    body = {**json.loads(out.body or b""), **changes}
    return Outgoing(out.topic, out.key, out.headers, json.dumps(body).encode())


def letters(home: Home, *arguments: str) -> list[dict[str, Any]]:
    done = home.shop("dead-letters", "list", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["letters"]
    return found


def letter_about(home: Home, word: str, services: int = 1, state: str = "open") -> dict[str, Any]:
    """The one letter whose body has a word, once so many services have refused it."""

    def look() -> list[dict[str, Any]]:
        return [
            each
            for each in letters(home, "--state", state)
            if word in str(each["body"]) and len(each["refusals"]) >= services
        ]

    (found,) = wait_for(look, f"a letter about {word}", 120, 0.2)
    return found


def authorizations(home: Home, order_id: str) -> int:
    return home.count("payment", f"account_events WHERE order_id = '{order_id}'")


def test_a_letter_is_mended_and_sent_and_has_its_effect_once(shop: Home) -> None:
    order = order_of("mended")
    produce(shop, new_order(order, amount={"cents": -5, "currency": "USD"}))
    found = letter_about(shop, order.order_id, services=3)
    name = found["letter"]
    assert name.startswith("orders/")
    assert {each["service"] for each in found["refusals"]} == {"order", "payment", "recorder"}
    assert all("amount.cents" in each["reason"] for each in found["refusals"])

    listed = shop.shop("dead-letters", "list", "--reason", "AMOUNT", "--service", "payment")
    assert name in listed.stdout
    assert name not in shop.shop("dead-letters", "list", "--topic", "authorizations").stdout
    shown = shop.shop("dead-letters", "show", name)
    assert "refused by payment" in shown.stdout
    assert '"cents": -5' in shown.stdout
    assert json.loads(shop.shop("dead-letters", "show", name, "--raw").stdout)["items"] == 1

    wrong = shop.shop("dead-letters", "edit", name, "--set", "amount.cents=-7")
    assert wrong.returncode == 1
    assert "refused again" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    right = shop.shop("dead-letters", "edit", name, "--set", "amount.cents=1200", "--note", "typo")
    assert right.returncode == 0, right.stderr
    assert authorizations(shop, order.order_id) == 0
    assert shop.shop("dead-letters", "send", name).returncode == 0
    wait_for(lambda: authorizations(shop, order.order_id), "the order's authorization")
    assert letter_about(shop, order.order_id, state="sent")["letter"] == name

    refused = shop.shop("dead-letters", "send", name)
    assert refused.returncode == 1
    assert "--again" in refused.stderr
    assert shop.shop("dead-letters", "send", name, "--again").returncode == 0
    other = order_of("after")
    produce(shop, new_order(other))
    wait_for(lambda: authorizations(shop, other.order_id), "an order sent after it")
    assert authorizations(shop, order.order_id) == 1
    wanted = f"event_log WHERE correlation_id = '{order.order_id}' AND type = 'shop.NewOrder'"
    assert shop.count("event_log", wanted) == 1
    done = json.loads(shop.shop("dead-letters", "show", name, "--json").stdout)["done"]
    assert [each["action"] for each in done] == ["edited", "sent", "sent"]
    assert done[0]["note"] == "typo"


def test_one_that_fails_again_is_a_new_letter_and_knows_its_history(shop: Home) -> None:
    order = order_of("again")
    produce(shop, new_order(order, items=0))
    first = letter_about(shop, order.order_id, services=3)
    assert shop.shop("dead-letters", "send", first["letter"]).returncode == 0
    second = letter_about(shop, order.order_id, services=3)
    assert second["letter"] != first["letter"]
    assert (first["tries"], second["tries"]) == (1, 2)
    assert [each["letter"] for each in second["history"]] == [first["letter"]]


def test_a_dropped_letter_stays_to_be_seen(shop: Home) -> None:
    sent = [("a", b"1"), ("ce_type", b"shop.NewOrder.v1"), ("n", None), ("a", b"\xff")]
    produce(shop, Outgoing("orders", b"1", sent, b"dropped \xff"))
    found = letter_about(shop, "base64", services=3)
    came = [(each["name"], each["value"]) for each in found["headers"]]
    assert came == [*[("a", "1"), ("ce_type", "shop.NewOrder.v1"), ("n", None)], came[3]]
    assert came[3] == ("a", {"base64": "/w=="})
    assert "0x64726f7070656420ff" in shop.shop("dead-letters", "show", found["letter"]).stdout
    assert shop.shop("dead-letters", "drop", found["letter"]).returncode == 2
    dropped = shop.shop("dead-letters", "drop", found["letter"], "--reason", "a stray test")
    assert dropped.returncode == 0
    assert found["letter"] not in [each["letter"] for each in letters(shop)]
    (kept,) = letters(shop, "--state", "dropped")
    assert kept["done"][0]["note"] == "a stray test"
    refused = shop.shop("dead-letters", "send", found["letter"])
    assert refused.returncode == 1
    assert "was dropped on" in refused.stderr
    file = shop.path / "databases" / "dead_letters.sqlite"
    for table in ("letters", "letter_actions"):
        with (
            sqlite3.connect(file) as connection,
            pytest.raises(sqlite3.IntegrityError, match="for good"),
        ):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608


def test_a_request_is_mended_and_answered(shop: Home) -> None:
    """Its return address is kept, so the answer goes to whoever asked."""
    order = order_of("asked", 2)
    with desk(settings_of(shop)):
        pass
    asked = outgoing(AuthorizePayment(order), "/tests", datetime.now(UTC))
    address = ReturnAddress("payment.replies", 3, b"0123456789abcdef")
    body = json.dumps({**json.loads(asked.body or b""), "items": "one"}).encode()
    headers = [*asked.headers, *request_headers(address, datetime(2026, 1, 1, tzinfo=UTC))]
    produce(shop, Outgoing(asked.topic, asked.key, headers, body))
    name = letter_about(shop, order.order_id)["letter"]
    assert name.startswith("payment.requests/")
    late = shop.shop("dead-letters", "edit", name, "--set", "items=1")
    assert late.returncode == 0, late.stderr
    assert "--remove-header ce_expirytime" in late.stderr
    in_time = shop.shop("dead-letters", "edit", name, "--remove-header", "ce_expirytime")
    assert in_time.returncode == 0, in_time.stderr
    assert in_time.stderr == ""
    assert shop.shop("dead-letters", "send", name).returncode == 0

    def answers() -> list[str]:
        found = records(servers_of(shop), "payment.replies")
        return [header(m, "ce_type") for m in found if m.partition() == 3]

    wait_for(lambda: len(answers()) >= 2, "an answer after the error reply")
    assert answers() == ["shop.AuthorizationFailed.v1", "shop.AuthorizationAccepted.v1"]


def test_a_plain_clients_request_can_be_mended_in_every_part(shop: Home) -> None:
    """As spring-kafka sends it, without CloudEvents."""
    order = order_of("plain", 4)
    body = json.loads(outgoing(order, "/tests", datetime.now(UTC)).body or b"")
    address = ReturnAddress("payment.replies", 2, b"0123456789abcdef")
    headers = [*request_headers(address, None), ("wrong", b"1")]
    broken = json.dumps({**body, "items": "one"}).encode()
    produce(shop, Outgoing("payment.requests", b"00005", headers, broken))
    name = letter_about(shop, order.order_id)["letter"]

    file = shop.path / "mended.json"
    file.write_text(json.dumps(body))
    unlike = shop.shop("dead-letters", "edit", name, "--body", str(file))
    assert unlike.returncode == 1
    assert "customer '00004'" in unlike.stderr
    changes = ("--body", str(file), "--key", "00004", "--remove-header", "wrong")
    changes += ("--header", "mended-by=tests", "--header", os.fsdecode(b"raw=\xff"))
    assert shop.shop("dead-letters", "edit", name, *changes).returncode == 0
    assert shop.shop("dead-letters", "send", name).returncode == 0
    wait_for(lambda: authorizations(shop, order.order_id), "the order's authorization")
    shown = json.loads(shop.shop("dead-letters", "show", name, "--json").stdout)
    assert (shown["key"], shown["as_it_came"]["key"]) == ("00004", "00005")
    names = [each["name"] for each in shown["headers"]]
    assert {"mended-by", "raw"} <= set(names)
    assert "wrong" not in names
    assert [each["action"] for each in shown["done"]] == ["edited", "sent"]


def test_letters_are_mended_in_an_editor_and_sent_all_at_once(shop: Home, tmp_path: Path) -> None:
    orders = [order_of(f"editor-{number}", number) for number in (5, 6)]
    produce(shop, *(new_order(order, items="two") for order in orders))
    names = [letter_about(shop, order.order_id, services=3)["letter"] for order in orders]
    script = tmp_path / "editor.sh"
    script.write_text('#!/bin/sh\nsed -i \'s/"two"/2/\' "$1"\n')
    script.chmod(0o755)
    at_desk = Home(shop.path, {"EDITOR": str(script), "VISUAL": str(script)})
    for name in names:
        edited = at_desk.shop("dead-letters", "edit", name, "--editor")
        assert edited.returncode == 0, edited.stderr
    unchanged = at_desk.shop("dead-letters", "edit", names[0], "--editor")
    assert unchanged.returncode == 1
    assert "nothing is changed" in unchanged.stderr
    both = shop.shop("dead-letters", "send", names[0], "--all")
    assert both.returncode == 2
    sent = shop.shop("dead-letters", "send", "--all", "--reason", "items", "--topic", "orders")
    assert sent.returncode == 0, sent.stderr
    for order in orders:
        wait_for(lambda order=order: authorizations(shop, order.order_id), "its authorization")  # type: ignore[misc]


def test_what_a_crash_left_between_keeping_and_sending_is_sent_by_the_next_command(
    shop: Home,
) -> None:
    order = order_of("crash", 7)
    produce(shop, new_order(order, items=0))
    name = letter_about(shop, order.order_id, services=3)["letter"]
    assert shop.shop("dead-letters", "edit", name, "--set", "items=1").returncode == 0
    desk = LetterDesk(settings_of(shop).database("dead_letters"))
    desk.send([name], datetime.now(UTC))
    desk.database.close()
    listed = shop.shop("dead-letters", "list")
    assert listed.returncode == 0
    assert "1 letters of a former `send`" in listed.stderr
    wait_for(lambda: authorizations(shop, order.order_id), "the order's authorization")
    assert shop.count("dead_letters", "outbox WHERE NOT published") == 0


def test_a_record_there_that_is_no_letter_is_told_and_holds_nothing_up(shop: Home) -> None:
    ours = [("dead_letter_topic", b"orders"), ("dead_letter_offset", b"9" * 30)]
    produce(shop, Outgoing("orders.dead-letter", None, ours, b"a stranger's"))
    first = shop.shop("dead-letters", "list")
    assert first.returncode == 0, first.stderr
    assert "is no dead letter" in first.stderr
    assert shop.shop("dead-letters", "list").stderr == ""


def test_five_megabytes_are_a_letter_too_and_hold_nobody_up(shop: Home) -> None:
    admin = admin_client(servers_of(shop))
    larger = ConfigEntry(
        "max.message.bytes", "8000000", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource("topic", "orders", incremental_configs=[larger])
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(30)
    large, after = order_of("large", 3), order_of("after-large", 3)
    produce(
        shop,
        new_order(large, billing_address="x" * 5_000_000),
        new_order(after),
        **{"message.max.bytes": 9_000_000},
    )
    wait_for(lambda: authorizations(shop, after.order_id), "its neighbour", 120)
    found = letter_about(shop, large.order_id, services=3)
    assert "5000" in found["refusals"][0]["reason"]
    assert len(found["body"]) > 5_000_000


def test_unknown_letters_and_a_missing_broker_are_said(shop: Home) -> None:
    unknown = shop.shop("dead-letters", "show", "orders/9/9")
    assert unknown.returncode == 1
    assert "list --state all" in unknown.stderr
    away = Home(shop.path, {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"})
    listed = away.shop("dead-letters", "list", "--state", "all")
    assert listed.returncode == 0, listed.stderr
    assert "seen before" in listed.stderr
    assert "orders/" in listed.stdout
    name = letters(shop, "--state", "all")[0]["letter"]
    sent = away.shop("dead-letters", "send", name, "--again")
    assert sent.returncode == 1
    assert "127.0.0.1:9" in sent.stderr
    assert shop.count("dead_letters", "outbox WHERE NOT published") == 0
