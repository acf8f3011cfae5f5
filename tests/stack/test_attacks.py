"""What somebody with a foot in the door tries, and what it meets (docs/attacks.md)."""

import pytest

from tests.conftest import ROOT
from tests.stack import forgeries, pages
from tests.stack.attacks import ATTACKS, Attack, Ground
from tests.stack.composed import Composed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# They note attacks where they are imported.
assert forgeries
assert pages


@pytest.fixture(scope="module")
def ground(composed: Composed) -> Ground:
    return Ground(composed)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.what.replace(" ", "-"))
def test_an_attack_fails(ground: Ground, attack: Attack) -> None:
    attack.run(ground)
    ground.composed.ensure_all_alive()


def test_the_page_says_what_each_met() -> None:
    rows = [f"| {attack.what} | {attack.met_by} |" for attack in ATTACKS]
    page = (ROOT / "docs" / "attacks.md").read_text()
    found = [line for line in page.splitlines() if line.startswith("| ")]
    assert found[2:] == rows
    assert len(rows) >= 20
