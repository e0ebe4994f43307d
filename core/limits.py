"""What one machine lends to its users: the limits, read from INKLING_* variables."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import ConfigError, LimitError
from core.schema import shown


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits, each overridden by its variable: `max_epochs` by INKLING_MAX_EPOCHS.

    Args:
        max_batch_size: images per training step.
        max_epochs: epochs of a run.
        max_parameters: learned parameters of a network.
        max_queue: runs that wait.
        max_runs: run folders.
        max_disk_mb: MB that all runs take together.
        max_upload_mb: MB of an uploaded file.
        running: runs that train at the same time.
    """

    max_batch_size: int = 8_192
    max_epochs: int = 200
    max_parameters: int = 2_000_000
    max_queue: int = 50
    max_runs: int = 1_000
    max_disk_mb: int = 4_000
    max_upload_mb: int = 32
    running: int = 1

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

    def check_run(self, *, batch_size: int, epochs: int, parameters: int) -> None:
        """Refuse a run that is larger than this machine allows.

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


def variable_of(name: str) -> str:
    """The environment variable that overrides a limit."""
    return f"INKLING_{name.upper()}"
