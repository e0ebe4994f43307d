"""What each slide suggests to try: a sentence, and a link to a page with the settings made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.config import RunConfig
from core.data import transform_text
from core.data.presets import transforms_of
from core.models import row_text
from core.models.architectures import rows_of
from core.recipes import RECIPES
from core.reports.rungs import MeasuredStep
from core.rungs import START
from core.runs.run import Run
from pages.ui.train.lesson import settings_link


@dataclass(frozen=True)
class Try:
    """Something to try.

    Args:
        text: what to do, in one sentence.
        label: of the button that opens the page.
        page: name in the address.
        query: what the page's link holds.
    """

    text: str
    label: str
    page: str
    query: Mapping[str, str | Sequence[str]]


def draw(network: str) -> Try:
    """Draw digits that a network may misread."""
    text = "Draw a digit that you can read and the network cannot."
    return Try(text, "Draw", "draw", {"network": network})


def change_network(run: Run, before: Run | None) -> Try:
    """Change a network on Model, beside the one before."""
    query = {"net": row_text.to_text(rows_of(run.config))}
    if before is not None and not before.config.layers:
        query["beside"] = before.config.architecture
    return Try(
        "Halve the channels of a row. How does the number of parameters change?",
        "Model",
        "model",
        query,
    )


def augment(config: RunConfig) -> Try:
    """Change the transforms of the training images."""
    query = {"part": "Augmentation", "transforms": transform_text.to_text(transforms_of(config))}
    return Try(
        "Make the transforms stronger until you misread a digit yourself.", "Data", "data", query
    )


def change_rate(run: Run) -> Try:
    """Change the learning rate on Train."""
    text = "Change the peak learning rate, and train. How does the accuracy change?"
    return Try(text, "Train", "train", _settings(run.config, run.name))


def train(run: Run) -> Try:
    """Train the recipe for one epoch."""
    config = run.config.changed(epochs=1)
    text = "Train it for one epoch. How close does it come to this accuracy?"
    return Try(text, "Train", "train", _settings(config, run.name))


def compare_curves(run: Run, before: Run | None) -> Try:
    """Look at the curves of a run and the one before."""
    names = [each.name for each in (before, run) if each is not None]
    text = (
        "From which epoch on do the training and the test curve diverge?"
        if before is None
        else "Put the curves of both runs into one chart. Where do they diverge?"
    )
    return Try(text, "Runs", "runs", {"select": names})


def train_rung(step: MeasuredStep) -> Try:
    """Train a step of the path with another random seed."""
    config = step.config.changed(seed=step.config.seed + 1)
    text = "Train it with another random seed. Where among the dots is its accuracy?"
    return Try(text, "Train", "train", _settings(config, START))


def train_recipe(name: str) -> Try:
    """Train a recipe several times."""
    text = (
        "Train the original's set-up with another random seed. How much does the accuracy differ?"
    )
    config = RECIPES[name].config.changed(seed=2)
    return Try(text, "Train", "train", _settings(config, name))


def look_inside(index: int, run: Run) -> Try:
    """Look at a test image inside a network."""
    query = {"digit": f"test-{index}", "network": run.name, "view": "Layers"}
    return Try("Follow the first of these digits through the network.", "Draw", "draw", query)


def compare_mistakes(run: Run, before: Run) -> Try:
    """Compare the mistakes of two runs."""
    query = {"show": "two runs", "run": before.name, "other": run.name}
    return Try("Which of the new mistakes would you have made, too?", "Mistakes", "mistakes", query)


def compare(first: Run, second: Run) -> Try:
    """Test whether two runs differ."""
    query = {"experiment": "Compare", "first": first.name, "second": second.name}
    text = "Is the difference between the first and the last run significant?"
    return Try(text, "Experiments", "experiments", query)


def _settings(config: RunConfig, recipe: str) -> dict[str, str]:
    return settings_link(config, recipe, None)
