"""The confusion matrix, with cells that can be clicked and precision and recall at its edges."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from core.insight.mistakes import precision_recall
from pages.ui.components.component import register_component

_mount_matrix = register_component("matrix", "tiles/matrix")


def draw_confusion_matrix(
    counts: np.ndarray,
    picked: tuple[int | None, int | None],
    on_pick: Callable[[], None],
    key: str = "matrix",
) -> None:
    """Draw a confusion matrix, with labels in rows and predictions in columns.

    Args:
        counts: (10, 10) numbers of images, from `core.insight.mistakes.confusion_matrix`.
        picked: label and prediction of the selected cell; None selects all.
        on_pick: called after a click on a cell that has images, whose (label, prediction) is then
            in `st.session_state[key].picked`.
        key: key of the component.
    """
    precision, recall = (
        [format_percent(share) for share in shares] for shares in precision_recall(counts)
    )
    errors = int(counts.sum() - counts.trace())
    _mount_matrix(
        key=key,
        on_picked_change=on_pick,
        data={
            "counts": counts.tolist(),
            "precision": precision,
            "recall": recall,
            "picked": list(picked),
            "alt": (
                f"Confusion matrix, labels in rows and predictions in columns: {errors:,} errors "
                f"in {int(counts.sum()):,} images. Arrow keys move between cells, Enter shows the "
                "images of a cell."
            ),
        },
    )


def format_percent(share: float) -> str:
    """Format a share as a percentage with one decimal; 100 has none, NaN is a dash."""
    if math.isnan(share):
        return "–"
    return "100" if share == 1 else f"{100 * share:.1f}"
