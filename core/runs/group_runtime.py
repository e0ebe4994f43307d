"""The runtime of a run of a group: one thread, and the format of the group's other runs.

The accuracies of a group are compared with each other, so its runs round alike. Must not import
torch at module level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.runs.capacity import threads_of_config
from core.runs.run import Run
from core.runs.store import list_runs
from core.runtime import Runtime
from core.training.plan import plan

if TYPE_CHECKING:
    from torch.nn import Module

    from core.data.dataset import Mnist


def resolve_group_runtime(run: Run, data: Mnist, teacher: Module | None) -> Runtime | None:
    """Return the runtime to train a run with; None for one that the trainer resolves by itself.

    Args:
        run: the run; its own runtime, if it was started before, is kept.
        data, teacher: as of `core.training.runtime.resolve_runtime`.

    Raises:
        ConfigError: the device is not available.
    """
    if run.runtime is not None or run.group is None:
        return run.runtime
    from core.training.layouts import layouts
    from core.training.runtime import choose_device, resolve_runtime

    config, device = run.config, choose_device(run.config.device)
    if device.type == "cpu":
        config = config.changed(threads=threads_of_config(run))
    first = _first_runtime(run)
    if (
        first is None
        or first.device != device.type
        or first.layout not in layouts(first.precision, device, plan(config))
    ):
        return resolve_runtime(plan(config), data, teacher)
    resolved = resolve_runtime(plan(config.changed(precision=first.precision)), data, teacher)
    return resolved.changed(
        layout=first.layout,
        benchmarked=first.benchmarked,
        teacher_precision=first.teacher_precision,
    )


def _first_runtime(run: Run) -> Runtime | None:
    """The runtime of the run of the group that was created first, among those that started."""
    started = [
        other
        for other in list_runs(run.folder.parent)
        if isinstance(other, Run) and other.group == run.group and other.runtime is not None
    ]
    return min(started, key=lambda other: (other.created, other.name)).runtime if started else None
