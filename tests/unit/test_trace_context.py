"""Trace context in headers: what anyone may have written there is no error, and has a bound."""

import pytest

from transport.trace_context import context_headers, context_in, with_context

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01".encode()

WRONG = {
    "empty": b"",
    "null": None,
    "words": b"hello",
    "no flags": f"00-{TRACE}-{SPAN}".encode(),
    "capitals": GOOD.upper(),
    "trace of zeros": f"00-{'0' * 32}-{SPAN}-01".encode(),
    "span of zeros": f"00-{TRACE}-{'0' * 16}-01".encode(),
    "version ff": b"ff" + GOOD[2:],
    "version 00 with more": GOOD + b"-00",
    "short trace": f"00-{TRACE[1:]}-{SPAN}-01".encode(),
    "long": GOOD + b"-" + b"0" * 1_000_000,
    "long of spaces": b" " * 1_000_000 + GOOD,
    "not ASCII": GOOD[:-1] + "é".encode(),
    "not UTF-8": b"\xff\xfe" + GOOD,
    "digits of another script": f"00-{TRACE}-{SPAN}-0١".encode(),
    "NUL": GOOD + b"\0",
    "another line": GOOD + b"\nforged",
}


def test_a_context_is_read_and_written_as_the_standard_has_it() -> None:
    found = context_in([("ce_id", b"1"), ("traceparent", GOOD), ("tracestate", b"a=1,b=2")])
    assert found is not None
    assert (f"{found.trace_id:032x}", f"{found.span_id:016x}") == (TRACE, SPAN)
    assert found.trace_flags.sampled
    assert context_headers(found) == [("traceparent", GOOD), ("tracestate", b"a=1,b=2")]


def test_a_later_version_is_read_as_far_as_this_one_goes() -> None:
    assert context_in([("traceparent", b"01" + GOOD[2:] + b"-more")]) is not None


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_parent_is_none(value: bytes | None) -> None:
    assert context_in([("traceparent", value), ("tracestate", b"a=1")]) is None


def test_two_parents_are_none_and_no_headers_are_none() -> None:
    assert context_in([("traceparent", GOOD), ("traceparent", GOOD)]) is None
    assert context_in([]) is None
    assert context_in([("tracestate", b"a=1")]) is None


@pytest.mark.parametrize(
    "states",
    [
        [b"a" * 513],
        [b"a=1," * 100_000],
        [b"no pair"],
        [b"a=1\nforged=1"],
        [b"\xff=1"],
        [None],
        [b""],
        [b"a=1", b"b=2"],
        [",".join(f"k{number}=1" for number in range(33)).encode()],
    ],
)
def test_a_state_that_is_wrong_or_long_is_left_out_and_never_grows(
    states: list[bytes | None],
) -> None:
    found = context_in([("traceparent", GOOD), *(("tracestate", state) for state in states)])
    assert found is not None
    assert context_headers(found) == [("traceparent", GOOD)]


def test_a_context_takes_the_place_of_the_one_that_was_there() -> None:
    found = context_in([("traceparent", GOOD)])
    assert found is not None
    headers = [("traceparent", b"x"), ("a", b"1"), ("tracestate", b"y"), ("traceparent", None)]
    assert with_context(headers, found) == [("a", b"1"), ("traceparent", GOOD)]
    assert with_context(with_context(headers, found), found) == with_context(headers, found)
