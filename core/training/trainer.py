"""The trainer: a generator of batch and epoch results that can be stopped after any step and go on exactly.

No files, no printing, no widgets in here. The command line, the worker process and the tests consume it.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import RunConfig
from core.data.batches import Batches, normalise
from core.data.dataset import Mnist, split
from core.data.labelled_images import LabelledImages
from core.errors import ConfigError, RunError, UserError
from core.models.network import build, load_weights
from core.runtime import Runtime
from core.training import cuda_graphs, optimizers, schedules
from core.training.distillation import Teacher, distillation
from core.training.plan import plan
from core.training.results import BatchResult, EpochResult, TestResult
from core.training.runtime import (
    DTYPES,
    choose_device,
    keep_freed_memory,
    move_model,
    resolve_runtime,
    to_layout,
)

EVALUATION_BATCH = 1_000
# On a GPU, asking whether a loss is a number waits for it; there it is asked once in so many steps.
STEPS_BETWEEN_CHECKS = 50
STATE_FORMAT = 1


class Diverged(UserError):
    """The loss stopped being a number."""


@torch.inference_mode()
def evaluate(
    model: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    layout: str = "contiguous",
) -> tuple[float, int]:
    """Mean nll and number of right answers; the model is left in the mode it came in.

    Args:
        model: takes (B, 1, 28, 28), returns logits (B, 10).
        images: (N, 28, 28) uint8, never augmented.
        labels: (N,) int64.
        device: where the model is.
        dtype: format of the arithmetic; other than float32 under autocast.
        layout: how the images are to lie in memory, one of `core.runtime.LAYOUTS`.
    """
    training = model.training
    model.eval()
    loss, correct = 0.0, 0
    for start in range(0, len(images), EVALUATION_BATCH):
        batch = to_layout(
            normalise(images[start : start + EVALUATION_BATCH], device), layout
        )  # (B, 1, 28, 28)
        targets = labels[start : start + EVALUATION_BATCH].to(device)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(batch)  # (B, 10)
        logits = logits.float()
        loss += F.cross_entropy(logits, targets, reduction="sum").item()
        correct += int((logits.argmax(1) == targets).sum())
    model.train(training)
    return loss / len(images), correct


class Training:
    """One run in memory: what it has learnt, how far it is, and how it goes on.

    Args:
        config: the run.
        data: the dataset.
        state: what `state_dict` returned when the run was left; None: from the start.
        runtime: the runtime that the run was started with; None: resolved for this machine.
        weights: a state_dict of the same network to begin with instead of random weights.
        teacher: the trained network, or ensemble, that the config names as its teacher; changed to evaluation mode.

    Raises:
        UserError: the config makes no run, the device or the teacher is not there, or the state fits another network.
    """

    def __init__(
        self,
        config: RunConfig,
        data: Mnist,
        state: Mapping[str, Any] | None = None,
        runtime: Runtime | None = None,
        weights: Mapping[str, Tensor] | None = None,
        teacher: torch.nn.Module | None = None,
    ):
        prepared = plan(config)
        self.config = config
        if (config.teacher != "none") != (teacher is not None):
            raise RunError(
                f"the config's teacher is {config.teacher}, but "
                + ("it was not found." if teacher is None else "another was given.")
            )
        self.runtime = runtime = runtime or resolve_runtime(prepared, data, teacher)
        self.device = choose_device(runtime.device)
        self.dtype, self.layout = DTYPES[runtime.precision], runtime.layout
        self.teacher = (
            Teacher(teacher, self.device, DTYPES[runtime.teacher_precision or runtime.precision])
            if teacher is not None
            else None
        )
        train, held = split(data.train.labels, config.holdout, config.holdout_seed)
        if not len(train):
            raise ConfigError(f"holdout is {config.holdout}, which leaves no image to train on.")
        self.data = data
        self.validation = data.train[held] if config.holdout else data.test
        # A GPU takes its batches from images that it holds; augmentation works on the CPU's.
        place = "cuda" if self.device.type == "cuda" and not prepared.transforms else "cpu"
        self.batches = Batches(
            data.train.images.to(place),
            data.train.labels.to(place),
            train,
            config.batch_size,
            prepared.transforms,
            config.seed,
            runtime.workers,
            config.augmented_epochs,
            # On the CPU it answers where images are augmented, ahead of training; a GPU in the step.
            self.teacher if self.device.type == "cpu" else None,
        )
        self.steps = self.batches.steps_per_epoch
        self.train_total = len(train)
        self.model = build(prepared.rows, config)
        if weights is not None:
            load_weights(self.model, weights)
        move_model(self.model, self.device, self.layout)
        self.optimizer = optimizers.build(config, self.model)
        self.average = (
            optimizers.Average(self.model.state_dict(keep_vars=True).values(), config.ema_decay)
            if config.ema_decay
            else None
        )
        sums = torch.float32 if self.device.type == "mps" else torch.float64
        self.loss_sum = torch.zeros((), dtype=sums, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        self.recorded = (
            cuda_graphs.Recorded(
                self._compute,
                self.optimizer,
                lambda: cuda_graphs.changed(
                    self.model, self.optimizer, (self.loss_sum, self.correct)
                ),
                config.batch_size,
                self.device,
            )
            if cuda_graphs.suits(config, self.device)
            else None
        )
        self.epoch, self.step, self.seconds, self.rate_factor = 0, 0, 0.0, 1.0
        self.epoch_lr = 0.0  # the rate that this epoch began with
        generator = torch.Generator().manual_seed(config.seed)
        self._random = {"cpu": generator.get_state()}
        self._drawing = False  # whether torch's generator is at present the run's own
        self._clock: float | None = None
        if state is not None:
            self._restore(state)

    @property
    def finished(self) -> bool:
        """Whether every epoch is done."""
        return self.epoch >= self.config.epochs

    def run(self) -> Iterator[BatchResult | EpochResult | TestResult]:
        """Train from where the run stands to its end, with a result after every step and every epoch.

        Between two results `state_dict` and `weights` hold the run as it then is, and the run can be left.

        Raises:
            Diverged: a loss is no number; the weights of the last whole epoch are still good.
        """
        threads = torch.get_num_threads()
        torch.set_num_threads(self.runtime.threads)
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
                    if not self._drawing:
                        self._set_random()  # not before: starting the stream may itself draw random numbers
                    yield self._step(batch.images, batch.labels, batch.answers)
                    if self.step == self.steps:
                        yield self._end_epoch()
            if self.config.holdout:
                loss, correct = self._score(self.data.test)
                yield TestResult(loss, correct, len(self.data.test))
        finally:
            if stream is not None:
                stream.close()
            torch.set_num_threads(threads)

    def rate(self) -> float:
        """The learning rate of the next step (of the last one at the end of an epoch)."""
        step = self.epoch * self.steps + min(self.step, self.steps - 1)
        return self.rate_factor * schedules.rate(self.config, step, self.steps)

    def state_dict(self) -> dict[str, Any]:
        """Everything the rest of the run depends on, in tensors and plain values (`weights_only=True` loads it)."""
        self._get_random()
        return {
            "format": STATE_FORMAT,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": None
            if self.average is None
            else {"tensors": self.average.tensors, "steps": self.average.steps},
            "random": dict(self._random),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self._elapsed(),
            "rate_factor": self.rate_factor,
            "epoch_lr": self.epoch_lr,
            "loss_sum": self.loss_sum,
            "correct": self.correct,
        }

    def weights(self) -> dict[str, Tensor]:
        """The weights to validate, save and use: the averaged ones where the config asks for an average."""
        state = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        if self.average is not None:
            names = [name for name, tensor in state.items() if tensor.is_floating_point()]
            state |= dict(zip(names, (t.clone() for t in self.average.tensors), strict=True))
        return state

    def _step(self, images: Tensor, labels: Tensor, answers: Tensor | None) -> BatchResult:
        step = self.epoch * self.steps + self.step
        if self.step == 0:
            self.seconds = 0.0
            self._clock = time.perf_counter()
        lr = self.rate()
        if self.step == 0:
            self.epoch_lr = lr
        optimizers.set_rate(self.optimizer, lr, schedules.momentum(self.config, step, self.steps))
        nll = (
            self._compute(images, labels, answers)
            if self.recorded is None or answers is not None
            else self.recorded(images, labels)
        )
        if self.average is not None:
            self.average.update()
        self.step += 1
        if (
            self.device.type == "cpu"
            or self.step % STEPS_BETWEEN_CHECKS == 0
            or self.step == self.steps
        ):
            self._check(nll.item())
        return BatchResult(self.epoch + 1, self.step, self.steps, nll, lr)

    def _compute(self, images: Tensor, labels: Tensor, answers: Tensor | None = None) -> Tensor:
        """A step's arithmetic, on the device alone, so that it can be recorded; the mean nll."""
        batch = to_layout(normalise(images, self.device), self.layout)  # (B, 1, 28, 28)
        targets = labels.to(self.device, non_blocking=True)
        if self.teacher is not None and answers is None:
            answers = self.teacher(images)  # (B, 10)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.model(batch)  # (B, 10)
        logits = logits.float()
        log_probabilities = F.log_softmax(logits, 1)
        nll = F.nll_loss(log_probabilities, targets)
        smoothing = self.config.label_smoothing
        loss = (
            nll if not smoothing else (1 - smoothing) * nll - smoothing * log_probabilities.mean()
        )
        if answers is not None:
            share = self.config.teacher_share
            loss = (1 - share) * loss + share * distillation(
                log_probabilities, logits, answers, self.config.temperature
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.config.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.optimizer.step()
        nll = nll.detach()
        self.loss_sum += (
            nll.double() * len(labels)
            if self.loss_sum.dtype == torch.float64
            else nll * len(labels)
        )
        self.correct += (log_probabilities.detach().argmax(1) == targets).sum()
        return nll

    def _check(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss became {loss} in epoch {self.epoch + 1}, step {self.step}; "
                "try a lower learning rate. The last whole epoch's weights are kept."
            )

    def _end_epoch(self) -> EpochResult:
        val_loss, val_correct = self._score(self.validation)
        if not math.isfinite(val_loss):
            raise Diverged(
                f"the validation loss became {val_loss} in epoch {self.epoch + 1}; try a lower "
                "learning rate. The last whole epoch's weights are kept."
            )
        self.seconds = self._elapsed()
        result = EpochResult(
            self.epoch + 1,
            self.epoch_lr,
            round(self.seconds, 3),
            self.loss_sum.item() / self.train_total,
            int(self.correct),
            self.train_total,
            val_loss,
            val_correct,
            len(self.validation),
        )
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self._clock = time.perf_counter()
        self.loss_sum.zero_()
        self.correct.zero_()
        return result

    def _score(self, data: LabelledImages[Tensor]) -> tuple[float, int]:
        if self.average is None:
            return evaluate(
                self.model, data.images, data.labels, self.device, self.dtype, self.layout
            )
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.weights())
        move_model(model, self.device, self.layout)
        return evaluate(model, data.images, data.labels, self.device, self.dtype, self.layout)

    def _elapsed(self) -> float:
        """Seconds spent on the present epoch, over all the times it was left and taken up again."""
        return self.seconds if self._clock is None else time.perf_counter() - self._clock

    def _get_random(self) -> None:
        if not self._drawing:
            return
        self._random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            self._random["cuda"] = torch.cuda.get_rng_state(self.device)

    def _set_random(self) -> None:
        self._drawing = True
        torch.set_rng_state(self._random["cpu"])
        if self.device.type == "cuda":
            if "cuda" in self._random:
                torch.cuda.set_rng_state(self._random["cuda"], self.device)
            else:
                torch.cuda.manual_seed(self.config.seed)

    def _restore(self, state: Mapping[str, Any]) -> None:
        try:
            if state["format"] != STATE_FORMAT:
                raise RunError(
                    f"the saved state has format {state['format']}; this version reads {STATE_FORMAT}."
                )
            load_weights(self.model, state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                for mine, saved in zip(
                    self.average.tensors, state["average"]["tensors"], strict=True
                ):
                    mine.copy_(saved)
                self.average.steps = state["average"]["steps"]
            self._random = dict(state["random"])
            self.epoch, self.step = int(state["epoch"]), int(state["step"])
            self.seconds, self.rate_factor = float(state["seconds"]), float(state["rate_factor"])
            self.epoch_lr = float(state["epoch_lr"])
            self.loss_sum.copy_(state["loss_sum"])
            self.correct.copy_(state["correct"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"the saved state does not fit this run ({type(error).__name__}); "
                "start the run anew, or fork it from its last weights."
            ) from error
        if not (0 <= self.epoch <= self.config.epochs and 0 <= self.step <= self.steps):
            raise RunError(
                f"the saved state stands at epoch {self.epoch}, step {self.step}, outside this run."
            )


def fit(
    config: RunConfig, data: Mnist, teacher: torch.nn.Module | None = None
) -> Iterator[EpochResult]:
    """Train a config from start to end, epoch by epoch, with the teacher that it names, if it names one.

    Raises:
        UserError: as `Training` and its `run`.
    """
    for result in Training(config, data, teacher=teacher).run():
        if isinstance(result, EpochResult):
            yield result
