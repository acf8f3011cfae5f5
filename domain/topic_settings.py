"""Which settings of a topic can lose records that nobody has read yet."""

from collections.abc import Mapping

CLEANUP = "cleanup.policy"
_AT_LEAST = ("min.insync.replicas", "max.message.bytes")


def unsafe(found: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The settings in force that must be others, each with what it should be.

    Args:
        found: a topic's settings in force, those of the broker where it has none of its own.
        wanted: the settings that this project gives such a topic.
    """
    return {
        name: wanted[name]
        for name in wanted
        if name in found and _is_unsafe(name, found[name], wanted[name])
    }


def _is_unsafe(name: str, found: str, wanted: str) -> bool:
    if name == CLEANUP:
        # Of the records of one key a compacted topic keeps the last: each order is its customer's.
        return "compact" in found
    if name.startswith("retention."):
        return _kept(found) < _kept(wanted)
    if name in _AT_LEAST:
        return int(found) < int(wanted)
    return found != wanted


def _kept(value: str) -> float:
    # -1 is without bound.
    return float("inf") if int(value) < 0 else int(value)
