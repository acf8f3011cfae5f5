from pathlib import Path

import pytest

from cli.place import read_purchases
from domain.errors import PurchaseLineError, ShopError
from domain.purchases import PurchaseFile
from tests import expected

GOOD = "00001 19970101  1   11.77"


def test_the_real_file_is_read_whole_in_date_order_and_for_one_date_in_file_order() -> None:
    orders, refused = read_purchases(expected.DATA, "USD")
    assert refused == []
    assert [
        (o.order_id, int(o.customer_id), f"{o.ordered_at:%Y%m%d}", o.items, o.amount.cents)
        for o in orders
    ] == [(p.order_id, p.customer, p.date, p.cds, p.cents) for p in expected.purchases()]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "0 fields"),
        ("00001 19970101  1", "3 fields"),
        (GOOD + " x", "5 fields"),
        ("0001 19970101 1 11.77", "customer id"),
        ("0000x 19970101 1 11.77", "customer id"),
        ("00001 1997010 1 11.77", "date"),
        ("00001 19970230 1 11.77", "19970230"),
        ("00001 19970101 0 11.77", "number of CDs"),
        ("00001 19970101 -1 11.77", "number of CDs"),
        ("00001 19970101 1 11.7", "amount"),
        ("00001 19970101 1 -11.77", "amount"),
        ("00001 19970101 1 11,77", "amount"),
        ("00001 19970101 1 1e400", "amount"),
        ("00001 19970101 1 NaN", "amount"),
        ("٠٠٠٠١ 19970101 1 11.77", "customer id"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number_and_what_is_wrong(line: str, why: str) -> None:
    with pytest.raises(PurchaseLineError, match=f"test line 7: .*{why}"):
        PurchaseFile("test").order_from(7, line)


def test_wrong_lines_of_a_file_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "mixed.txt"
    long = b"9" * 100_000
    lines = [GOOD.encode(), b"nonsense", b"\xff\xfe 1 2 3", long, b"00002 19970101  2   22", b"0"]
    file.write_bytes(b"\r\n".join([*lines, GOOD.encode(), b"00003 199"]))
    orders, refused = read_purchases(file, "USD")
    assert [order.order_id for order in orders] == ["mixed/1", "mixed/7"]
    assert [line.split(":")[0] for line in refused] == [
        f"mixed line {number}" for number in (2, 3, 4, 5, 6, 8)
    ]
    assert all(len(line) < 400 for line in refused)


def test_a_line_end_at_the_end_of_the_file_is_no_line(tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_bytes(GOOD.encode() + b"\r\n")
    orders, refused = read_purchases(file, "USD")
    assert (len(orders), refused) == (1, [])


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ShopError, match="can't be read: No such file"):
        read_purchases(tmp_path / "none.txt", "USD")
