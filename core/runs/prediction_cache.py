"""Predictions of runs on the test images, computed once and kept on the disk.

checkpoints/.predictions/ holds a file per network, named by a hash of its weights, layers, number
format and the images, and one per run with its predictions after each kept epoch. So a file is
never out of date, and may be deleted at any time. Must not import torch at module level.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.labelled_images import LabelledImages
from core.errors import RunError, UserError
from core.insight.learning import Learning
from core.insight.mistakes import Predictions
from core.models.architectures import rows_of
from core.runs import files
from core.runs.evaluation import Format, predict_run, resolve_format
from core.runs.run import Run

FOLDER = ".predictions"
MAX_FILES = 40  # files of 400 kB


def load_predictions(
    run: Run, which: str | int = "last", test: LabelledImages | None = None
) -> Predictions:
    """Return the predictions of a run's network on the test images.

    They take seconds the first time, and milliseconds from then on. They are computed in the number
    format and layout of the run's epoch table, where this machine offers them.

    Args:
        run: a run with at least one epoch.
        which: weights, as for `load_model`.
        test: the images as arrays; None: MNIST's test images, downloaded if they are missing.

    Raises:
        RunError: there are no weights yet, they don't fit, or the outputs are not finite.
        DataError: the test images cannot be loaded.
    """
    if test is None:
        from core.data.dataset import load

        test = load().test.to_numpy()
    images, labels = test.images, test.labels
    form = resolve_format(run)
    path = run.folder.parent / FOLDER / f"{_hash(run, [which], form, images)}.npz"
    probabilities = _read(path, "probabilities", (len(images), 10), np.float32)
    if probabilities is not None:
        return Predictions(probabilities, labels)
    try:
        predictions = predict_run(run, test, which, form)
    except UserError as error:
        raise RunError(f"{run.name} cannot predict: {error}") from None
    _write(path, probabilities=predictions.probabilities)
    return predictions


def load_learning(
    run: Run, test: LabelledImages, report: Callable[[int, int], None] = lambda done, total: None
) -> Learning:
    """Return what a run predicted for the test images after each of its kept epochs.

    It takes about as long as that many calls of `load_predictions` the first time.

    Args:
        run: a run with at least one kept epoch.
        test: the test images.
        report: called after each epoch with the number of epochs done and that of all.

    Raises:
        RunError: as `load_predictions`.
    """
    epochs, form = run.list_kept_epochs(), resolve_format(run)
    if not epochs:
        raise RunError(f"{run.name} has no weights yet.")
    path = run.folder.parent / FOLDER / f"{_hash(run, epochs, form, test.images)}.npz"
    predicted = _read(path, "predicted", (len(epochs), len(test.images)), np.uint8)
    if predicted is None:
        rows = []
        for epoch in epochs:
            try:
                rows.append(predict_run(run, test, epoch, form).predicted.astype(np.uint8))
            except UserError as error:
                raise RunError(f"{run.name} cannot predict: {error}") from None
            report(len(rows), len(epochs))
        predicted = np.stack(rows)
        _write(path, predicted=predicted)
    return Learning(np.array(epochs), predicted, test.labels)


def _hash(run: Run, weights: Sequence[str | int], form: Format, images: npt.NDArray[Any]) -> str:
    key = hashlib.blake2b(digest_size=16)
    for which in weights:
        try:
            key.update(run.weights_path(which).read_bytes())
        except OSError as error:
            raise RunError(
                f"{run.name} cannot predict: its weights cannot be read ({error.strerror})."
            ) from None
    key.update(json.dumps([dict(row) for row in rows_of(run.config)], sort_keys=True).encode())
    key.update(f"{form.device} {form.precision} {form.layout}".encode())
    key.update(np.ascontiguousarray(images).data)
    return key.hexdigest()


def _read(path: Path, name: str, shape: tuple[int, int], dtype: type) -> Any:
    """Return a stored array; None where the file is missing or damaged, or holds another one."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            stored = arrays[name]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    is_valid = stored.shape == shape and stored.dtype == dtype
    return stored if is_valid and np.isfinite(stored).all() else None


def _write(path: Path, **arrays: npt.NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its other parameter is a bool
    # Where this cannot be written, the predictions are only computed again another time.
    with contextlib.suppress(OSError, RunError):
        path.parent.mkdir(exist_ok=True)
        files.write_bytes(path, buffer.getvalue())
        files.remove_partial_files(path.parent)
        stored = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for old in stored[:-MAX_FILES]:
            old.unlink()
