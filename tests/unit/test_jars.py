"""Jars: exactly the recorded ones, whole, whatever happens on the way.

jgo downloads from a server in this process, whose faults are made here.
"""

import errno
import hashlib
import re
import ssl
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from jgo.maven import _core

from cli.certificates import new_authority, new_broker_certificate
from domain.errors import JarError
from transport.local_broker import jars as module
from transport.local_broker.jars import Jar, fetch_jars, recorded_jars

BODIES = {
    "/org/example/first/1.0/first-1.0.jar": b"first" * 40_000,
    "/org/example/second/2.1/second-2.1.jar": b"second" * 30_000,
}


def jar_of(path: str) -> Jar:
    *group, artifact, version, _ = path.strip("/").split("/")
    body = BODIES[path]
    return Jar(
        f"{'.'.join(group)}:{artifact}:{version}", hashlib.sha256(body).hexdigest(), len(body)
    )


FIRST, SECOND = (path for path in BODIES)
WANTED = tuple(jar_of(path) for path in BODIES)


@dataclass
class Repository:
    """A Maven repository; ``faults`` says what is done wrong at the next requests for a path."""

    asked: Counter = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def respond(self, handler: BaseHTTPRequestHandler) -> None:
        body = BODIES.get(handler.path)
        if body is None:
            handler.send_error(404)
            return
        self.asked[handler.path] += 1
        planned = self.faults.get(handler.path)
        fault = planned.pop(0) if planned else ""
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if fault == "half":
            body = body[: len(body) // 2]
        elif fault == "changed":
            body = b"X" + body[1:]
        handler.wfile.write(body)
        handler.close_connection = True


@pytest.fixture
def repository(monkeypatch):
    with serving(monkeypatch) as made:
        yield made


@pytest.fixture
def signed_by(monkeypatch, tmp_path):
    """The certificate of an authority that only this machine may know, which signs the server's."""
    now = datetime.now(UTC)
    key, authority = new_authority(now)
    file = tmp_path / "authority.pem"
    file.write_bytes(authority)
    server = tmp_path / "server.pem"
    server.write_bytes(b"".join(new_broker_certificate(key, authority, ["127.0.0.1"], now, 1)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with serving(monkeypatch, context):
        yield file


@contextmanager
def serving(monkeypatch, tls=None):
    made = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            made.respond(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    monkeypatch.setitem(
        _core.DEFAULT_REMOTE_REPOS,
        "central",
        f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}",
    )
    monkeypatch.setattr(module.shutil, "which", lambda _name: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Seen:
    total: int | None = None
    count: int = 0

    def start(self, total_bytes: int) -> None:
        assert self.total is None, "started twice"
        self.total = total_bytes

    def advance(self, count: int) -> None:
        self.count += count


def there(directory: Path) -> set[str]:
    return {path.name for path in directory.rglob("*.jar")}


def test_the_list_is_kafka_431_and_a_logger():
    listed = recorded_jars()
    coordinates = [jar.coordinate for jar in listed]
    assert len(set(coordinates)) == len(coordinates) == 46
    assert "org.apache.kafka:kafka_2.13:4.3.1" in coordinates
    assert "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4" in coordinates
    assert {c.split(":")[2] for c in coordinates if c.startswith("org.apache.kafka:")} == {"4.3.1"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) and jar.size > 0 for jar in listed)


def test_a_classifier_is_part_of_the_file_name():
    jar = Jar("org.example:native:1.2:linux", "", 0)
    assert jar.path == Path("org/example/native/1.2/native-1.2-linux.jar")


def test_downloads_what_is_listed_and_says_how_far_it_is(repository, tmp_path):
    seen = Seen()
    paths = fetch_jars(tmp_path, seen, WANTED)
    assert [path.read_bytes() for path in paths] == list(BODIES.values())
    assert seen.total == seen.count == sum(map(len, BODIES.values()))


def test_what_is_there_is_not_downloaded_again(repository, tmp_path):
    fetch_jars(tmp_path, None, WANTED)
    seen = Seen()
    fetch_jars(tmp_path, seen, WANTED)
    assert repository.asked == {FIRST: 1, SECOND: 1}
    assert seen.total is None


def test_unchanged_jars_are_not_hashed_again(repository, tmp_path, monkeypatch):
    fetch_jars(tmp_path, None, WANTED)
    monkeypatch.setattr(module, "sha256_of", lambda path: pytest.fail(f"hashed {path}"))
    fetch_jars(tmp_path, None, WANTED)


@pytest.mark.parametrize("stamps", ["", "{", "[]", '{"a": 1}'])
def test_a_damaged_stamp_file_does_no_harm(repository, tmp_path, stamps):
    fetch_jars(tmp_path, None, WANTED)
    (tmp_path / "verified.json").write_text(stamps)
    fetch_jars(tmp_path, None, WANTED)
    assert repository.asked == {FIRST: 1, SECOND: 1}


@pytest.mark.parametrize(
    "content",
    [BODIES[FIRST][:1000], b"Y" + BODIES[FIRST][1:], b""],
    ids=["half", "changed", "empty"],
)
def test_a_damaged_jar_is_replaced(repository, tmp_path, content):
    path, _ = fetch_jars(tmp_path, None, WANTED)
    path.write_bytes(content)
    fetch_jars(tmp_path, None, WANTED)
    assert path.read_bytes() == BODIES[FIRST]
    assert repository.asked == {FIRST: 2, SECOND: 1}


@pytest.mark.parametrize("fault", ["half", "changed"])
def test_a_bad_download_is_made_once_more(repository, tmp_path, fault):
    repository.faults[SECOND] = [fault]
    seen = Seen()
    _, path = fetch_jars(tmp_path, seen, WANTED)
    assert path.read_bytes() == BODIES[SECOND]
    assert repository.asked[SECOND] == 2
    assert seen.total == seen.count, "the bad download's bytes were counted, too"


def test_another_jar_than_the_recorded_one_is_refused(repository, tmp_path):
    repository.faults[SECOND] = ["changed", "changed"]
    with pytest.raises(JarError) as caught:
        fetch_jars(tmp_path, None, WANTED)
    message = str(caught.value)
    actual = hashlib.sha256(b"X" + BODIES[SECOND][1:]).hexdigest()
    assert all(part in message for part in ("org.example:second:2.1", WANTED[1].sha256, actual))
    assert "KAFKA_BOOTSTRAP_SERVERS" in message
    assert there(tmp_path) == {"first-1.0.jar"}


def test_what_can_not_be_reached_is_named(repository, tmp_path, monkeypatch):
    # Port 9, "discard": nobody listens there.
    monkeypatch.setitem(_core.DEFAULT_REMOTE_REPOS, "central", "http://127.0.0.1:9")
    with pytest.raises(
        JarError, match=r"org\.example:first:1\.0 can't be downloaded.*refused"
    ) as e:
        fetch_jars(tmp_path, None, WANTED)
    assert "KAFKA_BOOTSTRAP_SERVERS" in str(e.value)
    assert there(tmp_path) == set()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_authorities_of_the_system_are_trusted_and_those_that_are_named(
    signed_by, tmp_path, monkeypatch, variable
):
    """OpenSSL's own places, by which a machine of a company knows the authority of its proxy."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "authority.pem").write_bytes(signed_by.read_bytes())
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(signed_by)]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    (folder / f"{hashed}.0").write_bytes(signed_by.read_bytes())
    monkeypatch.setenv(variable, str(folder if variable == "SSL_CERT_DIR" else signed_by))
    plain = ssl.SSLContext
    paths = fetch_jars(tmp_path / "jars", None, WANTED)
    assert [path.read_bytes() for path in paths] == list(BODIES.values())
    assert ssl.SSLContext is plain


def test_an_authority_that_nobody_trusts_is_refused_with_what_to_do(signed_by, tmp_path):
    with pytest.raises(JarError, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
        fetch_jars(tmp_path / "jars", None, WANTED)
    assert there(tmp_path) == set()


def test_what_the_repository_does_not_have_is_named(repository, tmp_path):
    missing = Jar("org.example:third:3.0", "0" * 64, 10)
    with pytest.raises(JarError, match=r"org\.example:third:3\.0 can't be downloaded: .*not found"):
        fetch_jars(tmp_path, None, (*WANTED, missing))
    assert there(tmp_path) == {"first-1.0.jar", "second-2.1.jar"}


def test_an_interruption_leaves_no_half_jar(repository, tmp_path):
    class Interrupting(Seen):
        def advance(self, count: int) -> None:
            super().advance(count)
            if self.count > 50_000 and count > 0:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_jars(tmp_path, Interrupting(), WANTED)
    assert there(tmp_path) == set()
    assert len(fetch_jars(tmp_path, None, WANTED)) == 2


def test_a_full_disk_is_named_and_leaves_no_half_jar(repository, tmp_path, monkeypatch):
    def full(jar, directory, _resolver):
        target = directory / jar.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_resolve", full)
    with pytest.raises(JarError, match=r"No space is left to write org\.example:first:1\.0"):
        fetch_jars(tmp_path, None, WANTED)
    assert there(tmp_path) == set()


def test_a_directory_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JarError, match="SHOP_JARS"):
        fetch_jars(tmp_path / "file" / "jars", None, WANTED)


def test_maven_is_asked_where_pure_python_fails(repository, tmp_path, monkeypatch):
    script = tmp_path / "mvn"
    script.write_text(
        "#!/bin/sh\n"
        'for a in "$@"; do case $a in -Dmaven.repo.local=*) r=${a#*=};; esac; done\n'
        f'mkdir -p "$r/org/example/first/1.0" && cp "{tmp_path}/body" "$r{FIRST}"\n'
    )
    script.chmod(0o755)
    (tmp_path / "body").write_bytes(BODIES[FIRST])
    monkeypatch.setattr(module.shutil, "which", lambda name: str(script) if name == "mvn" else None)
    monkeypatch.setitem(_core.DEFAULT_REMOTE_REPOS, "central", "http://127.0.0.1:9")
    (path,) = fetch_jars(tmp_path / "jars", None, WANTED[:1])
    assert path.read_bytes() == BODIES[FIRST]


def test_both_reasons_are_given_where_maven_fails_too(repository, tmp_path, monkeypatch):
    script = tmp_path / "mvn"
    script.write_text("#!/bin/sh\necho '[INFO] x'; echo '[ERROR] mirror is down'; exit 1\n")
    script.chmod(0o755)
    monkeypatch.setattr(module.shutil, "which", lambda _name: str(script))
    monkeypatch.setitem(_core.DEFAULT_REMOTE_REPOS, "central", "http://127.0.0.1:9")
    with pytest.raises(JarError, match=r"refused.*mvn failed, too: mirror is down"):
        fetch_jars(tmp_path / "jars", None, WANTED[:1])


def test_two_at_once_download_once(repository, tmp_path):
    results: list[list[Path]] = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch_jars(tmp_path, None, WANTED)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 4
    assert repository.asked == {FIRST: 1, SECOND: 1}
