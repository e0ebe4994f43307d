"""The check of a whole run before it starts: every field, name and row, without loading torch."""

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
    """A run that can be trained: its config with the rows and transforms that its names stand for."""

    config: RunConfig
    rows: tuple[dict[str, Any], ...]
    transforms: tuple[dict[str, Any], ...]
    parameters: int
    multiply_adds: int
    """For one image."""


def plan(config: RunConfig, limits: Limits | None = None) -> Plan:
    """Look up what the config names and check that it makes a run.

    Args:
        config: the run.
        limits: what the machine lends; None: any size.

    Raises:
        ConfigError: an unknown architecture or augmentation, a wrong transform, or a batch too small to normalise.
        ArchitectureError: rows that make no network; names the row.
        LimitError: larger than the limits allow.
    """
    rows = rows_of(config)
    layers = trace(rows)
    parameters = sum(layer.parameters for layer in layers)
    smallest, left = min_batch_size(layers), config.training_images
    if smallest > 1 and (config.batch_size < smallest or left % config.batch_size == 1):
        raise ConfigError(
            f"batch_size is {config.batch_size}, which leaves a batch of one image, and this network's "
            "normalisation needs two; choose another batch size."
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
