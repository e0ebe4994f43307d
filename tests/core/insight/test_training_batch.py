"""The batch that is shown is the batch that is learnt from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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


def seen(config, digits, monkeypatch) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """What the trainer hands to the network in every step, both counted from 1."""
    found: list[torch.Tensor] = []
    whole = trainer.normalise
    monkeypatch.setattr(
        trainer,
        "normalise",
        lambda images, *rest: found.append(images.clone()) or whole(images, *rest),
    )
    monkeypatch.setattr(trainer, "evaluate", lambda *rest: (1.0, 1))
    targets: list[torch.Tensor] = []
    loss = trainer.F.nll_loss
    monkeypatch.setattr(
        trainer.F,
        "nll_loss",
        lambda said, labels, *rest, **more: (
            targets.append(labels.clone()) or loss(said, labels, *rest, **more)
        ),
    )
    places = [
        (result.epoch, result.step)
        for result in Training(config, digits).run()
        if hasattr(result, "steps")
    ]
    return {
        place: (images.numpy(), labels.numpy())
        for place, images, labels in zip(places, found, targets, strict=True)
    }


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
def test_it_is_exactly_what_is_trained_on(changes, digits, monkeypatch):
    config = TINY.changed(**changes)
    all_seen = seen(config, digits, monkeypatch)
    assert len(all_seen) == config.epochs * -(-(600 - config.holdout) // config.batch_size)
    for place in [*all_seen][::5] + [*all_seen][-1:]:
        batch = batch_at(config, digits.train.to_numpy(), *place)
        np.testing.assert_array_equal(batch.images, all_seen[place][0])
        np.testing.assert_array_equal(batch.labels, all_seen[place][1])


@pytest.mark.parametrize(("epoch", "step"), [(0, 1), (1, 0), (4, 1), (1, 20)])
def test_a_step_that_is_none_is_refused(epoch, step, digits):
    with pytest.raises(DataError, match="3 epochs of 19 steps"):
        batch_at(TINY, digits.train.to_numpy(), epoch, step)


def test_validation_images_are_those_of_the_trainer(digits):
    for config in (TINY, TINY.changed(holdout=100, holdout_seed=2)):
        mine = validation(config, digits.train.to_numpy(), digits.test.to_numpy())
        theirs = Training(config, digits).validation
        np.testing.assert_array_equal(mine.images, theirs.images.numpy())
        np.testing.assert_array_equal(mine.labels, theirs.labels.numpy())
