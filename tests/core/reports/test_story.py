"""The story in words: they follow from the figures, and claim no more than those."""

from __future__ import annotations

import dataclasses

import pytest

from core.errors import RunError
from core.recipes import RECIPES
from core.reports import story
from core.runs.run import Run
from tests.made import made_run


@pytest.fixture
def run(tmp_path) -> Run:
    return made_run(tmp_path, "final", done=15, recipe="final", **RECIPES["final"].config.to_dict())


def ending(run: Run, train: int, val: int, **row) -> Run:
    """The run with so many images right after its last epoch."""
    last = dataclasses.replace(run.epochs[-1], train_correct=train, val_correct=val, **row)
    return dataclasses.replace(run, epochs=(*run.epochs[:-1], last))


@pytest.mark.parametrize("name", story.PATH)
def test_the_shipped_runs_are_told(name):
    run = story.told(name)
    assert run.name == run.recipe == name
    assert run.config == RECIPES[name].config


def test_what_is_not_there_or_damaged_is_named(tmp_path):
    with pytest.raises(RunError, match="no longer here"):
        story.told("initial", tmp_path)
    (tmp_path / "initial").mkdir()
    with pytest.raises(RunError, match="damaged"):
        story.told("initial", tmp_path)
    made_run(tmp_path, "final", done=0, state="stopped")
    with pytest.raises(RunError, match="no epoch"):
        story.told("final", tmp_path)


@pytest.mark.parametrize(
    ("train", "val", "words"),
    [
        (59_980, 9_920, "It overfits, by 0.77 points"),
        (59_500, 9_915, "holds for other images"),
        (58_800, 9_920, "does not overfit"),
    ],
)
def test_overfitting_is_what_the_figures_say(run, train, val, words):
    told = story.learnt(ending(run, train, val))
    assert words in told[1]
    assert f"misread {60_000 - train:,} of the 60,000" in told[0]
    assert f"{10_000 - val:,} of the 10,000 test images" in told[0]


def test_a_loss_that_rose_is_told_with_its_lowest_point(run):
    lowest = run.epochs[6]
    told = story.learnt(
        ending(run, 59_980, 9_920, val_loss=1.2 * min(row.val_loss for row in run.epochs[:-1]))
    )
    assert "after epoch 14" in told[2]
    assert "20 %" in told[2]
    assert len(story.learnt(run)) == 2, f"it fell to the end, below {lowest.val_loss}"


def test_what_a_network_saves(tmp_path, run):
    first = made_run(tmp_path, "first", architecture="initial")
    assert story.size(run, first) == (
        "12,768 parameters are saved: 3,762 are left, 23 % of before and 4,238 below "
        "the goal's 8,000."
    )
    assert "8,530 above" in story.size(first)
    assert "the same network" in story.size(run, run)
    assert "16,530 parameters after 3,762" in story.size(first, run)


def test_the_gap_moves(run):
    was, now = ending(run, 59_980, 9_920), ending(run, 59_500, 9_915)
    assert (
        story.gap_moved(now, was)
        == "The gap between training and other images went from +0.77 to +0.02 points."
    )
    assert "next to nothing" in story.gap_moved(was, was)


def test_augmentation_is_told_apart_from_the_epochs_without_it(run):
    told = story.augmentation(run)
    assert story.augmented_epochs(run) == 13
    assert told[0].startswith(
        "In epoch 13, the last with augmented images, it was right on "
        f"{run.epochs[12].train_accuracy:.2f} % of them"
    )
    assert "The last 2 epochs see the images as they are" in told[1]


def test_augmentation_to_the_end_and_none_at_all(tmp_path):
    whole = made_run(tmp_path, "whole", augmentation="final-moves", done=4)
    assert len(story.augmentation(whole)) == 1
    none = made_run(tmp_path, "none", done=4)
    assert story.augmented_epochs(none) == 0
    assert "not augmented" in story.augmentation(none)[0]
    stopped = made_run(
        tmp_path, "stopped", augmentation="final-moves", augment_fraction=0.9, done=2, epochs=10
    )
    assert "In epoch 2" in story.augmentation(stopped)[0]


@pytest.mark.parametrize(
    ("right", "words", "unsure"),
    [
        (9_932, "misses the goal of 99.4 % by 0.08 points, 8 images of 10,000", True),
        (9_939, "by 0.01 points, 1 image of 10,000", True),
        (9_941, "it reaches the goal", True),
        (9_970, "it reaches the goal", False),
        (9_800, "misses the goal of 99.4 % by 1.40 points, 140 images", False),
    ],
)
def test_the_goal_comes_with_its_doubt(run, right, words, unsure):
    told = story.goal(ending(run, 59_500, right))
    assert words in told
    assert ("one run cannot tell" in told) == unsure


def test_a_network_that_is_too_large_reaches_no_goal(tmp_path):
    assert "too large" in story.goal(
        ending(made_run(tmp_path, "large", architecture="initial"), 60_000, 9_990)
    )


def test_changes_name_the_settings(run):
    was = dataclasses.replace(run, config=run.config.changed(momentum=0.5))
    assert story.changes(run, was) == {"momentum": (0.5, RECIPES["final"].config.momentum)}
