"""Which fields of a config have no effect under its other fields. Must not import torch.

The page's controls hide or disable these fields, and the command line warns about their options.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from core.config import NO_DIGITS, RunConfig
from core.data.presets import transforms_of
from core.errors import UserError
from core.models.architectures import rows_of

# The fields that each schedule takes into account; `core.training.schedules` computes the rates.
_SCHEDULE_FIELDS = {
    "constant": {"lr"},
    "one-cycle": {"max_lr", "warmup", "anneal", "momentum_cycle"},
    "original-one-cycle": {"lr", "max_lr"},
    "cosine": {"lr"},
    "triangle": {"lr", "max_lr", "warmup"},
    "exponential": {"lr", "gamma"},
}
_OTHER_RATE = {"lr": "max_lr", "max_lr": "lr"}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a field has no effect.

    Args:
        field: the field whose value is the cause.
        instead: the field that counts instead; empty: none.
    """

    field: str
    instead: str = ""


def rate_fields(schedule: str) -> set[str]:
    """The learning rates that a schedule uses: `lr`, `max_lr` or both."""
    return _SCHEDULE_FIELDS[schedule] & set(_OTHER_RATE)


def unused_fields(config: RunConfig) -> dict[str, Cause]:
    """The fields that have no effect on a run of this config, with the cause of each."""
    unused: dict[str, Cause] = {}
    used = _SCHEDULE_FIELDS[config.schedule]
    for name in sorted(set().union(*_SCHEDULE_FIELDS.values()) - used):
        unused[name] = Cause("schedule", _OTHER_RATE.get(name, ""))

    if config.optimizer == "adadelta":
        unused["momentum"] = unused["momentum_cycle"] = Cause("optimizer")
    elif config.momentum_cycle and "momentum_cycle" in used:
        unused["momentum"] = Cause("momentum_cycle")
    if config.optimizer != "sgd":
        unused["nesterov"] = Cause("optimizer")
    elif config.momentum == 0:
        unused["nesterov"] = Cause("momentum")

    if not config.teachers:
        unused["teacher_share"] = unused["temperature"] = Cause("teacher")
    elif config.teacher_share == 0:
        unused["temperature"] = Cause("teacher_share")
    elif config.teacher_share == 1:
        unused["label_smoothing"] = Cause("teacher_share")

    if config.digits == NO_DIGITS:
        unused["digits_share"] = unused["digits_test_share"] = Cause("digits")
    if config.holdout == 0 and (config.digits == NO_DIGITS or not config.digits_test_share):
        unused["holdout_seed"] = Cause("holdout")
    if config.layers:
        unused["architecture"] = Cause("layers")
    if config.transforms:
        unused["augmentation"] = Cause("transforms")
    # An unknown name or a wrong row is the business of `core.training.plan`.
    with contextlib.suppress(UserError):
        if not transforms_of(config):
            unused["augment_fraction"] = Cause("augmentation")
    with contextlib.suppress(UserError):
        if not any(row["kind"] == "dropout" and row["p"] is None for row in rows_of(config)):
            unused["dropout"] = Cause("layers" if config.layers else "architecture")
    return unused
