"""TritonStep: a training step of a torch model by the kernels of stacked networks.

With few channels, a step on a GPU takes as long as its kernels need to start, one after another.
A stack of networks needs fewer: its tensors are views of a few vectors, which one kernel updates.
Here the stack holds one network, whose tensors stay the model's.
"""

from __future__ import annotations

import weakref

import torch
from torch import Tensor

from core.config import RunConfig
from core.models.network import Network
from core.models.stacked import conv_kernels
from core.models.stacked.network import StackedNetwork
from core.training.cuda_graphs import Number
from core.training.optimizers import Average
from core.training.stacked.flat_network import FlatNetwork
from core.training.stacked.optimizers import StackedOptimizer
from core.training.stacked.step import StackedStep
from core.training.stacking import has_few_channels


def can_use_triton(config: RunConfig, device: torch.device) -> bool:
    """Return whether a run's training steps can be computed by Triton's kernels; if so, they are.

    Args:
        config: the run.
        device: where it trains.
    """
    return device.type == "cuda" and has_few_channels(config) and conv_kernels.is_available()


class TritonStep:
    """A training step like `TrainingStep`, computed as a stack of one network.

    Weights, statistics, the optimizer's state and the average stay torch's tensors, from the first
    step on as views of the stack's vectors; a run can go on with either step. Without a GPU, torch
    computes what the kernels would.

    Args:
        config: loss, clipping and optimizer.
        model: on the device, float32, in contiguous layout.
        optimizer: of the model's parameters, as `build_optimizer` returns it.
        average: of the model, with the weight of the step; None: no averaging.
        device: of the model.
    """

    def __init__(
        self,
        config: RunConfig,
        model: Network,
        optimizer: torch.optim.Optimizer,
        average: Average | None,
        device: torch.device,
    ):
        self.config, self.model, self.optimizer = config, model, optimizer
        self.average, self.device = average, device
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        """Sum of the negative log-likelihood over the epoch's images so far."""
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        """Images of the epoch so far that were classified correctly."""
        self.keeps_gradients = False
        """Whether `gradients` is called after the next step; they are always kept."""
        self._stack: StackedStep | None = None
        self._counts = torch.zeros((), dtype=torch.int64, device=device)
        self._written: list[float | None] = [None, None, None]
        # Loading a state replaces the optimizer's tensors.
        this = weakref.ref(self)
        optimizer.register_load_state_dict_post_hook(lambda _: _link(this()))

    def write_rates(self) -> None:
        """Take over the rates of the next step from the optimizer and the average."""
        group = self.optimizer.param_groups[0]
        momentum = group["betas"][0] if "betas" in group else group.get("momentum", 0.0)
        weight = self.average.options["weight"] if self.average is not None else 0.0
        rates = self._bind().rates
        for at, value in enumerate((group["lr"], momentum, weight)):
            if value != self._written[at]:
                rates[at].fill_(value)
                self._written[at] = value

    def __call__(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None = None
    ) -> Tensor:
        """Update weights, statistics, optimizer, average and sums, with the rates written last.

        Args:
            images: (B, 28, 28) uint8.
            labels: (B,) int64.
            teacher_logits: (B, 10) float32; None without a teacher.

        Returns:
            The mean negative log-likelihood of the batch before the update, 0-d.
        """
        logits = None if teacher_logits is None else teacher_logits[None]
        losses = self._bind()(images[None], labels[None], logits)
        self._counts += 1
        return losses.squeeze(0)

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the last step, clipped, in the order of the model's parameters.

        Views of one vector, which the next step overwrites.
        """
        stack = self._bind()
        views = stack.parameters.views(stack.gradient)
        return [view.squeeze(0) for view in views]

    def capture_obstacle(self) -> str:
        """Return why a CUDA graph cannot replay this step: "", since its rates are tensors."""
        return ""

    def varying_numbers(self) -> list[Number]:
        """Return where the step finds numbers of the host's: nowhere."""
        return []

    def mutable_state(self) -> dict[str, list[Tensor]]:
        """Return all tensors that a step changes, as `cuda_graphs.mutable_state` groups them."""
        stack = self._bind()
        averages = (stack.average, stack.average_statistics)
        return {
            "weights": [stack.parameters.flat],
            "statistics": [] if stack.statistics is None else [stack.statistics.flat],
            "counts": [self._counts],
            "momentum": list(stack.optimizer.state.values()),
            "steps": [stack.optimizer.steps],
            "sums": [self.loss_sum, self.correct],
            "average": [tensor for tensor in averages if tensor is not None],
        }

    @torch.no_grad()
    def _bind(self) -> StackedStep:
        """Return the stack; when first called, make all tensors of the run views of its own."""
        if self._stack is not None:
            return self._stack
        tensors = self.model.state_dict(keep_vars=True)
        network = StackedNetwork(self.model.rows, self.config.dropout, 1).to(self.device)
        flat = FlatNetwork(network, [tensors])
        optimizer = StackedOptimizer(flat.parameters, network, [self.config])
        stack = StackedStep([self.config], network, flat.parameters, flat.statistics, optimizer)
        stack.loss_sum, stack.correct = self.loss_sum.view(1), self.correct.view(1)
        parts = flat.parts()
        for name, tensor in tensors.items():
            if name in parts:
                tensor.data = parts[name].squeeze(0)
            else:  # the number of batches, the same in all norms
                self._counts.copy_(tensor)
                tensor.data = self._counts
        if self.average is not None:
            assert stack.average is not None
            averages = flat.parts(stack.average, stack.average_statistics)
            names = [name for name in tensors if name in parts]
            for at, name in enumerate(names):
                average = averages[name].squeeze(0)
                average.copy_(self.average.tensors[at])
                self.average.tensors[at] = average
        self._stack = stack
        _link(self)
        return stack


@torch.no_grad()
def _link(step: TritonStep | None) -> None:
    """Take over the optimizer's state, and make it views of the stack's."""
    if step is None or step._stack is None:
        return
    parameters = list(step.model.parameters())
    step._stack.optimizer.load(0, step.optimizer, parameters)
    step._stack.optimizer.share(step.optimizer, parameters)
