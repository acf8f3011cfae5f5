"""What must be true once all is settled, whatever went wrong before.

Each check reads the databases and topics themselves, and compares them with figures computed apart
(`tests/expected.py`). A check gives sentences about what is wrong; none is right.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from event_log.database import unpack_headers
from event_log.log import GENESIS, RecordedEvent, chain, read
from services.recorder import RecorderService, open_log
from tests import expected
from tests.conftest import Home
from tests.integration.test_pipeline import header, records
from transport.servers import Servers
from transport.topics import TOPICS, dead_letter_topic


@dataclass
class World:
    """A home, its broker, and the orders that were placed in it."""

    home: Home
    servers: Servers
    placed: Sequence[expected.Purchase]
    letters: Mapping[str, int] = field(default_factory=dict)
    """By topic, how many dead letters its records must have."""
    outcomes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.outcomes = expected.outcomes(list(self.placed))

    @property
    def accepted(self) -> set[str]:
        return {order_id for order_id, outcome in self.outcomes.items() if outcome == "accepted"}

    def log(self) -> Iterable[RecordedEvent]:
        return read(open_log(self.home.known_settings.database("event_log")))


def end_states(world: World) -> list[str]:
    """Every order is at one end, and at the right one."""
    found = dict(world.home.rows("order", "SELECT order_id, coalesce(reason, state) FROM orders"))
    wanted = {o: "shipped" if how == "accepted" else how for o, how in world.outcomes.items()}
    return _differences(wanted, found)


def authorizations(world: World) -> list[str]:
    """The accounts and the log have one authorization an order, and the right one."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in world.log():
        if event.type.startswith("shop.Authorization"):
            body = json.loads(event.body)
            found[body["order_id"]].append(body.get("reason", "accepted"))
    recorded = {order: " and ".join(outcomes) for order, outcomes in found.items()}
    query = "SELECT body FROM account_events"
    bodies = [json.loads(body) for (body,) in world.home.rows("payment", query)]
    decided = Counter(body["order_id"] for body in bodies)
    twice = [f"{order} was decided {n} times" for order, n in decided.items() if n > 1]
    charged = {body["order_id"]: body.get("reason", "accepted") for body in bodies}
    return twice + _differences(world.outcomes, recorded) + _differences(world.outcomes, charged)


def shipments(world: World) -> list[str]:
    """One ShipOrder, one parcel and one OrderShipped for each accepted order, and no other."""
    once = dict.fromkeys(world.accepted, 1)
    parcels = Counter(
        order for (order,) in world.home.rows("warehouse", "SELECT order_id FROM parcels")
    )
    shipped = Counter(e.correlation_id for e in world.log() if e.type == "shop.OrderShipped")
    messages = [
        message
        for message in records(world.servers, "warehouse.requests")
        # What is no CloudEvent is no ShipOrder, and a dead letter.
        if "ce_id" in dict(message.headers())
    ]
    # The relay may publish a message twice; it is one by its id.
    distinct = {(header(m, "ce_correlationid"), header(m, "ce_id")) for m in messages}
    asked = Counter(order for order, _ in distinct)
    return [
        *(f"parcels: {each}" for each in _differences(once, dict(parcels))),
        *(f"OrderShipped: {each}" for each in _differences(once, dict(shipped))),
        *(f"ShipOrder: {each}" for each in _differences(once, dict(asked))),
    ]


def said_once(world: World) -> list[str]:
    """No service has decided twice to say the same; only the order service may repeat NewOrder."""
    wrong = []
    for database in ("order", "payment", "warehouse"):
        ids: Counter[str] = Counter()
        for (packed,) in world.home.rows(database, "SELECT headers FROM outbox"):
            headers = dict(unpack_headers(packed))
            if "dead_letter_service" in headers:
                continue
            if headers["ce_type"] != b"shop.NewOrder.v1":
                ids[(headers["ce_id"] or b"").decode()] += 1
        wrong += [f"{database} says {each} {n} times" for each, n in ids.items() if n > 1]
    return wrong


def report(world: World) -> list[str]:
    """The report is right to the cent."""
    wanted = expected.report(list(world.placed), world.outcomes)
    found = world.home.report()
    return [
        f"{name} are {found[name]}, not {wanted[name]}"
        for name in ("totals", "months")
        if found[name] != wanted[name]
    ]


def offsets(world: World) -> list[str]:
    """Every committed record of the event topics is in the log or a known repeat, once.

    What the recorder has refused is a dead letter instead.
    """
    seen: Counter[tuple[str, int, int]] = Counter()
    for event in world.log():
        seen[event.topic, event.partition, event.offset] += 1
    query = 'SELECT topic, partition, "offset" FROM repeats'
    seen.update(world.home.rows("event_log", query))
    said = set()
    for topic in RecorderService.subscriptions:
        refused = {
            (int(partition), int(offset))
            for service, partition, offset in letters_of(world.servers, topic)
            if service == RecorderService.name
        }
        found = {(each.partition(), each.offset()) for each in records(world.servers, topic)}
        said |= {(topic, *place) for place in found - refused}
    missing = sorted(said - seen.keys())
    never = sorted(seen.keys() - said)
    twice = sorted(place for place, times in seen.items() if times > 1)
    return [
        f"{topic}[{partition}]: {what} at {offset}"
        for what, which in (("missing", missing), ("never said", never), ("twice", twice))
        for topic, partition, offset in which
    ]


def hash_chain(world: World) -> list[str]:
    """The log's positions follow one another, and each hash holds the one before it."""
    before = GENESIS
    for position, event in enumerate(world.log(), 1):
        if event.position != position:
            return [f"position {event.position} where {position} should be"]
        if event.hash != chain(before, event._asdict()):
            return [f"position {position} has another hash"]
        before = event.hash
    return []


def dead_letters(world: World) -> list[str]:
    """What must be refused is, by each service that it was for, and nothing else."""
    wrong = []
    for topic in (each.name for each in TOPICS):
        found, wanted = len(letters_of(world.servers, topic)), world.letters.get(topic, 0)
        if found != wanted:
            wrong.append(f"{topic} has {found} dead letters, not {wanted}")
    return wrong


def letters_of(servers: Servers, topic: str) -> set[tuple[str, str, str]]:
    """Which records of a topic are dead letters, and of whom: a relay may publish one twice."""
    names = ("dead_letter_service", "dead_letter_partition", "dead_letter_offset")
    return {
        (header(each, names[0]), header(each, names[1]), header(each, names[2]))
        for each in records(servers, dead_letter_topic(topic))
    }


CHECKS: dict[str, Callable[[World], list[str]]] = {
    "end states": end_states,
    "authorizations": authorizations,
    "shipments": shipments,
    "said once": said_once,
    "report": report,
    "offsets": offsets,
    "hash chain": hash_chain,
    "dead letters": dead_letters,
}


def all_wrong(world: World) -> dict[str, list[str]]:
    """By check, what is wrong."""
    found = {name: check(world) for name, check in CHECKS.items()}
    return {name: wrong for name, wrong in found.items() if wrong}


def _differences(wanted: dict[str, object], found: dict[str, object]) -> list[str]:
    missing = [f"{key} is missing" for key in wanted if key not in found]
    other = [f"{key} is there" for key in found if key not in wanted]
    differ = [
        f"{key} is {found[key]!r}, not {wanted[key]!r}"
        for key in wanted
        if key in found and found[key] != wanted[key]
    ]
    return missing + other + differ
