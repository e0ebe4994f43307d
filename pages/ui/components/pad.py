"""The drawing pad. It sends its strokes while the user is still drawing."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from core.drawing.strokes import MIN_EXTENT, STROKE_WIDTH
from pages.ui.components.component import register_component

Strokes = list[list[list[float]]]  # strokes of points [x, y], 0 to 1 from the top left corner

_mount_pad = register_component("pad", "digit_pad/pad")


@dataclass(frozen=True)
class Drawing:
    """The strokes on a pad."""

    strokes: Strokes
    settled: Strokes
    """The strokes when the pen was last lifted; for anything slow."""


def show_digit_pad(
    key: str = "drawing",
    aspect: float = 1.0,
    hint: str = "Draw a digit",
    label: str = "Drawing pad. Draw a digit with mouse, pen or finger. With the keyboard: arrow "
    "keys move the pen, with Shift in small steps, and the space bar lowers and lifts it.",
) -> Drawing:
    """Show a pad and return what is drawn on it.

    The drawing is kept under `key` for the session, also on other pages. Call this function in a
    fragment: the pad triggers several reruns per second during a stroke.

    Args:
        key: session key of the drawing.
        aspect: width of the pad divided by its height.
        hint: text on the empty pad.
        label: description for screen readers.
    """
    stored = st.session_state.setdefault(key, {"strokes": [], "version": 0})
    sent = (st.session_state.get(f"{key}_pad") or {}).get("drawing")
    # With another version, a different page has replaced the drawing in the meantime.
    if sent and sent["version"] == stored["version"]:
        stored["strokes"] = sent["strokes"]
    if not (sent and sent.get("busy")):
        stored["settled"] = stored["strokes"]
    _mount_pad(
        key=f"{key}_pad",
        on_drawing_change=lambda: None,
        data={
            "strokes": stored["strokes"],
            "version": stored["version"],
            # Acknowledges this state, so that the pad may send the next one.
            "acknowledged": sent["number"] if sent else 0,
            "aspect": aspect,
            "line": {"width": STROKE_WIDTH, "extent": MIN_EXTENT},
            "hint": hint,
            "label": label,
        },
    )
    return Drawing(stored["strokes"], stored.get("settled", []))
