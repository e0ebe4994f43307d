"""Snapshot: a run of a stack as it was at one step, for writing files while training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.runtime import Runtime
from core.training.trainer import Training


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run's files are written from; the names are those of `Training`."""

    epoch: int
    step: int
    steps: int
    rate_factor: float
    runtime: Runtime
    state: dict[str, Any]
    averaged: dict[str, Tensor]

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on."""
        return self.state

    def weights(self) -> dict[str, Tensor]:
        """Return the weights to save."""
        return self.averaged


def take_snapshot(run: Training) -> Snapshot:
    """Copy a run to the CPU.

    Args:
        run: as `StackedTraining.store` returns it.
    """
    return Snapshot(
        run.epoch,
        run.step,
        run.steps,
        run.rate_factor,
        run.runtime,
        _to_cpu(run.state_dict()),
        _to_cpu(run.weights()),
    )


def _to_cpu(value: Any) -> Any:
    """Return a nested value with copies of its tensors on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_cpu(item) for item in value]
    return value
