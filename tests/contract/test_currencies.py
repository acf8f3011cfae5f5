"""A log with several currencies: each is reported by itself, and none is forgotten."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pyarrow import parquet
from streamlit.testing.v1 import AppTest

from domain.errors import ShopError
from domain.money import Money
from event_log.database import Database
from event_log.log import last_position
from reporting.agreement import disagreements
from reporting.dashboard.sources import Sources
from reporting.export import By, as_csv, as_parquet, cut
from reporting.export_page import as_page
from reporting.figure import as_fields, stamp
from reporting.history import compare, report_at
from reporting.projections import all_projections
from reporting.projector import catch_up, open_projections
from reporting.proof_figure_file import read_exported
from reporting.proof_of_figure import prove_figure
from reporting.proof_of_log import look
from reporting.report import as_json, in_its_currency, others_in_words, report, within
from tests.contract.conftest import Places
from tests.contract.test_kept import an_order, proof_failure, reasons, record_of, take_in
from tests.integration.pipes import NOW, Shop
from tests.integration.scripted import accepted
from transport.topics import AUTHORIZATIONS, ORDERS

DROPPED = Money(700, "DEM")
"""Of a code that the list had once: what was recorded in it then is still in the log."""
AMOUNTS = [
    *(Money(12_345, "USD"), Money(1_234, "KWD"), Money(55, "USD"), Money(500, "JPY")),
    Money(1, "KWD"),
]


@dataclass(frozen=True)
class Recorded:
    shop: Shop
    projections: Database

    @property
    def log(self) -> Database:
        return self.shop.recorder.database

    def sources(self, currency: str) -> Sources:
        return Sources(self.log.place, self.projections.place, currency)


@pytest.fixture
def recorded(places: Places) -> Iterator[Recorded]:
    """The authorizations of a payment service that keeps accounts in any currency."""
    shop = Shop(places.of)
    said = [accepted(an_order(amount=amount)) for amount in AMOUNTS]
    shop.deliver(shop.recorder, [record_of(each, at) for at, each in enumerate(said)])
    take_in(shop, shop.recorder, [record_of(accepted(an_order(amount=DROPPED)), len(said))])
    projections = open_projections(places.of("report"))
    catch_up(shop.recorder.database, projections)
    yield Recorded(shop, projections)
    projections.close()
    for service in shop.services:
        service.database.close()


def test_each_currency_is_reported_by_itself(recorded: Recorded) -> None:
    log, projections = recorded.log, recorded.projections
    end = last_position(log)
    assert end == len(AMOUNTS) + 1, reasons(recorded.shop, AUTHORIZATIONS)
    for code, sums in {"USD": (2, 12_400), "KWD": (2, 1_235), "JPY": (1, 500)}.items():
        found = report(projections, code)
        assert found.totals.all == found.totals.accepted == sums
        assert report_at(log, projections, end, code)[0] == found
        codes = {found.currency, *(other.currency for other in found.others)}
        assert codes == {"USD", "KWD", "JPY", "DEM"}
    found = report(projections, "USD")
    assert others_in_words(found) == [
        "1 order of 700 minor units of DEM, 700 minor units of DEM of it accepted",
        "1 order of 500 JPY, 500 JPY of it accepted",
        "2 orders of 1.235 KWD, 1.235 KWD of it accepted",
    ]
    assert within(found, "2026-01-01", "2026-01-01").others == found.others
    assert within(found, "2026-01-02", None).others == ()
    between = compare(log, projections, 1, 3, "KWD", 10)
    assert [order.cents for order in between.orders] == [1_234]
    assert (between.before.others, len(between.after.others)) == (
        report_at(log, projections, 1, "KWD")[0].others,
        1,
    )
    for projection in all_projections().values():
        assert disagreements(log, projections, projection) == []
    assert proof_failure(recorded.shop) is None


def test_what_no_order_is_in_is_refused_with_what_the_log_has(recorded: Recorded) -> None:
    found = report(recorded.projections, "EUR")
    with pytest.raises(ShopError, match=r"no order .* 6 .* in EUR.* 2 orders of 124.00 USD"):
        in_its_currency(found)
    stamped = stamp(recorded.log, found.position, "EUR")
    with pytest.raises(ShopError, match="Set SHOP_CURRENCY to DEM or JPY or KWD or USD"):
        cut(found, stamped, None, None)
    # Before there was any order, there is nothing to be wrong about.
    nothing = report_at(recorded.log, recorded.projections, 0, "EUR")[0]
    assert in_its_currency(nothing).others == ()


def test_a_file_has_one_currency_as_it_is_written_and_names_the_others(
    recorded: Recorded, tmp_path: Path
) -> None:
    found = report(recorded.projections, "KWD")
    stamped = stamp(recorded.log, found.position, "KWD")
    found, stamped = cut(found, stamped, None, None)
    page, table = tmp_path / "kwd.html", tmp_path / "kwd.parquet"
    page.write_bytes(as_page(found, stamped, By.MONTH, page.name, NOW))
    table.write_bytes(as_parquet(found, stamped, By.MONTH))
    (tmp_path / "kwd.csv").write_bytes(as_csv(found, stamped, By.MONTH))
    assert b"2026-01,KWD,2,1235,1.235," in (tmp_path / "kwd.csv").read_bytes()
    assert str(parquet.read_table(table)["accepted_amount"][0]) == "1.235"
    assert "Not in these figures: 2 orders of 124.00 USD" in page.read_text()
    others = [as_json(other) for other in found.others]
    said = {**as_json(found), **as_fields(stamped), "others": others}
    (tmp_path / "kwd.json").write_text(json.dumps(said))
    head = look(recorded.log)
    assert head is not None
    for name in ("kwd.html", "kwd.parquet", "kwd.csv", "kwd.json"):
        for exported in read_exported(tmp_path / name):
            assert prove_figure(recorded.log, head, exported).failure is None, name
    others[-1]["totals"]["accepted"]["cents"] += 1
    (tmp_path / "kwd.json").write_text(json.dumps(said))
    failures = [
        prove_figure(recorded.log, head, each).failure
        for each in read_exported(tmp_path / "kwd.json")
    ]
    assert len([failure for failure in failures if failure]) == 1


def test_what_is_no_currency_of_today_is_a_letter(recorded: Recorded) -> None:
    wrong = [Money(1, code) for code in ("XXX", "XAU", "DEM")]
    shop, before = recorded.shop, last_position(recorded.log)
    for at, amount in enumerate(wrong):
        shop.deliver(shop.recorder, [record_of(an_order(amount=amount), at)])
    assert last_position(recorded.log) == before
    assert [reason.split(b" is")[0] for reason in sorted(reasons(shop, ORDERS))] == [
        b"OutOfBounds: amount.currency 'DEM'",
        b"OutOfBounds: amount.currency 'XAU'",
        b"OutOfBounds: amount.currency 'XXX'",
    ]


def revenue_page(sources):
    from reporting.dashboard import revenue

    revenue.show(sources)


def export_page(sources):
    from reporting.dashboard import export

    export.show(sources)


@pytest.mark.parametrize("page", [revenue_page, export_page])
@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_the_pages_name_what_is_in_other_currencies(
    recorded: Recorded, page, currency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Streamlit puts its script in this place, and processes that are started later would run it.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    sources = recorded.sources(currency)
    shown = AppTest.from_function(page, args=(sources,), default_timeout=60).run()
    assert not shown.exception
    told = shown.caption if currency == "USD" else shown.warning
    said = [each.value for each in told if "Not in these figures" in each.value]
    assert len(said) == 1
    assert "2 orders of 1.235 KWD" in said[0]
    assert ("None of it is in EUR" in said[0]) == (currency == "EUR")
