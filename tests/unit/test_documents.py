"""What README, CONTRIBUTING and docs/ name is there."""

import ast
import re
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT

ARCHITECTURE = ROOT / "docs" / "architecture.md"
NAMED = re.compile(r"`([\w./-]+\.(?:in|md|py|toml|txt|yaml)|[\w./-]+/)(?::([\w.]+))?`")
"""A file, also with what is in it (``file.py:Class.method``), or a folder."""
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@cache
def names_in(file: Path) -> frozenset[str]:
    """What a module defines; methods as ``Class.method``."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {
                f"{node.name}.{each.name}"
                for each in getattr(node, "body", ())
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            }
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id for each in targets if isinstance(each, ast.Name)}
    return frozenset(found)


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_and_function_that_is_named_is_there(page) -> None:
    named = re.findall(NAMED, (ROOT / page).read_text())
    assert len(named) > 10
    missing = [
        f"{file}:{name}"
        for file, name in named
        if not (ROOT / file).exists() or (name and name not in names_in(ROOT / file))
    ]
    assert missing == []


def test_the_picture_is_the_contract_of_imports() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = [each["layers"] for each in contracts["contracts"] if each["type"] == "layers"]
    drawn = [
        [side.split(" & ") for side in line.split(" --> ")]
        for line in re.findall(r"^ {4}(.+ --> .+)$", ARCHITECTURE.read_text(), re.MULTILINE)
    ]
    arrows = [(above, below) for line in drawn for above, below in pairwise(line)]
    assert arrows == list(pairwise(layer.split(" | ") for layer in layers))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page) -> None:
    for file, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), anchor
