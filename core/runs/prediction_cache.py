"""Predictions of runs on the test images, computed once and kept on the disk.

checkpoints/.predictions/ holds a file per network, named by a hash of its weights, layers, number
format and the images. So a file is never out of date, and may be deleted at any time. Must not
import torch at module level.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.labelled_images import LabelledImages
from core.errors import RunError, UserError
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
    path = run.folder.parent / FOLDER / f"{_hash(run, which, form, images)}.npz"
    probabilities = _read(path, len(images))
    if probabilities is not None:
        return Predictions(probabilities, labels)
    try:
        predictions = predict_run(run, test, which, form)
    except UserError as error:
        raise RunError(f"{run.name} cannot predict: {error}") from None
    _write(path, predictions.probabilities)
    return predictions


def _hash(run: Run, which: str | int, form: Format, images: npt.NDArray[Any]) -> str:
    try:
        weights = run.weights_path(which).read_bytes()
    except OSError as error:
        raise RunError(
            f"{run.name} cannot predict: its weights cannot be read ({error.strerror})."
        ) from None
    key = hashlib.blake2b(weights, digest_size=16)
    key.update(json.dumps([dict(row) for row in rows_of(run.config)], sort_keys=True).encode())
    key.update(f"{form.device} {form.precision} {form.layout}".encode())
    key.update(np.ascontiguousarray(images).data)
    return key.hexdigest()


def _read(path: Path, count: int) -> npt.NDArray[np.float32] | None:
    """Return the stored probabilities (count, 10); None where the file is missing or damaged."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            probabilities = arrays["probabilities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    is_valid = probabilities.shape == (count, 10) and probabilities.dtype == np.float32
    return probabilities if is_valid and np.isfinite(probabilities).all() else None


def _write(path: Path, probabilities: npt.NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, probabilities=probabilities)
    # Where this cannot be written, the predictions are only computed again another time.
    with contextlib.suppress(OSError, RunError):
        path.parent.mkdir(exist_ok=True)
        files.write_bytes(path, buffer.getvalue())
        files.remove_partial_files(path.parent)
        stored = sorted(path.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for old in stored[:-MAX_FILES]:
            old.unlink()
