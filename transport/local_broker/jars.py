"""Kafka's jars: exactly the recorded ones, downloaded once, checked against their SHA-256 sums.

``jars.txt`` names each jar on a line: coordinate, SHA-256 sum, bytes. The list is what a Maven
resolution of ``org.apache.kafka:kafka_2.13`` needs at run time, and the one jar that makes Kafka's
log go through log4j. It is resolved when the list is made, not when it is used: what runs can't
change unless the list does.
"""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from filelock import FileLock, Timeout

from domain.errors import JarError
from transport.local_broker.whole_file import write_whole

if TYPE_CHECKING:
    from jgo.maven import Resolver

KAFKA_VERSION = "4.3.1"
HTTP_TIMEOUT = 60
"""Seconds without a byte after which a download is given up."""
LOCK_TIMEOUT = 900
"""Seconds to wait for another process that is downloading into the same directory."""

_STAMPS = "verified.json"
_INSTEAD = (
    "or set KAFKA_BOOTSTRAP_SERVERS to a Kafka broker that is there already; then no jar is needed"
)


class Progress(Protocol):
    """What wants to know how a download goes."""

    def start(self, total_bytes: int) -> None:
        """A download of so many bytes in all begins; not called where nothing is missing."""

    def advance(self, count: int) -> None:
        """So many bytes more are there; negative where a bad download was thrown away."""


class Silent:
    """A progress that nobody sees."""

    def start(self, total_bytes: int) -> None:
        """Take no notice."""

    def advance(self, count: int) -> None:
        """Take no notice."""


@dataclass(frozen=True)
class Jar:
    """One line of the list."""

    coordinate: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Where the jar lies below the directory, in Maven's layout."""
        group, artifact, version, *classifier = self.coordinate.split(":")
        name = "-".join([artifact, version, *classifier]) + ".jar"
        return Path(*group.split("."), artifact, version, name)


def recorded_jars() -> tuple[Jar, ...]:
    """The jars that the list names, in the order of the class path."""
    text = (files(__package__) / "jars.txt").read_text(encoding="ascii")
    rows = (line.split() for line in text.splitlines())
    return tuple(Jar(coordinate, sha256, int(size)) for coordinate, sha256, size in rows)


def fetch_jars(
    directory: Path, progress: Progress | None = None, jars: tuple[Jar, ...] | None = None
) -> list[Path]:
    """Make every recorded jar lie in ``directory``, checked; only what is missing is downloaded.

    Two processes may call it at once: one downloads, the other waits for it.

    Raises:
        JarError: a jar can't be downloaded or written, or it isn't the recorded one.
    """
    wanted = recorded_jars() if jars is None else jars
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / ".lock", timeout=LOCK_TIMEOUT, poll_interval=0.1):
            return _fetch_all(directory.resolve(), progress or Silent(), wanted)
    except Timeout as error:
        raise JarError(
            f"Another process has held {directory / '.lock'} for {LOCK_TIMEOUT} s, as if it were "
            "still downloading Kafka's jars. End it, then try again."
        ) from error
    except OSError as error:
        raise JarError(
            f"The directory for Kafka's jars, {directory}, can't be used: {_reason(error)}. Free "
            f"space or allow writing there, set SHOP_JARS to another directory, {_INSTEAD}."
        ) from error


def _fetch_all(directory: Path, progress: Progress, wanted: tuple[Jar, ...]) -> list[Path]:
    stamps = _Stamps(directory)
    missing = [jar for jar in wanted if not stamps.holds(jar)]
    if missing:
        progress.start(sum(jar.size for jar in missing))
    for jar in missing:
        _fetch(jar, directory, progress)
        stamps.add(jar)
        # Saved jar by jar: after an interruption what is there needn't be hashed again.
        stamps.save()
    stamps.save()
    return [directory / jar.path for jar in wanted]


def _fetch(jar: Jar, directory: Path, progress: Progress) -> None:
    """Download one jar; what came damaged or in half is thrown away and fetched once more.

    A jar that lies there already isn't the recorded one, or the caller wouldn't ask for it.
    """
    target = directory / jar.path
    found = failure = ""
    for _ in range(2):
        target.unlink(missing_ok=True)
        counted = _Counted(progress)
        try:
            _download(jar, directory, counted.add)
            found = sha256_of(target)
        except BaseException as error:
            # An interruption, too, must not leave half a jar under a jar's name.
            target.unlink(missing_ok=True)
            counted.set(0)
            if not isinstance(error, (OSError, RuntimeError, AssertionError)):
                raise
            failure = _reason(error)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise JarError(
                    f"No space is left to write {jar.coordinate} ({jar.size:,} bytes) below "
                    f"{directory}. Free space there, or set SHOP_JARS to a directory on another "
                    f"disk, {_INSTEAD}."
                ) from error
            continue
        if found == jar.sha256:
            counted.set(jar.size)
            return
        counted.set(0)
        target.unlink()
    if failure:
        raise JarError(
            f"{jar.coordinate} can't be downloaded: {failure}. Is this machine connected, and may "
            f"it reach a Maven repository? Try again, {_INSTEAD}."
        )
    raise JarError(
        f"{jar.coordinate} was downloaded twice and isn't the recorded jar: its SHA-256 sum should "
        f"be {jar.sha256}, but is {found}. It was deleted. Something between this machine and the "
        f"Maven repository changes files; use another connection, {_INSTEAD}."
    )


def _download(jar: Jar, directory: Path, advance: Callable[[int], None]) -> None:
    """Download one jar in pure Python, or where that fails with ``mvn``, if there is one."""
    # Needed once in the life of a machine, and slow to load.
    from jgo.maven import MvnResolver, PythonResolver

    @contextmanager
    def counting(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield advance

    try:
        _resolve(jar, directory, PythonResolver(progress_callback=counting))
    except (OSError, RuntimeError, AssertionError) as error:
        maven = shutil.which("mvn")
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        if maven is None or full:
            raise
        (directory / jar.path).unlink(missing_ok=True)
        try:
            _resolve(jar, directory, MvnResolver(Path(maven)))
        except (OSError, RuntimeError, AssertionError) as second:
            raise RuntimeError(
                f"{_reason(error)}; and mvn failed, too: {_reason(second)}"
            ) from error


def _resolve(jar: Jar, directory: Path, resolver: "Resolver") -> None:
    from jgo.maven import MavenContext

    context = MavenContext(
        repo_cache=directory, local_repos=[], resolver=resolver, timeout=HTTP_TIMEOUT
    )
    context.create_dependency(jar.coordinate).artifact.resolve()


def sha256_of(path: Path) -> str:
    """The file's SHA-256 sum in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _reason(error: BaseException) -> str:
    """The error in one line; Maven's own output runs over many, of which one says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("[ERROR]")]
    line = next(iter(telling or lines), type(error).__name__)
    return line.removeprefix("[ERROR]").strip().rstrip(".")[:400]


class _Counted:
    """Counts what was said to the progress, so that it can be taken back."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._said = 0

    def add(self, count: int) -> None:
        self._said += count
        self._progress.advance(count)

    def set(self, total: int) -> None:
        if total != self._said:
            self.add(total - self._said)


class _Stamps:
    """Which files were hashed, at which size and time: unchanged ones aren't hashed again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / _STAMPS
        self._known: dict[str, list[object]] = {}
        self._changed = False
        # A damaged stamp file only costs the time to hash everything anew.
        with suppress(OSError, ValueError):
            read = json.loads(self._file.read_text(encoding="utf-8"))
            if isinstance(read, dict):
                self._known = read

    def holds(self, jar: Jar) -> bool:
        """Whether the recorded jar lies there, whole."""
        path = self._directory / jar.path
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        if stat.st_size != jar.size:
            return False
        if self._known.get(str(jar.path)) == [stat.st_size, stat.st_mtime_ns, jar.sha256]:
            return True
        if sha256_of(path) != jar.sha256:
            return False
        self.add(jar)
        return True

    def add(self, jar: Jar) -> None:
        """Note a jar whose sum was just found right."""
        stat = (self._directory / jar.path).stat()
        self._known[str(jar.path)] = [stat.st_size, stat.st_mtime_ns, jar.sha256]
        self._changed = True

    def save(self) -> None:
        """Write what was noted, in one step."""
        if not self._changed:
            return
        write_whole(self._file, json.dumps(self._known, indent=1), shared=True)
        self._changed = False
