"""A stack's training step as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.training.cuda_graphs import WARM_UP_STEPS, capture
from core.training.stacked.step import StackedStep


class StepGraph:
    """A stack's step that is captured as a CUDA graph after a few calls, and replayed from then on.

    Everything that varies from step to step is a tensor, so the replays need no comparison.

    Args:
        step: on CUDA.
    """

    def __init__(self, step: StackedStep):
        self.step, self.calls = step, 0
        self.refusal = ""
        """Why steps are not replayed; empty if they are, or will be."""
        self._replay: Callable[[], Tensor] | None = None
        self._batch: Any = ()

    def __call__(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
    ) -> Tensor:
        """Do one step; return its losses as a new tensor."""
        batch = (images, labels, teacher_logits)
        if self._replay is None and not self.refusal:
            self.calls += 1
            if self.calls > WARM_UP_STEPS:
                self._capture(batch)
        if self._replay is None or images.shape != self._batch[0].shape:
            return self.step(images, labels, teacher_logits)
        for tensor, values in zip(self._batch, batch, strict=True):
            if tensor is not None:
                tensor.copy_(values, non_blocking=True)
        return self._replay().clone()  # the next replay overwrites the original

    def _capture(self, batch: tuple[Tensor | None, ...]) -> None:
        self._batch = tuple(tensor if tensor is None else tensor.clone() for tensor in batch)
        self.step.network.zero_grad(set_to_none=True)
        try:
            self._replay = capture(lambda: self.step(*self._batch))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # also the type of CUDA's errors
            self.refusal = str(error).partition("\n")[0][:300]
