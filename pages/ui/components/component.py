"""Custom components: each has a stylesheet and a script, which can use `component.js`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


def register_component(name: str, path: str) -> Any:
    """Register the component `inkling_NAME` with Streamlit.

    Args:
        name: suffix of the component's name.
        path: its files without their extension, such as "tiles/gallery". The css and js files are
            required; without an html file the component starts with an empty div.

    Returns:
        The function that mounts the component.
    """
    css, js = ((HERE / f"{path}.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    html_file = HERE / f"{path}.html"
    html = html_file.read_text(encoding="utf-8") if html_file.is_file() else "<div></div>"
    shared = (HERE / "component.js").read_text(encoding="utf-8")
    return st.components.v2.component(f"inkling_{name}", html=html, css=css, js=f"{shared}\n{js}")
