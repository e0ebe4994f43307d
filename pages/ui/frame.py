"""The frame of every page: title, stylesheet and the sidebar in sections."""

from __future__ import annotations

import base64
import importlib
import threading
from functools import cache
from pathlib import Path

import streamlit as st

from core import aliases

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# (section, ((file, label, icon), ...)); a page appears once its file is there.
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
            ("pages/experiments.py", "Experiments", ":material/science:"),
            ("pages/mistakes.py", "Mistakes", ":material/rule:"),
            ("pages/draw.py", "Draw", ":material/draw:"),
        ),
    ),
)


# Widgets made with these keep their value across pages and reloads, and in the link: Streamlit writes it under the
# widget's key, and leaves it out while it is the default.
KEPT = {"bind": "query-params", "persist_state": "session"}


def page(title: str, lead: str = "", heading: str = "", style: str = "") -> None:
    """Begin a page: the tab's title, the stylesheet, the sidebar, and the heading with one line below it.

    Args:
        title: the page's name, as in the sidebar.
        lead: what the page is for, in one sentence; empty: none.
        heading: what stands above it instead of its name.
        style: stylesheet of the page beside the shared one, a path below pages/ui; empty: none.
    """
    st.set_page_config(page_title=f"{title} · Inkling", page_icon=HERE / "icon.png", layout="wide")
    st.html(HERE / "frame.css")
    if style:
        st.html(HERE / style)
    _rename_link()
    _sidebar()
    _warm_up()
    st.title(heading or title, anchor=False)
    if lead:
        st.markdown(f":gray[{lead}]")


def heading(title: str, quiet: str) -> None:
    """A small heading with a quiet explanation."""
    st.markdown(f"##### {title} :gray[:small[{quiet}]]")


def draw_digit_strip() -> None:
    """The digits 0 to 9, one of each."""
    pixels = base64.b64encode((HERE / "digits.png").read_bytes()).decode()
    st.html(
        f'<div class="strip" role="img" aria-label="Ten handwritten digits, 0 to 9" '
        f'style="mask-image: url(data:image/png;base64,{pixels})"></div>'
    )


def _rename_link() -> None:
    """Bring a link that was made with old names to the present ones."""
    for name, value in st.query_params.to_dict().items():
        field = aliases.FIELDS.get(name, name)
        present = aliases.current_value(field, value)
        if (field, present) != (name, value):
            del st.query_params[name]
            st.query_params.setdefault(field, present)


def _sidebar() -> None:
    with st.sidebar:
        st.html('<div class="brand">Inkling</div>')
        for section, links in SECTIONS:
            there = [link for link in links if (ROOT / link[0]).is_file()]
            if section and there:
                st.html(f'<div class="section">{section}</div>')
            for file, label, icon in there:
                st.page_link(file, label=label, icon=icon, width="stretch")


@cache
def _warm_up() -> None:
    """Load torch behind the first paint, once for the server, so that the first drawing is answered at once."""
    timer = threading.Timer(0.5, importlib.import_module, ["core.training.trainer"])
    timer.daemon = True
    timer.start()
