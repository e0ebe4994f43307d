"""A dimension of a search space: a range, or a list of choices. Must not import torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import Trial

SIGNIFICANT_DIGITS = 4  # of a drawn float, so that it can be read and typed
_STEP_DIGITS = 12  # of a float in steps: exact, without the error of adding the steps
_ROUNDING = 1e-9  # relative to a step, for the last value of a range of floats


@dataclass(frozen=True, slots=True)
class Dimension:
    """The values that one parameter of a sweep can take."""

    low: float | None = None
    high: float | None = None
    """Included."""
    step: float | None = None
    log: bool = False
    """Whether the range is searched on a logarithmic scale."""
    choices: tuple[Any, ...] = ()
    stored_name: str | None = None
    """Name in a storage that was written before the parameter was renamed; None: the same."""
    stored_choices: tuple[Any, ...] = ()
    """Choices in such a storage; (): the same."""

    def to_dict(self) -> dict[str, Any]:
        """The dimension as JSON values."""
        if self.choices:
            return {"choices": list(self.choices)}
        values: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.step is not None:
            values["step"] = self.step
        if self.log:
            values["log"] = True
        return values

    @property
    def text(self) -> str:
        """The dimension as it is typed: `0.02..0.2:log`, `8..24..2` or `none,light`."""
        if self.choices:
            return ",".join(
                str(choice).lower() if isinstance(choice, bool) else str(choice)
                for choice in self.choices
            )
        numbers = (self.low, self.high, self.step)
        text = "..".join(number_text(number) for number in numbers if number is not None)
        return f"{text}:log" if self.log else text

    def suggest(self, trial: Trial, name: str) -> Any:
        """Let Optuna's sampler choose a value; floats of a range are rounded."""
        name = self.stored_name or name
        if self.choices:
            stored = self.stored_choices or self.choices
            return self.choices[stored.index(trial.suggest_categorical(name, stored))]
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(
                name, self.low, self.high, step=int(self.step or 1), log=self.log
            )
        return self.round(
            trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)
        )

    def round(self, value: Any) -> Any:
        """Round a float drawn from the range; choices and whole numbers are returned unchanged."""
        if type(value) is not float or not isinstance(self.low, float) or self.high is None:
            return value
        digits = SIGNIFICANT_DIGITS if self.step is None else _STEP_DIGITS
        return min(max(float(f"{value:.{digits}g}"), self.low), self.high)

    def count(self) -> int | None:
        """Number of values, without listing them; None for a range without steps."""
        if self.choices:
            return len(self.choices)
        if self._step is None or self.low is None or self.high is None:
            return None
        steps = (self.high - self.low) / self._step
        return math.floor(steps + _ROUNDING) + 1 if math.isfinite(steps) else sys.maxsize

    def value_at(self, index: int) -> Any:
        """The value at a place in the order of choices or steps, from 0."""
        if self.choices:
            return self.choices[index]
        assert self.low is not None
        assert self._step is not None
        return self.low + self._step * index

    @property
    def _step(self) -> float | None:
        if self.log:
            return None
        return self.step or (1 if isinstance(self.low, int) else None)


def number_text(value: float) -> str:
    """Convert a number to the shortest text that reads back as the same number."""
    text = f"{value:g}"
    return text if type(value) is float and float(text) == value else str(value)


def to_stored(space: Mapping[str, Dimension], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under the names and choices that the storage uses."""
    stored = {}
    for name, value in values.items():
        dimension = space.get(name, Dimension())
        if dimension.stored_choices and value in dimension.choices:
            value = dimension.stored_choices[dimension.choices.index(value)]
        stored[dimension.stored_name or name] = value
    return stored
