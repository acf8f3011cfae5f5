"""The page "Log and health": whether all goes on, and whether the log can be trusted."""

from datetime import UTC, datetime

import streamlit as st

from reporting.dashboard.health_facts import Health, Letters
from reporting.dashboard.health_looking import (
    ROWS_SHOWN,
    Reached,
    after,
    look_at_proof,
    look_how_far,
    look_into,
)
from reporting.dashboard.health_rows import (
    WHAT_PARTS_PROVE,
    broker_line,
    how_to_prove,
    letter_as_html,
    letters_line,
    letters_table,
    part_now,
    parts_table,
    positions_table,
    proof_line,
    rows_table,
    services_table,
    told_by,
)
from reporting.dashboard.html_tables import Column, scrolling, table
from reporting.dashboard.order_steps import in_words
from reporting.dashboard.plain_text import plain
from reporting.dashboard.prover import Prover, Proving
from reporting.dashboard.sources import Sources
from reporting.projections import all_projections

LOOK_EVERY_SECONDS = 2.0
PROOF_EVERY_SECONDS = 1.0

_REACHED = "reached"


def show(sources: Sources) -> None:
    """Draw the page; each section looks again by itself."""
    st.title("Log and health", anchor=False)
    st.header("Event log and projections", anchor=False)
    _positions(sources)
    st.header("Proof", anchor=False)
    _proof(sources)
    st.header("Services", anchor=False)
    _services(sources)
    st.header("Dead letters", anchor=False)
    _letters(sources)
    st.header("A projection's rows", anchor=False)
    _rows(sources)


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _positions(sources: Sources) -> None:
    reached = after(st.session_state.get(_REACHED, Reached()), look_how_far(sources))
    st.session_state[_REACHED] = reached
    # A slot of its own: a message that comes or goes must not move what is below to new elements.
    with st.container():
        for trouble in reached.troubles:
            st.warning(f"{plain(trouble)} The page tries again by itself.")
    if reached.log is not None:
        st.caption(
            f"The log's newest event is at position {reached.log.position:,}, recorded "
            f"{in_words(reached.log.recorded_time or '')} · hash {reached.log.hash}"
        )
    elif not reached.troubles:
        st.info(
            "**The event log has no event yet.** It shows here by itself as soon as it has; "
            "`make demo` runs everything."
        )
    if reached.projections:
        with scrolling("positions", len(reached.projections)):
            st.html(positions_table(reached))


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _services(sources: Sources) -> None:
    if sources.health is None:
        st.info(told_by("status"))
        return
    health = sources.health()
    now = datetime.now(UTC)
    if health is None:
        st.caption("Asking broker and services …")
        return
    st.caption(broker_line(health, now))
    with st.container():
        _say_what_is_wrong(health)
    with scrolling("services", len(health.services)):
        st.html(services_table(health.services, now))


def _say_what_is_wrong(health: Health) -> None:
    if health.broker_trouble is not None:
        st.warning(
            "**The broker does not answer.** So nobody knows how many records wait; what the "
            "services have said of themselves is below. The page asks again by itself. It was "
            f"said: {plain(health.broker_trouble)}"
        )
    others = [each for each in health.wrong if each != health.broker_trouble]
    if others:
        st.error("\n".join(f"- {plain(each)}" for each in others))
    if health.waits is not None:
        said = plain(health.waits)
        st.warning(f"{said[:1].upper()}{said[1:]}.")
    elif not health.wrong:
        st.caption("Nothing is wrong.")


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _letters(sources: Sources) -> None:
    if sources.health is None:
        st.info(told_by("dead-letters list"))
        return
    health = sources.health()
    if health is None:
        st.caption("Asking for dead letters …")
        return
    letters = health.letters
    with st.container():
        if letters.trouble is not None:
            st.warning(f"There may be others: {plain(letters.trouble)}.")
    st.caption(letters_line(letters))
    if letters.newest:
        _draw_letters(sources, letters)


def _draw_letters(sources: Sources, letters: Letters) -> None:
    with scrolling("letters", len(letters.newest), most=6):
        st.html(letters_table(letters))
    name = st.selectbox(
        "Look into a letter",
        [each.name for each in letters.newest],
        index=None,
        key="letter",
        placeholder="Choose a letter",
        width=330,
    )
    if name is not None:
        text = sources.letter(name)
        if text is None:
            st.caption("It can't be read at the moment, or is there no more.")
            return
        st.html(letter_as_html(text))
        st.caption("To mend it, send it again or drop it, type this in a terminal:")
        st.code(
            f"shop dead-letters edit {name} --editor\n"
            f"shop dead-letters send {name}\n"
            f'shop dead-letters drop {name} --reason "…"',
            language=None,
            wrap_lines=True,
        )


@st.fragment(run_every=PROOF_EVERY_SECONDS)
def _proof(sources: Sources) -> None:
    last = look_at_proof(sources)
    now = sources.prover.now if sources.prover is not None else Proving()
    with st.container():
        if last.trouble is not None:
            st.warning(f"Kept proofs can't be read at the moment: {plain(last.trouble)}.")
        if now.trouble is not None:
            st.error(f"The proof could not go on, or isn't kept: {plain(now.trouble)}.")
    said, well = proof_line(last, datetime.now(UTC))
    if last.proved is None:
        st.info(f"{said} {how_to_prove(here=sources.prover is not None)}")
    elif well:
        st.success(said)
    else:
        st.error(said)
    if last.proved is not None:
        with scrolling("parts", len(last.proved.parts)):
            st.html(parts_table(last.proved.parts))
    if sources.prover is not None:
        _run(sources.prover, now)
    elif last.proved is not None:
        st.caption(how_to_prove(here=False))
    with st.expander("What is proved"):
        st.html(
            table(
                "What is proved",
                (Column("Part"), Column("What it proves", "wide")),
                ((name.capitalize(), what) for name, what in WHAT_PARTS_PROVE.items()),
            )
        )


def _begin(prover: Prover) -> None:
    prover.start()


def _run(prover: Prover, now: Proving) -> None:
    st.button("Run the proof", disabled=now.running, on_click=_begin, args=(prover,), key="prove")
    with st.container():
        if now.running:
            st.caption("The proof runs; it goes on if you leave this page.")
            for name in WHAT_PARTS_PROVE:
                done, words = part_now(name, now.parts.get(name))
                st.progress(done, words)


def _rows(sources: Sources) -> None:
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        known = all_projections()
        name = st.selectbox(
            "Projection",
            list(known),
            format_func=lambda each: known[each].title,
            key="projection",
            width=357,
        )
        column = known[name].key_columns[0].replace("_", " ")
        beginning = st.text_input(f"Whose {column} begins with", key="beginning", width=263)
    _draw_rows(sources, name, beginning.strip())


@st.fragment(run_every=LOOK_EVERY_SECONDS)
def _draw_rows(sources: Sources, name: str, beginning: str) -> None:
    projection = all_projections()[name]
    found = look_into(sources, projection, beginning)
    with st.container():
        if found.trouble is not None:
            st.warning(f"It can't be read at the moment: {plain(found.trouble)}.")
    if found.trouble is None and not found.rows:
        st.caption("It has no such row." if beginning else "It has no row yet.")
    if not found.rows:
        return
    count = len(found.rows)
    shown = f"The first {ROWS_SHOWN} rows; there are more." if found.more else f"{count:,} rows."
    st.caption(f"{shown} In the order of their keys: {', '.join(projection.key_columns)}.")
    with scrolling("rows", count):
        st.html(rows_table(projection.title, found))
