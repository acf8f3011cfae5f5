"""What the wheel has in it: all that an installation needs, below one name."""

import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.conftest import ROOT
from tests.unit.test_structure import ROOMS
from tests.wheel import NAME, built, wheel_from_sdist


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel")


@pytest.fixture(scope="module")
def wheel(folder: Path) -> dict[str, bytes]:
    return files(wheel_from_sdist(folder))


def files(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def test_an_installation_adds_one_name_only(wheel) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    names = {name.partition("/")[0] for name in wheel}
    assert names == {NAME, f"{NAME}-{version}.dist-info"}


def test_every_file_of_the_folders_is_in_it(wheel, folder) -> None:
    wanted = {f"{NAME}/{path.name}": path for path in (folder / "tree" / NAME).glob("*.py")}
    for name in (*ROOMS, "data"):
        for path in (folder / "tree" / name).rglob("*.*"):
            wanted[f"{NAME}/{path.relative_to(folder / 'tree')}"] = path
    assert len(wanted) > 200
    found = {name: content for name, content in wheel.items() if name.startswith(f"{NAME}/")}
    assert found == {name: path.read_bytes() for name, path in wanted.items()}


def test_the_wheel_of_the_tree_is_that_of_the_sdist(wheel, folder, tmp_path) -> None:
    assert files(built("wheel", folder / "tree", tmp_path)) == wheel
