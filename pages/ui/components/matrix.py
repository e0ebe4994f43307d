"""The confusion matrix as a picture that can be clicked, with precision and recall at its edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.insight.mistakes import precision_recall
from pages.ui.components.component import component

_matrix = component("matrix", "tiles/matrix")


def matrix(
    counts: np.ndarray,
    picked: tuple[int | None, int | None],
    on_pick: Callable[[], None],
    key: str = "matrix",
) -> None:
    """Labels down, answers across.

    Args:
        counts: (10, 10), as `core.insight.mistakes.confusion_matrix` gives them.
        picked: label and answer that are marked; None: any.
        on_pick: called when a cell with images was clicked, its label and answer in `st.session_state[key].picked`.
        key: of the component.
    """
    precision, recall = (
        [percent(share) for share in shares] for shares in precision_recall(counts)
    )
    wrong = int(counts.sum() - counts.trace())
    _matrix(
        key=key,
        on_picked_change=on_pick,
        data={
            "counts": counts.tolist(),
            "precision": precision,
            "recall": recall,
            "picked": list(picked),
            "alt": f"Confusion matrix, labels down and answers across: {wrong:,} of {int(counts.sum()):,} images are "
            "wrong; the arrow keys go from cell to cell, Enter shows its images",
        },
    )


def percent(share: float) -> str:
    """A share in percent, `100` without decimals; a dash for none."""
    if share != share:
        return "–"
    return "100" if share == 1 else f"{100 * share:.1f}"
