"""Whether a page can be read and used by everybody: axe-core's rules, and the Tab key."""

from collections.abc import Iterator

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

UPSTREAM = {
    # A list that opens is drawn at the end of the document, outside every landmark, while its field
    # has the focus and names it. A best practice, no criterion of WCAG; no issue there is known.
    ("region", ' role="listb'),
}
"""What Streamlit's own markup breaks and we can't mend: a rule's id, and what the element has."""

WIDTHS = (1280, 320)
LOOKS = ((1280, "light"), (1280, "dark"), (320, "light"))
"""In the dark nothing but colours differs, and those are the same in each width."""

_AXE = Axe()

# All rules that are on by default; in the dark those on colours, for nothing else differs there.
_OPTIONS = {
    "light": {"resultTypes": ["violations"], "preload": False},
    "dark": {
        "resultTypes": ["violations"],
        "preload": False,
        "runOnly": ["color-contrast", "link-in-text-block"],
    },
}

# Colours change by transitions, and what is measured on the way is neither the one nor the other.
_STILL = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
    const ends = each => each.effect.getTiming().iterations === 1;
    const moving = document.getAnimations().filter(ends).map(each => each.finished);
    Promise.allSettled(moving).then(() => done(true));
})))"""

_SIDEWAYS = """() => {
    const main = document.querySelector('[data-testid=stMain]');
    return Math.max(
        main.scrollWidth - main.clientWidth, document.documentElement.scrollWidth - innerWidth);
}"""

_BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}
_HAS_BACKGROUND = """wanted => wanted ===
    getComputedStyle(document.querySelector('.stApp') ?? document.body).backgroundColor"""

_DRAWN = "!document.querySelector('[data-testid=stSkeleton]')"

# A radio stands for its group: arrows lead to the others. What is inert or hidden is no control.
_CONTROLS = """() => {
    const look = at => {
        const said = [];
        for (let i = 0; at && i < 5; i++, at = at.parentElement) {
            const s = getComputedStyle(at);
            said.push(s.outlineStyle, s.outlineWidth, s.boxShadow, s.borderColor, s.backgroundColor,
                s.color, s.opacity);
        }
        return said.join();
    };
    const all = 'a[href], button, input, select, textarea, summary, [tabindex], [role=spinbutton]';
    const radios = new Set();
    window.controls = [...document.querySelectorAll(all)].filter(each => {
        if (each.disabled || each.closest('[inert], [aria-hidden=true]')) return false;
        if (!each.checkVisibility({ checkVisibilityCSS: true })) return false;
        const group = each.closest('[role=radiogroup]');
        if (group && each.matches('[role=radio], [type=radio]')) {
            if (radios.has(group)) return false;
            radios.add(group);
            return true;
        }
        return each.tabIndex >= 0;
    });
    window.unfocused = new Map(window.controls.map(each => [each, look(each)]));
    window.look = look;
    return window.controls.map(each => (each.ariaLabel || each.innerText || each.id).slice(0, 60));
}"""

_FOCUSED = """() => {
    const at = document.activeElement;
    const group = at.closest('[role=radiogroup]');
    const number = window.controls.findIndex(
        each => each === at || (group && each.closest('[role=radiogroup]') === group));
    const before = window.unfocused.get(window.controls[number]);
    return [number, number >= 0 && window.look(at) !== before];
}"""


def findings(page: Page) -> list[str]:
    """What axe-core finds on a page as it is, in each width and in the dark, one line each."""
    return [
        f"{width} {scheme}: {finding}"
        for width, scheme in LOOKS
        for finding in _found(page, width, scheme)
    ]


def _found(page: Page, width: int, scheme: str) -> Iterator[str]:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(_DRAWN)
    page.wait_for_function(_HAS_BACKGROUND, arg=_BACKGROUNDS[scheme])
    page.evaluate(_STILL)
    for broken in _AXE.run(page, options=_OPTIONS[scheme]).response["violations"]:
        for node in broken["nodes"]:
            if any(broken["id"] == rule and part in node["html"] for rule, part in UPSTREAM):
                continue
            said = [each["message"] for each in (*node["any"], *node["all"], *node["none"])]
            yield f"{broken['id']}: {node['html'][:150]}: {'; '.join(said)}"


def sideways(page: Page) -> int:
    """How many pixels of a page are beside the window at most, tables that scroll left out."""
    found = []
    # Narrow first, as `findings` leaves it: a chart takes a moment to follow a window that shrinks.
    for width in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": 900})
        found.append(page.evaluate(_SIDEWAYS))
    return max(found)


def by_tab_key(page: Page) -> tuple[list[str], list[str], list[str]]:
    """All controls; those that the Tab key leads to, in its order; and those that don't show it.

    What is there only while the focus or the mouse is near it, as the chart's buttons, is passed.
    """
    page.wait_for_function(_DRAWN)
    controls: list[str] = page.evaluate(_CONTROLS)
    reached, unmarked = [], []
    for _ in range(2 * len(controls)):
        page.keyboard.press("Tab")
        page.evaluate(_STILL)
        number, is_marked = page.evaluate(_FOCUSED)
        if number < 0:
            continue
        reached.append(controls[number])
        if not is_marked:
            unmarked.append(controls[number])
        if number == len(controls) - 1:
            break
    return controls, reached, unmarked
