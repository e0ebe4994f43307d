"""The networks on the Draw page: selecting them, and their predictions side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import streamlit as st

from core.errors import UserError
from core.insight.predictions import predict
from core.runs.run import Run
from pages.ui import checkpoints, words
from pages.ui.components.readout import Card, show_cards
from pages.ui.frame import warn_unknown
from pages.ui.run_boxes import run_titles, select_run, select_runs
from pages.ui.words import escape_markdown

MAX_NETWORKS = 12  # side by side: all of them predict while a stroke is drawn
NEWEST = 3  # runs that stand beside the shipped ones by default
CONFIDENT = 0.9  # probability
NETWORK, BESIDE = "network", "beside"  # keys, and names in the link
_DEFAULT = "draw_default_networks"  # session key

Runs = Mapping[str, Run]


def select_network(runs: Runs) -> Run:
    """Show the control that selects a network."""
    warn_unknown(NETWORK, runs, "trained run")
    name = select_run("Network", list(runs), NETWORK, run_titles(runs.values()), "final")
    st.caption(", ".join(describe_run(runs[name])))
    return runs[name]


def select_networks(runs: Runs, run: Run) -> list[Run]:
    """Show the control that selects several networks; `run` is always among them."""
    session = st.session_state
    shipped = [name for name in runs if checkpoints.is_shipped(runs[name])]
    default = [*shipped, *[name for name in runs if name not in shipped][:NEWEST]][:MAX_NETWORKS]
    before = session.setdefault(_DEFAULT, default)
    if before != default and session.get(BESIDE) == before:
        session[BESIDE] = default  # a run is new, and the user has selected nothing
    session[_DEFAULT] = default
    names = select_runs(
        "Networks side by side",
        list(runs),
        BESIDE,
        run_titles(runs.values()),
        default,
        max_selections=MAX_NETWORKS,
        placeholder="Select networks",
    )
    return [runs[name] for name in runs if name in names or name == run.name]


def show_side_by_side(runs: Runs, run: Run, image: np.ndarray | None) -> None:
    """Show a card for each of several networks, with its prediction for the same image."""
    st.caption(
        "Each network predicts the same 28 by 28 pixels. Click a card to select its network."
    )
    cards = st.container()
    selected = select_networks(runs, run)
    predictions = [predict_digit(network, image) for network in selected]
    missing = "" if image is None else "no prediction"
    titles = run_titles(runs.values())
    with cards:
        show_cards(
            [
                Card(
                    network.name,
                    titles[network.name],
                    "\n".join(describe_run(network)),
                    probabilities,
                    missing,
                )
                for network, (probabilities, _) in zip(selected, predictions, strict=True)
            ],
            run.name,
            _store_network,
            key="draw_cards",
        )
        errors = [message for probabilities, message in predictions if probabilities is None]
        if image is not None and errors:
            st.caption("  \n".join(map(escape_markdown, errors)))


def _store_network() -> None:
    st.session_state[NETWORK] = st.session_state["draw_cards"].picked


def predict_digit(run: Run, image: np.ndarray | None) -> tuple[np.ndarray | None, str]:
    """Predict one image; describe the prediction, or why there is none.

    Args:
        run: the run whose last weights predict.
        image: (28, 28) uint8, or None.

    Returns:
        The probabilities (10,) or None, and a sentence.
    """
    if image is None:
        return None, ""
    try:
        probabilities = predict_images(run, image[None])[0]
    except UserError as error:
        return None, str(error)
    return probabilities, f"{run.label}: {describe_prediction(probabilities)}."


def predict_images(run: Run, images: np.ndarray) -> np.ndarray:
    """Probabilities (N, 10) that a run's last weights give images (N, 28, 28) uint8.

    Raises:
        UserError: the weights are missing or damaged, or the probabilities are not finite.
    """
    probabilities = predict(checkpoints.load_cached_model(run), images)
    if not np.isfinite(probabilities).all():
        raise UserError(f"the predictions of {run.name} are not finite: its training diverged.")
    return probabilities


def describe_prediction(probabilities: np.ndarray) -> str:
    """The most probable digit, or the two most probable ones where none is clear."""
    first, second = probabilities.argsort()[::-1][:2]
    if probabilities[first] >= CONFIDENT:
        return f"{first} with probability {format_percent(probabilities[first])}"
    return (
        f"{first} or {second}, with probabilities {format_percent(probabilities[first])} and "
        f"{format_percent(probabilities[second])}"
    )


def format_percent(share: float) -> str:
    """A share as a percentage with one decimal."""
    return f"{100 * share:.1f}\u00a0%"


def describe_run(run: Run) -> tuple[str, str]:
    """A run's size and accuracy."""
    return f"{run.parameters:,} parameters", words.describe_accuracy(run)
