"""Sweeps: the description of a search through configs, in plain JSON.

A sweep has a fixed number of slots, each for one ordinary run. `study` keeps sweeps in Optuna's
storage, `slots` reads the state of a slot, and `worker` trains. No optuna, no torch at import.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import aliases
from core.config import RunConfig
from core.data.presets import with_whole_shifts
from core.errors import ConfigError, listed
from core.recipes import RECIPES
from core.runs import run_names
from core.runs.run_schema import check_owner
from core.schema import shown
from core.sweeps import space as search_space
from core.sweeps.dimension import Dimension
from core.training.plan import plan

HOLDOUT = 10_000  # validation images if the base has none: a standard error of 0.08 at 99.4 %
AIMS: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("accuracy",),
    "accuracy-parameters": ("accuracy", "parameters"),
    "accuracy-seconds": ("accuracy", "seconds"),
}
"""Objectives: maximise validation accuracy, alone or while minimising parameters or seconds."""
SAMPLERS = ("tpe", "random", "grid", "qmc", "nsga2")
PRUNERS = ("none", "median", "halving", "hyperband")
MAX_NAME = 40
MAX_RUNS = 500
MAX_GRID = 100_000
_FORMAT = "inkling-sweep-2"
_WITHOUT_SHIFTS = "inkling-sweep"  # the format before affine transforms had the choice of shifts
_CHOICES: Mapping[str, Any] = {"aim": AIMS, "sampler": SAMPLERS, "pruner": PRUNERS}
_RANGES = {"runs": (1, MAX_RUNS), "minutes": (0, 100_000), "max_parameters": (0, 20_000_000)}


@dataclass(frozen=True)
class Sweep:
    """The description of a sweep, checked when it is made.

    Raises:
        UserError: a field is not valid; the message names it.
    """

    name: str
    config: RunConfig
    """The config that the sweep varies; its hold-out is the validation set."""
    space: Mapping[str, Dimension]
    """As `space.read_space` returns it."""
    aim: str = "accuracy"
    sampler: str = "tpe"
    pruner: str = "none"
    runs: int = 20
    """Maximum number of runs."""
    minutes: float = 0.0
    """No run is started after so many minutes of work; 0: no limit."""
    max_parameters: int = 0
    """Larger networks are not trained; 0: no limit."""
    recipe: str | None = None
    owner: str | None = None
    """Who made it, and owns its runs; None: nobody was signed in."""
    whole_shifts: bool = False
    """Whether affine transforms without the choice of shifts shift by whole pixels, as in sweeps
    that were made before there was a choice."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigError(f"name is {shown(self.name)}, but it must be text.")
        run_names.check_name(self.name)
        if len(self.name) > MAX_NAME:
            raise ConfigError(
                f"a sweep's name has at most {MAX_NAME} characters, since its runs carry it."
            )
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            if not isinstance(value, str) or value not in choices:
                raise ConfigError(f"{field} is {shown(value)}, but it must be {listed(choices)}.")
        for field, (low, high) in _RANGES.items():
            value = getattr(self, field)
            types = (int, float) if field == "minutes" else (int,)
            if type(value) not in types or not low <= value <= high:
                raise ConfigError(
                    f"{field} is {shown(value)}, but it must be a number from {low:,} to {high:,}."
                )
        if self.recipe is not None and (
            not isinstance(self.recipe, str) or self.recipe not in RECIPES
        ):
            raise ConfigError(f"there is no recipe {shown(self.recipe)}; choose {listed(RECIPES)}.")
        check_owner(self.owner)
        if type(self.whole_shifts) is not bool:
            raise ConfigError(
                f"whole_shifts is {shown(self.whole_shifts)}, but it must be true or false."
            )
        if self.config.holdout == 0:
            raise ConfigError(
                "a sweep compares its runs on validation images, never on the test images; set "
                f"holdout, for example to {HOLDOUT:,}."
            )
        if len(AIMS[self.aim]) > 1 and self.pruner != "none":
            raise ConfigError(
                "only runs that are compared by accuracy alone can be pruned; with this aim, set "
                "pruner to none."
            )
        plan(self.config)

    def to_dict(self) -> dict[str, Any]:
        """The sweep as JSON values."""
        return {
            "format": _FORMAT,
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "config": self.config.to_dict(),
            "space": {name: dimension.to_dict() for name, dimension in self.space.items()},
        }

    @classmethod
    def from_dict(cls, values: Any) -> Sweep:
        """The sweep in JSON values.

        Raises:
            UserError: they describe no valid sweep; the message names the field.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        written = values.get("format", _FORMAT) if isinstance(values, Mapping) else None
        if written not in (_FORMAT, _WITHOUT_SHIFTS):
            raise ConfigError("a sweep must be an object with named fields.")
        values = {name: value for name, value in values.items() if name != "format"}
        for name in values:
            if name not in names:
                raise ConfigError(
                    f"a sweep has no field {shown(name)}; its fields are {listed(sorted(names))}."
                )
        if missing := {"name", "config", "space"} - set(values):
            raise ConfigError(f"a sweep needs {listed(sorted(missing), 'and')}.")
        config = RunConfig.from_dict(values["config"])
        if written == _WITHOUT_SHIFTS:
            recipe = values.get("recipe")
            recipe = aliases.OLD_RECIPES.get(recipe, recipe) if isinstance(recipe, str) else recipe
            values |= {"whole_shifts": True, "recipe": recipe}
        space = search_space.read_space(values["space"], config)
        return cls(**{**values, "config": config, "space": space})

    def config_with(self, values: Mapping[str, Any]) -> RunConfig:
        """The config of a run with sampled values.

        Raises:
            UserError: the values make no valid config.
        """
        config = search_space.apply_values(self.config, values)
        return with_whole_shifts(config) if self.whole_shifts else config

    def grid_size(self) -> int:
        """Number of combinations in the space; 0 for samplers other than grid.

        Raises:
            ConfigError: a range has no steps, or there are too many combinations.
        """
        if self.sampler != "grid":
            return 0
        counts = []
        for name, dimension in self.space.items():
            count = dimension.count()
            if count is None:
                raise ConfigError(
                    f"a grid needs choices or steps: write {name}={dimension.low:g}.."
                    f"{dimension.high:g}..STEP, or the values themselves."
                )
            counts.append(count)
        if (size := math.prod(counts)) > MAX_GRID:
            raise ConfigError(
                f"the grid has {size:,} points, and at most {MAX_GRID:,} are possible; choose "
                "larger steps or fewer parameters."
            )
        return size

    def grid(self) -> list[dict[str, Any]]:
        """The points of the grid that the runs allow, in order; [] for other samplers.

        Raises:
            ConfigError: as `grid_size`.
        """
        size = self.grid_size()
        sides = [
            [dimension.value_at(index) for index in range(dimension.count() or 0)]
            for dimension in (self.space.values() if size else ())
        ]
        points = itertools.islice(itertools.product(*sides), min(size, self.runs))
        return [dict(zip(self.space, point, strict=True)) for point in points]

    @property
    def slots(self) -> int:
        """Number of runs to train: the maximum, or fewer for a smaller grid."""
        return min(self.runs, self.grid_size()) if self.sampler == "grid" else self.runs

    def run_name(self, slot: int) -> str:
        """The name of a slot's run."""
        return f"{self.name}-{slot:03d}"
