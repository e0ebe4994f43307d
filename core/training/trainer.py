"""The trainer: a generator of batch and epoch results that can be stopped and resumed exactly.

It neither prints nor writes files; the command line, the worker process and the tests consume it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.data.batches import Batches
from core.data.dataset import Mnist, hold_out
from core.data.labelled_images import LabelledImages
from core.data.own_digits import add_own
from core.errors import RunError, UserError
from core.models.network import build, load_weights
from core.runtime import Runtime
from core.training import schedules
from core.training.compiled_step import CompiledStep
from core.training.cuda_graphs import CapturedStep
from core.training.distillation import Teacher, check_teacher
from core.training.evaluation import evaluate
from core.training.layouts import move_model
from core.training.light_optimizers import keep_compiler_unloaded
from core.training.optimizers import Average, build_optimizer, load_optimizer_state, set_rate
from core.training.plan import plan
from core.training.precision import DTYPES
from core.training.random_state import RandomState
from core.training.results import BatchResult, EpochResult, StepSizes, TestResult
from core.training.runtime import choose_device, keep_freed_memory, prepare_runtime
from core.training.step import TrainingStep
from core.training.step_sizes import StepMeter
from core.training.triton_step import TritonStep

STATE_FORMAT = 2
# Reading a loss waits for the GPU, so there the loss is checked once in so many steps.
STEPS_BETWEEN_CHECKS = 50


class Diverged(UserError):
    """The loss is NaN or infinite."""


class Training:
    """A run in memory: its network, optimizer, batches and position.

    Args:
        config: the run.
        data: the dataset.
        state: `state_dict()` of the run when it was left; None: start from the beginning.
        runtime: of the run's start, adapted if its device is missing; None: resolved here.
        weights: state_dict of the same network to start from; None: random weights.
        teacher: the network or ensemble that the config names; set to evaluation mode.
        own: all own digits of the run; None: it has none.

    Raises:
        UserError: the config is not a valid run, the device, teacher or digits are missing, or the
            state belongs to another network.
    """

    def __init__(
        self,
        config: RunConfig,
        data: Mnist,
        state: Mapping[str, Any] | None = None,
        runtime: Runtime | None = None,
        weights: Mapping[str, Tensor] | None = None,
        teacher: nn.Module | None = None,
        own: LabelledImages[Tensor] | None = None,
    ):
        run_plan = plan(config)
        check_teacher(config, teacher)
        self.config, self.data = config, data
        # The notice says why a resumed run will not be exact; it is empty otherwise.
        self.runtime, self.notice = prepare_runtime(runtime, run_plan, data, teacher)
        self.device = choose_device(self.runtime.device)
        self.dtype, self.layout = DTYPES[self.runtime.precision], self.runtime.layout
        self.teacher = self._make_teacher(teacher)
        training, held_out = hold_out(config, data.train)
        validation = held_out if config.holdout else data.test
        self.validation = validation.to(self.device) if self.device.type == "cuda" else validation
        # The teacher sees chunks ahead of training, faster than a forward pass in every step.
        training, workers = add_own(config, training, own), self.runtime.workers
        self.batches = Batches.for_run(
            config, training, run_plan.transforms, workers, self.teacher, self.device
        )
        self.steps = self.batches.steps_per_epoch

        self.model = build(run_plan.rows, config)
        if weights is not None:
            load_weights(self.model, weights)
        move_model(self.model, self.device, self.layout)
        keep_compiler_unloaded()
        self.optimizer = build_optimizer(config, self.model)
        self.average = (
            Average(self.model.state_dict(keep_vars=True).values(), config.ema_decay)
            if config.ema_decay
            else None
        )
        self.compute = self._make_step()
        self.captured = self._make_captured_step()
        self.meter = StepMeter(self.model, self.compute)
        self.step_sizes: StepSizes | None = None  # of the last epoch's last step

        self.epoch = self.step = 0  # done
        self.seconds = self.epoch_lr = 0.0  # of this epoch; its first learning rate
        self.rate_factor = 1.0
        self.random = RandomState(config.seed, self.device)
        self._clock: float | None = None  # when this epoch would have begun without interruptions
        if state is not None:
            self._load_state(state)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.config.epochs

    def run(self, is_tested: bool = True) -> Iterator[BatchResult | EpochResult | TestResult]:
        """Train to the end, and yield a result after every step and every epoch.

        Args:
            is_tested: whether a run that validates on a hold-out is evaluated on the test images
                at its end.

        Between two results `state_dict` and `weights` describe the run as it is then, and the
        generator may be closed.

        Raises:
            Diverged: a loss is NaN or infinite; the weights of the last whole epoch are kept.
        """
        threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
        torch.set_num_threads(self.runtime.threads)
        torch.backends.cudnn.deterministic = True  # the same seed gives the same run
        if self.device.type == "cpu":
            keep_freed_memory()
        self._clock = time.perf_counter() - self.seconds
        stream = None
        try:
            if self.step == self.steps:
                yield self._end_epoch()
            if not self.finished:
                stream = self.batches.stream(self.config.epochs, self.epoch, self.step)
                for batch in stream:
                    self.random.activate()  # after the stream's start, which may draw as well
                    yield self._step(batch.images, batch.labels, batch.teacher_logits)
                    if self.step == self.steps:
                        yield self._end_epoch()
            if self.config.holdout and is_tested:
                loss, correct = self._score(self.data.test)
                yield TestResult(loss, correct, len(self.data.test))
        finally:
            if stream is not None:
                stream.close()
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic = deterministic

    def rate(self) -> float:
        """Return the learning rate of the next step, at the end of an epoch that of the last."""
        step = self.epoch * self.steps + min(self.step, self.steps - 1)
        return self.rate_factor * schedules.rate(self.config, step, self.steps)

    def scale_rate(self, factor: float) -> None:
        """Multiply the schedule's learning rates by `factor` from the next step on.

        Replaces an earlier factor; saved with the state.
        """
        self.rate_factor = factor

    def state_dict(self) -> dict[str, Any]:
        """Return all that the rest of the run depends on: tensors and plain values."""
        return {
            "format": STATE_FORMAT,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "random": self.random.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._elapsed(),
            "rate_factor": self.rate_factor,
            "epoch_lr": self.epoch_lr,
            "loss_sum": self.compute.loss_sum,
            "correct": self.compute.correct,
        }

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the weights to validate and save: the averaged ones with `ema_decay`."""
        state = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if self.average is not None:
            names = [name for name, tensor in state.items() if tensor.is_floating_point()]
            state |= dict(zip(names, (t.clone() for t in self.average.tensors), strict=True))
        return state

    def _make_teacher(self, teacher: nn.Module | None) -> Teacher | None:
        if teacher is None:
            return None
        precision = self.runtime.teacher_precision or self.runtime.precision
        return Teacher(teacher, self.device, DTYPES[precision])

    def _make_step(self) -> TrainingStep | CompiledStep | TritonStep:
        if self.layout == "compiled":
            threads = self.runtime.threads
            return CompiledStep(self.config, self.model, self.optimizer, self.average, threads)
        if self.layout == "triton":
            return TritonStep(self.config, self.model, self.optimizer, self.average, self.device)
        return TrainingStep(
            self.config,
            self.model,
            self.optimizer,
            self.average,
            self.device,
            self.dtype,
            self.layout,
        )

    def _make_captured_step(self) -> CapturedStep | None:
        if self.device.type != "cuda":
            return None
        assert not isinstance(self.compute, CompiledStep)
        self.runtime = self.runtime.changed(not_captured=self.compute.capture_obstacle())
        if self.runtime.not_captured:
            return None
        return CapturedStep(
            self.compute,
            self.compute.varying_numbers(),
            self.compute.mutable_state,
            self.config.batch_size,
            self.device,
        )

    def _step(self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> BatchResult:
        step = self.epoch * self.steps + self.step
        lr = self.rate()
        if self.step == 0:
            self.seconds, self._clock = 0.0, time.perf_counter()
            self.epoch_lr = lr
        set_rate(self.optimizer, lr, schedules.momentum(self.config, step, self.steps))
        if self.average is not None:
            self.average.advance()
        if isinstance(self.compute, TritonStep):
            self.compute.write_rates()
        is_last = self.step + 1 == self.steps
        if is_last:
            self.meter.start()
        compute = self.captured or self.compute
        nll = compute(images, labels, teacher_logits)
        if is_last:
            self.step_sizes = self.meter.finish()
        self.step += 1
        if self.device.type == "cpu" or is_last or self.step % STEPS_BETWEEN_CHECKS == 0:
            check_finite("loss", nll.item(), f"epoch {self.epoch + 1}, step {self.step}")
        return BatchResult(self.epoch + 1, self.step, self.steps, nll, lr)

    def _end_epoch(self) -> EpochResult:
        val_loss, val_correct = self._score(self.validation)
        check_finite("validation loss", val_loss, f"epoch {self.epoch + 1}")
        train_total = len(self.batches.training)
        result = EpochResult(
            epoch=self.epoch + 1,
            lr=self.epoch_lr,
            seconds=round(self._elapsed(), 3),
            train_loss=self.compute.loss_sum.item() / train_total,
            train_correct=int(self.compute.correct),
            train_total=train_total,
            val_loss=val_loss,
            val_correct=val_correct,
            val_total=len(self.validation),
        )
        if self.captured is not None and self.captured.refusal:
            self.runtime = self.runtime.changed(not_captured=self.captured.refusal)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self._clock = time.perf_counter()
        self.compute.loss_sum.zero_()
        self.compute.correct.zero_()
        return result

    def _score(self, data: LabelledImages[Tensor]) -> tuple[float, int]:
        model = self.model
        if self.average is not None:
            model = copy.deepcopy(self.model)
            model.load_state_dict(self.weights())
        return evaluate(model, data.images, data.labels, self.device, self.dtype, self.layout)

    def _elapsed(self) -> float:
        """Seconds spent on the present epoch, without interruptions."""
        return self.seconds if self._clock is None else time.perf_counter() - self._clock

    def _load_state(self, state: Mapping[str, Any]) -> None:
        try:
            if state["format"] != STATE_FORMAT:
                raise RunError(
                    f"the saved state has format {state['format']}, but this version reads "
                    f"{STATE_FORMAT}; start the run again, or fork it from its last weights."
                )
            load_weights(self.model, state["model"])
            load_optimizer_state(self.optimizer, state["optimizer"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.random.load_state_dict(state["random"])
            self.epoch, self.step = int(state["epoch"]), int(state["step"])
            self.seconds, self.rate_factor = float(state["seconds"]), float(state["rate_factor"])
            self.epoch_lr = float(state["epoch_lr"])
            self.compute.loss_sum.copy_(state["loss_sum"])
            self.compute.correct.copy_(state["correct"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"the saved state does not fit this run ({type(error).__name__}); "
                "start the run again, or fork it from its last weights."
            ) from error
        if not (0 <= self.epoch <= self.config.epochs and 0 <= self.step <= self.steps):
            raise RunError(
                f"the saved state is at epoch {self.epoch}, step {self.step}, outside this run."
            )


def fit(config: RunConfig, data: Mnist, teacher: nn.Module | None = None) -> Iterator[EpochResult]:
    """Train a run from start to end, and yield the result of every epoch.

    Args:
        config, data, teacher: as of `Training`.

    Raises:
        UserError: as `Training` and its `run`.
    """
    for result in Training(config, data, teacher=teacher).run():
        if isinstance(result, EpochResult):
            yield result


def check_finite(name: str, loss: float, position: str) -> None:
    """Refuse a loss that is NaN or infinite.

    Raises:
        Diverged: names the loss and the position.
    """
    if not math.isfinite(loss):
        raise Diverged(
            f"the {name} became {loss} in {position}; try a lower learning rate. "
            "The last whole epoch's weights are kept."
        )
