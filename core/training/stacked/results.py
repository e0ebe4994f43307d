"""What training a stack yields: a result for all runs at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from core.training.results import EpochResult, TestResult
from core.training.trainer import Diverged


@dataclass(frozen=True, slots=True)
class StackedBatchResult:
    """A training step of all runs."""

    epoch: int
    """From 1."""
    step: int
    """From 1, within the epoch."""
    steps: int
    """Steps per epoch."""
    losses: Tensor
    """(N,): the mean nll of each run's batch, on the training device."""
    lrs: tuple[float, ...]
    """The learning rate of each run."""


@dataclass(frozen=True, slots=True)
class StackedResult:
    """What ended in some runs: an epoch, the test, or, by divergence, the run; by its number."""

    results: Mapping[int, EpochResult | TestResult | Diverged]
