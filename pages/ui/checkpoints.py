"""Saved runs as pages need them: those with weights, and their models kept in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.errors import RunError
from core.recipes import RECIPES
from core.runs.folders import SHIPPED, checkpoints_folder
from core.runs.loading import load_model
from core.runs.run import Run
from core.runs.store import list_runs, open_run

if TYPE_CHECKING:
    from core.models.network import Network


def trained_runs() -> list[Run]:
    """The runs that have weights: those shipped, in the order of the recipes, then the others, newest first."""
    order = list(RECIPES)
    runs = [run for run in list_runs() if isinstance(run, Run) and run.epochs]
    return sorted(runs, key=lambda run: order.index(run.name) if run.name in order else len(order))


def teacher_names() -> list[str]:
    """Names of the runs that another can learn from: those here, and those that came with the app."""
    elsewhere = [] if checkpoints_folder() == SHIPPED else list_runs(SHIPPED)
    found = [*trained_runs(), *(run for run in elsewhere if isinstance(run, Run) and run.epochs)]
    return list(dict.fromkeys(run.name for run in found))


def is_shipped(run: Run) -> bool:
    """Whether it came with the app: it carries the name of a recipe that is shipped with a run."""
    return run.name in RECIPES and RECIPES[run.name].shipped


def load_cached_model(run: Run, which: str = "last") -> Network:
    """The network of a run, loaded once for all sessions until its weights change.

    Raises:
        RunError: the weights are missing or don't fit.
    """
    return _model(run.name, which, weights_time(run, which))


def weights_time(run: Run, which: str = "last") -> int:
    """When the weights of a run were written: what was worked out from them is good for as long as this is the same.

    Raises:
        RunError: they are gone.
    """
    try:
        return run.weights_path(which).stat().st_mtime_ns
    except OSError:
        raise RunError(f"{run.name} is gone.") from None


@st.cache_resource(max_entries=32, show_spinner=False)
def _model(name: str, which: str, changed: int) -> Network:
    import torch

    # One drawing at a time gains nothing from more threads, and a training run beside it needs them.
    torch.set_num_threads(1)
    return load_model(open_run(name), which)
