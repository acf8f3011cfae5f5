"""The oracle against the figures that were published with the data."""

from decimal import Decimal

from tests import expected

MONTHLY = """
1997-01 299060.17
1997-02 379590.03
1997-03 393155.27
1997-04 142824.49
1997-05 107933.30
1997-06 108395.87
1997-07 122078.88
1997-08 88367.69
1997-09 81948.80
1997-10 89780.77
1997-11 115448.64
1997-12 95577.35
1998-01 76756.78
1998-02 77096.96
1998-03 108970.15
1998-04 66231.52
1998-05 70989.66
1998-06 76109.30
"""


def test_the_data_set_has_the_published_sums() -> None:
    orders = expected.purchases()
    assert len(orders) == 69_659
    assert sum(order.cents for order in orders) == 250_031_563
    by_month: dict[str, int] = {}
    for order in orders:
        by_month[order.month] = by_month.get(order.month, 0) + order.cents
    lines = [line.split() for line in MONTHLY.split("\n") if line]
    published = {month: int(Decimal(amount) * 100) for month, amount in lines}
    assert by_month == published


def test_the_house_accounts_give_the_table_of_the_design() -> None:
    orders = expected.purchases()
    totals = expected.report(orders, expected.outcomes(orders))["totals"]
    assert totals == {
        "accepted": {"orders": 67_425, "cents": 234_488_133},
        "declined": {
            "no_funds": {"orders": 735, "cents": 10_382_754},
            "billing_address_incorrect": {"orders": 772, "cents": 2_565_663},
            "account_closed": {"orders": 727, "cents": 2_595_013},
        },
    }
