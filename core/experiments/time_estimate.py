"""How long a run will take on this machine, from what was measured here.

Must not import torch at module level.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable

from core.config import RunConfig
from core.data.presets import transforms_of
from core.models.architectures import rows_of
from core.runs.run import Run
from core.task import TEST_IMAGES
from core.training import format_cache
from core.training.plan import plan
from core.training.schedules import steps_per_epoch

# From the start of a worker's process to its first step, most of which loads torch: 2.6 s on two
# cores of an AMD EPYC (`python tests/benchmarks/costs.py --parts start`).
START_SECONDS = 2.6
FORWARD_SHARE = 1 / 3  # of a training step that the forward pass takes


def estimate_seconds(config: RunConfig, runs: Iterable[Run]) -> float | None:
    """Estimate the seconds from the start of a run to its end.

    The seconds of an epoch are those of a like run, or else follow from the time of a step that was
    measured for this network and batch size, without augmentation and teacher.

    Args:
        config: the run.
        runs: runs that were trained on this machine, the newest first.

    Returns:
        None if neither is known.
    """
    for run in runs:
        if run.epochs and _costs_the_same(run.config, config):
            epoch = statistics.median(row.seconds for row in run.epochs)
            return START_SECONDS + config.epochs * epoch
    if transforms_of(config) or config.teacher != RunConfig().teacher:
        return None  # they take time that a measured step leaves out
    step = _measured_step(config)
    if step is None:
        return None
    steps = steps_per_epoch(config.training_images, config.batch_size)
    steps_of_evaluation = FORWARD_SHARE * (config.holdout or TEST_IMAGES) / config.batch_size
    return START_SECONDS + config.epochs * (steps + steps_of_evaluation) * step


def measure_step(config: RunConfig) -> None:
    """Time the training steps of a config for `estimate_seconds`, and for the run that follows.

    It takes seconds of all cores the first time, and imports torch.

    Raises:
        ConfigError: the device is not available.
    """
    from core.training.format_benchmarks import format_times
    from core.training.runtime import choose_device

    format_times(plan(config), choose_device(config.device), config.threads or 1)


def _measured_step(config: RunConfig) -> float | None:
    """Seconds of a step in the fastest format, or None."""
    network = format_cache.digest([rows_of(config), config.dropout])
    machine = {"processor": format_cache.processor_name(), "cpus": os.cpu_count() or 1}
    for measurement in format_cache.list_measurements():
        setting = measurement.setting
        if (
            setting.get("network") == network
            and setting.get("batch_size") == config.batch_size
            and all(setting.get(name) == value for name, value in machine.items())
        ):
            return min(measurement.times.values()) / 1_000
    return None


def _costs_the_same(one: RunConfig, other: RunConfig) -> bool:
    return all(
        get(one) == get(other)
        for get in (
            rows_of,
            transforms_of,
            lambda config: config.batch_size,
            lambda config: config.training_images,
            lambda config: config.teacher,
            lambda config: config.threads,
        )
    )
