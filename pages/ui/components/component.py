"""Custom components: each has a stylesheet and a script, which can use `component.js`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


def register_component(name: str, path: str, *parts: str) -> Any:
    """Register the component `inkling_NAME` with Streamlit.

    Args:
        name: suffix of the component's name.
        path: its files without their extension, such as "tiles/gallery". The css and js files are
            required; without an html file the component starts with an empty div.
        parts: paths of shared files, as in `path`, that are put before it; each may have js, css or
            both.

    Returns:
        The function that mounts the component.
    """
    js = _join(["component", *parts, path], "js")
    css = _join([*parts, path], "css")
    html_file = HERE / f"{path}.html"
    html = html_file.read_text(encoding="utf-8") if html_file.is_file() else "<div></div>"
    return st.components.v2.component(f"inkling_{name}", html=html, css=css, js=js)


def _join(paths: Sequence[str], ending: str) -> str:
    """The text of the files of these paths; all but the last may be absent."""
    files = [HERE / f"{path}.{ending}" for path in paths]
    return "\n".join(
        file.read_text(encoding="utf-8") for file in files if file == files[-1] or file.is_file()
    )
