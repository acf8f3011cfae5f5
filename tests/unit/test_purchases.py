import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.place import read_purchases
from domain.contracts import NewOrder
from domain.errors import PurchaseFileError, PurchaseLineError
from domain.purchase_changes import SHOWN, Changes, changes, refuse_other_purchases
from domain.purchases import MAX_DATA_SET, PurchaseFile, data_set_named
from tests import expected

GOOD = "00001 19970101  1   11.77"
GOOD_ID = "00001/19970101/1/11.77"


def test_the_real_file_is_read_whole_in_date_order_and_for_one_date_in_file_order() -> None:
    orders, refused, lines, data_set = read_purchases(expected.DATA, "USD")
    assert (refused, data_set) == ([], "CDNOW_master")
    wanted = expected.purchases()
    assert [
        (o.order_id, int(o.customer_id), f"{o.ordered_at:%Y%m%d}", o.items, o.amount.cents)
        for o in orders
    ] == [(p.order_id, p.customer, p.date, p.cds, p.cents) for p in wanted]
    assert lines == {purchase.order_id: purchase.line for purchase in wanted}
    assert len(lines) == len(orders) == 69_659
    assert sum(order_id.count("/") == 5 for order_id in lines) == 255


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "0 fields"),
        ("00001 19970101  1", "3 fields"),
        (GOOD + " x", "5 fields"),
        (GOOD + " x y", "6 fields"),
        ("00001 x 19970101 1 11.77", "5 fields, and the second one"),
        ("0001 19970101 1 11.77", "customer id"),
        ("0000x 19970101 1 11.77", "customer id"),
        ("00001 1997010 1 11.77", "date"),
        ("00001 19970230 1 11.77", "19970230"),
        (
            "00001 19691231 1 11.77",
            "outside business time, which is from 1970-01-01 up to 2100-01-01",
        ),
        (
            "00001 21000101 1 11.77",
            "outside business time, which is from 1970-01-01 up to 2100-01-01",
        ),
        (
            "00001 99991231 1 11.77",
            "outside business time, which is from 1970-01-01 up to 2100-01-01",
        ),
        ("00001 19970101 0 11.77", "number of CDs"),
        ("00001 19970101 -1 11.77", "number of CDs"),
        ("00001 19970101 1 11.7", "amount"),
        ("00001 19970101 1 -11.77", "amount"),
        ("00001 19970101 1 11,77", "amount"),
        ("00001 19970101 1 1e400", "amount"),
        ("00001 19970101 1 NaN", "amount"),
        ("00001 19970101 1 1_0.50", "amount"),
        ("00001 19970101 1 1000000000.01", "amount"),
        ("00001 19970101 1 92233720368547758.07", "amount"),
        (f"00001 19970101 1 {'9' * 150}.00", "amount"),
        ("٠٠٠٠١ 19970101 1 11.77", "customer id"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number_and_what_is_wrong(line: str, why: str) -> None:
    with pytest.raises(PurchaseLineError, match=f"test line 7: .*{why}"):
        PurchaseFile("test").order_from(7, line)


@pytest.mark.parametrize(
    ("line", "order_id", "cents"),
    [
        ("00001 19700101 1 1000000000.00", "00001/19700101/1/1000000000.00", 10**11),
        ("  00001\t20991231 007 0011.50  ", "00001/20991231/7/11.50", 1150),
        ("00001 19970101 1 0.00", "00001/19970101/1/0.00", 0),
        ("00004     1 19970101  2   29.33", "00004/19970101/2/29.33", 2933),
        ("23556  2357 19970325  1   13.99", "23556/19970325/1/13.99", 1399),
    ],
)
def test_a_line_is_an_order_named_by_what_it_says(line: str, order_id: str, cents: int) -> None:
    order = PurchaseFile("test").order_from(7, line)
    assert (order.order_id, order.amount.cents) == (f"test/{order_id}", cents)


def test_the_largest_amount_of_a_currency_without_decimals_is_bounded_too() -> None:
    yen = PurchaseFile("test", "JPY")
    assert yen.order_from(1, f"00001 19970101 1 {10**11}.00").amount.cents == 10**11
    with pytest.raises(PurchaseLineError, match="larger than 100000000000 minor units of JPY"):
        yen.order_from(1, f"00001 19970101 1 {10**11 + 1}.00")


def test_wrong_lines_of_a_file_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "mixed.txt"
    long = b"9" * 100_000
    lines = [GOOD.encode(), b"nonsense", b"\xff\xfe 1 2 3", long, b"00002 19970101  2   22", b"0"]
    file.write_bytes(b"\r\n".join([*lines, GOOD.encode(), b"00003 199"]))
    orders, refused, numbers, _ = read_purchases(file, "USD")
    assert [order.order_id for order in orders] == [f"mixed/{GOOD_ID}", f"mixed/{GOOD_ID}/2"]
    assert list(numbers.values()) == [1, 7]
    assert [line.split(":")[0] for line in refused] == [
        f"mixed line {number}" for number in (2, 3, 4, 5, 6, 8)
    ]
    assert all(len(line) < 400 for line in refused)


def test_the_same_purchases_are_the_same_orders_however_the_file_is_written(tmp_path: Path) -> None:
    lines = expected.DATA.read_text(encoding="ascii").splitlines()[:300]
    wanted = set(read_purchases(_written(tmp_path, "\n".join(lines)), "USD").lines)
    assert len(wanted) == len(lines)
    shuffled = random.Random(1).sample(lines, len(lines))
    for text in (
        "".join(f"{line}\r\n" for line in lines),
        "\r".join(lines) + "\r",
        "\ufeff" + "\n".join(lines),
        "\n\n \t\n" + "\n\n".join(f"  {line} \t " for line in lines) + "\n\n",
        "\n".join(shuffled),
        "\n".join(" ".join(line.split()) for line in lines),
        "garbage\n" + "\n".join(lines) + "\n00001 1997",
    ):
        found = read_purchases(_written(tmp_path, text), "USD")
        assert set(found.lines) == wanted
        assert len(found.refused) == text.count("garbage") * 2


def _written(folder: Path, text: str) -> Path:
    file = folder / "purchases.txt"
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_refused_as_a_whole(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "wide.txt"
    file.write_bytes(f"{GOOD}\r\n{GOOD}\r\n".encode(encoding))
    with pytest.raises(PurchaseFileError, match=r"wide\.txt is in UTF-16 or UTF-32.*save it as"):
        read_purchases(file, "USD")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PurchaseFileError, match="can't be read: No such file"):
        read_purchases(tmp_path / "none.txt", "USD")


@pytest.mark.parametrize("name", ["100 % _of_ 'it'", 'a"b', "März 🛒", "x" * MAX_DATA_SET])
def test_names_of_data_sets_fit_into_the_ids_of_orders(name: str) -> None:
    assert data_set_named(name) == name
    file = PurchaseFile(name)
    line = "99999 20991231 999999 1000000000.00"
    assert len([file.order_from(1, line) for _ in range(1000)][-1].order_id) <= 200


def test_one_name_is_one_data_set_however_its_letters_are_taken_apart() -> None:
    assert data_set_named("Ma\u0308rz") == data_set_named("M\u00e4rz")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "printable"),
        ("a/b", "without a slash"),
        ("a\nb", "printable"),
        ("a\0b", "printable"),
        ("\udcff", "printable"),
        ("a\u202eb", "printable"),
        ("x" * (MAX_DATA_SET + 1), "has 151 characters"),
    ],
)
def test_other_names_are_refused_with_what_to_do(name: str, why: str) -> None:
    with pytest.raises(PurchaseFileError, match=f"{why}.*--as NAME"):
        data_set_named(name)


PURCHASES = st.builds(
    "{:05} 199701{:02} {} {}.50".format,
    st.integers(1, 3),
    st.integers(1, 2),
    st.integers(1, 2),
    st.integers(0, 2),
)
LINES = st.one_of(PURCHASES, st.sampled_from(["", " ", "garbage", "00001 1997"]))


def ids(lines: list[str]) -> list[str | None]:
    """By line, its order's id."""
    file = PurchaseFile("set")
    found: list[str | None] = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(file.order_from(number, line).order_id)
        except PurchaseLineError:
            found.append(None)
    return found


@given(st.lists(LINES, max_size=12), st.data())
def test_whatever_is_done_to_other_lines_a_purchase_keeps_its_order(
    lines: list[str], data: st.DataObject
) -> None:
    """Added, deleted, mended or moved: lines that say the same are orders of the same ids."""
    kept = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    mended: list[str] = []
    for line, stays in zip(lines, kept, strict=True):
        mended += [line] if stays else data.draw(st.lists(LINES, max_size=2))
    mended = data.draw(st.permutations(mended))
    before, after = ids(lines), ids(mended)
    for line in {line for line in lines if line.strip()}:
        old = [order_id for order_id, said in zip(before, lines, strict=True) if said == line]
        new = [order_id for order_id, said in zip(after, mended, strict=True) if said == line]
        shared = min(len(old), len(new))
        assert old[:shared] == new[:shared]
    real = [order_id for order_id in after if order_id is not None]
    assert len(set(real)) == len(real)


@given(st.lists(PURCHASES, max_size=8), st.lists(PURCHASES, max_size=8))
def test_a_file_is_refused_when_and_only_when_purchases_are_gone_and_others_new(
    placed: list[str], now: list[str]
) -> None:
    known, found = _lines(placed), _lines(now)
    compared = changes("set", found, sorted(known))
    assert set(compared.new) == set(found) - set(known)
    assert compared.gone_count == len(set(known) - set(found))
    if set(known) - set(found) and set(found) - set(known):
        with pytest.raises(PurchaseFileError, match="Nothing was placed"):
            refuse_other_purchases("file", "set", compared, found)
    else:
        refuse_other_purchases("file", "set", compared, found)


def _lines(lines: list[str]) -> dict[str, int]:
    return {order_id: number for number, order_id in enumerate(ids(lines), 1) if order_id}


def test_what_changed_is_said_with_counts_line_numbers_and_what_to_do() -> None:
    lines = [f"{number:05} 19970101 1 1.00" for number in range(1, 41)]
    found = _lines(lines[13:])
    compared = changes("set", found, list(_lines(lines[:26])))
    with pytest.raises(PurchaseFileError) as refused:
        refuse_other_purchases("purchase file set.txt", "set", compared, found)
    said = str(refused.value).splitlines()
    assert said[0].startswith("purchase file set.txt has changed since purchases were placed as")
    assert "13 purchases are gone from it, and 14 purchases are new" in said[0]
    assert said[1] == "  gone: set/00001/19970101/1/1.00"
    assert said[SHOWN + 1] == "  … and 3 more gone"
    assert said[SHOWN + 2] == "  new:  set/00027/19970101/1/1.00 (line 14)"
    assert said[2 * SHOWN + 2] == "  … and 4 more new"
    assert "--as NAME" in said[-1]


def test_orders_of_others_that_begin_so_are_no_purchases_of_the_file() -> None:
    others = ["ask/6f1d2a0c-8a8e-5f0e-9d5f-3b1f4c7a9e21", "ask/17", "ask/00001/19970101/1/1.00/x"]
    assert changes("ask", ["ask/new"], others) == Changes([], 0, ["ask/new"])


def test_an_order_of_a_file_is_the_same_under_another_name_but_for_its_id() -> None:
    def order(data_set: str) -> NewOrder:
        return PurchaseFile(data_set).order_from(1, GOOD)

    one, other = order("one"), order("other")
    assert one.order_id == f"one/{GOOD_ID}"
    assert other.order_id == f"other/{GOOD_ID}"
    assert (one.customer_id, one.amount) == (other.customer_id, other.amount)
