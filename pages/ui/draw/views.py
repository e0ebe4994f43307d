"""The views of one digit below the pad: one at a time, and worked out only while it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from core.runs.run import Run
from pages.ui.draw import inside as draw_inside
from pages.ui.draw import nearest as draw_nearest
from pages.ui.draw import networks as draw_networks
from pages.ui.draw import nudge as draw_nudge
from pages.ui.draw import own as draw_own
from pages.ui.draw.networks import Runs
from pages.ui.draw.subject import Subject

View = Callable[[Runs, Run, np.ndarray, Subject], None]
FIRST = "Side by side"
VIEWS: dict[str, View | None] = {
    FIRST: None,  # answers while a stroke is drawn, and shows its cards before
    "Layers": draw_inside.layers,
    "Reasons": draw_inside.reasons,
    "Nudge": draw_nudge.nudge,
    "Nearest": draw_nearest.nearest,
    "Own digits": draw_own.own,
}


def show(name: str, runs: Runs, run: Run, subject: Subject, at: int) -> None:
    """One view of what is looked at.

    Args:
        name: of VIEWS.
        runs: all that can be asked, by name.
        run: the one in question.
        subject: what is looked at.
        at: which of its digits.

    Raises:
        UserError: the network or the digit is at fault.
    """
    view = VIEWS[name]
    if view is None:
        draw_networks.side_by_side(runs, run, _of(subject.images, at))
        return
    # While a stroke is drawn these wait for its end: a picture in motion tells less, and takes time.
    image = _of(subject.settled, at)
    if image is None and view is not draw_own.own:
        st.markdown(":gray[With a digit above, this view of it appears here.]")
        return
    view(runs, run, image if image is not None else np.zeros((28, 28), np.uint8), subject)


def _of(images: Sequence[np.ndarray], at: int) -> np.ndarray | None:
    return images[min(at, len(images) - 1)] if images else None
