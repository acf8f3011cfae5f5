"""The chart of revenue, for the page and for what is exported."""

from dataclasses import asdict

import altair as alt
import pandas as pd

from reporting.dashboard.revenue_rows import OUTCOMES, By, bars, label, minor_units_in_one
from reporting.report import Report

COLOURS = ("#2e86c1", "#d17c00", "#cc79a7", "#009e73")
"""One for each outcome. They differ for colour-blind people too (after Okabe and Ito), and stand
out by at least 3:1 from Streamlit's light background and from its dark one."""


def chart(found: Report, by: By) -> alt.Chart:
    """Accepted and declined amounts of each period, stacked; its legend is drawn apart."""
    # Months are all there, so each has its place and its name; days have gaps, and are many.
    along = (
        alt.X(
            "period:O",
            title=None,
            axis=alt.Axis(labelAngle=0, labelOverlap="greedy", labelBound=True, labelSeparation=12),
        )
        if by == "Month"
        else alt.X(
            "period:T",
            timeUnit="utcyearmonthdate",
            title=None,
            axis=alt.Axis(format="%Y-%m-%d", labelOverlap="greedy", labelSeparation=24, grid=False),
        )
    )
    # A click on a bar tells the page the month; it is the field that days and months have.
    at = alt.selection_point(name="at", fields=["month"], on="click", clear="dblclick")
    one = minor_units_in_one(found.currency)
    # A height is drawn, not read: no whole number that a chart's formats have is large enough.
    pieces = [{**asdict(bar), "cents": float(bar.cents)} for bar in bars(found, by)]
    made: alt.Chart = (
        alt.Chart(pd.DataFrame(pieces))
        .mark_bar(cursor="pointer")
        .add_params(at)
        .encode(
            x=along,
            # The scale counts minor units, and only its labels are divided.
            y=alt.Y(
                "cents:Q",
                stack="zero",
                title=found.currency,
                axis=alt.Axis(labelExpr=f"format(datum.value / {one}, ',~f')"),
            ),
            color=alt.Color(
                "outcome:N",
                scale=alt.Scale(domain=[label(each) for each in OUTCOMES], range=list(COLOURS)),
                legend=None,
            ),
            opacity=alt.condition(at, alt.value(1), alt.value(0.35)),
            order=alt.Order("rank:Q"),
            tooltip=[
                alt.Tooltip("period:N", title=by),
                alt.Tooltip("outcome:N", title="Outcome"),
                alt.Tooltip("amount:N", title="Amount"),
                alt.Tooltip("orders:N", title="Orders"),
            ],
        )
    )
    return made
