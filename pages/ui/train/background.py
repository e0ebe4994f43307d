"""Asking a run's newest weights about its validation images, behind the page: at a walk while it trains."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import streamlit as st

from core.config import RunConfig
from core.data.labelled_images import LabelledImages
from core.insight.mistakes import Predictions, predict_labelled
from core.insight.predictions import affordable_images
from core.insight.training_batch import validation
from core.runs.loading import load_model
from core.runs.run import Run
from core.runs.store import open_run
from pages.ui import checkpoints
from pages.ui.dataset import SETS

MOST_SECONDS = (
    3.0  # of one core, for one set of weights; larger networks are asked about fewer images
)
A_MOMENT = 0.1  # seconds of work between two rests
REST = 2.0  # times as long as the work, while the run trains


class ValidationPredictions:
    """What a network says of the validation images of its run, or of an even sample of them."""

    def __init__(self, images: np.ndarray, total: int, found: Predictions):
        self.images, self.total, self.found = images, total, found


def predict_validation(run: Run, sets: dict[str, LabelledImages]) -> Future[ValidationPredictions]:
    """The answers of a run's newest weights, once for all sessions; they may still be on their way.

    Raises:
        RunError: there are no weights.
    """
    return _ask(
        run.name,
        str(run.folder.parent),
        checkpoints.weights_time(run),
        run.config.holdout,
        run.is_live,
        run.config,
        sets,
    )


@st.cache_resource(max_entries=1, show_spinner=False)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "asking")


# The time of the weights is a key: it makes them others.
@st.cache_resource(max_entries=8, show_spinner=False)
def _ask(
    name: str,
    folder: str,
    changed: int,
    holdout: int,
    live: bool,
    _config: RunConfig,
    _sets: dict[str, LabelledImages],
) -> Future[ValidationPredictions]:
    return _pool().submit(_answers, name, Path(folder), live, _config, _sets)


def _answers(
    name: str, folder: Path, live: bool, config: RunConfig, sets: dict[str, LabelledImages]
) -> ValidationPredictions:
    chosen_set = validation(config, *(sets[name] for name in SETS))
    images, labels = chosen_set.images, chosen_set.labels
    model = load_model(open_run(name, folder))
    total, most = len(images), affordable_images(model, MOST_SECONDS)
    chosen = (
        np.arange(total) if total <= most else np.linspace(0, total - 1, most).round().astype(int)
    )
    images, labels = images[chosen], labels[chosen]
    parts = []
    for start in range(0, len(images), step := affordable_images(model, A_MOMENT)):
        began = time.perf_counter()
        parts.append(
            predict_labelled(
                model, images[start : start + step], labels[start : start + step]
            ).probabilities
        )
        if live:  # the training beside it goes first
            time.sleep(REST * (time.perf_counter() - began))
    return ValidationPredictions(images, total, Predictions(np.concatenate(parts), labels))
