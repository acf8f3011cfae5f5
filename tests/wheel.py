"""The sdist and the wheel, built as `make wheel` does, from a copy of what they are made of."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.conftest import ROOT

NAME = "order_to_revenue"
"""The one name that an installation adds to those that can be imported."""


def send_context(to: Path) -> None:
    """Copy what `.dockerignore` lets through, as a build sends it."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    never = shutil.ignore_patterns(*(r.removeprefix("**/") for r in rules if r.startswith("**/")))
    for rule in rules:
        if rule.startswith("!"):
            source = ROOT / rule[1:]
            if source.is_dir():
                shutil.copytree(source, to / rule[1:], ignore=never)
            else:
                shutil.copy(source, to / rule[1:])


def built(kind: str, source: Path, to: Path) -> Path:
    """The "sdist" or "wheel" of a folder, built by what is installed here, with no network."""
    build = f"import sys; from setuptools.build_meta import build_{kind} as b; b(sys.argv[1])"
    command = [sys.executable, "-c", build, str(to)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = to.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


def wheel_from_sdist(folder: Path) -> Path:
    """The wheel that is built from the sdist; the copied tree is in the folder's `tree`."""
    tree, unpacked = folder / "tree", folder / "unpacked"
    tree.mkdir()
    send_context(tree)
    with tarfile.open(built("sdist", tree, folder)) as sdist:
        sdist.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    return built("wheel", source, folder)
