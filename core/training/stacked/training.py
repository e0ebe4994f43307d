"""StackedTraining: runs with networks of one shape, trained as one batched computation.

Each run stays a `Training` of its own with its config, order, augmentation and rates. The stack
holds the tensors of all of them; `store` writes a run's tensors back, after which the run can be
saved, scored or continued alone. A stack agrees with the runs trained alone up to rounding, except
for the random numbers of dropout, which are drawn for all networks at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.data.batches import normalise
from core.data.labelled_images import LabelledImages
from core.data.workers import available_cpus
from core.errors import RunError
from core.models.stacked.network import StackedNetwork
from core.training.optimizers import set_rate
from core.training.results import EpochResult, TestResult
from core.training.runtime import MAX_GPU_WORKERS
from core.training.stacked import batches as stacked_batches
from core.training.stacked.batches import StackedBatch
from core.training.stacked.flat_network import FlatNetwork
from core.training.stacked.graph import StepGraph
from core.training.stacked.optimizers import StackedOptimizer
from core.training.stacked.rates import StackedRates
from core.training.stacked.results import StackedBatchResult, StackedResult
from core.training.stacked.step import StackedStep
from core.training.stacking import stacking_key
from core.training.trainer import STEPS_BETWEEN_CHECKS, Diverged, Training, check_finite

EVALUATION_IMAGES = 8_000  # scored at a time, over all networks


class StackedTraining:
    """Several runs in memory that train together.

    Args:
        runs: at the same position, on the same device, with configs of the same `stacking_key`.
        method: how convolutions are computed, one of `core.models.stacked.network.CONV_METHODS`.
        use_graph: whether steps are captured as a CUDA graph where there is CUDA.

    Raises:
        RunError: the runs cannot be stacked.
    """

    def __init__(self, runs: Sequence[Training], method: str = "auto", use_graph: bool = True):
        _check(runs)
        self.runs, first = tuple(runs), runs[0]
        self.config, self.device = first.config, first.device
        self.ended: set[int] = set()
        """Runs that diverged or were taken out; what is computed for them no longer matters."""
        self.network = StackedNetwork(first.model.rows, first.config.dropout, len(runs), method).to(
            self.device
        )
        self._flat = FlatNetwork(self.network, [run.model.state_dict() for run in runs])
        self.parameters, self.statistics = self._flat.parameters, self._flat.statistics
        configs = [run.config for run in runs]
        self.optimizer = StackedOptimizer(self.parameters, self.network, configs)
        self.compute = StackedStep(
            configs,
            self.network,
            self.parameters,
            self.statistics,
            self.optimizer,
        )
        self.epoch, self.step, self.steps = first.epoch, first.step, first.steps
        self._average_steps = 0 if first.average is None else first.average.steps
        self._load()
        self.graph = StepGraph(self.compute) if use_graph and self.device.type == "cuda" else None
        self._clock: float | None = None
        self._schedules = StackedRates([run.config for run in runs], self.steps, self.device)
        self._rates: list[tuple[float, float]] = []  # learning rate and momentum of the last step

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or no run is left."""
        return self.epoch >= self.config.epochs or len(self.ended) == len(self.runs)

    @property
    def active(self) -> list[int]:
        """The runs that are still trained, by number."""
        return [n for n in range(len(self.runs)) if n not in self.ended]

    def run(self, is_tested: bool = True) -> Iterator[StackedBatchResult | StackedResult]:
        """Train to the end, and yield a result after every step and every epoch.

        `is_tested` as of `core.training.trainer.Training.run`.

        Between two results the runs can be stored, and the generator may be closed. A run that
        diverges is reported and ends; the others are not affected.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(self.runs[0].runtime.threads)
        torch.manual_seed(self.config.seed)
        self._clock = time.perf_counter() - self.runs[0].seconds
        stream = None
        try:
            if self.step == self.steps:
                yield self._end_epoch()
            if not self.finished:
                batches = [run.batches for run in self.runs]
                stream = stacked_batches.stream(
                    batches, self.config.epochs, self.epoch, self.step, _count_workers()
                )
                for batch in stream:
                    yield from self._step(batch)
                    if self.step == self.steps:
                        yield self._end_epoch()
                    if self.finished:
                        break
            if self.config.holdout and self.active and is_tested:
                yield self._test()
        finally:
            if stream is not None:
                stream.close()
            torch.set_num_threads(threads)

    def store(self, n: int) -> Training:
        """Write all that the stack holds for a run back into the run, and return the run.

        Args:
            n: the run, from 0.
        """
        run = self.runs[n]
        tensors, parts = run.model.state_dict(), self._flat.parts()
        targets = [tensors[name] for name in parts]
        sources = [part[n] for part in parts.values()]
        if run.average is not None:
            averages = self._average_parts()
            targets += run.average.tensors
            sources += [averages[name][n] for name in tensors if name in averages]
            run.average.steps = self._average_steps
        with torch.no_grad():
            torch._foreach_copy_(targets, sources)
            for name, tensor in tensors.items():
                if name not in parts:  # the number of batches, the same in all networks
                    tensor.fill_(self.epoch * self.steps + self.step)
        self.optimizer.store(n, run.optimizer, list(run.model.parameters()))
        run.compute.loss_sum.copy_(self.compute.loss_sum[n])
        run.compute.correct.copy_(self.compute.correct[n])
        if self._rates:
            set_rate(run.optimizer, *self._rates[n])
        run.epoch, run.step, run.seconds = self.epoch, self.step, self._elapsed()
        if self.graph is not None and self.graph.refusal:
            run.runtime = run.runtime.changed(not_captured=self.graph.refusal)
        return run

    def end(self, n: int) -> None:
        """Take a run out; the others go on."""
        self.ended.add(n)

    def _average_parts(self) -> dict[str, Tensor]:
        """The moving averages of all parameters and statistics by name, each (N, ...)."""
        return self._flat.parts(self.compute.average, self.compute.average_statistics)

    def _load(self) -> None:
        """Take over the runs' optimizer states, averages and sums."""
        for n, run in enumerate(self.runs):
            self.optimizer.load(n, run.optimizer, list(run.model.parameters()))
            if run.average is not None:
                averages = self._average_parts()
                names = [name for name in run.model.state_dict() if name in averages]
                for name, tensor in zip(names, run.average.tensors, strict=True):
                    averages[name][n].copy_(tensor)
            self.compute.loss_sum[n] = run.compute.loss_sum
            self.compute.correct[n] = run.compute.correct

    def _step(self, batch: StackedBatch) -> Iterator[StackedBatchResult | StackedResult]:
        if self.step == 0:
            self._clock = time.perf_counter()
        weight = 0.0
        if self.compute.average is not None:
            decay = (1 + self._average_steps) / (10 + self._average_steps)
            weight = 1 - min(self.config.ema_decay, decay)
            self._average_steps += 1
        factors = [run.rate_factor for run in self.runs]
        self._rates = self._schedules.write(
            self.compute.rates, self.epoch, self.step, factors, weight
        )
        lrs = tuple(lr for lr, _ in self._rates)
        if self.step == 0:
            for run, lr in zip(self.runs, lrs, strict=True):
                run.epoch_lr = lr
        compute = self.graph or self.compute
        losses = compute(*batch)
        self.step += 1
        is_last = self.step == self.steps
        if self.device.type == "cpu" or is_last or self.step % STEPS_BETWEEN_CHECKS == 0:
            position = f"epoch {self.epoch + 1}, step {self.step}"
            if diverged := self._find_diverged("loss", losses.tolist(), position):
                yield StackedResult(diverged)
        yield StackedBatchResult(self.epoch + 1, self.step, self.steps, losses, lrs)

    def _find_diverged(
        self, name: str, losses: Sequence[float], position: str
    ) -> dict[int, Diverged]:
        """End the runs whose loss is not finite, and return why."""
        diverged = {}
        for n in self.active:
            try:
                check_finite(name, losses[n], position)
            except Diverged as error:
                diverged[n] = error
                self.end(n)
        return diverged

    def _end_epoch(self) -> StackedResult:
        losses, correct = self._score(self.runs[0].validation)
        results: dict[int, EpochResult | TestResult | Diverged] = dict(
            self._find_diverged("validation loss", losses, f"epoch {self.epoch + 1}")
        )
        first, seconds = self.runs[0], round(self._elapsed(), 3)
        train_losses, train_correct = self.compute.loss_sum.tolist(), self.compute.correct.tolist()
        train_total = len(first.batches.training)
        for n in self.active:
            results[n] = EpochResult(
                epoch=self.epoch + 1,
                lr=self.runs[n].epoch_lr,
                seconds=seconds,
                train_loss=train_losses[n] / train_total,
                train_correct=train_correct[n],
                train_total=train_total,
                val_loss=losses[n],
                val_correct=correct[n],
                val_total=len(first.validation),
            )
        self.epoch, self.step, self._clock = self.epoch + 1, 0, time.perf_counter()
        self.compute.loss_sum.zero_()
        self.compute.correct.zero_()
        return StackedResult(results)

    def _test(self) -> StackedResult:
        data = self.runs[0].data.test
        losses, correct = self._score(data)
        return StackedResult({n: TestResult(losses[n], correct[n], len(data)) for n in self.active})

    @torch.no_grad()
    def _score(self, data: LabelledImages[Tensor]) -> tuple[list[float], list[int]]:
        """Return each network's mean nll and correct predictions, with its averaged weights."""
        tensors = [(self.parameters.flat, self.compute.average)]
        if self.statistics is not None:
            tensors.append((self.statistics.flat, self.compute.average_statistics))
        present = [
            (flat, flat.clone(), average) for flat, average in tensors if average is not None
        ]
        for flat, _, average in present:
            flat.copy_(average)
        try:
            return self._evaluate(data)
        finally:
            for flat, kept, _ in present:
                flat.copy_(kept)

    def _evaluate(self, data: LabelledImages[Tensor]) -> tuple[list[float], list[int]]:
        count = len(self.runs)
        size = max(1, EVALUATION_IMAGES // count)
        losses = torch.zeros_like(self.compute.loss_sum)
        correct = torch.zeros_like(self.compute.correct)
        self.network.eval()
        for images, labels in zip(data.images.split(size), data.labels.split(size), strict=True):
            batch = normalise(images, self.device).expand(-1, count, -1, -1)  # (B, N, 28, 28)
            targets = labels.to(self.device)
            logits = self.network(batch.contiguous()).float().transpose(1, 2)  # (B, 10, N)
            targets = targets[:, None].expand(-1, count)
            losses += F.cross_entropy(logits, targets, reduction="none").sum(0)
            correct += (logits.argmax(1) == targets).sum(0)
        self.network.train()
        return [loss / len(data) for loss in losses.tolist()], correct.tolist()

    def _elapsed(self) -> float:
        """Seconds spent on the present epoch, without interruptions."""
        return self.runs[0].seconds if self._clock is None else time.perf_counter() - self._clock


def _count_workers() -> int:
    """Return the number of processes that draw random parameters."""
    return max(0, min(MAX_GPU_WORKERS, available_cpus() - 1))


def _check(runs: Sequence[Training]) -> None:
    """Refuse runs that cannot be stacked.

    Raises:
        RunError: says why.
    """
    if not runs:
        raise RunError("there are no runs to train together.")
    first = runs[0]
    for run in runs:
        if run.dtype != torch.float32:
            raise RunError("runs that compute in bf16 cannot be trained together.")
        if stacking_key(run.config) != stacking_key(first.config):
            fields = ", ".join(sorted(run.config.differences(first.config)))
            raise RunError(f"runs that differ in {fields} cannot be trained together.")
        if (run.epoch, run.step) != (first.epoch, first.step) or run.device != first.device:
            raise RunError("runs that are at different steps cannot be trained together.")
