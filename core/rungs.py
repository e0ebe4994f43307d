"""Rungs: the changes that lead from `final-published` to `final` and on to `taught`, one at a time.

A rung's config is that of the rung before with a few fields changed. One of them trains as the
recipe `final` does, the last one as `taught`. The effect of each change is measured over several
seeds (`core.experiments.measurements`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config import RunConfig
from core.errors import ConfigError, listed
from core.recipes import RECIPES
from core.schema import shown

START = "final-published"  # the recipe below the first rung


@dataclass(frozen=True, slots=True)
class Rung:
    """A change of the config.

    Args:
        title: its name on pages.
        summary: one sentence on why it was tried.
        changes: the fields that change against the rung before, with their new values.
    """

    title: str
    summary: str
    changes: Mapping[str, Any]


# In order. A rung's name is also that of its runs, so it must not be a recipe's.
RUNGS: dict[str, Rung] = {
    "averaged": Rung(
        "Averaged weights",
        "The average of the weights over the last steps lies closer to the minimum that the steps "
        "circle around.",
        {"ema_decay": 0.999},
    ),
    "no-dropout": Rung(
        "No dropout",
        "A network this small underfits, so it has no activations to spare.",
        {"dropout": 0.0},
    ),
    "muon": Rung(
        "Muon",
        "Muon orthogonalises each update, so that all directions of a layer's weights learn. It "
        "keeps the norm of the initial weights, which is that of He's initialisation here.",
        {"optimizer": "muon", "initialisation": "he", "momentum": 0.9},
    ),
    "batch-64": Rung(
        "Batches of 64",
        "The gradient of twice as many images is less noisy, and the run takes half as many steps. "
        "The moving average spans as many images as before.",
        {"batch_size": 64, "ema_decay": 0.998},
    ),
    "plain-end": Rung(
        "Plain images at the end",
        "The last two epochs train without augmentation, on images like those of the test set.",
        {"augment_fraction": 0.87},
    ),
    "stretched": Rung(
        "Stretched digits",
        "Nine of ten images are transformed, with width and height scaled independently. That is "
        "much for a network this small to learn from labels, and gives a teacher more to explain.",
        {"augmentation": "stretch-whole"},
    ),
    "distilled": Rung(
        "A teacher",
        "A larger network's predictions say more about an image than its label.",
        {"teacher": "teacher", "teacher_share": 0.9, "temperature": 2.0},
    ),
}


def rung_configs() -> dict[str, RunConfig]:
    """The config of every rung, by name and in order."""
    config, configs = RECIPES[START].config, {}
    for name, rung in RUNGS.items():
        configs[name] = config = config.changed(**rung.changes)
    return configs


def rung_config(name: str) -> RunConfig:
    """The config of the rung of this name.

    Raises:
        ConfigError: there is none; the message lists the rungs.
    """
    if name not in RUNGS:
        raise ConfigError(f"there is no rung {shown(name)}; choose {listed(RUNGS)}.")
    return rung_configs()[name]
