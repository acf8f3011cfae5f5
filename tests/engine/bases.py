"""Images that stand for those of the registries, which an engine without a network can't get.

They are made of one small Debian, the project's own jars and wheels, and the files in `images/`.
What takes long is made once on a machine and kept in `.tools`: the Debian and the wheels.
"""

import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

import yaml
from filelock import FileLock

from cli.settings import Settings
from tests.conftest import ROOT
from tests.engine.engine import TOOLS, Engine
from transport.local_broker.jars import Jar, fetch_jars, sha256_of

KEPT = TOOLS / "images"
OWN = Path(__file__).parent / "images"
PACKAGES = (
    *("python3", "python3-pip", "python3-venv", "ca-certificates"),
    *("postgresql", "openjdk-17-jre-headless"),
)
SUITE = "bookworm"
PYTHON = "3.11"
"""What Debian of that name has, and what the Dockerfile names."""
TOOL_JARS = (
    Jar(
        "org.apache.kafka:kafka-tools:4.3.1",
        "62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
        698668,
    ),
)
"""What Kafka's commands for people need beside what the broker does."""
STANDS_FOR = {"apache/kafka": "kafka", "postgres": "postgres"}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
UNWANTED = ("/usr/share/doc/*", "/usr/share/locale/*")


def make_bases(engine: Engine, trees: Iterable[Path]) -> None:
    """Have in the engine what the Dockerfiles and compose files of these trees begin from."""
    trees = list(trees)
    context = engine.folder / "bases"
    jars = Settings().jars
    copy_files(context / "jars", [*fetch_jars(jars), *fetch_jars(jars, jars=TOOL_JARS)])
    for file in OWN.iterdir():
        shutil.copy(file, context)
    named = named_images(trees)
    load(engine, [name for name in named if name.startswith("python:")], trees)
    builds = {
        f"base-{number}": {
            "image": image,
            "build": {
                "context": ".",
                "dockerfile": f"{STANDS_FOR[image.partition(':')[0]]}.Dockerfile",
            },
        }
        for number, image in enumerate(named)
        if not image.startswith("python:")
    }
    (context / "compose.yaml").write_text(yaml.safe_dump({"name": "bases", "services": builds}))
    engine.docker("compose", "build", cwd=context, seconds=600)


def load(engine: Engine, pythons: Iterable[str], trees: Iterable[Path]) -> None:
    """Load the Debian, and Python's image, which has the wheels that the trees' Dockerfiles name.

    pip looks nowhere else for them, and checks their sums as always. An engine that built this, or
    imported it, would first compress what is only to be unpacked.
    """
    wheels = engine.folder / "wheels.tar"
    files = {file.name: file for tree in trees for file in kept_wheels(tree).iterdir()}
    with tarfile.open(wheels, "w") as layer:
        python = tarfile.TarInfo("usr/local/bin/python")
        python.type, python.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
        layer.addfile(python)
        said = b"[global]\nno-index = true\nfind-links = /wheels\n"
        pip = tarfile.TarInfo("etc/pip.conf")
        pip.size = len(said)
        layer.addfile(pip, io.BytesIO(said))
        for name, file in files.items():
            layer.add(file, f"wheels/{name}")
    layers = {"debian.tar": kept_debian(), "wheels.tar": wheels}
    sums = {name: f"sha256:{sha256_of(file)}" for name, file in layers.items()}
    images = {"debian:tests": ["debian.tar"], **{name: list(layers) for name in pythons}}
    made = engine.folder / "images.tar"
    with tarfile.open(made, "w") as archive:
        for name, file in layers.items():
            archive.add(file, name)
        manifest = []
        for number, (image, used) in enumerate(images.items()):
            config = {
                "architecture": MACHINES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {"Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [sums[name] for name in used]},
            }
            add_json(archive, f"{number}.json", config)
            manifest.append({"Config": f"{number}.json", "RepoTags": [image], "Layers": used})
        add_json(archive, "manifest.json", manifest)
    engine.docker("load", "--input", str(made))
    made.unlink()
    wheels.unlink()


def add_json(archive: tarfile.TarFile, name: str, what: object) -> None:
    """Put a file into an archive that has something in JSON."""
    said = json.dumps(what).encode()
    info = tarfile.TarInfo(name)
    info.size = len(said)
    archive.addfile(info, io.BytesIO(said))


def named_images(trees: Iterable[Path]) -> list[str]:
    """The images, each with its tag, that the stack of a tree begins from."""
    found: set[str] = set()
    for tree in trees:
        services = yaml.safe_load(text(tree / "compose.yaml"))["services"].values()
        built = {service["image"] for service in services if "build" in service}
        wanted = {service["image"] for service in services if not service.get("profiles")}
        found |= wanted - built
        for folder in {service["build"] for service in services if "build" in service}:
            found |= set(re.findall(r"^FROM (\S+)", text(tree / folder / "Dockerfile"), re.M))
    return sorted(found)


def text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def copy_files(folder: Path, files: Iterable[Path]) -> None:
    """Have files in one folder, by their names."""
    folder.mkdir(parents=True)
    for file in files:
        if not (folder / file.name).exists():
            shutil.copy(file, folder)


def kept_debian() -> Path:
    """A Debian with Python, Postgres and Java, as an image's layer; made where it isn't there."""
    named = hashlib.sha256(" ".join([SUITE, *PACKAGES, *UNWANTED]).encode()).hexdigest()[:12]
    file = KEPT / f"debian-{named}.tar"
    with kept_lock("debian"):
        if file.exists():
            return file
        archive = subprocess.run(
            [ROOT / ".ci" / "debian-archive"], check=True, capture_output=True, text=True
        ).stdout.strip()
        # No cluster of the system's own: each container makes its database itself.
        no_cluster = (
            "mkdir -p $1/etc/postgresql-common/createcluster.d && "
            "echo 'create_main_cluster = false' >$1/etc/postgresql-common/createcluster.d/none.conf"
        )
        half = file.with_suffix(f".half-{os.getpid()}.tar")
        run(
            *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *(f"--dpkgopt=path-exclude={path}" for path in UNWANTED),
            *(f"--essential-hook={no_cluster}", SUITE, str(half), archive),
        )
        half.rename(file)
    return file


def kept_wheels(tree: Path) -> Path:
    """The wheels that a tree's image installs, with their sums checked, in a folder."""
    listed = sorted(set(re.findall(r"requirements/\S+\.txt", text(tree / "Dockerfile"))))
    texts = [text(tree / name) for name in listed]
    named = hashlib.sha256("".join(texts).encode()).hexdigest()[:12]
    folder = KEPT / f"wheels-{named}"
    with kept_lock("wheels"):
        if folder.exists():
            return folder
        half = folder.with_suffix(f".half-{os.getpid()}")
        for name in listed:
            run(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
                *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
                *("--python-version", PYTHON, "-r", str(tree / name), "-d", str(half)),
            )
        half.rename(folder)
    return folder


def kept_lock(name: str) -> FileLock:
    """Two processes that need the same: one makes it, the other waits."""
    KEPT.mkdir(parents=True, exist_ok=True)
    return FileLock(KEPT / f"{name}.lock", timeout=900)


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
