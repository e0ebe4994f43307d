"""A run's part in torch's global random numbers (dropout), so that a resumed run draws the same."""

from __future__ import annotations

import torch
from torch import Tensor


class RandomState:
    """The state of torch's global generators for one run.

    Args:
        seed: of the run.
        device: where the run trains.
    """

    def __init__(self, seed: int, device: torch.device):
        self.seed, self.device = seed, device
        self._states = {"cpu": torch.Generator().manual_seed(seed).get_state()}
        self._is_active = False

    def activate(self) -> None:
        """Set the global generators to this state; from the first step on, they are the state."""
        if self._is_active:
            return
        self._is_active = True
        torch.set_rng_state(self._states["cpu"])
        if self.device.type == "cuda":
            if "cuda" in self._states:
                torch.cuda.set_rng_state(self._states["cuda"], self.device)
            else:
                torch.cuda.manual_seed(self.seed)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the present state."""
        if self._is_active:
            self._states = {"cpu": torch.get_rng_state()}
            if self.device.type == "cuda":
                self._states["cuda"] = torch.cuda.get_rng_state(self.device)
        return dict(self._states)

    def load_state_dict(self, states: dict[str, Tensor]) -> None:
        """Take over a saved state; `activate` makes it the global one."""
        self._states, self._is_active = dict(states), False
