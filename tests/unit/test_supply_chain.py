"""What is installed: its licences, its bill of materials, and the image that it goes into."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from supply_chain import licences
from supply_chain.installed import NOTED, REQUIREMENTS, ROOT, LicenceError, Part, checked
from supply_chain.sbom import sbom
from tests.unit.test_structure import ROOMS
from tests.wheel import NAME, send_context
from transport.local_broker.jars import recorded_jars

BUILT_FROM = "/opt/shop"
ELSEWHERE = re.compile(
    r"\w+://(?!cyclonedx\.org/schema/)|--(?:extra-)?index-url|--find-links|--trusted-host"
    r"|(?:^|[\s\"'(])/(?:work|root|home|opt|tmp|mnt|srv|usr)/|\bfile:|\blocalhost\b"
    r"|\b(?:\d{1,3}\.){3}\d{1,3}:\d+|/simple/",
    re.MULTILINE,
)
"""A registry's address, a host's, or a path of somebody's machine."""


@pytest.fixture(scope="module")
def bill() -> str:
    return sbom()


def test_the_page_of_licences_is_that_of_the_requirements() -> None:
    assert licences.PAGE.read_text() == licences.page(), "run `make licences`"


def test_a_licence_that_is_not_allowed_or_not_known_is_an_error() -> None:
    copyleft = ("AGPL-3.0-only", "GPL-3.0-or-later", "LGPL-3.0-only", "GPL-2.0-only")
    for licence in (*copyleft, "MIT AND SSPL-1.0"):
        with pytest.raises(LicenceError, match="isn't among the allowed"):
            checked(Part("newcomer", "1.0", licence))
    for licence in ("", "UNKNOWN", "BSD License", "Copyright (c) 2026 Somebody"):
        with pytest.raises(LicenceError, match="which is no SPDX expression: read its text"):
            checked(Part("newcomer", "1.0", licence))
    assert checked(Part("newcomer", "1.0", "GPL-3.0-only OR MIT"))
    assert checked(Part("newcomer", "1.0", "(MIT OR AGPL-3.0-only) AND Apache-2.0"))
    for name, licence in NOTED.items():
        assert checked(Part(name, "1.0", licence))
        with pytest.raises(LicenceError):
            checked(Part(name, "1.0", "GPL-3.0-only"))


def test_the_bill_is_the_same_bytes_each_time(bill) -> None:
    environment = {**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    # It checks addresses by what other tests leave out.
    environment.pop("PYTHONPATH", None)
    again = subprocess.run(
        [sys.executable, "-c", "from supply_chain.sbom import sbom; print(sbom(), end='')"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == bill
    assert not re.search(r"serialNumber|timestamp|urn:uuid", bill)


def test_the_bill_has_every_package_and_jar_with_its_sums(bill) -> None:
    found = {each["purl"]: each for each in json.loads(bill)["components"]}
    # Read another way than the bill is made: a requirement, and the sums below it.
    wanted: dict[str, set[str]] = {}
    for line in REQUIREMENTS.read_text().splitlines():
        if pinned := re.match(r"([\w.-]+)==(\S+)", line):
            sums = wanted.setdefault(f"pkg:pypi/{pinned[1]}@{pinned[2]}", set())
        elif hashed := re.match(r"\s+--hash=sha256:(\w+)", line):
            sums.add(hashed[1])
    assert len(wanted) > 100
    for purl, expected in wanted.items():
        (files,) = found[purl]["externalReferences"]
        assert {each["content"] for each in files["hashes"]} == expected
    for jar in recorded_jars():
        group, artifact, version = jar.coordinate.split(":")
        purl = f"pkg:maven/{group}/{artifact}@{version}"
        assert found[purl]["hashes"] == [{"alg": "SHA-256", "content": jar.sha256}]
        wanted[purl] = set()
    assert found.keys() == wanted.keys()


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://registry.example/simple",
        "--find-links /mnt/wheels",
        "a @ file:///somewhere/a.whl",
        '"url": "https://packages.example/a"',
        "# from 10.0.0.7:3141",
    ],
)
def test_what_is_looked_for_is_found(line) -> None:
    assert ELSEWHERE.search(line)


def test_all_requirements_are_pinned_and_hashed_and_nothing_names_a_registry_or_machine(
    bill,
) -> None:
    assert not ELSEWHERE.search(bill + licences.PAGE.read_text())
    for file in REQUIREMENTS.parent.iterdir():
        text = file.read_text()
        assert not ELSEWHERE.search(text), file
        for each in re.sub(r"\\\n", " ", text).splitlines() if file.suffix == ".txt" else ():
            if each and not each.lstrip().startswith("#"):
                assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ .*--hash=sha256:\w{64}", each), each


def test_the_dockerfile_is_as_its_linter_wants_it() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run(
        [hadolint, "--no-color", "Dockerfile"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def build_steps() -> list[str]:
    """The Dockerfile's instructions up to its last stage, which only copies."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    stages = text.split("\nFROM ")
    assert len(stages) == 2, "the image is built in one stage, and runs from another"
    assert "pip" not in stages[1]
    return [line for line in stages[0].splitlines() if line[:1] not in ("", "#")]


@pytest.mark.slow
def test_the_images_steps_install_what_runs_and_nothing_else(tmp_path) -> None:
    context, installed = tmp_path / "src", tmp_path / "shop"
    context.mkdir()
    send_context(context)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pip").write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    (programs / "pip").chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    # As a checkout is that was made with umask 077.
    subprocess.run(["chmod", "-R", "go-rwx", str(context)], check=True)
    for step in build_steps():
        instruction, _, command = step.partition(" ")
        if instruction == "RUN":
            for theirs, ours in (
                (BUILT_FROM, str(installed)),
                ("/tmp/", f"{context}/requirements/"),  # noqa: S108 the image's own
                ("--no-cache-dir ", ""),  # What was downloaded before will do here.
            ):
                command = command.replace(theirs, ours)
            path = f"{programs}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(
                ["sh", "-ec", command],
                cwd=context,
                env={**os.environ, "PATH": path, "PIP_QUIET": "1", "PIP_NO_COMPILE": "1"},
                check=True,
            )

    elsewhere = tmp_path / "app"
    elsewhere.mkdir()
    environment = {"PATH": f"{installed}/bin:/usr/bin:/bin", "SHOP_HOME": str(tmp_path / "state")}

    def run_there(*command: str) -> str:
        done = subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "SHOP_HOME" in run_there("shop", "settings")
    read = (
        "import importlib.metadata as m, json, sys, order_to_revenue as o;"
        "sys.path.insert(0, o.__path__[0]);"
        "import cli.dashboard_server;"
        "from transport.local_broker.jars import recorded_jars;"
        "from transport.local_broker import server_properties;"
        "print(json.dumps([len(recorded_jars()), sorted(d.name for d in m.distributions())]))"
    )
    count, names = json.loads(run_there("python", "-c", read))
    assert count == len(recorded_jars())
    required = REQUIREMENTS.with_name("image.txt").read_text()
    pins = re.findall(r"^([\w.-]+)==", required, re.MULTILINE)
    plain = [re.sub(r"[-_.]+", "-", name).lower() for name in (*pins, "order-to-revenue")]
    assert sorted(re.sub(r"[-_.]+", "-", name).lower() for name in names) == sorted(plain)
    (packages,) = installed.glob("lib/python3*/site-packages")
    files = [path for path in packages.rglob("*") if not path.is_symlink()]
    assert not [path for path in files if not path.stat().st_mode & 0o004]
    assert not [path for path in files if path.name in ("tests", "include") and path.is_dir()]
    assert not {*ROOMS, "data", "tests", "benchmarks", "supply_chain", "pip"} & {
        path.name for path in packages.iterdir()
    }
    sent = {
        path.relative_to(context / (NAME if name == NAME else ""))
        for name in (NAME, *ROOMS, "data")
        for path in (context / name).rglob("*.*")
    }
    there = {path.relative_to(packages / NAME) for path in (packages / NAME).rglob("*.*")}
    assert sent == {path for path in there if path.suffix != ".pyc"}
