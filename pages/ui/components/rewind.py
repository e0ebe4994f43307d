"""A slider with a play button that goes through the epochs whose weights a run has kept."""

from __future__ import annotations

import streamlit as st

from core.insight.learning import describe_epoch
from core.runs.run import Run
from pages.ui.components.component import register_component

LINK = "epoch"  # in the link: the epoch; absent: the last one
_CHOSEN = "rewind_epoch"  # session key; None: the last one
_mount = register_component("rewind", "rewind/rewind")


def choose_epoch(run: Run, key: str) -> int | None:
    """Show the slider, and return the epoch that is chosen.

    Playing moves the slider on as soon as the page shows the epoch before.

    Args:
        run: with at least one epoch.
        key: of the slider.

    Returns:
        The epoch; 0: before the first one. None: the last one, or without a slider the only one
        that the run has kept.
    """
    epochs = run.list_kept_epochs()
    if len(epochs) < 2:
        return None
    chosen = _read_choice(epochs)
    measured_on = "validation" if run.config.holdout else "test"
    accuracies = {
        row.epoch: f"{row.val_accuracy:.2f}\u00a0% of the {measured_on} images"
        for row in run.epochs
    }
    _mount(
        key=key,
        on_epoch_change=lambda: _store_choice(st.session_state[key].epoch, epochs),
        data={
            "epochs": epochs,
            "labels": [describe_epoch(epoch).capitalize() for epoch in epochs],
            "notes": [accuracies.get(epoch, "") for epoch in epochs],
            "shown": chosen,
        },
    )
    return None if chosen == epochs[-1] else chosen


def _read_choice(epochs: list[int]) -> int:
    """The kept epoch that is nearest to the one in the link or the session."""
    linked = st.query_params.get(LINK)
    if linked is not None:
        is_number = linked.isascii() and linked.isdigit() and len(linked) < 7
        st.session_state[_CHOSEN] = int(linked) if is_number else None
    chosen = st.session_state.get(_CHOSEN)
    if chosen is None:
        _store_choice(epochs[-1], epochs)
        return epochs[-1]
    nearest = min(epochs, key=lambda epoch: abs(epoch - chosen))
    _store_choice(nearest, epochs)
    return nearest


def _store_choice(epoch: int | None, epochs: list[int]) -> None:
    if epoch is None or epoch == epochs[-1]:
        st.session_state[_CHOSEN] = None
        st.query_params.pop(LINK, None)
    else:
        st.session_state[_CHOSEN] = int(epoch)
        st.query_params[LINK] = str(int(epoch))
