"""How much is held in memory at once, in bytes: counts of records alone bound nothing.

A batch ends at so many records or so many bytes, whichever comes first; a record that is larger by
itself is a batch of its own. What a process holds in all is written in
docs/decisions/0019-bounded-in-bytes-and-time.md.
"""

BATCH_BYTES = 8_000_000
"""Bytes after which a batch ends, with the record that reached them."""

FETCHED_BYTES = 1_000_000
"""Bytes of one partition that a client takes out of what it fetched, before the others' turn."""
