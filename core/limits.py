"""What one machine lends to its users: the limits, read from INKLING_* variables."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from core.errors import ConfigError, LimitError
from core.schema import shown

MB = 2**20  # bytes
# Memory limits of the container that the process runs in, for cgroups of version 2 and 1.
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes(cgroup_limits: tuple[str, ...] = _CGROUP_LIMITS) -> int:
    """Memory of this machine, or of the container if that is smaller."""
    memory = int(psutil.virtual_memory().total)
    for path in cgroup_limits:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit() and int(text) > 0:  # "max": no limit
            memory = min(memory, int(text))
    return memory


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits, each overridden by its variable: `max_epochs` by INKLING_MAX_EPOCHS.

    Args:
        max_batch_size: images per training step.
        max_epochs: epochs of a run.
        max_parameters: learned parameters of a network.
        max_memory_mb: MB of memory that a training step may need; four fifths of the machine's by
            default.
        max_queue: runs that wait.
        max_runs: run folders.
        max_disk_mb: MB that all runs take together.
        max_upload_mb: MB of an uploaded file.
        running: runs that train at the same time.
        stacked: runs of one shape that one process trains together on a GPU.
    """

    max_batch_size: int = 8_192
    max_epochs: int = 200
    max_parameters: int = 2_000_000
    max_memory_mb: int = field(default_factory=lambda: memory_bytes() * 4 // 5 // MB)
    max_queue: int = 50
    max_runs: int = 1_000
    max_disk_mb: int = 4_000
    max_upload_mb: int = 32
    running: int = 1
    stacked: int = 32

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """The limits, overridden where the environment has a variable.

        Raises:
            ConfigError: a variable is not a whole number of at least 1.
        """
        values: dict[str, int] = {}
        for item in dataclasses.fields(cls):
            variable = variable_of(item.name)
            text = environment.get(variable)
            if text is None:
                continue
            if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) >= 1):
                raise ConfigError(
                    f"{variable} must be a whole number of at least 1, not {shown(text)}."
                )
            values[item.name] = int(text)
        return cls(**values)

    def check_run(
        self, *, batch_size: int, epochs: int, parameters: int, step_bytes: int = 0
    ) -> None:
        """Refuse a run that is larger than this machine allows.

        Args:
            batch_size, epochs: of the run.
            parameters: learned parameters of its network.
            step_bytes: memory that a training step needs (`core.models.memory`).

        Raises:
            LimitError: names the value, the limit and the variable that changes it.
        """
        for what, value, name in (
            ("batch size", batch_size, "max_batch_size"),
            ("number of epochs", epochs, "max_epochs"),
            ("number of parameters", parameters, "max_parameters"),
        ):
            limit = getattr(self, name)
            if value > limit:
                raise LimitError(
                    f"the {what}, {value:,}, is above this machine's limit of {limit:,}; "
                    f"the variable {variable_of(name)} raises it."
                )
        if step_bytes > self.max_memory_mb * MB:
            raise LimitError(
                f"a training step needs about {step_bytes // MB:,} MB of memory, above this "
                f"machine's limit of {self.max_memory_mb:,} MB; choose a smaller batch size or "
                f"network. The variable {variable_of('max_memory_mb')} raises the limit."
            )


def variable_of(name: str) -> str:
    """The environment variable that overrides a limit."""
    return f"INKLING_{name.upper()}"
