"""The frame of every page: title, style sheet and sidebar."""

from __future__ import annotations

import base64
import importlib
import threading
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from core import aliases
from core.config import FIELDS
from core.schema import LARGEST
from pages.ui import access, run_boxes
from pages.ui.components.accessibility import improve_page
from pages.ui.words import escape_markdown

HERE = Path(__file__).resolve().parent

# (section, ((file, label, icon), ...))
SECTIONS = (
    (
        "",
        (
            ("streamlit_app.py", "Home", ":material/home:"),
            ("pages/story.py", "Story", ":material/auto_stories:"),
        ),
    ),
    (
        "Design",
        (
            ("pages/data.py", "Data", ":material/grid_view:"),
            ("pages/model.py", "Model", ":material/schema:"),
            ("pages/train.py", "Train", ":material/model_training:"),
        ),
    ),
    (
        "Understand",
        (
            ("pages/runs.py", "Runs", ":material/ssid_chart:"),
            ("pages/board.py", "Board", ":material/leaderboard:"),
            ("pages/experiments.py", "Experiments", ":material/science:"),
            ("pages/mistakes.py", "Mistakes", ":material/rule:"),
            ("pages/draw.py", "Draw", ":material/draw:"),
            ("pages/weights.py", "Weights", ":material/apps:"),
            ("pages/glossary.py", "Glossary", ":material/menu_book:"),
        ),
    ),
)


# Arguments of widgets that keep their value across pages and reloads. Streamlit also writes the
# value into the link, under the widget's key, unless it is the default.
KEPT: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}
# Names in a link that stand for runs, which may be called "inf" or "1e999".
NAME_KEYS = (
    "run",
    "other",
    "network",
    "beside",
    "select",
    "baseline",
    "first",
    "second",
    "taken",
    "tested",
    "repeated",
    "swept",
    "sweep",
    "group",
    "fork",
    "board",
    "prefix",
)
# Names in a link of choices that need a value.
CHOICE_KEYS = (
    "part",
    "set",
    "class",
    "subject",
    "only",
    "chapter",
    "step",
    "slide",
    "form",
    "inside",
    "axes_range",
)
# Names in links of before, by the title of the page: two pages used one name for different choices.
RENAMED = {"Mistakes": {"view": "show"}, "Draw": {"read": "reading"}}
_DROPPED = "frame_dropped_values"
_PAGE = "frame_page"  # session key: title of the page that was shown last


def page(title: str, lead: str = "", heading: str = "", style: str = "") -> None:
    """Begin a page: title of the tab, style sheets, sidebar, heading and a sentence below it.

    Where sign-in is set up, the page ends here for people who are not signed in.

    Args:
        title: name of the page, as in the sidebar.
        lead: what the page is for, in one sentence; empty: none.
        heading: the heading; empty: the title.
        style: style sheet of the page, a path below pages/ui; empty: only the shared one.
    """
    st.set_page_config(page_title=f"{title} · Inkling", page_icon=HERE / "icon.png", layout="wide")
    st.html(HERE / "frame.css")
    st.html(HERE / "print.css")
    if style:
        st.html(HERE / style)
    access.require_sign_in()
    _update_link_names(title)
    _let_link_count(title)
    _drop_impossible_values(title)
    _draw_sidebar()
    _import_torch()
    st.title(heading or title, anchor=False)
    if lead:
        st.markdown(f":gray[{lead}]")
    if (dropped := st.session_state.pop(_DROPPED, None)) is not None:
        names = f" of {', '.join(dropped)}" if dropped else ""
        st.warning(f"The link's value{names} cannot be used and was left out.")


def warn_unknown(key: str, known: Collection[str], noun: str) -> None:
    """Say that the link asks for something that is not there; call it before the control is drawn.

    Without it, Streamlit would show the control's default as if the link had asked for it.

    Args:
        key: of the control, and name in the link.
        known: what the control offers.
        noun: what it offers, such as "run".
    """
    value = st.query_params.get(key)
    if value and value not in known:
        st.warning(
            f"There is no {noun} {escape_markdown(repr(value[:60]))} here; the link asks for it.",
            icon=":material/search_off:",
        )


def heading(title: str, quiet: str) -> None:
    """A small heading with an explanation in grey beside it."""
    st.markdown(f"## {title} :gray[:small[{quiet}]]")


def draw_digit_strip() -> None:
    """Draw one handwritten digit of each class."""
    pixels = base64.b64encode((HERE / "digits.png").read_bytes()).decode()
    st.html(
        f'<div class="strip" role="img" aria-label="Ten handwritten digits, 0 to 9" '
        f'style="mask-image: url(data:image/png;base64,{pixels})"></div>'
    )


def _let_link_count(title: str) -> None:
    """Let the runs that a link names count more than those that the page showed before."""
    if st.session_state.get(_PAGE) != title:
        run_boxes.forget_links()
    st.session_state[_PAGE] = title


def _update_link_names(title: str) -> None:
    """Replace old names of fields, controls and values in the link by the present ones."""
    renamed = RENAMED.get(title, {})
    if not renamed.keys().isdisjoint(st.query_params):
        link = st.query_params.to_dict()
        _reopen(title, {renamed.get(name, name): text for name, text in link.items()})
    for name, value in st.query_params.to_dict().items():
        field = aliases.FIELDS.get(name, name)
        present = aliases.current_value(field, value)
        if (field, present) != (name, value):
            del st.query_params[name]
            st.query_params.setdefault(field, present)


def _drop_impossible_values(title: str) -> None:
    """Reopen the page without the values in its link that no control can hold.

    Streamlit's number input raises an error for infinity and for whole numbers of hundreds of
    digits, and no setting can be NaN; a choice that needs a value is None where the link says it is
    empty. Streamlit reads the link as it was when the page was opened.
    """
    link = st.query_params.to_dict()
    dropped = [
        name
        for name, text in link.items()
        if (not text and name in CHOICE_KEYS) or (name not in NAME_KEYS and _is_impossible(text))
    ]
    if dropped:
        st.session_state[_DROPPED] = [name for name in dropped if name in FIELDS]
        _reopen(title, {key: link[key] for key in link if key not in dropped})


def _reopen(title: str, link: dict[str, str]) -> None:
    """Reopen the page by another link: controls take theirs from the one that opened the page."""
    file = next(file for _, pages in SECTIONS for file, label, _ in pages if label == title)
    st.switch_page(file, query_params=link)


def _is_impossible(text: str) -> bool:
    """Whether a text is a number that is too large for every control, or NaN."""
    try:
        return not abs(float(text)) <= LARGEST  # which NaN fails, too
    except ValueError:
        return False


def _draw_sidebar() -> None:
    with st.sidebar:
        st.html('<div class="brand">Inkling</div>')
        for section, links in SECTIONS:
            if section:
                st.html(f'<div class="section">{section}</div>')
            for file, label, icon in links:
                st.page_link(file, label=label, icon=icon, width="stretch")
        access.draw_account()
        improve_page()


@cache
def _import_torch() -> None:
    """Import torch in the background, once per server, so that the first prediction is fast."""
    timer = threading.Timer(0.5, importlib.import_module, ["core.training.trainer"])
    timer.daemon = True
    timer.start()
