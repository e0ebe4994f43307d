"""Which runs can train as one batched computation. Must not import torch."""

from __future__ import annotations

import json

from core.config import NO_DIGITS, RunConfig
from core.models.architectures import rows_of
from core.models.shapes import trace

MAX_CHANNELS = 16  # of a convolution of one network, as in `core.models.stacked.conv_kernels`
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
    "kept_epochs",
    "threads",
)


def stacking_key(config: RunConfig) -> str:
    """Return a text that is the same for two configs if their networks can train as one stack."""
    values = {name: value for name, value in config.to_dict().items() if name not in MAY_DIFFER}
    if config.optimizer == "sgd":  # whether there is a momentum decides what the optimizer keeps
        values["momentum"] = config.momentum > 0
    return json.dumps(values, sort_keys=True)


def can_stack(config: RunConfig) -> bool:
    """Return whether a run can be one of a stack, and gains by it.

    A stack computes on the images of MNIST alone.
    """
    return config.digits == NO_DIGITS and has_few_channels(config)


def has_few_channels(config: RunConfig) -> bool:
    """Return whether the kernels of stacked networks are made for a run.

    They compute in float32 and are made for few channels; wide convolutions are no faster by them.
    """
    if config.precision == "bf16":
        return False
    return all(
        max(layer.input_shape[0], layer.row["channels"]) <= MAX_CHANNELS
        or layer.row["kernel"] == 1
        or layer.row["groups"] == layer.input_shape[0]
        for layer in trace(rows_of(config))
        if layer.row["kind"] == "conv"
    )
