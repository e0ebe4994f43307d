"""The views of one digit below the pad; only the selected one is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from core.runs.run import Run
from pages.ui.draw.inside import show_layers, show_reasons
from pages.ui.draw.learning import show_learning
from pages.ui.draw.nearest import show_nearest
from pages.ui.draw.networks import Runs, show_side_by_side
from pages.ui.draw.nudge import show_nudge
from pages.ui.draw.own import show_own_digits
from pages.ui.draw.subject import Subject

View = Callable[[Runs, Run, np.ndarray, Subject], None]
DEFAULT_VIEW = "Side by side"
VIEWS: dict[str, View | None] = {
    DEFAULT_VIEW: None,  # the only one that is updated while a stroke is drawn
    "Layers": show_layers,
    "Learning": show_learning,
    "Reasons": show_reasons,
    "Nudge": show_nudge,
    "Nearest": show_nearest,
    "Own digits": show_own_digits,
}


def show_view(name: str, runs: Runs, run: Run, subject: Subject, position: int) -> None:
    """Show one view of a digit.

    Args:
        name: one of VIEWS.
        runs: all trained runs, by name.
        run: the selected run.
        subject: the digits that are shown.
        position: which of them.

    Raises:
        UserError: the network cannot predict this digit.
    """
    view = VIEWS[name]
    if view is None:
        show_side_by_side(runs, run, _at(subject.images, position))
        return
    image = _at(subject.settled, position)  # these views are too slow to follow a stroke
    if image is None and view is not show_own_digits:
        st.markdown(":gray[Draw or choose a digit to see this view.]")
        return
    view(runs, run, np.zeros((28, 28), np.uint8) if image is None else image, subject)


def _at(images: Sequence[np.ndarray], position: int) -> np.ndarray | None:
    return images[min(position, len(images) - 1)] if images else None
