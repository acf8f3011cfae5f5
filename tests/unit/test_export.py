"""The report as files: what is in them to the cent, and that a change to them is found."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow
import pytest
from pyarrow import parquet

from domain.errors import ShopError
from reporting.export import By, as_csv, as_parquet, columns, cut, cut_off, file_name
from reporting.exports import FORMS, form_named
from reporting.figure import Stamp, as_comments, as_metadata, stamp
from reporting.projector import catch_up, open_projections
from reporting.proof import Failure, Finding
from reporting.proof_of_figure import prove_figures
from reporting.proof_of_log import look, open_log_to_prove
from reporting.report import REASONS, Period, Report, report, report_of
from reporting.revenue import Revenue, Sum
from services.recorder import open_log
from tests import expected
from tests.browser.small_log import SmallLog

NOW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
STAMP = Stamp(7, "ab" * 32, "2026-11-25T12:00:00Z", "USD")
SUFFIXES = (".csv", ".parquet", ".html")
GROUPS = ("accepted", *REASONS, "all")
RANGES = [(None, None), ("1997-01-30", "1997-04-02"), ("1998-05-04", None), (None, "1997-01-31")]
FIRST, LAST = "1997-01-03", "1997-01-08"


ORDERS = [each for each in expected.purchases() if each.customer <= 700]
"""They are of all months, and were declined for every reason."""


class World(NamedTuple):
    """A log of `ORDERS`, what was read from it, and a folder for one test's files."""

    log: Path
    found: Report
    stamp: Stamp
    folder: Path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("recorded")
    small = SmallLog(home)
    small.append(ORDERS)
    small.close()
    file = home / "databases" / "event_log.sqlite"
    projections = open_projections(home / "report.sqlite")
    catch_up(open_log(file), projections)
    found = report(projections, "USD")
    return World(file, found, stamp(open_log_to_prove(file), found.position, "USD"), home)


@pytest.fixture
def world(recorded: World, tmp_path: Path) -> World:
    return recorded._replace(folder=tmp_path)


def whole(world: World) -> tuple[Report, Stamp]:
    return world.found, world.stamp


def export(
    world: World, suffix: str, by: By, first: str | None = None, last: str | None = None
) -> Path:
    found, stamped = cut(*whole(world), first, last)
    path = world.folder / f"export{suffix}"
    path.write_bytes(FORMS[suffix].make(found, stamped, by, path.name, NOW))
    return path


def check(world: World, path: Path) -> Finding:
    log = open_log_to_prove(world.log)
    return prove_figures(log, look(log), path)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The lines of a table as text."""
    if path.suffix == ".csv":
        text = path.read_bytes().decode("ascii")
        return list(csv.DictReader(text.split("\r\n")[_comments(text) :]))
    rows = parquet.read_table(path).to_pylist()
    return [{name: str(value) for name, value in row.items()} for row in rows]


def _comments(text: str) -> int:
    return sum(line.startswith("#") for line in text.split("\r\n"))


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize(("first", "last"), RANGES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_have_the_figures_of_the_file_to_the_cent(
    world: World, suffix: str, by: By, first: str | None, last: str | None
) -> None:
    path = export(world, suffix, by, first, last)
    decided = expected.outcomes(ORDERS)
    wanted = expected.lines(ORDERS, decided, by.value, first or "", last or "9999")
    del wanted["total"]
    assert rows_of(path) == [
        {by.value: period, "currency": "USD"}
        | {
            f"{group}_{name}": text
            for group in GROUPS
            for name, text in zip(
                ("orders", "cents", "amount"),
                (
                    *map(str, wanted[period][group]),
                    f"{Decimal(wanted[period][group][1]) / 100:.2f}",
                ),
                strict=True,
            )
        }
        for period in sorted(wanted)
    ]


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize(("first", "last"), RANGES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_exported_holds(
    world: World, suffix: str, by: By, first: str | None, last: str | None
) -> None:
    found = check(world, export(world, suffix, by, first, last))
    assert found.failure is None
    assert found.checked["positions"] == [whole(world)[0].position]
    assert found.checked["figures"] > 10


def test_tables_are_as_their_formats_want_them(world: World) -> None:
    text = export(world, ".csv", By.DAY, FIRST, LAST).read_bytes()
    lines = text.split(b"\r\n")
    # RFC 4180: each line ends by CR and LF, and no other line feed is there.
    assert lines.pop() == b""
    assert b"\n" not in b"".join(lines)
    assert b"# first_day: 1997-01-03" in lines
    assert b"# last_day: 1997-01-08" in lines
    table = parquet.read_table(export(world, ".parquet", By.DAY))
    assert table.schema.field("day").type == pyarrow.date32()
    assert table.schema.field("accepted_cents").type == pyarrow.int64()
    assert table.schema.field("all_orders").type == pyarrow.int64()
    assert table.schema.field("no_funds_amount").type == pyarrow.decimal128(38, 2)
    assert table.column("day")[0].as_py() == date(1997, 1, 1)
    assert int(table.schema.metadata[b"position"]) == whole(world)[0].position


def test_no_cell_is_a_formula_of_a_spreadsheet(world: World) -> None:
    for by in By:
        for row in rows_of(export(world, ".csv", by)):
            assert all(
                re.fullmatch(r"[\d.-]+|USD", cell) and cell[0].isalnum() for cell in row.values()
            )
    for odd in ("=1+1", "@x", "+1", "-1", "a\tb", "a,b", 'a"b', ""):
        period = Period(odd, Sum(1, 1), dict.fromkeys(REASONS, Sum()))
        with pytest.raises(ShopError, match="not exported as CSV"):
            as_csv(Report("USD", 7, (period,), (), period), STAMP, By.DAY)


def test_a_currency_without_minor_units_and_amounts_beyond_a_float_are_exact() -> None:
    most = 2**63 - 1
    for currency, amount in (("JPY", str(most)), ("USD", "92233720368547758.07")):
        found = report_of([Revenue("1997-01-01", currency, "accepted", 1, most)], currency, 7)
        said = replace(STAMP, currency=currency)
        line = as_csv(found, said, By.MONTH).decode().split("\r\n")[5].split(",")
        assert line[:5] == ["1997-01", currency, "1", str(most), amount]
        table = parquet.read_table(BytesIO(as_parquet(found, said, By.MONTH)))
        assert str(table.column("accepted_amount")[0].as_py()) == amount


def test_the_same_state_gives_the_same_bytes(world: World) -> None:
    for suffix in SUFFIXES:
        first = export(world, suffix, By.MONTH).read_bytes()
        assert export(world, suffix, By.MONTH).read_bytes() == first


# What can be changed in a file, by format. Each gives the changed file's content.


def change_csv(path: Path, change: Callable[[list[dict[str, str]]], None]) -> None:
    text = path.read_bytes().decode()
    rows = rows_of(path)
    change(rows)
    made = StringIO(newline="")
    table = csv.DictWriter(made, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    comments = "\r\n".join(text.split("\r\n")[: _comments(text)])
    path.write_bytes(f"{comments}\r\n{made.getvalue()}".encode())


def change_parquet(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    table = parquet.read_table(path)
    rows = table.to_pylist()
    change(rows)
    parquet.write_table(pyarrow.Table.from_pylist(rows, table.schema), path)


def change_table(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    (change_csv if path.suffix == ".csv" else change_parquet)(path, change)


def change_data(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the data of a page."""
    text = path.read_text()
    found = re.search(r'(?<=id="figure">).*?(?=</script>)', text)
    assert found
    figures = json.loads(found[0])
    change(figures)
    path.write_text(text.replace(found[0], json.dumps(figures)))


def failure(found: Finding) -> Failure:
    assert found.failure is not None
    return found.failure


def more(value: Any, by: int) -> Any:
    """A cell with so much more in it, of the same type."""
    if isinstance(value, str):
        return f"{Decimal(value) + (Decimal(by) / 100 if '.' in value else by)}"
    return value + (Decimal(by) / 100 if isinstance(value, Decimal) else by)


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("column", [name for name in columns(By.DAY) if "_" in name])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_changed_figure_of_a_table_is_found_with_where(
    world: World, suffix: str, column: str, by: By
) -> None:
    path = export(world, suffix, by, FIRST, LAST)
    changed = []

    def change(rows: list[dict[str, Any]]) -> None:
        changed.append(str(rows[-1][by.value]))
        rows[-1][column] = more(rows[-1][column], 1)

    change_table(path, change)
    found = failure(check(world, path))
    assert found.where == changed[0]
    assert found.what.startswith(f"{column} is ")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_line_left_out_added_or_said_twice_is_found(world: World, suffix: str) -> None:
    path = export(world, suffix, By.DAY, FIRST, LAST)
    change_table(path, lambda rows: rows.pop(2))
    assert failure(check(world, path)) == Failure(
        "1997-01-05", "the log has this row, and the file doesn't"
    )
    for day in ("1997-01-04", "1997-01-09", "1997-01-02", "2001-02-03"):
        path = export(world, suffix, By.DAY, FIRST, LAST)

        def add(rows: list[dict[str, Any]], day: str = day) -> None:
            # With nothing in it, it would change no sum.
            added = {
                name: 0 * cell if isinstance(cell, int) else cell for name, cell in rows[0].items()
            }
            said = day if suffix == ".csv" else date.fromisoformat(day)
            rows.append({**added, "day": said})

        change_table(path, add)
        assert failure(check(world, path)).where == day


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize(
    "days",
    [
        {"first_day": "1997-01-04"},
        {"first_day": "1997-01-02"},
        {"last_day": "1997-01-07"},
        {"last_day": "1997-01-09"},
        {"first_day": None},
        {"last_day": None},
        {"first_day": "1997-01-08", "last_day": "1997-01-03"},
    ],
)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_changed_range_is_found(
    world: World, suffix: str, by: By, days: dict[str, str | None]
) -> None:
    path = export(world, suffix, by, FIRST, LAST)
    for name, day in days.items():
        before = {"first_day": FIRST, "last_day": LAST}[name]
        if suffix == ".csv":
            line, said = f"# {name}: {before}\r\n", f"# {name}: {day}\r\n" if day else ""
            path.write_bytes(path.read_bytes().replace(line.encode(), said.encode()))
        elif suffix == ".parquet":
            table = parquet.read_table(path)
            metadata = {**table.schema.metadata, name.encode(): (day or "").encode()}
            parquet.write_table(table.replace_schema_metadata(metadata), path)
        else:
            change_data(path, lambda figures, name=name, day=day: figures.update({name: day}))  # type: ignore[misc]
    assert failure(check(world, path)).where


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("what", ["cents", "orders"])
def test_a_changed_figure_in_the_data_of_a_page_is_found(world: World, by: By, what: str) -> None:
    path = export(world, ".html", by, FIRST, LAST)

    def change(figures: dict[str, Any]) -> None:
        figures[f"{by.value}s"][0]["accepted"][what] += 1

    change_data(path, change)
    found = failure(check(world, path))
    assert found.where == f"{FIRST[: len(found.where.split()[0])]} accepted"
    assert found.by == {what: 1}


def test_a_day_left_out_or_added_in_the_data_of_a_page_is_found(world: World) -> None:
    path = export(world, ".html", By.DAY, FIRST, LAST)
    change_data(path, lambda figures: figures["days"].pop(2))
    assert failure(check(world, path)).where == "1997-01-05"
    path = export(world, ".html", By.DAY, FIRST, LAST)
    nothing = {"accepted": {"orders": 0, "cents": 0}, "declined": {}}
    change_data(path, lambda figures: figures["days"].append({"day": "1997-01-09", **nothing}))
    assert failure(check(world, path)).where == "1997-01-09"


def figures_shown(path: Path) -> list[str]:
    return sorted(set(re.findall(r'data-figure="([^"]+)"', path.read_text())))


@pytest.mark.parametrize("by", list(By))
def test_each_figure_that_people_see_on_a_page_is_proved(world: World, by: By) -> None:
    path = export(world, ".html", by, FIRST, LAST)
    right = path.read_text()
    shown = figures_shown(path)
    assert len(shown) >= 6 + 2 * 3
    for name in shown:
        # All places that show it, so that they agree with one another.
        found = re.search(rf'data-figure="{name}">([\d,.]+)<', right)
        assert found
        digits = found[1][:-1] + str((int(found[1][-1]) + 1) % 10)
        path.write_text(right.replace(f'"{name}">{found[1]}<', f'"{name}">{digits}<'))
        where, column = name.split()
        wrong = failure(check(world, path))
        assert wrong.where == where
        assert wrong.what.startswith(f"{column} is ")


def test_a_page_that_shows_figures_in_another_way_is_refused(world: World) -> None:
    path = export(world, ".html", By.DAY, FIRST, LAST)
    right = path.read_text()
    lines = re.findall(r"<tr><th scope=\"row\">1997-01-0.*?</tr>", right)
    path.write_text(right.replace(lines[2], ""))
    assert failure(check(world, path)).where == "1997-01-05"
    path.write_text(
        right.replace(lines[2], lines[2] + lines[2].replace("1997-01-05", "1997-01-09"))
    )
    assert failure(check(world, path)).where == "1997-01-09"
    total = re.search(r'data-figure="total accepted_amount">([^<]+)<', right)
    assert total
    for changed, why in (
        (right.replace(lines[2], "<tr><td>1</td></tr>"), "doesn't say which figure"),
        (right.replace(f">{total[1]}<", ">1.00<", 1), "as two figures"),
        (right.replace(f">{total[1]}<", f"><b>9</b>{total[1]}<"), "an element inside"),
        (
            right.replace('<td data-figure="1997-01-05 accepted_orders">', "<th>", 1),
            "more or fewer",
        ),
    ):
        assert changed != right
        path.write_text(changed)
        with pytest.raises(ShopError, match=why):
            check(world, path)


def test_a_table_without_days_cannot_be_of_some_days(world: World) -> None:
    path = world.folder / "declines.csv"
    stamped = whole(world)[1].of_days(FIRST, LAST)
    comments = as_comments(stamped)
    path.write_text(f"{comments}month,reason,orders,cents\n1997-01,no_funds,1,1\n")
    with pytest.raises(ShopError, match="declines has no days"):
        check(world, path)


def test_what_was_exported_before_ranges_were_is_checked_as_all_days(world: World) -> None:
    stamped = whole(world)[1]
    assert not stamped.is_of_some_days
    assert as_metadata(stamped).keys() == {b"position", b"hash", b"recorded_time", b"currency"}
    path = export(world, ".csv", By.MONTH)
    assert b"first_day" not in path.read_bytes()
    assert check(world, path).failure is None


def report_of_days(*days: str) -> Report:
    return report_of([Revenue(day, "USD", "accepted", 1, 100) for day in days], "USD", 7)


def test_months_that_a_range_cuts_off_are_named() -> None:
    found = report_of_days("1997-02-10", "1997-03-01", "1997-04-02", "1997-04-30")
    for first, last, said in (
        (None, None, []),
        ("1997-02-01", "1997-04-30", []),
        ("1997-01-05", "1997-05-05", []),
        ("1997-02-02", None, ["1997-02 from 1997-02-02 on"]),
        (None, "1997-04-29", ["1997-04 up to 1997-04-29"]),
    ):
        assert cut_off(*cut(found, STAMP, first, last)) == said
    leap = report_of_days("1996-02-28")
    assert cut_off(leap, STAMP.of_days(None, "1996-02-28")) == ["1996-02 up to 1996-02-28"]
    assert cut_off(leap, STAMP.of_days(None, "9999-12-31")) == []


def test_a_range_without_orders_or_the_wrong_way_round_is_refused() -> None:
    found = report_of_days("1997-02-10")
    with pytest.raises(ShopError, match="ends on 1997-01-01, before it begins on 1997-01-02"):
        cut(found, STAMP, "1997-01-02", "1997-01-01")
    for first, last, words in (
        ("1997-02-11", "1997-02-12", "1997-02-11 to 1997-02-12"),
        ("1997-02-11", "1997-02-11", "of 1997-02-11 was"),
        ("1997-02-11", None, "1997-02-11 or later"),
        (None, "1997-02-09", "1997-02-09 or earlier"),
    ):
        with pytest.raises(ShopError, match=words):
            cut(found, STAMP, first, last)
    with pytest.raises(ShopError, match="no order of any day"):
        cut(report_of([], "USD", 0), STAMP, None, None)


def test_a_files_name_says_what_is_in_it() -> None:
    found = report_of_days("1997-01-01", "1998-06-30")
    name = file_name(found, STAMP, By.MONTH, ".csv")
    assert name == "revenue-1997-01-01-to-1998-06-30-at-7.csv"
    some = cut(found, STAMP, "1997-01-01", "1997-05-31")
    assert file_name(*some, By.DAY, ".html") == "revenue-by-day-1997-01-01-to-1997-05-31-at-7.html"
    assert form_named(Path("A.HTML")) is FORMS[".html"]
    for other in ("a.xlsx", "csv", "a.csv.gz"):
        with pytest.raises(ShopError, match=r"ends in none of \.csv, \.parquet, \.html"):
            form_named(Path(other))


def test_a_page_escapes_the_name_and_asks_nobody() -> None:
    name = "<img src=x>' $(rm).html"
    page = FORMS[".html"].make(report_of_days("1997-01-01"), STAMP, By.MONTH, name, NOW).decode()
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert page.count("<script") == 1
    without = re.sub(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]*"', "", page)
    assert not re.search(r"(?:https?:)?//\w|url\(|@import|src=(?!x)", without)
    assert "default-src 'none'" in page
