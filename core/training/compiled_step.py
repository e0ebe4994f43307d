"""CompiledStep: a training step on the CPU in one call of compiled code, of a torch model."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.compiled.plan import plan_operations
from core.compiled.program import Averaged, Input, Parameter, Program
from core.compiled.source import training_source
from core.compiler import CompilerError, can_load, find_compiler, is_available
from core.config import RunConfig
from core.models.network import Network
from core.models.rows import Row
from core.models.shapes import trace
from core.training.muon import UPDATE_SIZE
from core.training.optimizers import Average

OPTIMIZERS = {"sgd": 0, "muon": 1, "adam": 2, "adamw": 3}  # as in kernels/optimizer.h


def can_compile(config: RunConfig, rows: Sequence[Row]) -> bool:
    """Whether a run's training steps can be compiled on this machine; if so, they are.

    Args:
        config: the run.
        rows: the layer rows of its network.
    """
    if config.optimizer not in OPTIMIZERS or not is_available():
        return False
    operations = plan_operations(trace(rows), config.dropout)
    source = training_source(operations, config.batch_size, find_compiler().lanes)
    return source is not None and can_load(source)


class CompiledStep:
    """A training step like `TrainingStep`, computed by compiled code in several threads.

    Weights, statistics, the optimizer's state and the average stay torch's tensors, which the
    compiled code updates in place; a run can go on with either step. Sums have a fixed order: the
    bits do not depend on the number of threads.

    Args:
        config: loss, clipping and batch size.
        model: on the CPU, float32.
        optimizer: of the model's parameters, as `build_optimizer` returns it.
        average: of the model, with the weight of the step; None: no averaging.
        threads: CPU threads that compute.

    Raises:
        CompilerError: no compiler works, or the network is too large.
        ValueError: the optimizer is not one of `OPTIMIZERS`.
    """

    def __init__(
        self,
        config: RunConfig,
        model: Network,
        optimizer: torch.optim.Optimizer,
        average: Average | None,
        threads: int,
    ):
        if config.optimizer not in OPTIMIZERS:
            raise ValueError(f"there is no compiled {config.optimizer}.")
        self.config, self.model, self.optimizer = config, model, optimizer
        self.average = average
        self.loss_sum = torch.zeros((), dtype=torch.float64)
        """Sum of the negative log-likelihood over the epoch's images so far."""
        self.correct = torch.zeros((), dtype=torch.int64)
        """Images of the epoch so far that were classified correctly."""
        self.keeps_gradients = False
        """Whether `gradients` is called after the next step."""
        operations = plan_operations(trace(model.rows), config.dropout)
        self._draws = any(operation.dropout for operation in operations)
        self._parameters = list(model.parameters())
        self._gradients = torch.zeros(sum(weight.numel() for weight in self._parameters))
        source = training_source(operations, config.batch_size, find_compiler().lanes)
        if source is None:
            raise CompilerError("the network's arrays are too large for this batch size")
        self._program = Program(source, threads)
        self._input = Input(
            smoothing=config.label_smoothing,
            teacher_share=config.teacher_share,
            temperature=config.temperature,
            parameter_count=len(self._parameters),
        )
        rule = self._input.rule
        rule.optimizer, rule.nesterov = OPTIMIZERS[config.optimizer], config.nesterov
        rule.update_size, rule.clip_norm = UPDATE_SIZE, config.clip_norm
        self._is_bound = False
        # Loading a state replaces the optimizer's tensors.
        this = weakref.ref(self)
        optimizer.register_load_state_dict_post_hook(lambda _: _unbind(this()))

    def __call__(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
    ) -> Tensor:
        """Update weights, statistics, optimizer, average and sums.

        Args:
            images: (B, 28, 28) uint8, at most the config's batch size.
            labels: (B,) int64.
            teacher_logits: (B, 10) float32; None without a teacher.

        Returns:
            The mean negative log-likelihood of the batch before the update, 0-d.
        """
        if not self._is_bound:
            self._bind()
        images, labels = images.contiguous(), labels.contiguous()
        given = self._input
        given.images, given.labels = images.data_ptr(), labels.data_ptr()
        given.batch = len(labels)
        given.gradients = self._gradients.data_ptr() if self.keeps_gradients else None
        if teacher_logits is not None:
            teacher_logits = teacher_logits.contiguous()
            given.teacher = teacher_logits.data_ptr()
        else:
            given.teacher = None
        if self._draws:  # from torch's generator, which is saved with the run
            given.key = int(torch.randint(2**62, ()))
        self._set_rule()
        return torch.tensor(self._program(given))

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the last step with `keeps_gradients`, clipped.

        Views of one buffer, in the order of the model's parameters.
        """
        parts = self._gradients.split([weight.numel() for weight in self._parameters])
        return [
            part.view(weight.shape) for part, weight in zip(parts, self._parameters, strict=True)
        ]

    def _set_rule(self) -> None:
        """Take over the rates that `set_rate` gave the optimizer."""
        group, rule = self.optimizer.param_groups[0], self._input.rule
        rule.lr = float(group["lr"])
        if "betas" in group:
            rule.momentum, rule.beta2 = group["betas"]
            rule.epsilon = group["eps"]
            self._steps += 1
            rule.correction1 = 1 - group["betas"][0] ** self._steps
            rule.correction2 = 1 - group["betas"][1] ** self._steps
        else:
            rule.momentum = group["momentum"]
        if self.average is not None:
            rule.average_weight = self.average.options["weight"]

    @torch.no_grad()
    def _bind(self) -> None:
        """Take all tensors' addresses; create the state that an optimizer creates at first."""
        tensors = list(self.model.state_dict(keep_vars=True).values())
        addresses = (torch.tensor([tensor.data_ptr() for tensor in tensors]),)
        groups = {id(w): group for group in self.optimizer.param_groups for w in group["params"]}
        parameters = (Parameter * len(self._parameters))()
        states, offset = [], 0
        for entry, weight in zip(parameters, self._parameters, strict=True):
            group = groups[id(weight)]
            state = self._state_of(weight, group)
            states.append(state)
            first, second, count = _state_tensors(state)
            entry.value, entry.size = _address(weight), weight.numel()
            entry.first, entry.second, entry.count = map(_address, (first, second, count))
            entry.gradient, offset = offset, offset + weight.numel()
            entry.weight_decay = group["weight_decay"]
            if group.get("orthogonalise"):
                entry.matrices = group["matrices"]
                entry.rows = weight.shape[0] // group["matrices"]
                entry.columns = weight[0].numel()
        steps = states[0].get("step")
        self._steps = 0 if steps is None else int(steps)
        pairs = (
            []
            if self.average is None
            else list(zip(self.average.source, self.average.tensors, strict=True))
        )
        averaged = (Averaged * max(1, len(pairs)))()
        for item, (value, mean) in zip(averaged, pairs, strict=False):
            item.value, item.average, item.size = _address(value), _address(mean), mean.numel()
        given = self._input
        given.tensors = addresses[0].data_ptr()
        given.parameters, given.averaged = _start(parameters), _start(averaged)
        given.averaged_count = len(pairs)
        given.loss_sum, given.correct = self.loss_sum.data_ptr(), self.correct.data_ptr()
        self._program.keep(tensors, addresses, parameters, states, averaged, pairs)
        self._is_bound = True

    def _state_of(self, weight: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """Return the optimizer's state of a parameter, created as torch's optimizers create it."""
        state: dict[str, Any] = self.optimizer.state[weight]
        if "betas" in group:
            if "exp_avg" not in state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = (torch.zeros_like(weight) for _ in "12")
        elif state.get("momentum_buffer") is None and (
            self.config.optimizer == "muon" or group["momentum"]
        ):
            state["momentum_buffer"] = torch.zeros_like(weight)
            if self.config.optimizer == "muon":
                state["norm"] = weight.norm()
        return state


def _unbind(step: CompiledStep | None) -> None:
    if step is not None:
        step._is_bound = False


def _state_tensors(state: dict[str, Any]) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Return first moment, second moment, and Adam's steps or Muon's norm."""
    first = state.get("exp_avg", state.get("momentum_buffer"))
    return first, state.get("exp_avg_sq"), state.get("step", state.get("norm"))


def _address(tensor: Tensor | None) -> int | None:
    if tensor is None:
        return None
    if not tensor.is_contiguous() or tensor.dtype != torch.float32:
        raise ValueError("the compiled step needs contiguous float32 tensors.")
    return tensor.data_ptr()


def _start(array: Any) -> int:
    return ctypes.addressof(array)
