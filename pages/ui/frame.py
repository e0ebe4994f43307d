"""The frame of every page: title, stylesheet and the sidebar in sections."""

from __future__ import annotations

import importlib
import threading
from functools import cache
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parents[2]

# (section, ((file, label, icon), ...)); a page appears once its file is there.
SECTIONS = (
    ("", (("streamlit_app.py", "Home", ":material/home:"),
          ("pages/story.py", "Story", ":material/auto_stories:"))),
    ("Design", (("pages/data.py", "Data", ":material/grid_view:"),
                ("pages/model.py", "Model", ":material/schema:"),
                ("pages/train.py", "Train", ":material/model_training:"))),
    ("Understand", (("pages/runs.py", "Runs", ":material/ssid_chart:"),
                    ("pages/experiments.py", "Experiments", ":material/science:"),
                    ("pages/mistakes.py", "Mistakes", ":material/rule:"),
                    ("pages/draw.py", "Draw", ":material/draw:"))),
)

# Widgets made with these keep their value across pages and reloads, and in the link: Streamlit writes it under the
# widget's key, and leaves it out while it is the default.
KEPT = {"bind": "query-params", "persist_state": "session"}


def page(title: str, lead: str = "", heading: str = "") -> None:
    """Begin a page: the tab's title, the stylesheet, the sidebar, and the heading with one line below it.

    Args:
        title: the page's name, as in the sidebar.
        lead: what the page is for, in one sentence; empty: none.
        heading: what stands above it instead of its name.
    """
    st.set_page_config(page_title=f"{title} · Inkling", page_icon=Path(__file__).with_name("icon.png"), layout="wide")
    st.html(Path(__file__).with_name("frame.css"))
    _sidebar()
    _warm_up()
    st.title(heading or title, anchor=False)
    if lead:
        st.markdown(f":gray[{lead}]")


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
