"""Plan: a config with its names resolved and checked, before anything starts.

Must not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config import RunConfig
from core.data.presets import transforms_of
from core.errors import ConfigError
from core.limits import Limits
from core.models.architectures import rows_of
from core.models.memory import step_bytes
from core.models.shapes import min_batch_size, trace


@dataclass(frozen=True, slots=True)
class Plan:
    """A valid run: its config, with the layer rows and transforms of its names."""

    config: RunConfig
    rows: tuple[dict[str, Any], ...]
    transforms: tuple[dict[str, Any], ...]
    parameters: int
    multiply_adds: int
    """Per image."""


def plan(config: RunConfig, limits: Limits | None = None) -> Plan:
    """Resolve and check a config.

    Args:
        config: the run.
        limits: of the machine; None: no limits.

    Raises:
        ConfigError: unknown architecture or augmentation, invalid transform, or a batch too small
            for batch norm.
        ArchitectureError: the layer rows don't fit together; the message names the row.
        LimitError: the run is larger than the limits allow.
    """
    rows = rows_of(config)
    layers = trace(rows)
    parameters = sum(layer.parameters for layer in layers)
    smallest, left = min_batch_size(layers), config.training_images
    if smallest > 1 and (config.batch_size < smallest or left % config.batch_size == 1):
        raise ConfigError(
            f"batch_size is {config.batch_size}, which leaves a batch of one image, but batch norm "
            "needs at least two; choose another batch size."
        )
    if limits is not None:
        limits.check_run(
            batch_size=config.batch_size,
            epochs=config.epochs,
            parameters=parameters,
            step_bytes=step_bytes(layers, min(config.batch_size, config.training_images)),
        )
    return Plan(
        config,
        rows,
        transforms_of(config),
        parameters,
        sum(layer.multiply_adds for layer in layers),
    )
