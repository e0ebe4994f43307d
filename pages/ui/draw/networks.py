"""The networks on the drawing page: which are asked, and their answers side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.errors import UserError
from core.insight.predictions import predict
from core.runs.run import Run
from pages.ui import checkpoints, words
from pages.ui.components.readout import Card, show_cards
from pages.ui.frame import KEPT

MOST = 12  # networks side by side: all of them answer while a stroke is drawn
OWN = 3  # of one's own runs, the newest, that stand beside the shipped ones until others are chosen
Runs = Mapping[str, Run]


def chosen(runs: Runs) -> Run:
    """The control for the network in question."""
    name = st.selectbox(
        "Network",
        list(runs),
        index=list(runs).index("final") if "final" in runs else 0,
        key="network",
        **KEPT,
    )
    st.caption(", ".join(note(runs[name])))
    return runs[name]


def beside(runs: Runs, run: Run) -> list[Run]:
    """The control for several networks; the one in question is always among them."""
    shipped = [name for name in runs if checkpoints.is_shipped(runs[name])]
    default = [*shipped, *[name for name in runs if name not in shipped][:OWN]][:MOST]
    before = st.session_state.setdefault("beside_default", default)
    if before != default and st.session_state.get("beside") == before:
        st.session_state["beside"] = (
            default  # nothing was chosen, and there is a run now that was not there before
        )
    st.session_state["beside_default"] = default
    if (kept := st.session_state.get("beside")) and not set(kept) <= set(
        runs
    ):  # one was deleted meanwhile
        st.session_state["beside"] = [name for name in kept if name in runs]
    names = st.multiselect(
        "Networks side by side",
        list(runs),
        default,
        key="beside",
        max_selections=MOST,
        placeholder="Choose networks",
        **KEPT,
    )
    return [runs[name] for name in runs if name in names or name == run.name]


def side_by_side(runs: Runs, run: Run, image: np.ndarray | None) -> None:
    """One card for each of several networks, with its answer to the same image."""
    st.caption(
        "The same 28 by 28 pixels, read by each of them. Where they disagree, the digit lies between two; click "
        "a card to look into that network."
    )
    place = st.container()
    shown = beside(runs, run)
    found = [ask(each, image) for each in shown]
    with place:
        show_cards(
            [
                Card(each.name, "\n".join(note(each)), answer, "" if image is None else "no answer")
                for each, (answer, _) in zip(shown, found, strict=True)
            ],
            run.name,
            _choose,
        )
        if silent := [said for answer, said in found if answer is None and image is not None]:
            st.caption("  \n".join(silent))


def ask(run: Run, image: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """The ten probabilities that a run's network gives an image, if any, and what to say of them."""
    if image is None:
        return None, ""
    try:
        answer = answers(run, image[None])[0]
    except UserError as error:
        return None, str(error)
    return answer, f"{run.name} is {sureness(answer)}."


def answers(run: Run, images: np.ndarray) -> np.ndarray:
    """The probabilities (N, 10) that a run's network gives images (N, 28, 28).

    Raises:
        UserError: its weights are gone or damaged, or its answers are no numbers.
    """
    found = predict(checkpoints.load_cached_model(run), images)
    if not np.isfinite(found).all():
        raise UserError(
            f"{run.name} answers with values that are no numbers: its training diverged."
        )
    return found


def sureness(answer: np.ndarray) -> str:
    """How sure an answer is."""
    order = answer.argsort()[::-1]
    if answer[order[0]] >= 0.9:
        return f"{percent(answer[order[0]])} sure"
    return f"torn between {order[0]} and {order[1]}"


def percent(share: float) -> str:
    """A share as one would say it."""
    return f"{100 * share:.1f}\u00a0%"


def note(run: Run) -> tuple[str, str]:
    """A run in figures."""
    return f"{run.parameters:,} parameters", f"{words.format_accuracy(run)} right"


def _choose() -> None:
    """Ask the network whose card was clicked."""
    st.session_state["network"] = st.session_state["cards"].picked
