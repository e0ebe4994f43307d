"""The story's sentences follow from the figures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from core.data.augmenter import Augmenter
from core.data.presets import transforms_of
from core.errors import RunError
from core.recipes import RECIPES
from core.reports import story
from core.runs.run import Run
from core.training.effects import unused_fields
from tests.made import made_run


@pytest.fixture
def run(tmp_path) -> Run:
    return made_run(tmp_path, "final", done=15, recipe="final", **RECIPES["final"].config.to_dict())


def ending(run: Run, train: int, val: int, **row) -> Run:
    """The run with these numbers of correct predictions in its last epoch."""
    last = dataclasses.replace(run.epochs[-1], train_correct=train, val_correct=val, **row)
    return dataclasses.replace(run, epochs=(*run.epochs[:-1], last))


@pytest.mark.parametrize("name", [name for name in story.CHAPTERS if RECIPES[name].shipped])
def test_the_shipped_runs_are_those_of_their_recipes(name):
    run = story.open_shipped_run(name)
    assert run.name == run.recipe == name
    assert run.config == RECIPES[name].config


def test_a_missing_or_damaged_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="missing"):
        story.open_shipped_run("initial", tmp_path)
    (tmp_path / "initial").mkdir()
    with pytest.raises(RunError, match="damaged"):
        story.open_shipped_run("initial", tmp_path)
    made_run(tmp_path, "final", done=0, state="stopped")
    with pytest.raises(RunError, match="no epoch"):
        story.open_shipped_run("final", tmp_path)


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        (59_980, 9_920, "overfits by 0.77 points"),
        (59_500, 9_915, "generalises"),
        (58_800, 9_920, "does not overfit"),
    ],
)
def test_overfitting_follows_from_the_figures(run, train, val, words):
    text = story.describe_fit(ending(run, train, val))
    assert words in text[1]
    assert f"{60_000 - train:,} errors on the 60,000" in text[0]
    assert f"{10_000 - val:,} on the 10,000 test images" in text[0]


def test_a_risen_loss_is_described_with_its_minimum(run):
    lowest = run.epochs[6]
    text = story.describe_fit(
        ending(run, 59_980, 9_920, val_loss=1.2 * min(row.val_loss for row in run.epochs[:-1]))
    )
    assert "after epoch 14" in text[2]
    assert "20 %" in text[2]
    assert len(story.describe_fit(run)) == 2, f"it fell to the end, below {lowest.val_loss}"


def test_sizes_are_compared(tmp_path, run):
    first = made_run(tmp_path, "first", architecture="initial")
    text = story.describe_size(run, first)
    assert "3,762 parameters instead of 16,530" in text
    assert "23 %" in text
    assert "4,238 below" in text
    assert "8,530 above" in story.describe_size(first)
    assert "unchanged" in story.describe_size(run, run)
    assert "16,530 parameters instead of 3,762" in story.describe_size(first, run)


def test_the_gap_moves(run):
    was, now = ending(run, 59_980, 9_920), ending(run, 59_500, 9_915)
    assert "from +0.77 to +0.02 points" in story.describe_gap_change(now, was)
    assert "no clear change" in story.describe_gap_change(was, was)


def test_epochs_with_and_without_augmentation_are_distinguished(run):
    text = story.describe_augmentation(run)
    assert story.augmented_epochs(run.config) == 13
    assert "In epoch 13" in text[0]
    assert f"{run.epochs[12].train_accuracy:.2f} %" in text[0]
    assert "The last 2 epochs" in text[1]


@pytest.mark.parametrize(
    ("augmentation", "percent"),
    [("final", 75), ("stretch-whole", 90), ("affine", 100), ("none", 0)],
)
def test_the_transformed_fraction_is_that_of_the_augmenter(run, augmentation, percent):
    config = run.config.changed(augmentation=augmentation)
    assert story.transformed_fraction(config) == pytest.approx(percent / 100)
    images = np.random.default_rng(1).integers(20, 200, (600, 28, 28), np.uint8)
    changed = (Augmenter(transforms_of(config), 1)(images) != images).any((1, 2)).mean()
    assert 100 * changed == pytest.approx(percent, abs=5)
    if percent:
        assert f"{percent} % of the training images" in story.describe_augmented_epochs(config)


def test_a_new_network_or_schedule_is_found(run):
    config = run.config
    assert story.has_new_network(config, None)
    assert not story.has_new_network(config, config.changed(architecture="original-3762", seed=5))
    assert story.has_new_network(config, config.changed(architecture="initial"))
    assert story.has_new_schedule(config, None)
    assert not story.has_new_schedule(config, config.changed(momentum=0.5))
    assert story.has_new_schedule(config, config.changed(max_lr=0.2))
    constant = config.changed(schedule="constant", lr=0.02, max_lr=0.3)
    assert not story.has_new_schedule(constant, constant.changed(max_lr=0.4)), "it has no peak"
    assert "0.02" in story.describe_schedule(constant)
    assert "0.1" in story.describe_schedule(config)


def test_augmentation_of_all_epochs_and_of_none(tmp_path):
    whole = made_run(tmp_path, "whole", augmentation="final-moves", done=4)
    assert len(story.describe_augmentation(whole)) == 1
    none = made_run(tmp_path, "none", done=4)
    assert story.augmented_epochs(none.config) == 0
    assert "not augmented" in story.describe_augmentation(none)[0]
    stopped = made_run(
        tmp_path, "stopped", augmentation="final-moves", augment_fraction=0.9, done=2, epochs=10
    )
    assert "In epoch 2" in story.describe_augmentation(stopped)[0]


@pytest.mark.parametrize(
    ("correct", "essence", "unsure"),
    [
        (9_932, "0.08 points below the goal of 99.4 %: 8 images of 10,000", True),
        (9_939, "0.01 points below the goal of 99.4 %: 1 image of", True),
        (9_941, "reaches the goal", True),
        (9_970, "reaches the goal", False),
        (9_800, "1.40 points below the goal of 99.4 %: 140 images", False),
    ],
)
def test_the_goal_comes_with_its_confidence_interval(run, correct, essence, unsure):
    text = story.describe_goal(ending(run, 59_500, correct))
    assert essence in text
    assert ("one run cannot show" in text) == unsure


def test_a_network_that_is_too_large_reaches_no_goal(tmp_path):
    assert "too large" in story.describe_goal(
        ending(made_run(tmp_path, "large", architecture="initial"), 60_000, 9_990)
    )


def test_changes_name_the_settings_that_matter(run):
    was = run.config.changed(momentum=0.5, temperature=7.0)
    assert "temperature" in unused_fields(run.config)
    assert story.changed_settings(run.config, was) == {"momentum": (0.5, run.config.momentum)}
