"""What a run's network says of the 10,000 test images, made once and kept beside the runs. No torch at import.

checkpoints/.predictions/ holds one small file for each network that was asked, named by what went in: the weights, the
layers and the images. So it is never out of date, survives a restart, serves pages and the command line alike, and may
be deleted at any time.
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
from core.insight.mistakes import Predictions, predict_labelled
from core.models.architectures import rows_of
from core.runs import files
from core.runs.loading import load_model
from core.runs.run import Run

FOLDER = ".predictions"
MAX_FILES = 40  # files of 400 kB


def load_predictions(
    run: Run, which: str = "last", test: LabelledImages | None = None
) -> Predictions:
    """The probabilities that a run's network gives the test images, with labels, predicted digits and losses.

    It takes seconds the first time, on the CPU, and next to nothing from then on.

    Args:
        run: with at least one epoch.
        which: "last" or "best" weights.
        test: the test images as arrays; None: MNIST's, downloaded if they are missing.

    Raises:
        RunError: there are no weights yet, they don't fit, or the network gives no numbers.
        DataError: the test images cannot be had.
    """
    if test is None:
        from core.data.dataset import load

        test = load().test.to_numpy()
    images, labels = test.images, test.labels
    place = run.folder.parent / FOLDER / f"{_key(run, which, images)}.npz"
    kept = _read(place, len(images))
    if kept is not None:
        return Predictions(kept, labels)
    try:
        found = predict_labelled(load_model(run, which), images, labels)
    except UserError as error:
        raise RunError(f"{run.name} cannot be asked: {error}") from None
    _keep(place, found.probabilities)
    return found


def _key(run: Run, which: str, images: npt.NDArray[Any]) -> str:
    try:
        weights = run.weights_path(which).read_bytes()
    except OSError as error:
        raise RunError(
            f"{run.name} cannot be asked: its weights cannot be read ({error.strerror})."
        ) from None
    known = hashlib.blake2b(weights, digest_size=16)
    known.update(json.dumps([dict(row) for row in rows_of(run.config)], sort_keys=True).encode())
    known.update(np.ascontiguousarray(images).data)
    return known.hexdigest()


def _read(place: Path, count: int) -> npt.NDArray[np.float32] | None:
    """What was kept, if it is there and whole."""
    try:
        with np.load(io.BytesIO(place.read_bytes()), allow_pickle=False) as kept:
            probabilities = kept["probabilities"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = probabilities.shape == (count, 10) and probabilities.dtype == np.float32
    return probabilities if whole and np.isfinite(probabilities).all() else None


def _keep(place: Path, probabilities: npt.NDArray[Any]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, probabilities=probabilities)
    # A folder that cannot be written, or a full disk, only means that the network is asked again another time.
    with contextlib.suppress(OSError, RunError):
        place.parent.mkdir(exist_ok=True)
        files.write_bytes(place, buffer.getvalue())
        files.remove_partial_files(place.parent)
        for old in sorted(place.parent.glob("*.npz"), key=lambda path: path.stat().st_mtime)[
            :-MAX_FILES
        ]:
            old.unlink()
