"""Trained runs as the pages need them: their names, and their networks, cached for all sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from core.errors import RunError
from core.experiments import overview
from core.recipes import RECIPES
from core.runs.folders import SHIPPED, checkpoints_folder
from core.runs.loading import load_model
from core.runs.run import Run
from core.runs.store import list_runs, open_run

if TYPE_CHECKING:
    from core.models.network import Network


def trained_runs() -> list[Run]:
    """The runs that have weights: shipped ones in the recipes' order, then the newest first."""
    order = list(RECIPES)
    runs = [run for run in list_runs() if isinstance(run, Run) and run.epochs]
    return sorted(runs, key=lambda run: order.index(run.name) if run.name in order else len(order))


def listed_runs(*keys: str) -> list[Run]:
    """The runs that have weights, as `trained_runs`, with only the best run of each sweep.

    Args:
        keys: of the page's controls that name runs; what they or the link name is listed, too.
    """
    return overview.hide_trials(trained_runs(), named_runs(*keys))


def named_runs(*keys: str) -> set[str]:
    """The names of runs that controls with these keys, or the link, hold."""
    names: set[str] = set()
    for key in keys:
        held = st.session_state.get(key) or ()
        names |= {held} if isinstance(held, str) else set(held)
        names |= set(st.query_params.get_all(key))
    return names


def draw_first_run_link() -> None:
    """Draw a link to Train with the settings of a good first run, for a page without runs."""
    st.page_link(
        "pages/train.py",
        label="Train the Final recipe",
        icon=":material/arrow_forward:",
        query_params={"start": "final"},
    )


def teacher_names() -> list[str]:
    """Names of the runs that can be a teacher: all trained runs, and the shipped ones."""
    shipped = [] if checkpoints_folder() == SHIPPED else list_runs(SHIPPED)
    runs = [*trained_runs(), *(run for run in shipped if isinstance(run, Run) and run.epochs)]
    return list(dict.fromkeys(run.name for run in runs))


def is_shipped(run: Run) -> bool:
    """Whether the run has the name of a recipe that ships with a trained run."""
    return run.name in RECIPES and RECIPES[run.name].shipped


def load_cached_model(run: Run, which: str | int = "last") -> Network:
    """The network of a run, loaded once for all sessions until its weights change.

    Args:
        run: the run.
        which: weights, as for `load_model`.

    Raises:
        RunError: the weights are missing or do not fit the network.
    """
    return _load_model(run.name, which, weights_time(run, which))


def load_epoch_models(run: Run) -> dict[int, Network]:
    """The networks of a run as they were after each kept epoch, loaded once for all sessions.

    Raises:
        RunError: the weights of an epoch are missing or do not fit the network.
    """
    epochs = run.list_kept_epochs()
    return _load_epoch_models(
        run.name, tuple((epoch, weights_time(run, epoch)) for epoch in epochs)
    )


def weights_time(run: Run, which: str | int = "last") -> int:
    """When the weights of a run were written, in nanoseconds: a cache key for results from them.

    Raises:
        RunError: the weights are missing.
    """
    try:
        return run.weights_path(which).stat().st_mtime_ns
    except OSError:
        raise RunError(f"{run.name} is gone.") from None


@st.cache_resource(max_entries=6, show_spinner=False)  # of up to 16 MB each
def _load_epoch_models(name: str, changed: tuple[tuple[int, int], ...]) -> dict[int, Network]:
    import torch

    torch.set_num_threads(1)
    run = open_run(name)
    return {epoch: load_model(run, epoch) for epoch, _ in changed}


@st.cache_resource(max_entries=32, show_spinner=False)
def _load_model(name: str, which: str | int, changed: int) -> Network:
    import torch

    # One drawing at a time is no faster with more threads, and a run that trains needs them.
    torch.set_num_threads(1)
    return load_model(open_run(name), which)
