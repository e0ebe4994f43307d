"""A run's network on labelled images, in the number format and layout of its epoch table.

So the figure of the table is found again, exactly where the machine rounds as the one that trained
the run. Where it does not, `describe_deviation` says so. Must not import torch at module level.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.insight.mistakes import Predictions
from core.models.architectures import rows_of
from core.runs.loading import load_model
from core.runs.run import Run
from core.training.results import TestResult

if TYPE_CHECKING:
    import torch

    from core.models.network import Network


@dataclass(frozen=True, slots=True)
class Format:
    """How a network computes."""

    device: str
    """One of `core.runtime.DEVICES`."""
    precision: str
    """One of `core.runtime.PRECISIONS`."""
    layout: str
    """One of `core.runtime.LAYOUTS`."""
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.device} in {self.precision}"


def resolve_format(run: Run) -> Format:
    """Return the format of a run's epoch table, or the nearest one that this machine offers.

    A device that is missing here is replaced by the CPU, and a compiled forward pass by PyTorch's
    where no compiler works.
    """
    runtime = run.runtime
    if runtime is None:
        return Format("cpu", "fp32", "contiguous")
    device, layout = runtime.device, runtime.layout
    if device != "cpu":
        import torch

        has_device = torch.cuda if device == "cuda" else torch.backends.mps
        device = device if has_device.is_available() else "cpu"
    if layout == "compiled":
        from core.training.evaluation import is_compiled

        layout = layout if is_compiled(json.dumps(rows_of(run.config))) else "contiguous"
    return Format(device, runtime.precision, layout, runtime.threads)


def predict_run(
    run: Run,
    images: LabelledImages[np.ndarray],
    which: str | int = "last",
    form: Format | None = None,
) -> Predictions:
    """Predict labelled images with a run's network.

    Args:
        run: with at least one epoch.
        images: at least one.
        which: weights, as for `load_model`.
        form: to compute in; None: as `resolve_format`.

    Raises:
        RunError: there are no weights yet, they don't fit, or the outputs are not finite.
    """
    import torch

    from core.training.evaluation import predict_logits
    from core.training.precision import DTYPES

    form = form or resolve_format(run)
    with _ready(run, which, form) as (model, device):
        tensors = torch.from_numpy(np.ascontiguousarray(images.images))
        logits = predict_logits(model, tensors, device, DTYPES[form.precision], form.layout)
    probabilities = logits.softmax(dim=1).numpy()
    if not np.isfinite(probabilities).all():
        raise RunError("this network's outputs are not finite: its training diverged.")
    return Predictions(probabilities, np.asarray(images.labels, np.int64))


def evaluate_run(
    run: Run, images: LabelledImages[torch.Tensor], which: str | int = "last"
) -> TestResult:
    """Return mean loss and correct predictions of a run's network on labelled images.

    Args:
        run, which: as of `predict_run`.
        images: not augmented.

    Raises:
        RunError: as `predict_run`.
    """
    from core.training.evaluation import evaluate
    from core.training.precision import DTYPES

    form = resolve_format(run)
    with _ready(run, which, form) as (model, device):
        loss, correct = evaluate(
            model, images.images, images.labels, device, DTYPES[form.precision], form.layout
        )
    if not np.isfinite(loss):
        raise RunError(f"{run.name} cannot be evaluated: its outputs are not finite.")
    return TestResult(loss, correct, len(images))


def recorded_result(run: Run, which: str | int = "last") -> TestResult | None:
    """Return what a run recorded on the test images for its weights; None if it recorded nothing.

    A run with a hold-out records only the result of its last weights, after the last epoch.
    """
    if run.config.holdout:
        return run.test if which in ("last", run.config.epochs) else None
    if isinstance(which, int):
        row = run.epochs[which - 1] if 1 <= which <= len(run.epochs) else None
    else:
        row = run.last if which == "last" else run.best
    return None if row is None else TestResult(row.val_loss, row.val_correct, row.val_total)


def describe_deviation(
    run: Run, result: Predictions | TestResult, which: str | int = "last"
) -> str:
    """Say that a result on the test images is not the recorded one, and why; "" if it is.

    Args:
        run, which: as of `predict_run`.
        result: what was computed here.
    """
    if isinstance(result, TestResult):
        correct, total = result.correct, result.total
    else:
        total = len(result.labels)
        correct = total - result.error_count
    recorded = recorded_result(run, which)
    if recorded is None or recorded.total != total or recorded.correct == correct:
        return ""
    there = Format("cpu", "fp32", "contiguous")
    if run.runtime is not None:
        there = Format(run.runtime.device, run.runtime.precision, run.runtime.layout)
    here = resolve_format(run)
    where = "this machine" if str(here) == str(there) else f"this machine's {here}"
    return (
        f"{run.name} recorded {recorded.accuracy:.2f} % ({recorded.correct:,} correct), computed "
        f"on {there} when it was trained; here it is {100 * correct / total:.2f} % "
        f"({correct:,} correct), since {where} rounds differently."
    )


@contextlib.contextmanager
def _ready(run: Run, which: str | int, form: Format) -> Iterator[tuple[Network, torch.device]]:
    """Give a run's network on its device, with PyTorch set as the trainer sets it."""
    import torch

    from core.training.layouts import move_model

    device, model = torch.device(form.device), load_model(run, which)
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(form.threads)
    torch.backends.cudnn.deterministic = True
    try:
        move_model(model, device, form.layout)
        yield model, device
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.deterministic = deterministic
