"""Predictions of a run's newest weights for its validation images, in a background thread."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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

MOST_SECONDS = 3.0  # of one core for one set of weights; a slow network predicts fewer images
WORK_SECONDS = 0.1  # of work between two pauses
PAUSE = 2.0  # length of a pause while the run trains, as a multiple of the work before it


@dataclass(frozen=True, slots=True)
class ValidationPredictions:
    """Predictions for the validation images of a run, or for an even sample of them."""

    images: np.ndarray  # (N, 28, 28) uint8
    total: int  # validation images, of which `images` may be a sample
    predictions: Predictions


def predict_validation(run: Run, sets: dict[str, LabelledImages]) -> Future[ValidationPredictions]:
    """Start to predict a run's validation images with its newest weights, once for all sessions.

    Raises:
        RunError: there are no weights.
    """
    return _submit(
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
    return ThreadPoolExecutor(1, "validation")


# `changed` is part of the cache's key: new weights need new predictions.
@st.cache_resource(max_entries=8, show_spinner=False)
def _submit(
    name: str,
    folder: str,
    changed: int,
    holdout: int,
    live: bool,
    _config: RunConfig,
    _sets: dict[str, LabelledImages],
) -> Future[ValidationPredictions]:
    return _pool().submit(_predict, name, Path(folder), live, _config, _sets)


def _predict(
    name: str, folder: Path, live: bool, config: RunConfig, sets: dict[str, LabelledImages]
) -> ValidationPredictions:
    chosen_set = validation(config, *(sets[part] for part in SETS))
    images, labels = chosen_set.images, chosen_set.labels
    model = load_model(open_run(name, folder))
    total, most = len(images), affordable_images(model, MOST_SECONDS)
    chosen = (
        np.arange(total) if total <= most else np.linspace(0, total - 1, most).round().astype(int)
    )
    images, labels = images[chosen], labels[chosen]
    parts = []
    for start in range(0, len(images), step := affordable_images(model, WORK_SECONDS)):
        began = time.perf_counter()
        parts.append(
            predict_labelled(
                model, images[start : start + step], labels[start : start + step]
            ).probabilities
        )
        if live:  # leave the processor to the training
            time.sleep(PAUSE * (time.perf_counter() - began))
    return ValidationPredictions(images, total, Predictions(np.concatenate(parts), labels))
