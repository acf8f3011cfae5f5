"""spring-kafka as the other side: a requester, a responder and a benchmark, as processes."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from selectors import EVENT_READ, DefaultSelector
from typing import NamedTuple

from tests.interop.build import classpath, java, maven
from tests.programs import missing
from transport.local_broker.java import java_environment

READY_WITHIN = 60.0
STOP_WITHIN = 30.0
START_WITHIN = 60.0
"""Seconds for a peer's start and end, beside the time that it is told to take."""


class Answer(NamedTuple):
    """How a request of the Java requester ended: `millis` is `None` for a failure.

    `type` is the reply's ``ce_type``, ``-`` without one; for a failure it is ``error``, and `body`
    the exception's class.
    """

    index: int
    millis: float | None
    type: str
    body: str


def require_maven() -> None:
    """Skip the test where Maven is missing; in CI that is a failure."""
    if maven() is None:
        missing("Maven is missing (no `mvn` on the PATH), which builds the Java peers")


def command(main: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """The command line of a peer's main class.

    Args:
        main: its name, without the package.
        arguments: its arguments.
        options: Java's own; ``-Dkafka.producer.NAME=VALUE`` and ``-Dkafka.consumer.NAME=VALUE``
            set the clients up.
    """
    return [
        *(java(), "-XX:+UseSerialGC", "-Xmx512m", "-Dfile.encoding=UTF-8"),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        *(*options, "-cp", classpath(), f"shop.interop.{main}", *arguments),
    ]


def start_answerer(
    servers: str, topic: str, options: Sequence[str] = ()
) -> "subprocess.Popen[bytes]":
    """Start the Java responder on `topic`, and wait until it has its partitions."""
    process = subprocess.Popen(
        command("Answerer", servers, topic, options=options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=java_environment(),
    )
    try:
        _await_ready(process)
    except BaseException:
        stop_answerer(process)
        raise
    return process


def stop_answerer(process: "subprocess.Popen[bytes]") -> int:
    """End the Java responder as its user would, by closing its input; then less politely."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_WITHIN)
    process.stdout.close()
    return process.returncode


@contextlib.contextmanager
def answering(
    servers: str, topic: str, options: Sequence[str] = ()
) -> "Iterator[subprocess.Popen[bytes]]":
    """A Java responder on `topic` for the time of a block."""
    process = start_answerer(servers, topic, options)
    try:
        yield process
    finally:
        stop_answerer(process)


def ask(
    servers: str,
    request_topic: str,
    reply_topic: str,
    lines: Sequence[str],
    timeout: float,
    partition: int | None = None,
) -> list[Answer]:
    """Let the Java requester ask all `lines` at once, and say how each ended, in their order.

    Args:
        servers: host:port.
        request_topic: where it asks.
        reply_topic: where replies come.
        lines: each a key, a tab, and a JSON body.
        timeout: seconds that a request waits for its reply.
        partition: the only one that it takes replies from, and names in its requests; without it
            it reads all of them, and names none.
    """
    arguments = [servers, request_topic, reply_topic, str(len(lines)), str(timeout)]
    if partition is not None:
        arguments.append(str(partition))
    done = subprocess.run(
        command("Asker", *arguments),
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        env=java_environment(),
        timeout=START_WITHIN + timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    # Not splitlines, which would take other characters of a body for line ends too.
    return sorted(_answer(line) for line in done.stdout.decode().split("\n") if line)


def bench(
    servers: str,
    request_topic: str,
    reply_topic: str,
    in_flight: int,
    seconds: float,
    warmup: float,
    options: Sequence[str] = (),
) -> dict[str, float]:
    """Measure the Java requester's round trips against whoever answers on `request_topic`.

    Gives ``in_flight``, ``count``, ``failed``, ``per_second``, ``p50_us`` and ``p99_us``.
    """
    arguments = (servers, request_topic, reply_topic, str(in_flight), str(seconds), str(warmup))
    done = subprocess.run(
        command("Bench", *arguments, options=options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=java_environment(),
        timeout=2 * START_WITHIN + seconds + warmup,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _answer(line: str) -> Answer:
    index, millis, kind, body = line.split("\t", 3)
    return Answer(int(index), None if millis == "-" else float(millis), kind, body)


def _await_ready(process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_WITHIN
    said = b""
    with DefaultSelector() as selector:
        selector.register(process.stdout, EVENT_READ)
        while b"\n" not in said:
            left = deadline - time.monotonic()
            assert left > 0, f"the Java responder is not ready within {READY_WITHIN:g} s"
            if selector.select(left):
                part = os.read(process.stdout.fileno(), 1024)
                assert part, f"the Java responder ended, exit code {process.wait(STOP_WITHIN)}"
                said += part
    assert said.strip() == b"ready", said
