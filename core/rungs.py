"""Rungs: the changes that lead from `final-published` to `final` and on to `taught`, one at a time.

A rung's config is that of the rung before with a few fields changed. The last rung without a
teacher trains as the recipe `final` does, the last one as `taught`. What each change bought is
measured over several seeds (`core.experiments.measurements`).
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
    "batch-64": Rung(
        "Batches of 64",
        "Averaging the gradient over twice as many images makes each step less noisy.",
        {"batch_size": 64},
    ),
    "no-dropout": Rung(
        "No dropout",
        "A network this small underfits, so it has no neurons to spare.",
        {"dropout": 0.0},
    ),
    "averaged": Rung(
        "Averaged weights",
        "An average over the last steps lies closer to the minimum that the steps circle around.",
        {"ema_decay": 0.998},
    ),
    "stretched": Rung(
        "Stretched digits",
        "Handwriting differs more in width than in size, so width and height are scaled "
        "independently.",
        {"augmentation": "stretch"},
    ),
    "plain-end": Rung(
        "Plain images at the end",
        "The last epochs train on images as they are in the test set, without augmentation.",
        {"augment_fraction": 0.87},
    ),
    "muon": Rung(
        "Muon",
        "Muon orthogonalises each update, so that all directions of a layer's weights learn.",
        {"optimizer": "muon", "initialisation": "he", "momentum": 0.9},
    ),
    "distilled": Rung(
        "A teacher",
        "A larger network's predictions say more about an image than its label.",
        {
            "teacher": "teacher",
            "teacher_share": 0.9,
            "temperature": 2.0,
            "augmentation": "stretch-whole",
        },
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
