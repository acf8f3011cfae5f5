"""Java peers on spring-kafka, built by Maven in the run."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "java"
TARGET = Path(__file__).parents[2] / ".tools" / "java_peers"
SPRING_KAFKA = "4.1.0"


def need_maven() -> None:
    """Skip where there is no Maven or no JDK 17, but not in CI."""
    missing = [tool for tool in ("mvn", "javac") if shutil.which(tool) is None]
    if missing:
        assert "CI" not in os.environ, f"{', '.join(missing)} is needed in CI"
        pytest.skip(f"no {', '.join(missing)} on this machine")


def class_path() -> str:
    """Build the peers, unless they are built of these very sources, and say where they are."""
    files = sorted(path for path in SOURCES.rglob("*") if path.is_file())
    sums = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    stamp, listed = TARGET / f"{sums}-{SPRING_KAFKA}", TARGET / "classpath.txt"
    if not stamp.exists():
        shutil.rmtree(TARGET, ignore_errors=True)
        TARGET.mkdir(parents=True)
        command = ["mvn", "-q", "-B", "compile", "dependency:build-classpath"]
        command += [f"-Dmdep.outputFile={listed}", f"-Dshop.target={TARGET}"]
        command += [f"-Dspring-kafka.version={SPRING_KAFKA}"]
        done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        stamp.touch()
    return f"{TARGET / 'classes'}:{listed.read_text().strip()}"


def peer(name: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start one of the peers."""
    java = shutil.which("java")
    assert java is not None
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return subprocess.Popen(
        [java, quiet, "-cp", class_path(), f"shop.peers.{name}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(
    servers: str, request_topic: str, reply_topic: str, lines: list[tuple[str, bytes]], seconds: int
) -> list[tuple[str, str]]:
    """Ask from Java; for each line the reply's type, ``-`` or ``!``, and its body or error."""
    process = peer("Asker", servers, request_topic, reply_topic, str(seconds))
    text = "".join(f"{key}\t{body.decode()}\n" for key, body in lines)
    try:
        out, err = process.communicate(text, timeout=90 + seconds)
    finally:
        process.kill()
    assert process.returncode == 0, err[-3000:]
    rows = [line.split("\t", 2) for line in out.splitlines()]
    return [(kind, body) for _, kind, body in rows]
