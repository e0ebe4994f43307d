"""Snapshot: a run of a stack as it was at one step, for writing files while training goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.runtime import Runtime
from core.training.results import StepSizes
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
    step_sizes: StepSizes | None = None  # not measured of runs that train together

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
    found: list[Tensor] = []
    state = _take_out([run.state_dict(), run.weights()], found)
    copies = _copy_to_cpu(found)
    state_dict, averaged = _put_back(state, copies)
    return Snapshot(
        run.epoch, run.step, run.steps, run.rate_factor, run.runtime, state_dict, averaged
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Stands for a tensor by its number."""

    number: int


def _take_out(value: Any, found: list[Tensor]) -> Any:
    """Return a nested value with places for its tensors, which are appended to `found`."""
    if isinstance(value, Tensor):
        found.append(value.detach())
        return _Place(len(found) - 1)
    if isinstance(value, dict):
        return {key: _take_out(item, found) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_take_out(item, found) for item in value]
    return value


def _put_back(value: Any, tensors: Sequence[Tensor]) -> Any:
    """Return a nested value with tensors in their places."""
    if isinstance(value, _Place):
        return tensors[value.number]
    if isinstance(value, dict):
        return {key: _put_back(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_back(item, tensors) for item in value]
    return value


def _copy_to_cpu(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return copies on the CPU; those of one type and device are sent together."""
    copies: dict[int, Tensor] = {}
    kinds: dict[Any, list[int]] = {}
    for number, tensor in enumerate(tensors):
        kinds.setdefault((tensor.dtype, tensor.device), []).append(number)
    for numbers in kinds.values():
        together = torch.cat([tensors[number].reshape(-1) for number in numbers]).cpu()
        pieces = together.split([tensors[number].numel() for number in numbers])
        for number, piece in zip(numbers, pieces, strict=True):
            # Copies, since a view would be saved with all that it is a view of.
            copies[number] = piece.view(tensors[number].shape).clone()
    return [copies[number] for number in range(len(tensors))]
