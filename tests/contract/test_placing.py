"""A purchase file and what was placed under its name before, on SQLite and on Postgres."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from cli.place import placing, read_purchases
from domain.contracts import NewOrder
from domain.errors import PurchaseFileError
from domain.house_accounts import house_address
from domain.money import Money
from services.order import OrderService, ids_of
from tests import expected
from tests.contract.conftest import Places
from tests.integration.pipes import NOW

NAMES = [
    "purchases",
    "purchases 2",
    "Purchases",
    "purchase",
    "purchases-2",
    "100% of_it",
    "100x of_it",
    "100% ofxit",
    'it\'s "so"',
    "\\",
    "Ärger",
    "cz",
    "🛒",
    "ask",
]
FIRST = "00001 19970101 1 11.77"
MENDED = "00001 19970101 1 11.78"
OTHER = "00002 19970112 1 12.00"


@pytest.fixture
def service(places: Places) -> Iterator[OrderService]:
    made = OrderService(places.of("order"))
    yield made
    made.database.close()


def place(service: OrderService, file: Path, name: str | None = None) -> tuple[int, int]:
    """How many orders were new, and how many are gone from the file."""
    purchases = read_purchases(file, "USD", name)
    with placing(service, file, purchases) as gone:
        return service.place(purchases.orders, NOW) if purchases.orders else 0, gone


def written(folder: Path, *lines: str) -> Path:
    file = folder / "purchases.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("places", ["sqlite", "postgresql", "in order of words"], indirect=True)
def test_orders_are_found_by_their_data_set_whatever_it_is_called(
    service: OrderService, tmp_path: Path
) -> None:
    file = written(tmp_path, FIRST, OTHER)
    for name in NAMES:
        assert place(service, file, name) == (2, 0)
    service.place([_foreign(f"{name}{end}") for name in NAMES for end in ("", "0", "/17")], NOW)
    for name in NAMES:
        ids = [f"{name}/00001/19970101/1/11.77", f"{name}/00002/19970112/1/12.00", f"{name}/17"]
        with service.database.reading() as connection:
            assert list(ids_of(connection, name)) == ids
        # Others' orders are no purchases that could be gone.
        assert place(service, file, name) == (0, 0)
        assert place(service, written(tmp_path, FIRST), name) == (0, 1)
        written(tmp_path, FIRST, OTHER)


def _foreign(order_id: str) -> NewOrder:
    return NewOrder(order_id, "00007", NOW, Money(1, "USD"), 1, house_address("00007"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([FIRST], [FIRST], (0, 0)),
        ([FIRST, "", OTHER], [FIRST, OTHER], (0, 0)),
        ([FIRST, "garbage"], [FIRST, OTHER], (1, 0)),
        ([FIRST], [FIRST, FIRST], (1, 0)),
        ([FIRST, FIRST, OTHER], [OTHER, FIRST], (0, 1)),
        ([FIRST, OTHER], [], (0, 2)),
        ([FIRST, OTHER], [MENDED, OTHER], None),
        ([FIRST, FIRST], [FIRST, OTHER], None),
        ([FIRST], [OTHER], None),
    ],
)
def test_a_changed_file_places_what_is_surely_new_or_nothing(
    service: OrderService,
    tmp_path: Path,
    before: list[str],
    after: list[str],
    said: tuple[int, int] | None,
) -> None:
    place(service, written(tmp_path, *before))
    known = service.known_orders()
    changed = written(tmp_path, *after)
    refused = pytest.raises(PurchaseFileError, match="Nothing was placed")
    with refused if said is None else nullcontext():
        assert place(service, changed) == said
    if said is None:
        assert service.known_orders() == known
        # Whoever says that it is another file gets orders of its own.
        assert place(service, changed, "another") == (len(after), 0)


def test_a_file_that_was_placed_in_part_only_is_gone_on_with(
    service: OrderService, tmp_path: Path
) -> None:
    lines = expected.DATA.read_text(encoding="ascii").splitlines()[:3000]
    file = written(tmp_path, *lines)
    orders = read_purchases(file, "USD").orders
    service.place(orders[:1700], NOW)
    assert place(service, file) == (1300, 0)
    assert place(service, written(tmp_path, *reversed(lines[1:]))) == (0, 1)


def test_nobody_else_places_under_the_same_name_meanwhile(
    places: Places, service: OrderService, tmp_path: Path
) -> None:
    """Each would compare with what was there before the other one."""
    file = written(tmp_path, FIRST)
    other = OrderService(places.of("order"))
    with placing(service, file, read_purchases(file, "USD")):
        with pytest.raises(PurchaseFileError, match="'purchases' are being placed by another"):
            place(other, file)
        assert place(other, file, "another") == (1, 0)
    assert place(other, file) == (1, 0)
    other.database.close()
