"""Which runs can train as one batched computation. Must not import torch."""

from __future__ import annotations

import json

from core.config import RunConfig

# Fields in which the networks of a stack may differ: numbers that each network has for itself.
MAY_DIFFER = (
    "seed",
    "initialisation",
    "schedule",
    "lr",
    "max_lr",
    "warmup",
    "anneal",
    "gamma",
    "momentum_cycle",
    "momentum",
    "weight_decay",
    "threads",
)


def stacking_key(config: RunConfig) -> str:
    """Return a text that is the same for two configs if their networks can train as one stack."""
    values = {name: value for name, value in config.to_dict().items() if name not in MAY_DIFFER}
    if config.optimizer == "sgd":  # whether there is a momentum decides what the optimizer keeps
        values["momentum"] = config.momentum > 0
    return json.dumps(values, sort_keys=True)


def can_stack(config: RunConfig) -> bool:
    """Return whether a run can be one of a stack: it leaves the number format open, or takes fp32.

    A stack computes in float32.
    """
    return config.precision != "bf16"
