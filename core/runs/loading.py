"""Loading trained networks from runs. Must not import torch at module level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.config import RunConfig
from core.errors import RunError
from core.runs import weights
from core.runs.folders import SHIPPED, checkpoints_folder
from core.runs.run import Run
from core.runs.run_names import check_name
from core.runs.store import open_run
from core.training.plan import plan

if TYPE_CHECKING:
    from torch.nn import Module

    from core.models.network import Network


def load_model(run: Run, which: str | int = "last") -> Network:
    """Load a run's network on the CPU, in evaluation mode.

    Args:
        run: the run.
        which: "last" or "best" weights, or the number of an epoch: the network as it was after it;
            0: before the first one.

    Raises:
        RunError: there are no weights yet, those of the epoch were not kept, or the file does not
            fit the network.
    """
    from core.models.network import build, load_weights

    rows = plan(run.config).rows
    model = build(rows, run.config)
    load_weights(
        model, weights.load_tensors(run.weights_path(which), weights.expected_tensors(rows))
    )
    return model.eval()


def load_teacher(config: RunConfig, folder: Path | None = None) -> Module | None:
    """Load the network that a config names as its teacher, or the ensemble of several.

    Args:
        config: config of the student.
        folder: where to look for teachers before the shipped runs; None: `checkpoints_folder()`.

    Returns:
        None where the config names no teacher.

    Raises:
        RunError: a teacher does not exist or has no weights yet.
    """
    folder = folder or checkpoints_folder()
    models = [load_model(find_teacher(name, folder)) for name in config.teachers]
    if len(models) < 2:
        return models[0] if models else None
    from core.training.distillation import Ensemble

    return Ensemble(models)


def find_teacher(name: str, folder: Path) -> Run:
    """Open the run that is to be a teacher: in a checkpoints folder, else among the shipped runs.

    Raises:
        RunError: there is no such run, or it has no weights yet.
    """
    check_name(name)
    for parent in (folder, SHIPPED):
        if (parent / name).is_dir():
            run = open_run(name, parent)
            run.weights_path("last")  # raises where there are no weights yet
            return run
    raise RunError(
        f"there is no run {name} to teach this one; train it first, or set teacher to none."
    )
