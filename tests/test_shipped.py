"""The shipped runs: trained by their recipes, with the accuracy on MNIST that they report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.data import qmnist
from core.recipes import RECIPES
from core.reports.report import write_markdown
from core.runs import prediction_cache
from core.runs.evaluation import describe_deviation
from core.runs.prediction_cache import load_predictions
from core.runs.store import open_run

FOLDER = Path(__file__).parents[1] / "checkpoints"
SHIPPED = [name for name, recipe in RECIPES.items() if recipe.shipped]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> Path:
    """The shipped runs, without predictions that other code may have made."""
    folder = tmp_path_factory.mktemp("shipped") / "checkpoints"
    unwanted = shutil.ignore_patterns(prediction_cache.FOLDER)
    return Path(shutil.copytree(FOLDER, folder, ignore=unwanted))


@pytest.mark.parametrize("name", SHIPPED)
def test_it_was_trained_by_its_recipe(name):
    run = open_run(name, FOLDER)
    assert run.state == "finished"
    assert run.recipe == name
    assert run.config == RECIPES[name].config
    assert len(run.epochs) == run.config.epochs
    assert run.runtime.train_images == 60_000


@pytest.mark.mnist
@pytest.mark.parametrize("name", SHIPPED)
def test_its_weights_reach_what_its_table_says(name, shipped, mnist):
    run, test = open_run(name, shipped), mnist.test.to_numpy()
    # Another processor may round differently, and so change a few images.
    images, relative = (1, 1e-3) if run.runtime.precision == "fp32" else (3, 0.02)
    for which, row in (("last", run.last), ("best", run.best)):
        predictions = load_predictions(run, which, test)
        correct = len(test) - predictions.error_count
        assert abs(correct - row.val_correct) <= images
        assert float(predictions.loss.mean()) == pytest.approx(row.val_loss, rel=relative)
        assert bool(describe_deviation(run, predictions, which)) == (correct != row.val_correct)


@pytest.mark.mnist
@pytest.mark.parametrize("name", SHIPPED)
def test_its_report_tells_what_the_run_holds(name, shipped, mnist, monkeypatch):
    # The shipped reports were made without QMNIST, which is not on every machine.
    monkeypatch.setattr(qmnist, "is_present", lambda: False)
    kept, made = (
        sections(text)
        for text in (
            (FOLDER / name / "report.md").read_text(),
            write_markdown(open_run(name, shipped)),
        )
    )
    assert list(kept) == list(made)
    for title, text in kept.items():
        # Another processor may round another way, and tip an image or two of what the network was
        # asked anew.
        answers = title.startswith("Changes since") or title == "What it gets wrong"
        assert len(text.splitlines()) == len(made[title].splitlines())
        assert answers or text == made[title]


def sections(text: str) -> dict[str, str]:
    """The sections of a report by their titles."""
    parts = text.split("\n## ")
    return {"": parts[0]} | {part.split("\n")[0]: part for part in parts[1:]}


def test_each_step_of_the_story_is_smaller_or_better():
    initial, intermediate, taught = (
        open_run(name, FOLDER) for name in ("initial", "intermediate", "taught")
    )
    assert (
        initial.runtime.parameters
        > intermediate.runtime.parameters
        == taught.runtime.parameters
        == 3_762
    )
    assert taught.last.val_accuracy > initial.last.val_accuracy
