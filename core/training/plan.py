"""The check of a whole run before it starts: every field, name and row, without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.config import Limits, RunConfig
from core.data.augmentations import transforms_of
from core.models.architectures import rows_of
from core.models.shapes import trace


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that can be trained: its config with the rows and transforms that its names stand for."""

    config: RunConfig
    rows: tuple[dict[str, Any], ...]
    transforms: tuple[dict[str, Any], ...]
    parameters: int


def plan(config: RunConfig, limits: Limits | None = None) -> Plan:
    """Look up what the config names and check that it makes a run.

    Args:
        config: the run.
        limits: what the machine lends; None: any size.

    Raises:
        ConfigError: an unknown architecture or augmentation, or a wrong transform.
        ArchitectureError: rows that make no network; names the row.
        LimitError: larger than the limits allow.
    """
    rows = rows_of(config)
    parameters = sum(layer.parameters for layer in trace(rows))
    if limits is not None:
        limits.check(config, parameters)
    return Plan(config, rows, transforms_of(config), parameters)
