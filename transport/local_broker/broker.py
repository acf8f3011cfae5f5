"""The local broker: started, found, stopped; all its state lies in the home's ``broker``."""

import logging
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from domain.errors import BrokerError
from transport.local_broker.interrupts import Interrupts
from transport.local_broker.jars import Progress, fetch_jars
from transport.local_broker.java import Jvm, forget_recorded, java_environment, java_executable
from transport.local_broker.log_tail import HELD, LogTail
from transport.local_broker.ports import Ports, choose_ports, load_ports, save_ports
from transport.local_broker.process import MAIN_CLASS, ProcessRecord, end, has_ended
from transport.local_broker.readiness import prove
from transport.local_broker.server_properties import (
    HOST,
    render_log_properties,
    render_server_properties,
)
from transport.local_broker.status import BrokerStatus
from transport.local_broker.storage import Storage, check_free_space
from transport.local_broker.whole_file import write_whole
from transport.private_files import FILE, UMASK, keep_others_out, make_folder, private
from transport.trouble import ask_cluster

_log = logging.getLogger(__name__)

READY_WITHIN = 60.0
"""Seconds from the process's start until a record must have been written and read back."""
STOP_WITHIN = 30.0
"""Seconds that Kafka is given to write everything down before it is killed."""
CONSOLE_BYTES = 1024 * 1024
"""Size from which what Java itself said is thrown away at the next start."""
LOCK_TIMEOUT = 1200.0
"""Seconds to wait for another start or stop; a start may download first."""


class LocalBroker:
    """The broker of one home; any number of these objects, in any processes, may exist."""

    def __init__(self, home: Path, jars: Path, port: int | None = None) -> None:
        """Start nothing yet.

        Args:
            home: the directory of all state; the broker's is in ``broker`` below it.
            jars: the directory of Kafka's jars, which homes share.
            port: the port for clients; None: a free one, remembered in the home.
        """
        # Resolved, for the process is known by this path from whichever directory it is named.
        self._directory = (home / "broker").absolute().resolve()
        self._jars = jars.absolute()
        self._port = port
        self._storage = Storage(self._directory)
        self._properties = self._directory / "server.properties"
        self._log_properties = self._directory / "log4j2.properties"
        self._ports_file = self._directory / "ports.json"
        self._record = ProcessRecord(self._directory / "pid.json", self._properties)
        logs = self._directory / "log"
        self._console = logs / "console.log"
        self._kafka_log = logs / "kafka.log"

    def status(self) -> BrokerStatus:
        """How the broker is doing; waits for nobody, at most 2 s for its answer."""
        process = self._record.find()
        ports = load_ports(self._ports_file)
        ready = False
        if process is not None and ports is not None:
            try:
                ready = ask_cluster(_address(ports), 2) == self._storage.cluster_id()
            except BrokerError:
                ready = False
        return self._status(process, ports, ready=ready)

    def start(self, progress: Progress | None = None) -> BrokerStatus:
        """Make the broker run and be ready; where it does already, only its status is returned.

        SIGTERM, SIGHUP and Ctrl-C during the start leave no process behind: they end what was
        started and are then raised as ``SystemExit`` or ``KeyboardInterrupt``.

        Raises:
            BrokerError: it can't be started; nothing is left running.
            JarError: one of its jars can't be had.
        """
        with Interrupts() as interrupts, self._alone():
            process = self._record.find()
            if process is not None:
                try:
                    return self._join(process)
                except BrokerError:
                    # One that was ending just then, killed by someone, is replaced.
                    if not has_ended(process):
                        raise
            self._record.clear()
            java = java_executable()
            check_free_space(self._directory)
            cluster_id = self._storage.claim()
            # Before the download, which may take a minute: what can't work is said at once.
            choose_ports(load_ports(self._ports_file), self._port)
            jars = fetch_jars(self._jars, progress)
            ports, notice = choose_ports(load_ports(self._ports_file), self._port)
            if notice:
                _log.warning(notice)
            self._configure(ports)
            jvm = Jvm(java, jars, self._jars)
            if self._storage.needs_format():
                self._storage.format(jvm, self._properties, self._options())
            started = self._launch(jvm, ports, cluster_id, interrupts)
            return self._status(started, ports, ready=True, started=True, notice=notice)

    def stop(self) -> bool:
        """End the broker; its data stay. Whether there was one to end.

        Kafka is asked and given 30 s to write everything down; then it is killed, which loses no
        record either, but makes the next start check the data.
        """
        if not self._directory.exists():
            return False
        with self._alone():
            process = self._record.find()
            if process is not None and end(process, STOP_WITHIN):
                self._keep_class_archive()
            forget_recorded(self._directory)
            self._record.clear()
            return process is not None

    def _join(self, process: psutil.Process) -> BrokerStatus:
        """The status of a broker that runs already, once it is ready."""
        ports = load_ports(self._ports_file)
        if ports is None:
            raise BrokerError(
                f"The broker runs (process {process.pid}), but {self._ports_file}, which names its "
                "port, is gone. Stop it with `shop broker stop`, then start it again."
            )
        if self._port not in (None, ports.broker):
            raise BrokerError(
                f"The broker runs already, on port {ports.broker}, not on port {self._port} as "
                "SHOP_BROKER_PORT asks. Stop it with `shop broker stop` first, or unset that."
            )
        # Its starter may have been killed before it could record it.
        self._record.write(process)
        tail = LogTail(self._kafka_log, self._console)
        try:
            self._await_ready(process, ports, self._storage.cluster_id(), tail)
        except BrokerError as error:
            raise BrokerError(
                f"The broker runs already (process {process.pid}), but can't be used: {error}\n"
                "`shop broker stop` ends it."
            ) from error
        return self._status(process, ports, ready=True)

    def _configure(self, ports: Ports) -> None:
        make_folder(self._kafka_log.parent)
        if self._console.exists() and self._console.stat().st_size > CONSOLE_BYTES:
            self._console.unlink()
        save_ports(self._ports_file, ports)
        data, logs = map(self._seen_from_java, (self._storage.data, self._kafka_log.parent))
        properties = render_server_properties(data, ports.broker, ports.controller)
        write_whole(self._properties, properties)
        logging_properties = render_log_properties(logs)
        write_whole(self._log_properties, logging_properties)

    def _launch(
        self, jvm: Jvm, ports: Ports, cluster_id: str, interrupts: Interrupts
    ) -> psutil.Process:
        options = (*self._options(), *jvm.recording(self._directory))
        command = jvm.command(MAIN_CLASS, str(self._properties), options=options)
        tail = LogTail(self._kafka_log, self._console)
        process: psutil.Process | None = None
        try:
            # Held: an interruption between the process's birth and its name in `process` would
            # leave it running unknown.
            with interrupts.held(), open(self._console, "ab", opener=private) as console:
                keep_others_out(self._console)
                # Its own session: a Ctrl-C in this terminal isn't meant for the broker.
                started = subprocess.Popen(
                    command,
                    cwd=self._directory,
                    env=java_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=UMASK,
                )
                process = psutil.Process(started.pid)
                self._record.write(process)
            self._await_ready(process, ports, cluster_id, tail)
        except BaseException:
            with interrupts.held():
                if process is not None:
                    end(process, patience=5)
                forget_recorded(self._directory)
                self._record.clear()
            raise
        return process

    def _await_ready(
        self, process: psutil.Process, ports: Ports, cluster_id: str | None, tail: LogTail
    ) -> None:
        def still_alive() -> None:
            if has_ended(process):
                # One that reads what another is writing may well call it damaged.
                reason = HELD if self._storage.held() else tail.reason()
                reason = reason or "the last lines of its log say more"
                raise BrokerError(
                    f"Kafka ended while it started: {reason}. Its log is {self._kafka_log}:\n"
                    f"{tail.last_lines()}"
                )

        deadline = time.monotonic() + READY_WITHIN
        try:
            answered = prove(_address(ports), deadline, still_alive)
        except BrokerError as error:
            if time.monotonic() < deadline:
                raise
            raise BrokerError(
                f"Kafka isn't ready after {READY_WITHIN:g} s: {error}. Its log is "
                f"{self._kafka_log}:\n{tail.last_lines()}"
            ) from error
        if answered != cluster_id:
            raise BrokerError(
                f"Another Kafka broker, of the cluster {answered}, answers at {_address(ports)}, "
                f"where this home's, {cluster_id}, should. Stop that one, then try again."
            )

    def _options(self) -> tuple[str, ...]:
        logs = self._seen_from_java(self._kafka_log.parent)
        return (
            f"-Dlog4j2.configurationFile={self._seen_from_java(self._log_properties)}",
            # A crash report belongs to the log, not to where the user happens to be.
            f"-XX:ErrorFile={logs}/java-crash-%p.log",
        )

    def _seen_from_java(self, path: Path) -> Path:
        """A path as Java, which is run in the broker's directory, is told of it.

        In a home's own path each of Kafka, log4j and the JVM would take some characters for
        something else: a comma, ``${``, ``%p``.
        """
        return path.relative_to(self._directory)

    def _keep_class_archive(self) -> None:
        if not any(self._directory.glob("recorded-*.jsa")):
            return
        try:
            jvm = Jvm(java_executable(), fetch_jars(self._jars), self._jars)
            jvm.install(self._directory)
        except BrokerError as error:
            # It would only have made the next start shorter.
            _log.info("Kafka's class archive wasn't kept: %s", error)

    def _status(
        self,
        process: psutil.Process | None,
        ports: Ports | None,
        *,
        ready: bool,
        started: bool = False,
        notice: str = "",
    ) -> BrokerStatus:
        return BrokerStatus(
            running=process is not None,
            ready=ready,
            pid=process.pid if process else None,
            bootstrap_servers=_address(ports) if ports else None,
            cluster_id=self._storage.cluster_id(),
            data=self._storage.data,
            log=self._kafka_log,
            started=started,
            notice=notice,
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other start or stop of this home's broker meanwhile, whichever process it is in."""
        lock = self._directory / "lock"
        try:
            make_folder(self._directory)
            with FileLock(lock, timeout=LOCK_TIMEOUT, mode=FILE, poll_interval=0.05):
                yield
        except Timeout as error:
            raise BrokerError(
                f"Another process has held {lock} for {LOCK_TIMEOUT:g} s, as if it were still "
                "starting or stopping the broker. End it, then try again."
            ) from error
        except OSError as error:
            raise BrokerError(
                f"The broker in {self._directory} can't be handled: {error}. Allow writing there, "
                "free space, or set SHOP_HOME to another directory."
            ) from error


def _address(ports: Ports) -> str:
    return f"{HOST}:{ports.broker}"
