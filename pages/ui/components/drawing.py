"""An SVG drawing of the app, which scrolls sideways where it is wider than the page."""

from __future__ import annotations

import streamlit as st

_CSS = """
.drawing { overflow-x: auto; }
.drawing svg { display: block; max-width: 100%; height: auto; min-width: var(--least, 0); }
.drawing:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
"""
_JS = """
export default function ({ parentElement, data }) {
  let view = parentElement.querySelector(".drawing");
  if (!view) {
    view = document.createElement("div");
    view.className = "drawing";
    view.role = "img";
    parentElement.append(view);
  }
  view.ariaLabel = data.alt;
  view.tabIndex = data.wide ? 0 : -1;
  if (view.drawn === data.svg) return;
  view.innerHTML = view.drawn = data.svg;
  const svg = view.firstChild;
  const natural = svg.width.baseVal.value;
  const least = data.wide ? `${Math.min(natural, Math.max(704, 0.85 * natural))}px` : "0";
  svg.style.setProperty("--least", least);
}
"""
_mount = st.components.v2.component("inkling_drawing", html="<div></div>", css=_CSS, js=_JS)


def draw_svg(svg: str, alt: str, key: str, wide: bool = False) -> None:
    """Draw an SVG made by `core.charts`; never one from outside.

    Args:
        svg: the drawing.
        alt: description for screen readers.
        key: key of the component.
        wide: whether it keeps a readable size and scrolls on a narrow page.
    """
    _mount(key=key, data={"svg": svg, "wide": wide, "alt": alt})
