"""The Learning view of Draw: one digit by a network as it was after each kept epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import RunError
from core.insight.learning import NEVER, Learning, describe_epoch
from core.insight.predictions import predict
from core.runs.run import Run
from pages.ui import checkpoints
from pages.ui.components.chart import draw_chart
from pages.ui.components.readout import show_readout
from pages.ui.components.rewind import choose_epoch
from pages.ui.draw.networks import Runs, describe_prediction
from pages.ui.draw.subject import Subject
from pages.ui.words import escape_markdown


def show_learning(runs: Runs, run: Run, image: np.ndarray, subject: Subject) -> None:
    """Show a digit's probabilities after the chosen epoch, and over all epochs."""
    from core.charts import draw as charts

    epoch = choose_epoch(run, "draw_rewind")
    epochs, probabilities = predict_by_epoch(run, image)
    if len(epochs) < 2:
        st.markdown(":gray[This run has kept the weights of no epoch but the last. New runs do.]")
        return
    place = len(epochs) - 1 if epoch is None else epochs.index(epoch)
    left, right = st.columns([5, 7], gap="large")
    with left:
        message = describe_epoch(epochs[place]).capitalize()
        message = f"{message}: {describe_prediction(probabilities[place])}."
        show_readout(image, probabilities[place], message, key="draw_rewound")
    with right:
        frame = pd.DataFrame(
            {
                "amount": np.repeat(epochs, 10),
                "digit": np.tile(np.arange(10), len(epochs)),
                "probability": probabilities.astype(np.float64).ravel(),
            }
        )
        sentence = describe_learning(epochs, probabilities, subject.label)
        draw_chart(
            charts.epoch_probability_chart(frame),
            "learning",
            title="Probability",
            subtitle="of each digit, by epoch",
            alt=sentence,
            filename=f"{run.name}-learning",
            subject=run.name,
            make_table=lambda: frame.rename(columns={"amount": "epoch"}),
        )
        st.caption(escape_markdown(sentence))


def predict_by_epoch(run: Run, image: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return the kept epochs and the probabilities (K, 10) of an image after each of them.

    Raises:
        RunError: the weights are missing or damaged, or probabilities are not finite.
    """
    models = checkpoints.load_epoch_models(run)
    probabilities = np.stack([predict(model, image[None])[0] for model in models.values()])
    if not np.isfinite(probabilities).all():
        raise RunError(f"the predictions of {run.name} are not finite: its training diverged.")
    return list(models), probabilities


def describe_learning(epochs: list[int], probabilities: np.ndarray, label: int | None) -> str:
    """Return when a digit was first classified correctly; without a label, as it is at the end.

    Args:
        epochs: K, ascending.
        probabilities: (K, 10).
        label: 0 to 9, if known.
    """
    predicted = probabilities.argmax(axis=1)
    target = int(predicted[-1]) if label is None else label
    learning = Learning(np.array(epochs), predicted[:, None], np.array([target]))
    what = f"Read as {target}" if label is None else f"Read correctly, as {target},"
    first, learnt = int(learning.first_correct[0]), int(learning.learnt[0])
    if first == NEVER:
        return f"Never read as {target}, its label, in the {len(epochs)} kept epochs."
    if learnt == first:
        return f"{what} {describe_epoch(first)} and in every kept epoch from there on."
    if learnt == NEVER:
        last = describe_epoch(int(learning.last_correct[0]))
        return f"{what} first {describe_epoch(first)} and last {last}; forgotten since."
    return f"{what} first {describe_epoch(first)}, and always from epoch {learnt} on."
