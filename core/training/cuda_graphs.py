"""Whole training steps recorded as CUDA graphs, and replayed without Python and without launching each kernel.

A small network's step on a GPU is a hundred short kernels, and launching them takes longer than running them. What a
step computes is in `trainer`; nothing here knows of it.
Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from core.config import RunConfig

Step = Callable[[Tensor, Tensor], Tensor]
Recorder = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
WARM_UP = 3  # steps before the recording, in which libraries set themselves up and the optimizer its state
TOLERANCE = (
    0.3  # of what a step changes: more than rounding does, less than a value that was frozen would
)


def suits(config: RunConfig, device: torch.device) -> bool:
    """Whether a run's steps can be recorded: on CUDA, and nothing but images, labels and learning rate changes.

    Muon computes with the rate as a number, which a recording would freeze.
    """
    return (
        device.type == "cuda"
        and config.optimizer != "muon"
        and not (config.schedule == "one-cycle" and config.momentum_cycle)
    )


def changed(
    model: nn.Module, optimizer: torch.optim.Optimizer, sums: Sequence[Tensor]
) -> dict[str, list[Tensor]]:
    """All tensors that a training step changes, in groups whose changes are alike in size.

    Args:
        model: what is trained.
        optimizer: has made at least one step, so that its state is there.
        sums: what is summed up over an epoch.
    """
    buffers = list(model.buffers())
    state = [
        value
        for held in optimizer.state.values()
        for value in held.values()
        if isinstance(value, Tensor)
    ]
    return {
        "weights": list(model.parameters()),
        "statistics": [each for each in buffers if each.is_floating_point()],
        "counts": [each for each in buffers if not each.is_floating_point()],
        "momentum": [each for each in state if each.ndim],
        "steps": [each for each in state if not each.ndim],
        "sums": list(sums),
    }


def record(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A function that does again on the GPU what `step` would do; recording it changes no tensor."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class Recorded:
    """A training step that is recorded after its first few times, and replayed from then on.

    A recording freezes every value that Python computes, and does so in silence. So the first replay is compared with
    the same step done in the ordinary way; where they differ, or CUDA refuses, training goes on in the ordinary way.

    Args:
        step: (images (B, 28, 28) uint8, labels (B,) int64) -> loss, 0-d; changes weights and sums in place.
        optimizer: the one that the step calls, with the same learning rate for all its parameters.
        state: as `changed`, for this step.
        batch_size: steps with fewer images are done in the ordinary way.
        device: where the tensors are.
        recorder: as `record`.
    """

    def __init__(
        self,
        step: Step,
        optimizer: torch.optim.Optimizer,
        state: Callable[[], Mapping[str, Sequence[Tensor]]],
        batch_size: int,
        device: torch.device,
        recorder: Recorder = record,
    ):
        self.step, self.optimizer, self.state, self.recorder = step, optimizer, state, recorder
        self.device, self.warm_up = device, WARM_UP
        self.images = torch.zeros(batch_size, 28, 28, dtype=torch.uint8, device=device)
        self.labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self.lr = torch.zeros((), device=device)
        self.refused = ""
        """Why steps are not replayed; empty: they are, or will be."""
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """One step; the loss is a tensor of its own."""
        if self.refused or len(labels) != len(self.labels):
            return self.step(images, labels)
        if self._replay is not None:
            return self._again(self._replay, images, labels)
        if self.warm_up:
            self.warm_up -= 1
            return self.step(images, labels)
        return self._first(images, labels)

    def _first(self, images: Tensor, labels: Tensor) -> Tensor:
        """Do a step in the ordinary way, record it, take it back and replay it; go on with what the two agree on."""
        before, random = self._copies(), self._random()
        loss = self.step(images, labels)
        after = self._copies()
        try:
            replay = self._recording()
            self._put_back(before, random)
            again = self._again(replay, images, labels)
            if apart := _apart(before, after, self._copies()) or (not again.isfinite() and "loss"):
                raise RuntimeError(f"the replay changes the {apart} in another way")
        except RuntimeError as error:  # CUDA's own errors are of this kind, lack of memory included
            self.refused = str(error).partition("\n")[0][:300]
            self._put_back(after)
            return loss
        self._replay = replay
        return again

    def _recording(self) -> Callable[[], Tensor]:
        # Images, labels and rate are zeros meanwhile: frozen, they would show in the comparison.
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        try:
            return self.recorder(lambda: self.step(self.images, self.labels))
        finally:
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate

    def _again(self, replay: Callable[[], Tensor], images: Tensor, labels: Tensor) -> Tensor:
        self.images.copy_(images, non_blocking=True)
        self.labels.copy_(labels, non_blocking=True)
        self.lr.fill_(self.optimizer.param_groups[0]["lr"])
        return replay().clone()  # the next replay writes over it

    def _copies(self) -> dict[str, list[Tensor]]:
        return {
            name: [tensor.detach().clone() for tensor in tensors]
            for name, tensors in self.state().items()
        }

    @torch.no_grad()
    def _put_back(
        self, copies: Mapping[str, Sequence[Tensor]], random: Tensor | None = None
    ) -> None:
        for name, tensors in self.state().items():
            for tensor, copy in zip(tensors, copies[name], strict=True):
                tensor.copy_(copy)
        if random is not None:
            torch.cuda.set_rng_state(random, self.device)

    def _random(self) -> Tensor | None:
        return torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None


def _apart(
    before: Mapping[str, Sequence[Tensor]],
    after: Mapping[str, Sequence[Tensor]],
    again: Mapping[str, Sequence[Tensor]],
) -> str:
    """The first group in which two ways of doing a step differ by more than TOLERANCE of what it changes, or ""."""
    for name in before:
        if not _distance(after[name], again[name]) <= TOLERANCE * _distance(
            before[name], after[name]
        ):
            return name
    return ""


def _distance(some: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    """Euclidean distance between two lists of tensors."""
    squares = [
        float((a.double() - b.double()).square().sum()) for a, b in zip(some, others, strict=True)
    ]
    return float(sum(squares)) ** 0.5
