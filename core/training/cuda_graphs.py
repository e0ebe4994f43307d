"""Training steps captured as CUDA graphs, which replay without Python and without kernel launches.

A small network's step on a GPU consists of about a hundred short kernels, and launching them takes
longer than running them. What a step computes is in `trainer`.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.training.muon import Muon
from core.training.optimizers import Average, cycles_momentum

Step = Callable[[Tensor, Tensor, Tensor | None], Tensor]
Capture = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
Tensors = Mapping[str, Sequence[Tensor]]
# A number that varies from step to step: a function that returns the dicts that hold it, since an
# optimizer replaces its groups when it loads a state, and its key.
Number = tuple[Callable[[], Sequence[dict[str, Any]]], str]
# Ordinary steps before the capture, in which libraries and the optimizer allocate their state.
WARM_UP_STEPS = 3
# Largest difference between a replayed and an ordinary step, relative to the change that the step
# makes: more than rounding, less than a wrongly constant value.
TOLERANCE = 0.3


def capture_obstacle(config: RunConfig) -> str:
    """Return why the steps of a run on CUDA cannot be captured, as a sentence, or ""."""
    if cycles_momentum(config) and config.optimizer in ("adam", "adamw"):
        return f"{config.optimizer} keeps the momentum constant in a graph, but one-cycle varies it"
    return ""


def varying_numbers(
    optimizer: torch.optim.Optimizer, average: Average | None = None
) -> list[Number]:
    """Return where a step finds the numbers that the host sets before each step.

    They are the learning rate, the momentum where the optimizer takes it as a tensor, and the
    weight of the model in the average.
    """
    names = ["lr"]
    if isinstance(optimizer, Muon) or getattr(optimizer, "varies_momentum", False):
        names.append("momentum")
    numbers: list[Number] = [(lambda: optimizer.param_groups, name) for name in names]
    return numbers if average is None else [*numbers, (lambda: [average.options], "weight")]


def mutable_state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    sums: Sequence[Tensor],
    average: Average | None = None,
) -> dict[str, list[Tensor]]:
    """Return all tensors that a training step changes, grouped by the size of their changes.

    Args:
        model: the network.
        optimizer: of the network; its state exists after its first step.
        sums: totals over an epoch.
        average: of the weights.
    """
    buffers = list(model.buffers())
    state = [
        value
        for values in optimizer.state.values()
        for name, value in values.items()
        if isinstance(value, Tensor) and name != "norm"  # Muon's, which no step changes
    ]
    return {
        "weights": list(model.parameters()),
        "statistics": [buffer for buffer in buffers if buffer.is_floating_point()],
        "counts": [buffer for buffer in buffers if not buffer.is_floating_point()],
        "momentum": [tensor for tensor in state if tensor.ndim],
        "steps": [tensor for tensor in state if not tensor.ndim],
        "sums": list(sums),
        "average": [] if average is None else list(average.tensors),
    }


def capture(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Capture a step as a CUDA graph, and return a function that replays it.

    The capture itself changes no tensor.
    """
    graph = torch.cuda.CUDAGraph()
    # The garbage collector could free another graph meanwhile, upon which CUDA ends the capture.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        with torch.cuda.graph(graph):
            result = step()
    finally:
        if was_enabled:
            gc.enable()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


class CapturedStep:
    """A training step that is captured when it is first called, and replayed.

    A graph silently keeps every value constant that Python computed. The first replay is therefore
    compared with the same step done ordinarily. Where they differ, or if CUDA refuses the capture,
    all steps are done ordinarily.

    Args:
        step: (images (B, 28, 28) uint8, labels (B,) int64, teacher logits (B, 10) float32 or None)
            -> loss, 0-d; updates weights and sums in place.
        numbers: the step's `varying_numbers`.
        state: returns the step's `mutable_state`.
        batch_size: smaller batches are done ordinarily.
        device: of the tensors.
        capture: as the function `capture`.
    """

    def __init__(
        self,
        step: Step,
        numbers: Sequence[Number],
        state: Callable[[], Tensors],
        batch_size: int,
        device: torch.device,
        capture: Capture = capture,
    ):
        self.step, self.numbers, self.state, self.capture = step, numbers, state, capture
        self.device = device
        self.images = torch.zeros(batch_size, 28, 28, dtype=torch.uint8, device=device)
        self.labels = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self.teacher_logits: Tensor | None = None  # (B, 10), if the steps get any
        self.values = [torch.zeros((), device=device) for _ in numbers]
        """The graph's copies of the numbers."""
        self.refusal = ""
        """Why steps are not replayed; empty if they are, or will be."""
        self._written: list[float | None] = [None] * len(numbers)
        self._replay: Callable[[], Tensor] | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
    ) -> Tensor:
        """Do one step; return its loss as a new tensor."""
        batch = (images, labels, teacher_logits)
        with self._numbers_as_tensors():
            if self.refusal or len(labels) != len(self.labels):
                return self.step(*batch)
            if self._replay is not None:
                return self._run_replay(self._replay, *batch)
            return self._capture_and_compare(*batch)

    def _capture_and_compare(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None
    ) -> Tensor:
        """Do a step ordinarily, undo it, replay it, and keep the replay if both agree.

        Every step is replayed from the first on, so that a resumed run, which captures anew, does
        the same steps in the same way.
        """
        batch = (images, labels, teacher_logits)
        if teacher_logits is not None:
            self.teacher_logits = torch.zeros_like(teacher_logits, device=self.device)
        before, random = self._copy_state(), self._random_state()
        self._warm_up(batch)
        self._restore(before, random)
        before = self._copy_state()  # now with the optimizer's
        loss = self.step(*batch)
        after, random_after = self._copy_state(), self._random_state()
        try:
            # Images, labels and logits are zero meanwhile: if the graph kept them, the comparison
            # would fail.
            replay = self.capture(lambda: self.step(self.images, self.labels, self.teacher_logits))
            self._restore(before, random)
            replayed_loss = self._run_replay(replay, *batch)
            difference = _first_difference(before, after, self._copy_state())
            if not difference and not replayed_loss.isfinite():
                difference = "loss"
            if difference:
                raise RuntimeError(f"the replay computes different {difference}")
        except RuntimeError as error:  # also the type of CUDA's errors, out of memory included
            self.refusal = str(error).partition("\n")[0][:300]
            self._renew_generator()
            self._restore(after, random_after)
            return loss
        self._replay = replay
        return replayed_loss

    def _warm_up(self, batch: tuple[Tensor, Tensor, Tensor | None]) -> None:
        """Do some steps, on another stream as the capture will."""
        if self.device.type != "cuda":
            for _ in range(WARM_UP_STEPS):
                self.step(*batch)
            return
        stream, current = torch.cuda.Stream(self.device), torch.cuda.current_stream(self.device)
        stream.wait_stream(current)
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self.step(*batch)
        current.wait_stream(stream)

    def _renew_generator(self) -> None:
        """Free torch's generator from a capture that failed, after which it refuses to draw."""
        if self.device.type == "cuda":
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())

    def _run_replay(
        self,
        replay: Callable[[], Tensor],
        images: Tensor,
        labels: Tensor,
        teacher_logits: Tensor | None,
    ) -> Tensor:
        self.images.copy_(images, non_blocking=True)
        self.labels.copy_(labels, non_blocking=True)
        if self.teacher_logits is not None and teacher_logits is not None:
            self.teacher_logits.copy_(teacher_logits, non_blocking=True)
        return replay().clone()  # the next replay overwrites the original

    @contextlib.contextmanager
    def _numbers_as_tensors(self) -> Iterator[None]:
        """Let the step find its numbers in the graph's tensors.

        Ordinary steps do so too: with Python numbers they would round differently, and a resumed
        run does other steps ordinarily than an uninterrupted one.
        """
        numbers = [holders()[0][key] for holders, key in self.numbers]
        for at, number in enumerate(numbers):
            if number != self._written[at]:
                self.values[at].fill_(number)
                self._written[at] = number
        self._set_numbers(self.values)
        try:
            yield
        finally:
            self._set_numbers(numbers)

    def _set_numbers(self, values: Sequence[Tensor | float]) -> None:
        for (holders, key), value in zip(self.numbers, values, strict=True):
            for holder in holders():
                holder[key] = value

    def _copy_state(self) -> dict[str, list[Tensor]]:
        return {
            name: [tensor.detach().clone() for tensor in tensors]
            for name, tensors in self.state().items()
        }

    @torch.no_grad()
    def _restore(self, copies: Tensors, random: Tensor | None = None) -> None:
        for name, tensors in self.state().items():
            if len(tensors) > len(copies[name]):  # the optimizer's, made since: all begin at zero
                torch._foreach_zero_(list(tensors))
                continue
            for tensor, saved in zip(tensors, copies[name], strict=True):
                tensor.copy_(saved)
        if random is not None:
            torch.cuda.set_rng_state(random, self.device)

    def _random_state(self) -> Tensor | None:
        return torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None


def _first_difference(before: Tensors, after: Tensors, replayed: Tensors) -> str:
    """Return the first group that a replay changes differently, or ""."""
    for name in before:
        limit = TOLERANCE * _distance(before[name], after[name])
        if not _distance(after[name], replayed[name]) <= limit:  # also if it is NaN
            return name
    return ""


def _distance(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    """Return the Euclidean distance between two lists of tensors."""
    squares = [
        float((a.double() - b.double()).square().sum()) for a, b in zip(first, second, strict=True)
    ]
    return float(sum(squares)) ** 0.5
