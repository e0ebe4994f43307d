"""The digit moved, turned, scaled and thickened on the drawing page, and where the answer tips over."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.drawing.perturbations import PERTURBATIONS, perturb, perturb_over_range
from core.runs.run import Run
from pages.ui.components.chart import draw_chart
from pages.ui.components.readout import show_readout
from pages.ui.draw.networks import Runs, answers, ask
from pages.ui.draw.subject import Subject
from pages.ui.frame import KEPT

TITLES = {nudge.title: name for name, nudge in PERTURBATIONS.items()}


def nudge(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Five sliders, the digit as they leave it, and the probabilities all along one of them."""
    from core.charts import draw as charts_draw

    left, right = st.columns([5, 7], gap="large")
    with left:
        picture = st.container()
        amounts = {name: _slider(name) for name in PERTURBATIONS}
        changed = perturb(image, **amounts)
        with picture:
            answer, said = ask(run, changed)
            show_readout(changed, answer, said, key="nudged", bars=False)
        st.button(
            "As it was",
            icon=":material/restart_alt:",
            type="tertiary",
            on_click=_reset,
            disabled=all(amounts[name] == each.neutral for name, each in PERTURBATIONS.items()),
        )
    with right:
        title = st.segmented_control(
            "Curves along", list(TITLES), default="Turn", required=True, key="along", **KEPT
        )
        name = TITLES[title]
        others = {each: amount for each, amount in amounts.items() if each != name}
        steps, images = perturb_over_range(image, name, **others)
        found = answers(run, images)  # (N, 10)
        frame = pd.DataFrame(
            {
                "amount": np.repeat(steps, 10),
                "digit": np.tile(np.arange(10), len(steps)),
                "probability": found.astype(np.float64).ravel(),
            }
        )
        unit = PERTURBATIONS[name].unit
        draw_chart(
            charts_draw.curves(
                frame, f"{title.lower()}, {unit}", amounts[name], PERTURBATIONS[name].neutral
            ),
            "nudge",
            title="Probability",
            subtitle="of each digit; dotted: as it was drawn",
            alt=_said(found, steps, title, unit),
            filename=f"{run.name}-{title.lower()}",
            subject=run.name,
            make_table=lambda: frame,
        )
        st.caption(
            f"Probability of each digit as {run.name} sees it all along this slider, the others as they stand. "
            "Where two curves cross, the answer tips over; how far the right one reaches shows what the network "
            "has learnt to overlook."
        )


def _slider(name: str) -> float:
    each = PERTURBATIONS[name]
    places = "%.2f" if each.step < 0.1 or each.step == 0.25 else "%.1f" if each.step < 1 else "%.0f"
    return st.slider(
        each.title,
        float(each.low),
        float(each.high),
        float(each.neutral),
        float(each.step),
        format=f"{places} {each.unit}",
        key=f"nudge_{name}",
        help=each.help,
        **KEPT,
    )


def _reset() -> None:
    for name, each in PERTURBATIONS.items():
        st.session_state[f"nudge_{name}"] = float(each.neutral)


def _said(found: np.ndarray, steps: list[float], title: str, unit: str) -> str:
    """The curves in words: which digit is ahead where."""
    ahead = found.argmax(axis=1)
    starts = [0, *(np.flatnonzero(np.diff(ahead)) + 1).tolist()]
    parts = [f"{ahead[at]} from {steps[at]:g} {unit}" for at in starts[:8]]
    return f"The digit that is ahead along {title.lower()}: {', '.join(parts)}."
