"""The stack of compose.yaml: on Postgres, by TLS and passwords, each with its own rights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import expected
from tests.integration.test_pipeline import records
from tests.integration.test_styles import FULL
from tests.stack.attacks import Ground
from tests.stack.cards import card_numbers
from tests.stack.composed import Composed
from tests.stack.databases import run_postgres
from tests.waiting import wait_for
from transport.topics import PAYMENT_REPLIES, TOPICS, dead_letter_topic

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STYLES = ("events", "sync", "async")
EACH = 5000 if FULL else 1500


@pytest.fixture(scope="module")
def placed(composed: Composed) -> list[expected.Purchase]:
    """Orders placed in each style, one after the other in date order, and settled."""
    orders = expected.purchases(EACH * len(STYLES))
    lines = expected.DATA.read_text(encoding="ascii").splitlines(keepends=True)
    for number, style in enumerate(STYLES):
        # Each style has a file of its own, and so orders of its own.
        file = Path(composed.mounts("place")["/tmp"]) / f"{style}.txt"  # noqa: S108
        part = orders[EACH * number : EACH * (number + 1)]
        file.write_text("".join(lines[order.line - 1] for order in part), encoding="ascii")
        done = composed.run("place", ["shop", "place", f"/tmp/{file.name}", "--style", style])  # noqa: S108
        assert done.returncode == 0, done.stderr
        assert f"{EACH:,} orders placed, {EACH:,} of them for the first time" in done.stdout
    wanted = expected.report(orders, expected.outcomes(orders))

    def whole() -> bool:
        composed.ensure_all_alive()
        found = report(composed)
        return all(found[name] == wanted[name] for name in ("months", "totals"))

    wait_for(whole, "the report is whole", 240, 0.5)
    return orders


def operator(composed: Composed, *words: str) -> dict[str, Any]:
    """What a command says in JSON that an operator gives."""
    done = composed.run("operator", ["shop", *words, "--json"])
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def report(composed: Composed) -> dict[str, Any]:
    return operator(composed, "report")


class TestOrders:
    """Many orders in each style."""

    def test_the_report_is_right_to_the_cent(
        self, composed: Composed, placed: Sequence[expected.Purchase]
    ) -> None:
        wanted = expected.report(list(placed), expected.outcomes(list(placed)))
        found = report(composed)
        assert found["totals"] == wanted["totals"]
        assert found["months"] == wanted["months"]

    def test_the_proof_holds_with_nothing_on_its_way(
        self, composed: Composed, placed: Sequence[expected.Purchase]
    ) -> None:
        found = operator(composed, "prove", "--settled")
        assert {part["name"]: part["holds"] for part in found["parts"]} == {
            "chain": True,
            "offsets": True,
            "projections": True,
            "orders": True,
            "shipments": True,
        }

    def test_every_service_is_still_healthy(
        self, composed: Composed, placed: Sequence[expected.Purchase]
    ) -> None:
        for name, service in composed.services.items():
            if "healthcheck" in service and not service.get("profiles"):
                done = composed.check_health(name)
                assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    def test_nothing_was_refused(
        self, composed: Composed, placed: Sequence[expected.Purchase]
    ) -> None:
        found = operator(composed, "status")
        assert sum(found["dead_letters"].values()) == 0


def test_a_service_may_run_as_often_as_there_are_partitions(
    composed: Composed, placed: Sequence[expected.Purchase]
) -> None:
    for _ in range(3):
        composed.start("payment")
    try:

        def members() -> bool:
            composed.ensure_all_alive()
            found = operator(composed, "status")
            return len(found["services"]["payment"]["processes"]) == 4

        wait_for(members, "four payment services", 120, 0.2)
    finally:
        composed.scale("payment", 1)
    assert report(composed)["totals"]["accepted"]["orders"] > 0


def test_what_is_a_cards_number_is_known() -> None:
    # Numbers that issuers give for tests.
    for number in (b"4111111111111111", b"5555 5555 5555 4444", b"3782-822463-10005"):
        assert card_numbers(b'{"card": "' + number + b'"}') == [number]
    assert card_numbers(b"4111111111111112 1795708734261") == []


def test_no_cards_number_is_in_a_log_a_topic_or_the_database(
    composed: Composed, placed: Sequence[expected.Purchase]
) -> None:
    operator_there = Ground(composed).kafka("operator")
    kept = {name: composed.log(name).encode() for name in composed.running}
    for topic in topics_read(composed):
        found = records(operator_there, topic)
        kept[topic] = b"\n".join(
            b" ".join([message.key() or b"", message.value() or b"", *headers_of(message)])
            for message in found
        )
    kept["database"] = dump(composed).read_bytes()
    assert len(kept["orders"]) >= 200 * EACH
    assert b'"customer_id":"' in kept["database"].replace(b'""', b'"')
    assert {name: card_numbers(said) for name, said in kept.items() if card_numbers(said)} == {}


def test_no_password_is_in_a_log_or_a_process_list(
    composed: Composed, placed: Sequence[expected.Purchase]
) -> None:
    secrets = [
        file.read_text().strip()
        for file in (composed.folder / "volumes" / "secrets").rglob("*password*")
    ]
    assert len(secrets) > 10
    commands = [
        file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if file.exists()
    ]
    # Of those that were forked, a process list doesn't show how they are started.
    commands += [" ".join(composed.command(name)) for name in composed.running]
    said = [(composed.log(name), name) for name in composed.running]
    assert any(text for text, _ in said)
    for secret in secrets:
        assert not [name for text, name in said if secret in text]
        assert not [command for command in commands if secret in command]


def topics_read(composed: Composed) -> list[str]:
    """All topics that an operator may read."""
    names = [name for topic in TOPICS for name in (topic.name, dead_letter_topic(topic.name))]
    return [name for name in names if name != PAYMENT_REPLIES]


def headers_of(message: Any) -> list[bytes]:
    return [value or b"" for _, value in message.headers() or ()]


def dump(composed: Composed) -> Path:
    """All of the database, as text."""
    file = composed.folder / "shop.sql"
    run_postgres(composed, "pg_dump", "--format=plain", f"--file={file}", "shop")
    return file
