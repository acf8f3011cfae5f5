"""A topic's life: whether the topic at hand is the one that a service's positions belong to.

A topic that is deleted and made anew has the same name, and offsets from 0 again; its id (KIP-516)
is another one. Positions of the former one say nothing of it.
"""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar


class Kept(NamedTuple):
    """What a partition has: from offset `low` up to, without, `end`."""

    low: int
    end: int


Partition = TypeVar("Partition", bound=tuple[str, int])


def made_anew(known: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """The topics that have another id than was known; one that is new or not asked for has not."""
    return sorted(topic for topic, life in known.items() if topic in found and found[topic] != life)


def beyond_the_end(
    positions: Mapping[Partition, int], kept: Mapping[Partition, Kept]
) -> list[Partition]:
    """The partitions that end before a position: they have lost what was read from them."""
    return sorted(place for place, span in kept.items() if positions.get(place, 0) > span.end)


def deleted_unread(
    positions: Mapping[Partition, int], kept: Mapping[Partition, Kept]
) -> list[Partition]:
    """The partitions whose records before `low` are gone, and not all of them were handled."""
    return sorted(place for place, span in kept.items() if positions.get(place, 0) < span.low)
