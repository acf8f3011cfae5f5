"""Orders as the page shows them: a table of those found, and one order's timeline."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from domain.money import MINOR_UNITS, format_amount
from reporting.dashboard.html_tables import Cell, Column, Tone, table
from reporting.dashboard.order_steps import Step, in_words
from reporting.dashboard.orders_asked import PAGE_SIZE, REASONS, link
from reporting.dashboard.tables import DARK_BACKGROUND, LIGHT_BACKGROUND
from reporting.projections.stories import ACCEPTED, DECLINED, PLACED, SHIPPED, Story

STATE_WORDS = {
    PLACED: "Placed, not decided yet",
    ACCEPTED: "Accepted, not shipped yet",
    SHIPPED: "Accepted and shipped",
    DECLINED: "Declined",
}
_TONES: dict[str, Tone] = {
    PLACED: "waiting",
    ACCEPTED: "waiting",
    SHIPPED: "good",
    DECLINED: "bad",
}
_COLUMNS = (
    Column("Order"),
    Column("Amount", "number"),
    Column("Currency"),
    Column("Business time (UTC)"),
    Column("Customer"),
    Column("State"),
    Column("Reason"),
)
UNKNOWN = "–"

_TIMELINE_STYLE = """
<style>
ol.story { list-style: none; margin: 0; padding: 0; max-width: 52rem; font-size: 0.9rem; }
.story li { position: relative; margin: 0; padding: 0.1rem 0 1.1rem 1.8rem;
  border-left: 2px solid rgba(128, 128, 128, 0.35); margin-left: 0.6rem;
  overflow-wrap: anywhere; scroll-margin-top: 5rem; }
.story li:last-child { border-left-color: transparent; padding-bottom: 0.2rem; }
.story li::before { content: ""; position: absolute; left: -0.55rem; top: 0.35rem;
  width: 0.9rem; height: 0.9rem; border-radius: 50%; box-sizing: border-box;
  background: light-dark(#1f6fa8, #5dade2); }
.story li.message::before { border-radius: 2px; background: light-dark(LIGHT, DARK);
  border: 2px dashed light-dark(#8a5a00, #f5b041); }
.story li.message > div { border: 1px dashed rgba(128, 128, 128, 0.7); border-radius: 6px;
  padding: 0.4rem 0.7rem; }
.story .tag { font-size: 0.75rem; font-weight: 600; padding: 0.05rem 0.45rem; border-radius: 9px;
  margin-right: 0.5rem; background: light-dark(#dcebf6, #1d3a52); }
.story .message .tag { background: light-dark(#fbecd0, #4a3612); }
.story .name { font-weight: 600; font-size: 1rem; }
.story p { margin: 0.15rem 0 0; }
.story .quiet { color: light-dark(#5b6470, #a7b0bd); }
.story .late { color: light-dark(#8a5a00, #f5b041); font-weight: 600; }
.story summary { cursor: pointer; margin-top: 0.25rem; width: fit-content; }
ol.story li dl { padding: 0; display: grid; grid-template-columns: max-content 1fr;
  gap: 0.1rem 0.9rem; margin: 0.3rem 0 0; font-size: 0.8rem; }
.story dd { margin: 0; overflow-wrap: anywhere; }
</style>
""".replace("LIGHT", LIGHT_BACKGROUND).replace("DARK", DARK_BACKGROUND)

_HEADLINE_STYLE = """
<style>
dl.order { display: flex; flex-wrap: wrap; gap: 0.6rem 2rem; margin: 0; padding: 0; }
.order div { min-width: 0; }
.order dt { font-size: 0.875rem; color: light-dark(#5b6470, #a7b0bd); font-weight: 400; }
.order dd { margin: 0; font-size: 1.25rem; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
</style>
"""


def amount_of(story: Story) -> str:
    """A story's amount as people read it; a dash before it is known."""
    if story.cents is None or story.currency is None:
        return UNKNOWN
    if story.currency not in MINOR_UNITS:
        return f"{story.cents:,}"
    return format_amount(story.cents, story.currency)


def found_as_html(stories: Iterable[Story], address: Mapping[str, str], page: str = "") -> str:
    """The orders that were found, each with the way to its story.

    Args:
        stories: the orders.
        address: what they were found by, to come back to.
        page: the path of this page, where another one shows them.
    """
    return table(
        "Orders",
        _COLUMNS,
        (
            (
                Cell(each.order_id, page + link(address, order=each.order_id)),
                amount_of(each),
                each.currency or UNKNOWN,
                in_words(each.ordered_at).removesuffix(" UTC"),
                each.customer_id,
                Cell(STATE_WORDS.get(each.state, each.state), tone=_TONES.get(each.state)),
                reason_of(each),
            )
            for each in stories
        ),
    )


def reason_of(story: Story) -> str:
    """Why a story's order was declined, as people read it; nothing if it wasn't."""
    return "" if story.reason is None else REASONS.get(story.reason, story.reason)


def counted(shown: int, page: int, *, more: bool) -> str:
    """How many orders are shown, and whether there are more."""
    if not shown:
        return "No order shown."
    before = (page - 1) * PAGE_SIZE
    which = "1 order shown" if shown == 1 else f"{shown:,} orders shown"
    if before or more:
        which += f", number {before + 1:,} to {before + shown:,}"
    rest = "there are more" if more else "there are no more"
    return f"{which}; newest business date first; {rest}."


def headline(story: Story) -> str:
    """What an order came to, and the way to its customer's other orders."""
    state = STATE_WORDS.get(story.state, story.state)
    if story.reason is not None:
        state = f"{state}: {reason_of(story).lower()}"
    money = f"{amount_of(story)} {story.currency or ''}"
    customer = f'<a href="{escape(link({}, customer=story.customer_id))}">'
    facts = (
        ("Order", escape(story.order_id)),
        ("Amount", escape(money)),
        ("State", escape(state)),
        ("Customer", f"{customer}{escape(story.customer_id)}</a>"),
        ("Business time", escape(in_words(story.ordered_at))),
    )
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return f'{_HEADLINE_STYLE}<dl class="order">{items}</dl>'


def timeline(steps: Sequence[Step]) -> str:
    """An order's steps, one under the other, with what caused what."""
    numbers = {each.id: number for number, each in enumerate(steps, 1)}
    items = "".join(_step(each, numbers) for each in steps)
    return f'{_TIMELINE_STYLE}<ol class="story" aria-label="Story of the order">{items}</ol>'


def _step(step: Step, numbers: Mapping[str, int]) -> str:
    kind = "message" if step.is_message else "event"
    because = escape(f"{step.because.words[0].upper()}{step.because.words[1:]}.")
    to = numbers.get(step.because.step or "")
    if to is not None:
        because = f'<a href="#step-{to}">{because}</a>'
    where = "not in the log" if step.position is None else f"position {step.position:,}"
    lines = [f"<p>{because}</p>"]
    if step.at is not None:
        lines.append(f'<p class="quiet">Published {escape(in_words(step.at))}</p>')
    by = "from" if step.is_message else "by"
    quiet = ' class="quiet"' if step.is_message else ""
    lines += [f"<p{quiet}>{escape(each)}</p>" for each in step.told]
    if step.late is not None:
        lines.append(f'<p class="late">{escape(step.late)}</p>')
    fields = step.fields or (("Message id", step.id),)
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in fields)
    lines.append(f"<details><summary>{_summary(step)}</summary><dl>{listed}</dl></details>")
    return (
        f'<li class="{kind}" id="step-{numbers[step.id]}"><div>'
        f'<span class="tag">{kind.capitalize()}</span><span class="name">{escape(step.name)}</span>'
        f' <span class="quiet">{by} {escape(step.by)} · {where}</span>{"".join(lines)}</div></li>'
    )


def _summary(step: Step) -> str:
    return "Its id" if step.is_message else "As it is recorded"
