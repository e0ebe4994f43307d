"""A digit shifted, rotated, scaled and thickened, and how the prediction changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from core.drawing.perturbations import PERTURBATIONS, perturb, perturb_over_range
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.components.readout import show_readout
from pages.ui.draw.networks import Runs, predict_digit, predict_images
from pages.ui.draw.subject import Subject
from pages.ui.frame import KEPT
from pages.ui.words import capitalise, escape_markdown

DEFAULT = "Turn"  # the slider over whose range the probabilities are drawn
NAMES = {perturbation.title: name for name, perturbation in PERTURBATIONS.items()}


def show_nudge(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show five sliders, the changed digit, and the probabilities over the range of one slider."""
    left, right = st.columns([5, 7], gap="large")
    with left:
        picture = st.container()
        amounts = {name: _show_slider(name) for name in PERTURBATIONS}
        changed = perturb(image, **amounts)
        with picture:
            probabilities, message = predict_digit(run, changed)
            show_readout(changed, probabilities, message, key="draw_nudged", bars=False)
        st.button(
            "Reset",
            icon=":material/restart_alt:",
            type="tertiary",
            on_click=_reset,
            disabled=all(
                amounts[name] == perturbation.neutral
                for name, perturbation in PERTURBATIONS.items()
            ),
        )
    with right:
        title = (
            st.segmented_control(
                "Range of", list(NAMES), default=DEFAULT, required=True, key="along", **KEPT
            )
            or DEFAULT
        )
        _draw_range(run, image, title, amounts)


def _draw_range(run: Run, image: np.ndarray, title: str, amounts: dict[str, float]) -> None:
    """Draw the probability of each digit over the range of one slider."""
    from core.charts import draw as charts

    name = NAMES[title]
    perturbation = PERTURBATIONS[name]
    others = {other: amount for other, amount in amounts.items() if other != name}
    steps, images = perturb_over_range(image, name, **others)
    probabilities = predict_images(run, images)  # (N, 10)
    st.markdown(
        escape_markdown(describe_changes(probabilities.argmax(axis=1), steps, name, run.name))
    )
    frame = pd.DataFrame(
        {
            "amount": np.repeat(steps, 10),
            "digit": np.tile(np.arange(10), len(steps)),
            "probability": probabilities.astype(np.float64).ravel(),
        }
    )
    draw_chart(
        charts.probability_chart(
            frame, f"{title.lower()}, {perturbation.unit}", amounts[name], perturbation.neutral
        ),
        "nudge",
        title="Probability",
        subtitle="of each digit; dotted: unchanged",
        alt=_describe_range(probabilities, steps, title, perturbation.unit),
        filename=f"{run.name}-{title.lower()}",
        subject=run.name,
        make_table=lambda: frame,
    )
    st.caption(
        f"Probabilities by {escape_markdown(run.name)} over the range of this slider, with the "
        "other sliders as they are set. Where two curves cross, the prediction changes. A wide "
        "range of correct predictions shows that the network is robust to this change."
    )


# How an amount of each perturbation is said: below and above the amount that changes nothing.
_PHRASES: dict[str, tuple[Callable[[float], str], Callable[[float], str]]] = {
    "right": (
        lambda amount: f"shifted {-amount:g} px to the left",
        lambda amount: f"shifted {amount:g} px to the right",
    ),
    "down": (
        lambda amount: f"shifted {-amount:g} px up",
        lambda amount: f"shifted {amount:g} px down",
    ),
    "turn": (
        lambda amount: f"turned {-amount:g}° anticlockwise",
        lambda amount: f"turned {amount:g}° clockwise",
    ),
    "size": (
        lambda amount: f"at {amount:g} times its size",
        lambda amount: f"at {amount:g} times its size",
    ),
    "thickness": (
        lambda amount: f"with strokes {-amount:g} px thinner",
        lambda amount: f"with strokes {amount:g} px thicker",
    ),
}


def describe_changes(predicted: np.ndarray, steps: Sequence[float], name: str, network: str) -> str:
    """Where the prediction first changes on either side of the unchanged digit, in sentences.

    Args:
        predicted: (N,) the predicted digit at each step.
        steps: the amounts of the perturbation, ascending.
        name: of the perturbation.
        network: name of the network.
    """
    neutral = min(range(len(steps)), key=lambda at: abs(steps[at] - PERTURBATIONS[name].neutral))
    digit = int(predicted[neutral])
    changes = []
    for side, indices in enumerate((range(neutral - 1, -1, -1), range(neutral + 1, len(steps)))):
        changed = next((at for at in indices if predicted[at] != digit), None)
        if changed is not None:
            phrase = _PHRASES[name][side](steps[changed])
            changes.append(f"{phrase}, it reads {predicted[changed]}")
    if not changes:
        return f"{network} reads {digit} over the whole range: it is robust to this change."
    return f"{network} reads {digit}. {capitalise('; '.join(changes))}."


def _show_slider(name: str) -> float:
    perturbation = PERTURBATIONS[name]
    step = float(perturbation.step)
    decimals = 0 if step.is_integer() else len(f"{step:g}".split(".")[1])
    return st.slider(
        perturbation.title,
        float(perturbation.low),
        float(perturbation.high),
        float(perturbation.neutral),
        step,
        format=f"%.{decimals}f {perturbation.unit}",
        key=f"nudge_{name}",
        help=perturbation.help,
        **KEPT,
    )


def _reset() -> None:
    for name, perturbation in PERTURBATIONS.items():
        st.session_state[f"nudge_{name}"] = float(perturbation.neutral)


def _describe_range(probabilities: np.ndarray, steps: list[float], title: str, unit: str) -> str:
    """Describe the curves for screen readers: the predicted digit over the range."""
    predicted = probabilities.argmax(axis=1)
    starts = [0, *(np.flatnonzero(np.diff(predicted)) + 1).tolist()]
    parts = [f"{predicted[start]} from {steps[start]:g} {unit}" for start in starts[:8]]
    return f"Predicted digit by {title.lower()}: {', '.join(parts)}."
