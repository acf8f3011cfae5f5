"""Exported files, checked later against the log: each format, and whatever was changed in them."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from cli.place import read_purchases
from domain.errors import ShopError, StoreError
from event_log.database import table_of
from reporting.figure import Stamp, as_comments, as_fields, as_metadata, as_script, stamp
from reporting.history import report_at
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof import Failure, Finding
from reporting.proof_figure_file import read_exported
from reporting.proof_of_figure import prove_figures
from reporting.proof_of_log import look, open_log_to_prove
from reporting.report import as_json, days_as_json, report
from tests import expected
from tests.integration.pipes import Shop
from tests.unit.test_proof_world import (
    ORDERS_PLACED,
    World,
    another_amount,
    hash_again,
    put,
    row_of,
    world,
)

__all__ = ["world"]

FORMATS = ("months.json", "days.json", "page.html", "table.csv", "months.csv", "table.parquet")


def check(world: World, path: Path) -> Finding:
    log = open_log_to_prove(world.folder / "event_log.sqlite")
    return prove_figures(log, look(log), path)


def failure(found: Finding) -> Failure:
    assert found.failure is not None
    return found.failure


def stamp_of(world: World) -> Stamp:
    log = open_log_to_prove(world.folder / "event_log.sqlite")
    return stamp(
        log, report(open_projections(world.folder / "report.sqlite"), "USD").position, "USD"
    )


def rows_of(world: World) -> list[dict[str, Any]]:
    with world.tamper("report") as projections:
        rows = projections.execute(
            "SELECT day, currency, outcome, orders, cents FROM revenue_by_day ORDER BY 1, 2, 3"
        )
        return [dict(zip([each[0] for each in rows.description], row, strict=True)) for row in rows]


def by_month(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows, added up by month; they have no currency."""
    months: dict[tuple[str, str], list[int]] = {}
    for day in days:
        sums = months.setdefault((day["day"][:7], day["outcome"]), [0, 0])
        sums[0] += day["orders"]
        sums[1] += day["cents"]
    return [
        {"month": month, "outcome": outcome, "orders": orders, "cents": cents}
        for (month, outcome), (orders, cents) in months.items()
    ]


Change = Callable[[dict[str, Any], list[dict[str, Any]]], None]


def export(
    world: World,
    name: str,
    stamped: Stamp | None = None,
    change: Change = lambda figures, rows: None,
) -> Path:
    """Write a file as the product does, after a change to its figures or its rows."""
    stamped = stamped or stamp_of(world)
    found = report(open_projections(world.folder / "report.sqlite"), "USD")
    figures = days_as_json(found) if name == "days.json" else as_json(found)
    rows = by_month(rows_of(world)) if name == "months.csv" else rows_of(world)
    change(figures, rows)
    path = world.folder / name
    if path.suffix == ".json":
        path.write_text(json.dumps({**figures, **as_fields(stamped)}))
    elif path.suffix == ".html":
        page = f"<!doctype html><h1>Revenue</h1>{as_script(stamped, figures)}<p>12.00</p>"
        path.write_text(page)
    elif path.suffix == ".csv":
        text = StringIO()
        table = csv.DictWriter(text, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
        path.write_text(as_comments(stamped) + text.getvalue())
    else:
        made = pyarrow.Table.from_pylist(rows)
        metadata = {**(made.schema.metadata or {}), **as_metadata(stamped)}
        parquet.write_table(made.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_what_was_exported_holds_and_still_does_when_the_log_has_gone_on(
    world: World, name: str
) -> None:
    path = export(world, name)
    found = check(world, path)
    assert found.failure is None
    assert found.checked["figures"] > 10
    before = found.checked["positions"][0]
    orders = read_purchases(expected.DATA, "USD")[0]
    world.shop.place(orders[ORDERS_PLACED : ORDERS_PLACED + 10])
    world.shop.run()
    assert look(open_log_to_prove(world.folder / "event_log.sqlite")).position > before
    assert check(world, path) == found
    catch_up(world.shop.recorder.database, open_projections(world.folder / "report.sqlite"))
    later = export(world, name)
    assert check(world, later).checked["positions"][0] > before


def raise_an_amount(figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for section in ("months", "days"):
        if section in figures:
            figures[section][0]["accepted"]["cents"] += 100
    rows[0]["cents"] += 100


def add_an_order(figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    figures["totals"]["declined"]["no_funds"]["orders"] += 1
    rows[1]["orders"] += 1


def leave_out(figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for section in ("months", "days"):
        if section in figures:
            del figures[section][0]
    del rows[0]


def say_twice(figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for section in ("months", "days"):
        if section in figures:
            figures[section].append(figures[section][0])
    rows.append(rows[0])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("change", "by"),
    [
        (raise_an_amount, {"cents": 100}),
        (add_an_order, {"orders": 1}),
        (leave_out, {}),
        (say_twice, None),
    ],
)
def test_a_changed_figure_is_found(
    world: World, name: str, change: Change, by: dict[str, int] | None
) -> None:
    found = check(world, export(world, name, change=change))
    assert by is None or failure(found).by == by
    assert failure(found).where


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"hash": "00" * 32}, "its hash is 0000"),
        ({"recorded_time": "2026-01-01T00:00:01Z"}, "recorded 2026-01-01T00:00:01Z by the file"),
        ({"position": 10_000}, "the log ends at position"),
        ({"position": -1}, "the log ends at position"),
        ({"position": 100}, "its hash is"),
    ],
)
def test_a_stamp_that_is_not_the_logs_is_found(
    world: World, name: str, changed: dict[str, Any], what: str
) -> None:
    found = check(world, export(world, name, replace(stamp_of(world), **changed)))
    assert what in failure(found).what


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "months.csv"])
def test_other_currencies_are_no_part_of_it(world: World, name: str) -> None:
    with world.tamper() as log:
        row = row_of(log, "AuthorizationAccepted")
        put(log, {**row, "body": row["body"].replace(b'"USD"', b'"EUR"')})
        hash_again(log)
    (world.folder / "report.sqlite").unlink()
    catch_up(world.shop.recorder.database, open_projections(world.folder / "report.sqlite"))

    def only_dollars(figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        rows[:] = [row for row in rows if row.get("currency", "USD") == "USD"]

    assert check(world, export(world, name, change=only_dollars)).failure is None
    if name.startswith("table"):
        assert check(world, export(world, name)).failure is not None


@pytest.mark.parametrize("name", FORMATS)
def test_a_log_that_was_changed_and_hashed_again_is_found(world: World, name: str) -> None:
    path = export(world, name)
    with world.tamper() as log:
        put(log, another_amount(row_of(log, "AuthorizationAccepted")))
        hash_again(log)
    assert "its hash is" in failure(check(world, path)).what


@pytest.mark.parametrize("name", FORMATS)
def test_a_log_whose_amounts_were_changed_under_their_hashes_is_found(
    world: World, name: str
) -> None:
    path = export(world, name)
    with world.tamper() as log:
        put(log, another_amount(row_of(log, "AuthorizationAccepted")))
    found = failure(check(world, path))
    assert found.by == {"cents": -500}


def test_the_empty_log_has_a_stamp_too(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    assert stamp(shop.recorder.database, 0, "USD") == Stamp(0, "00" * 32, None, "USD")
    with pytest.raises(StoreError, match="has no position 1"):
        stamp(shop.recorder.database, 1, "USD")


STAMPED = b'{"position": %s, "hash": "", "recorded_time": null, "currency": "USD"}'


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.txt", b"", "is none of .json"),
        ("a.json", b"{}", "it has no position, hash, recorded_time, currency"),
        ("a.json", b"[]", "no JSON object"),
        ("a.json", b"\xff", "can't be checked"),
        ("a.json", b"{", "can't be checked"),
        ("a.json", b"[" * 100_000, "can't be checked"),
        *(("a.json", STAMPED % said, "can't be checked: .*int") for said in (b"null", b"Infinity")),
        ("a.html", b"<script>{}</script>", "no script block of the id 'figure'"),
        ("a.csv", b"day,orders\n", "it has no position"),
        ("a.csv", b"# position: 1\nday,orders\n1997-01-01\n", "more or fewer fields"),
        ("a.parquet", b"no parquet", "can't be checked"),
        ("missing.json", None, "can't be read: No such file"),
    ],
)
def test_a_file_that_cannot_be_checked_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ShopError, match=why) as refused:
        read_exported(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda figures: figures.pop("totals"), None),
        (lambda figures: [figures.pop(name) for name in ("totals", "months")], "no figures"),
        (lambda figures: figures["months"][0].pop("accepted"), "export it again"),
        (lambda figures: figures.update(months=[1]), "export it again"),
        (lambda figures: figures["totals"]["accepted"].update(cents="12"), "no whole number"),
    ],
)
def test_a_report_of_another_shape_is_refused(
    world: World, change: Callable[[dict[str, Any]], Any], why: str | None
) -> None:
    path = export(world, "months.json", change=lambda figures, rows: change(figures))
    if why is None:
        assert check(world, path).failure is None
    else:
        with pytest.raises(ShopError, match=why):
            check(world, path)


def test_a_table_of_unknown_columns_is_refused(world: World) -> None:
    def rename(figures: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        for row in rows:
            row["revenue"] = row.pop("cents")

    with pytest.raises(ShopError, match="as no projection has"):
        check(world, export(world, "table.csv", change=rename))


def test_text_in_a_page_cannot_end_the_block_of_figures(world: World) -> None:
    made = as_script(stamp_of(world), {"note": "</script><b>"})
    assert made.count("</script>") == 1
    path = world.folder / "page.html"
    path.write_text(made)
    assert read_exported(path)[0].report["note"] == "</script><b>"


@pytest.mark.parametrize("name", ["customers", "declines", "stories"])
def test_any_projection_can_be_exported_as_a_table(world: World, name: str) -> None:
    projection = all_projections()[name]
    with world.tamper("report") as projections:
        rows = projections.execute(f'SELECT * FROM "{table_of(projection.table).name}"')  # noqa: S608
        names = [each[0] for each in rows.description]
        table = [dict(zip(names, row, strict=True)) for row in rows]
    path = world.folder / "table.csv"

    def write() -> None:
        text = StringIO()
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(table)
        path.write_text(as_comments(stamp_of(world)) + text.getvalue())

    write()
    found = check(world, path)
    assert found.failure is None
    assert found.checked["figures"] == len(table) * len(names)
    table[2]["currency"], table[1]["cents" if "cents" in names else "orders"] = "USD", 7
    write()
    wrong = failure(check(world, path))
    assert table[1][names[0]] in wrong.where


def test_a_comparison_has_two_reports_and_both_are_checked(world: World) -> None:
    log = open_log_to_prove(world.folder / "event_log.sqlite")
    grown = open_projections(world.folder / "grown.sqlite")
    end = look(log).position
    reports = {
        name: {
            **as_json(report_at(log, grown, position, "USD")[0]),
            **as_fields(stamp(log, position, "USD")),
        }
        for name, position in (("before", end - 200), ("after", end))
    }
    path = world.folder / "compared.json"
    path.write_text(json.dumps({**reports, "months": [], "orders": []}))
    found = check(world, path)
    assert found.failure is None
    assert found.checked["positions"] == [end - 200, end]
    for name in reports:
        changed = json.loads(json.dumps(reports))
        changed[name]["totals"]["accepted"]["orders"] += 1
        path.write_text(json.dumps(changed))
        assert failure(check(world, path)).where == "totals accepted"
