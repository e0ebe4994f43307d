"""The digit pad, and what networks make of its drawing: components that change in place while a stroke is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st

from pages.ui.components.component import component

Strokes = list[list[list[float]]]


_pad = component("pad", "digit_pad/pad")
_readout = component("readout", "readout/readout")
_verdicts = component("verdicts", "readout/verdicts")


@dataclass(frozen=True)
class Drawing:
    """What is on a pad: lists of points [x, y], 0 to 1 from its top left corner."""

    strokes: Strokes
    settled: Strokes
    """As they were when the pen was last lifted; what takes its time looks at these."""


def digit_pad(
    key: str = "drawing",
    aspect: float = 1.0,
    hint: str = "Draw a digit",
    label: str = "Drawing pad. Draw a digit with mouse, pen or finger.",
) -> Drawing:
    """A pad to draw on; the drawing is kept under `key` for the session, also when the page is left.

    Call it in a fragment: it answers many times a second while a stroke is drawn.

    Args:
        key: of the drawing.
        aspect: the pad's width for its height.
        hint: on the bare pad.
        label: for screen readers.
    """
    kept = st.session_state.setdefault(key, {"strokes": [], "version": 0})
    news = (st.session_state.get(f"{key}_pad") or {}).get("drawing")
    if (
        news and news["version"] == kept["version"]
    ):  # else another page has sent a drawing meanwhile
        kept["strokes"] = news["strokes"]
    if not (news and news.get("busy")):
        kept["settled"] = kept["strokes"]
    # `answered` lets the pad send its next state: what this run draws is about that one.
    answered = news["number"] if news else 0
    _pad(
        key=f"{key}_pad",
        on_drawing_change=lambda: None,
        data={
            "strokes": kept["strokes"],
            "version": kept["version"],
            "answered": answered,
            "aspect": aspect,
            "hint": hint,
            "label": label,
        },
    )
    return Drawing(kept["strokes"], kept.get("settled", []))


def readout(
    image: np.ndarray | None,
    probabilities: np.ndarray | None,
    said: str,
    key: str = "readout",
    bars: bool = True,
) -> None:
    """The 28x28 input as pixels, the answer, and the ten probabilities as bars.

    Args:
        image: (28, 28) uint8, or None while there is nothing drawn.
        probabilities: (10,), or None.
        said: a sentence below the answer.
        key: of the component.
        bars: whether the probabilities are shown.
    """
    digit = None if probabilities is None else int(probabilities.argmax())
    alt = "The 28 by 28 pixels that the network sees" + (", still blank." if image is None else ".")
    _readout(
        key=key,
        data={
            "pixels": None if image is None else image.flatten().tolist(),
            "digit": digit,
            "said": said,
            "alt": alt,
            "bars": bars,
            "probabilities": None if probabilities is None else np.round(probabilities, 4).tolist(),
        },
    )


def verdicts(
    entries: list[tuple[str, str, np.ndarray | None, str]],
    chosen: str,
    on_pick: Callable[[], None],
    key: str = "verdicts",
) -> None:
    """One card for each network.

    Args:
        entries: (name, note, probabilities (10,) or None, what to say where there are none) of each.
        chosen: name of the card that is marked.
        on_pick: called when a card was clicked, its name in `st.session_state[key].picked`.
        key: of the component.
    """
    rows = [
        {
            "name": name,
            "note": note,
            "said": said,
            "digit": None if each is None else int(each.argmax()),
            "probabilities": None if each is None else np.round(each, 4).tolist(),
        }
        for name, note, each, said in entries
    ]
    _verdicts(key=key, data={"entries": rows, "chosen": chosen}, on_picked_change=on_pick)
