"""The rates of the runs of a stack, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.config import RunConfig
from core.training import schedules


class StackedRates:
    """The rates of N runs, step by step, on the training device.

    Args:
        configs: of the runs.
        steps: per epoch.
        device: of the training.
    """

    def __init__(self, configs: Sequence[RunConfig], steps: int, device: torch.device):
        self.steps, self.device = steps, device
        # Most runs of a stack differ in their seed alone, so each schedule is computed once.
        plain = [config.changed(seed=0) for config in configs]
        self.configs = list({str(config): config for config in plain}.values())
        self.schedule_of = [self.configs.index(config) for config in plain]

    def write(
        self, rates: Tensor, epoch: int, step: int, factors: Sequence[float], weight: float
    ) -> list[tuple[float, float]]:
        """Set the rates of a step, and return each run's learning rate and momentum.

        Args:
            rates: (3, N), to be filled with learning rates, momenta and `weight`.
            epoch, step: from 0.
            factors: of each run's learning rate.
            weight: of the present parameters in their moving average.
        """
        position = epoch * self.steps + step
        lrs = [schedules.rate(config, position, self.steps) for config in self.configs]
        momenta = [schedules.momentum(config, position, self.steps) for config in self.configs]
        chosen = [
            (factor * lrs[number], momenta[number])
            for number, factor in zip(self.schedule_of, factors, strict=True)
        ]
        host = torch.tensor([(*pair, weight) for pair in chosen]).T.contiguous()
        rates.copy_(host.pin_memory() if self.device.type == "cuda" else host, non_blocking=True)
        return chosen
