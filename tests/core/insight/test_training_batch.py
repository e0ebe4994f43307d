"""The batch that is shown is the batch that is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import RunConfig
from core.errors import DataError
from core.insight.training_batch import batch_at, validation
from core.training import trainer
from core.training.trainer import Training

TINY = RunConfig(
    architecture="linear-7850",
    batch_size=32,
    epochs=3,
    max_lr=0.01,
    device="cpu",
    precision="fp32",
    threads=1,
    seed=4,
)


def record_batches(
    config, digits, monkeypatch
) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """Images and labels of every training step, by epoch and step from 1."""
    monkeypatch.setattr(trainer, "evaluate", lambda *rest: (1.0, 1))
    training = Training(config, digits)
    compute, batches = training.compute, []

    def record(images, labels, teacher_logits):
        batches.append((images.numpy().copy(), labels.numpy().copy()))
        return compute(images, labels, teacher_logits)

    record.loss_sum, record.correct = compute.loss_sum, compute.correct
    training.compute = record
    places = [(result.epoch, result.step) for result in training.run() if hasattr(result, "steps")]
    return dict(zip(places, batches, strict=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"augmentation": "none"},
        {"augmentation": "final"},
        {"augmentation": "strong", "holdout": 100, "holdout_seed": 3},
        {"augmentation": "affine", "augment_fraction": 0.7, "batch_size": 50},
        {"transforms": ({"kind": "affine", "rotate": 30.0, "p": 1.0},), "batch_size": 601},
    ],
    ids=["plain", "final", "hold-out", "partly augmented", "one batch"],
)
def test_batches_equal_those_of_the_trainer(changes, digits, monkeypatch):
    config = TINY.changed(**changes)
    batches = record_batches(config, digits, monkeypatch)
    assert len(batches) == config.epochs * -(-(600 - config.holdout) // config.batch_size)
    for place in [*batches][::5] + [*batches][-1:]:
        batch = batch_at(config, digits.train.to_numpy(), *place)
        np.testing.assert_array_equal(batch.images, batches[place][0])
        np.testing.assert_array_equal(batch.labels, batches[place][1])


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 0), (4, 1), (1, 20)])
def test_a_step_outside_the_run_is_refused(epoch, step, digits):
    with pytest.raises(DataError, match="3 epochs of 19 steps"):
        batch_at(TINY, digits.train.to_numpy(), epoch, step)


def test_validation_images_are_those_of_the_trainer(digits):
    for config in (TINY, TINY.changed(holdout=100, holdout_seed=2)):
        mine = validation(config, digits.train.to_numpy(), digits.test.to_numpy())
        theirs = Training(config, digits).validation
        np.testing.assert_array_equal(mine.images, theirs.images.numpy())
        np.testing.assert_array_equal(mine.labels, theirs.labels.numpy())
