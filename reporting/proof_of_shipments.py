"""Proof that what is accepted is shipped once, nothing else is, and no order decided twice."""

from collections import Counter
from collections.abc import Collection, Sequence

from reporting.proof import Failure, Finding, FirstOf, Progress
from reporting.proof_stories import ACCEPTED, DECLINED, SHIPPED, Said, Stories
from transport.topics import AUTHORIZATIONS, REPORTING_REQUESTS

UNDER_WAY = "accepted and not shipped yet"
NOT_AUTHORIZED_YET = "shipped, and the authorization is not recorded yet"

_BRING_AUTHORIZATIONS = {AUTHORIZATIONS, REPORTING_REQUESTS}


def prove_shipments(
    stories: Stories, behind: Collection[str], progress: Progress, *, settled: bool
) -> Finding:
    """Look at every order's authorization and shipment.

    Args:
        stories: the orders by the log.
        behind: topics with records that the recorder has not come to.
        progress: is told the positions that are read.
        settled: whether an order that is still to be shipped is a failure.
    """
    stories.gather(progress)
    counts, waiting, first = Counter[str](), Counter[str](), FirstOf()
    for order_id, said in stories:
        counts.update(event.type for event in said)
        found = look_at(said, behind)
        if isinstance(found, str):
            waiting[found] += 1
            what = f"it is {found}, though all is settled"
            found = Failure(f"order {order_id}", what, {"orders": 1}) if settled else None
        if found is not None:
            first.add(said[0].position, found)
    checked = {
        "accepted": counts[ACCEPTED],
        "declined": counts[DECLINED],
        "shipped": counts[SHIPPED],
        "under_way": waiting[UNDER_WAY],
        "failing": first.count,
    }
    notes = [f"orders {why}: {count:,}" for why, count in waiting.items()]
    return Finding(checked, notes, first.failure)


def look_at(said: Sequence[Said], behind: Collection[str]) -> Failure | str | None:
    """Look at one order as the log has it, all its events in order.

    Returns:
        What is wrong; or what it waits for, if that is still to come; or `None`.
    """
    decided = [event for event in said if event.type in (ACCEPTED, DECLINED)]
    shipped = [event for event in said if event.type == SHIPPED]
    if len(decided) > 1:
        one, other = (_in_words(event) for event in decided[:2])
        return _fails(decided, f"it is {one} and {other}")
    if len(shipped) > 1:
        one, other = (_in_words(event) for event in shipped[:2])
        return _fails(shipped, f"it is {one} and again {other}")
    if not shipped:
        return UNDER_WAY if decided and decided[0].type == ACCEPTED else None
    if not decided:
        if not _BRING_AUTHORIZATIONS.isdisjoint(behind):
            return NOT_AUTHORIZED_YET
        return _fails(shipped, f"it is {_in_words(shipped[0])}, and was never authorized")
    if decided[0].type == DECLINED:
        return _fails(shipped, f"it is {_in_words(decided[0])} and {_in_words(shipped[0])}")
    if decided[0].about != shipped[0].about:
        what = (
            f"{_in_words(shipped[0])} is another order than {_in_words(decided[0])}: customer, "
            f"time and items are {shipped[0].about} and {decided[0].about}"
        )
        return _fails(shipped, what)
    return None


def _in_words(event: Said) -> str:
    words = {ACCEPTED: "accepted", DECLINED: "declined", SHIPPED: "shipped"}
    return f"{words[event.type]} at position {event.position}"


def _fails(events: Sequence[Said], what: str) -> Failure:
    return Failure(f"order {events[0].order_id}", what, {"orders": 1})
