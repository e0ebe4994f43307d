"""Components of our own: each a style and a script of its name, which also finds what `component.js` holds for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


def component(name: str, place: str) -> Any:
    """Register a component as `inkling_NAME`.

    Args:
        name: what it is called.
        place: its files, without their endings, such as "tiles/gallery"; one that ends in html may be missing.
    """
    css, js = ((HERE / f"{place}.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    html = HERE / f"{place}.html"
    begin = html.read_text(encoding="utf-8") if html.is_file() else "<div></div>"
    shared = (HERE / "component.js").read_text(encoding="utf-8")
    return st.components.v2.component(f"inkling_{name}", html=begin, css=css, js=f"{shared}\n{js}")
