"""The broker's data directory: which cluster it belongs to, and whether it is formatted."""

import base64
import fcntl
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from domain.errors import BrokerError
from transport.local_broker.java import Jvm, java_environment
from transport.local_broker.process import run_to_its_end
from transport.local_broker.whole_file import write_whole
from transport.private_files import UMASK

NEEDED_BYTES = 200 * 1024 * 1024
"""Free space without which the broker isn't started: Kafka ends at once on a full disk."""

FORMAT_WITHIN = 60.0
"""Seconds that Kafka's own tool has to format the directory."""

_CLUSTER_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}")


class Storage:
    """``data`` and ``cluster-id`` below the broker's directory."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self._meta = self.data / "meta.properties"
        self._id_file = directory / "cluster-id"

    def cluster_id(self) -> str | None:
        """The cluster's id, or None before the first start."""
        try:
            kept = self._id_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return kept if _CLUSTER_ID.fullmatch(kept) else None

    def claim(self) -> str:
        """The cluster's id, made at the first start and kept from then on.

        Raises:
            BrokerError: the data belong to another cluster.
        """
        kept, found = self.cluster_id(), self._formatted_for()
        if kept and found and kept != found:
            raise BrokerError(
                f"The data in {self.data} belong to the Kafka cluster {found}, but this home's is "
                f"{kept}, as {self._id_file} says. Put this home's own data back there; or, if "
                f"those data are the right ones, write their id into {self._id_file}; or use "
                "another SHOP_HOME."
            )
        cluster_id = kept or found or new_cluster_id()
        if kept is None:
            write_whole(self._id_file, cluster_id + "\n")
        return cluster_id

    def needs_format(self) -> bool:
        """Whether the data directory must be formatted; what a broken-off formatting left is gone.

        Raises:
            BrokerError: it isn't formatted, but holds records.
        """
        if self._formatted_for():
            return False
        if self.data.exists():
            holding = next(
                (path for path in self.data.rglob("*.log") if path.stat().st_size > 0), None
            )
            if holding is not None:
                raise BrokerError(
                    f"{self._meta} is missing or names no cluster, but {holding} holds records. "
                    f"They aren't deleted unasked. Put the file back, or move {self.data} away to "
                    "start with no records."
                )
            shutil.rmtree(self.data)
        return True

    def format(self, jvm: Jvm, properties: Path, options: tuple[str, ...]) -> None:
        """Format the data directory for the cluster that was claimed.

        Args:
            jvm: what runs Kafka's own tool for it.
            properties: the broker's ``server.properties``, which names the directory.
            options: the JVM's further options.

        Raises:
            BrokerError: the tool failed, or took longer than ``FORMAT_WITHIN``.
        """
        command = jvm.command(
            "kafka.tools.StorageTool",
            *("format", "--cluster-id", self.claim(), "--config", str(properties)),
            options=options,
        )
        try:
            done = run_to_its_end(
                command,
                FORMAT_WITHIN,
                cwd=self.data.parent,
                env=java_environment(),
                umask=UMASK,
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerError(
                f"Kafka's data directory {self.data} couldn't be formatted within "
                f"{FORMAT_WITHIN:g} s. Is this machine very busy? Try again."
            ) from error
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip())[-1000:]
            raise BrokerError(f"Kafka's data directory {self.data} couldn't be formatted: {said}")

    def held(self) -> bool:
        """Whether another process holds the data directory by Kafka's own lock."""
        try:
            with (self.data / ".lock").open("rb+") as lock:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _formatted_for(self) -> str | None:
        try:
            text = self._meta.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None
        found = re.search(r"^\s*cluster\.id\s*=\s*(\S+)", text, re.MULTILINE)
        return found[1] if found else None


def check_free_space(directory: Path) -> None:
    """Refuse a disk on which Kafka would end at once.

    Raises:
        BrokerError: less than ``NEEDED_BYTES`` are free.
    """
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise BrokerError(
            f"Only {free / 2**20:,.0f} MiB are free on the disk of {directory}; the broker isn't "
            f"started with less than {NEEDED_BYTES / 2**20:,.0f} MiB. Free space there, or set "
            "SHOP_HOME to a directory on another disk."
        )


def new_cluster_id() -> str:
    """An id for a cluster that is to be formatted, unlike any other's."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode("ascii")
        # Kafka's tools take an id that starts with a dash for an option.
        if not made.startswith("-"):
            return made
