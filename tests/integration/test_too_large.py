"""Records that are too large for where they are to go: nothing waits behind them."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]

from tests.conftest import Home
from tests.integration.test_dead_letters import (
    authorizations,
    letter_about,
    letters,
    new_order,
    order_of,
    produce,
)
from tests.integration.test_styles import running, servers_of
from tests.waiting import wait_for
from transport.clients import admin_client

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(module_home: Home) -> Iterator[Home]:
    with running(module_home, "order", "payment", "recorder"):
        yield module_home


def take_up_to(home: Home, size: int) -> None:
    """Say how large a record of the orders may be."""
    bound = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource("topic", "orders", incremental_configs=[bound])
    admin = admin_client(servers_of(home))
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(30)


def test_a_record_that_no_dead_letter_topic_takes_leaves_a_letter_without_its_body(
    shop: Home,
) -> None:
    take_up_to(shop, 20_000_000)
    before, large, after = order_of("before", 3), order_of("huge", 3), order_of("after-huge", 3)
    huge = new_order(large, billing_address="x" * 13_000_000)
    produce(shop, new_order(before), huge, new_order(after), **{"message.max.bytes": 19_000_000})
    for order in (before, after):
        wait_for(lambda order=order: authorizations(shop, order.order_id), "a neighbour", 120)  # type: ignore[misc]

    def without_body() -> list[dict[str, object]]:
        return [
            each
            for each in letters(shop, "--reason", "without its body of 13,000")
            if len(each["refusals"]) == 3
        ]

    (found,) = wait_for(without_body, "a letter", 120, 0.2)
    assert found["body"] is None
    assert found["key"] == "00003"
    for service in ("order", "payment", "recorder"):
        database = "event_log" if service == "recorder" else service
        wait_for(
            lambda database=database: shop.count(database, "outbox WHERE NOT published") == 0,  # type: ignore[misc]
            f"all of {service} is out",
        )


def test_a_letter_that_its_topic_does_not_take_is_not_sent_and_holds_no_other_up(
    shop: Home,
) -> None:
    take_up_to(shop, 8_000_000)
    large, small = order_of("large-again", 4), order_of("small", 4)
    produce(
        shop,
        new_order(large, billing_address="x" * 5_000_000),
        new_order(small, items=0),
        **{"message.max.bytes": 9_000_000},
    )
    names = [letter_about(shop, each.order_id, services=3)["letter"] for each in (large, small)]
    take_up_to(shop, 1_048_588)
    refused = shop.shop("dead-letters", "send", *names)
    assert refused.returncode == 1
    assert "topic orders takes 1,048,588" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert shop.count("dead_letters", "outbox") == 0
    assert shop.shop("dead-letters", "edit", names[1], "--set", "items=1").returncode == 0
    sent = shop.shop("dead-letters", "send", names[1])
    assert sent.returncode == 0, sent.stderr
    wait_for(lambda: authorizations(shop, small.order_id), "the small one's authorization")
