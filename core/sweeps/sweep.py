"""Sweeps: a search through configs, described in plain JSON and kept in one storage that many machines may share.

A sweep has a fixed number of places. A place is tried by training an ordinary run; Optuna keeps what was drawn for it
and what came out, proposes the next draw, and hands a place to one worker only. What its attempts at a place come to
stands in `sweep_places`, the worker in `sweep_worker`. Neither optuna nor torch at import.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.errors import ConfigError, RunError, listed
from core.experiments import repeats
from core.experiments.repeats import Group
from core.limits import Limits
from core.recipes import RECIPES
from core.runs import run_names
from core.sweeps import slots as sweep_places
from core.sweeps import space as sweep_space
from core.sweeps import storage as sweep_storage
from core.sweeps.slots import DONE, FAILED, OPEN, PRUNED, REFUSED, RUNNING, WAITING, Trial
from core.sweeps.space import Dimension
from core.training.plan import plan

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

HOLDOUT = 10_000  # images kept back where the base keeps none: the sampling error at 99.4 % is 0.08 points
AIMS: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("accuracy",),
    "accuracy-parameters": ("accuracy", "parameters"),
    "accuracy-seconds": ("accuracy", "seconds"),
}
"""What a sweep looks for: the most accuracy on the hold-out, alone or against the fewest parameters or seconds."""
SAMPLERS = ("tpe", "random", "grid", "qmc", "nsga2")
PRUNERS = ("none", "median", "halving", "hyperband")
MOST_NAME = 40
MOST_RUNS = 500
MOST_GRID = 100_000
_FORMAT = "inkling-sweep"


@dataclass(frozen=True)
class Sweep:
    """The description of a sweep, checked when it is made.

    Raises:
        UserError: a field is wrong; the sentence names it.
    """

    name: str
    config: RunConfig
    """What every run begins with; keeps images back to be compared on."""
    space: Mapping[str, Dimension]
    """What is varied, as `sweep_space.read_space` gives it."""
    aim: str = "accuracy"
    sampler: str = "tpe"
    pruner: str = "none"
    runs: int = 20
    """How many runs are trained at most."""
    minutes: float = 0.0
    """After so many minutes of work no run is begun any more; 0: no limit."""
    max_parameters: int = 0
    """Networks that are larger are not trained; 0: any size."""
    recipe: str | None = None

    def __post_init__(self) -> None:
        run_names.check_name(self.name)
        if len(self.name) > MOST_NAME:
            raise ConfigError(
                f"a sweep's name has up to {MOST_NAME} characters, so that its runs can carry it."
            )
        for field, value, choices in (
            ("aim", self.aim, AIMS),
            ("sampler", self.sampler, SAMPLERS),
            ("pruner", self.pruner, PRUNERS),
        ):
            if value not in choices:
                raise ConfigError(
                    f"{field} is {str(value)[:40]!r}, but it must be {listed(choices)}."
                )
        for field, low, high in (
            ("runs", 1, MOST_RUNS),
            ("minutes", 0, 100_000),
            ("max_parameters", 0, 20_000_000),
        ):
            value = getattr(self, field)
            if (
                type(value) not in ((int,) if field != "minutes" else (int, float))
                or not low <= value <= high
            ):
                raise ConfigError(
                    f"{field} is {str(value)[:40]}, but it must be a number from {low:,} to {high:,}."
                )
        if self.recipe is not None and self.recipe not in RECIPES:
            raise ConfigError(
                f"there is no recipe {str(self.recipe)[:40]!r}; choose {listed(RECIPES)}."
            )
        if self.config.holdout == 0:
            raise ConfigError(
                "a sweep chooses by images that it keeps back, never by the test images; set holdout, "
                f"for example to {HOLDOUT:,}."
            )
        if len(AIMS[self.aim]) > 1 and self.pruner != "none":
            raise ConfigError(
                "runs can only be ended early for accuracy alone; with this aim, set pruner to none."
            )
        plan(self.config)

    def to_dict(self) -> dict[str, Any]:
        """The sweep as JSON values."""
        return {
            "format": _FORMAT,
            **{item.name: getattr(self, item.name) for item in dataclasses.fields(self)},
            "config": self.config.to_dict(),
            "space": {name: each.to_dict() for name, each in self.space.items()},
        }

    @classmethod
    def from_dict(cls, values: Any) -> Sweep:
        """The sweep that JSON values describe.

        Raises:
            UserError: they describe none; the sentence names the field.
        """
        names = {item.name for item in dataclasses.fields(cls)}
        if not isinstance(values, Mapping) or values.get("format", _FORMAT) != _FORMAT:
            raise ConfigError("a sweep is a set of named fields.")
        values = {name: value for name, value in values.items() if name != "format"}
        for name in values:
            if name not in names:
                raise ConfigError(
                    f"a sweep has no field {str(name)[:40]!r}; its fields are {listed(sorted(names))}."
                )
        if missing := {"name", "config", "space"} - set(values):
            raise ConfigError(f"a sweep needs {listed(sorted(missing))}.")
        config = RunConfig.from_dict(values["config"])
        return cls(
            **{**values, "config": config, "space": sweep_space.read_space(values["space"], config)}
        )

    def grid(self) -> list[dict[str, Any]]:
        """Every combination of the space, in order; empty for samplers that draw.

        Raises:
            ConfigError: a range cannot be counted, or there are too many combinations.
        """
        if self.sampler != "grid":
            return []
        sides = {}
        for name, dimension in self.space.items():
            points = dimension.points()
            if points is None:
                raise ConfigError(
                    f"a grid needs choices or steps: write {name}={dimension.low:g}..{dimension.high:g}"
                    "..STEP, or the values themselves."
                )
            sides[name] = points
        total = 1
        for points in sides.values():
            total *= len(points)
        if total > MOST_GRID:
            raise ConfigError(
                f"the grid has {total:,} points; at most {MOST_GRID:,} can be counted through."
            )
        return [
            dict(zip(sides, point, strict=True)) for point in itertools.product(*sides.values())
        ]

    @property
    def places(self) -> int:
        """How many runs there are to train: the budget, or fewer where the grid has fewer points."""
        return min(self.runs, len(self.grid())) if self.sampler == "grid" else self.runs

    def run_name(self, place: int) -> str:
        """What the run of a place is called."""
        return f"{self.name}-{place:03d}"


@dataclass(frozen=True)
class Found:
    """A sweep as it stands in the storage."""

    sweep: Sweep
    trials: tuple[Trial, ...]
    """By place."""
    stopped: bool
    """Whether its workers were asked to leave."""
    minutes: float
    """Worked so far: time in which at least one run trained."""

    @property
    def front(self) -> tuple[Trial, ...]:
        """The best trial; for two aims all that no other beats in both, the most accurate first."""
        return tuple(
            sorted(
                (trial for trial in self.trials if trial.best),
                key=lambda trial: -(trial.accuracy or 0),
            )
        )

    @property
    def best(self) -> Trial | None:
        """The most accurate one that was trained to the end."""
        return next(iter(self.front), None)

    def count(self, *states: str) -> int:
        """How many trials are in these states."""
        return sum(trial.state in states for trial in self.trials)

    @property
    def over(self) -> bool:
        """Whether nothing is left to train."""
        return self.out_of_time or not self.count(OPEN, WAITING, RUNNING)

    @property
    def out_of_time(self) -> bool:
        """Whether its minutes are used up."""
        return 0 < self.sweep.minutes <= self.minutes

    @property
    def words(self) -> str:
        """How it stands, as a sentence."""
        done, total = self.count(DONE, PRUNED, FAILED), self.sweep.places
        parts = [f"{done} of {total} runs are through"]
        parts += [
            f"{count} {word}"
            for state, word in ((RUNNING, "training"), (PRUNED, "ended early"), (FAILED, "failed"))
            if (count := self.count(state))
        ]
        said = f"{self.sweep.name}: {', '.join(parts)}."
        if self.best is not None and self.best.accuracy is not None:
            said += (
                f" Best on {self.sweep.config.holdout:,} held-out images: {self.best.accuracy:.2f} % by "
                f"{self.best.run} with {self.best.parameters:,} parameters."
            )
        return said

    def to_dict(self) -> dict[str, Any]:
        """The sweep and its trials as JSON values."""
        return {
            "sweep": self.sweep.to_dict(),
            "stopped": self.stopped,
            "over": self.over,
            "minutes": round(self.minutes, 2),
            "best": self.best and self.best.place,
            "trials": [trial.to_dict() for trial in self.trials],
        }


def create(sweep: Sweep, url: str | None = None, folder: Path | None = None) -> None:
    """Write a sweep into the storage, with all its places; nothing trains until somebody works on it.

    Raises:
        RunError: the name is taken, or the storage cannot be reached.
        UserError: the sweep is none.
    """
    import optuna

    sweep.grid()
    with sweep_storage.reached(url):
        storage = sweep_storage.connect(url, folder)
        try:
            study = optuna.create_study(
                storage=storage,
                study_name=sweep.name,
                sampler=sampler(sweep),
                directions=[
                    "maximize" if aim == "accuracy" else "minimize" for aim in AIMS[sweep.aim]
                ],
            )
        except optuna.exceptions.DuplicatedStudyError:
            raise RunError(
                f"there is already a sweep {sweep.name!r}; choose another name, or go on with that one."
            ) from None
        study.set_user_attr("sweep", sweep.to_dict())
        offer(study, sweep)


def names(url: str | None = None, folder: Path | None = None) -> list[str]:
    """The sweeps in the storage, the newest first.

    Raises:
        RunError: it cannot be reached.
    """
    if sweep_storage.nothing_yet(url, folder):
        return []
    with sweep_storage.reached(url):
        import optuna

        found = optuna.get_all_study_summaries(
            sweep_storage.connect(url, folder), include_best_trial=False
        )
        return [
            each.study_name
            for each in sorted(found, key=lambda each: -each._study_id)
            if isinstance(each.user_attrs.get("sweep"), Mapping)
        ]


def find(name: str, url: str | None = None, folder: Path | None = None) -> Found:
    """A sweep as it stands.

    Raises:
        RunError: there is none of that name, or the storage cannot be reached.
    """
    with sweep_storage.reached(url):
        study, sweep = load(name, url, folder)
        return found_in(study, sweep)


def found_in(study: Study, sweep: Sweep, tried: Sequence[FrozenTrial] | None = None) -> Found:
    """A sweep as its study has it, or as these trials of it tell."""
    tried = study.get_trials(deepcopy=False) if tried is None else tried
    best: set[int] = set()
    with contextlib.suppress(ValueError):  # nothing is done yet
        best = {
            each.number for each in study.best_trials[: None if len(AIMS[sweep.aim]) > 1 else 1]
        }
    trials = tuple(
        sweep_places.trial_at(place, attempts, best)
        for place, attempts in sweep_places.by_place(tried, sweep.places).items()
    )
    return Found(sweep, trials, bool(study.user_attrs.get("stopped")), sweep_places.minutes(tried))


def stop(name: str, url: str | None = None, folder: Path | None = None) -> None:
    """Ask all workers of a sweep to leave, wherever they are; their runs stop and can go on later.

    Raises:
        RunError: as `find`.
    """
    with sweep_storage.reached(url):
        load(name, url, folder)[0].set_user_attr("stopped", True)


def delete(name: str, url: str | None = None, folder: Path | None = None) -> None:
    """Forget a sweep; its runs stay.

    Raises:
        RunError: as `find`, or somebody works on it.
    """
    import optuna

    with sweep_storage.reached(url):
        study, sweep = load(name, url, folder)
        if found_in(study, sweep).count(RUNNING):
            raise RunError(f"{name} is being worked on; stop it first.")
        optuna.delete_study(study_name=name, storage=sweep_storage.connect(url, folder))


def config_of(sweep: Sweep, trial: Trial) -> RunConfig:
    """What was trained at a place."""
    return sweep_space.apply(sweep.config, trial.params)


def train_winner(
    name: str,
    count: int = 5,
    place: int | None = None,
    url: str | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    epochs: int | None = None,
) -> Group:
    """Make a group of repeats of a sweep's best config, on all training images and so scored on the test images.

    Args:
        name: of the sweep.
        count: how many seeds, 2 to 100.
        place: whose config; None: the most accurate one's.
        url, folder: as `find`.
        limits: what the machine lends; None: from the environment.
        epochs: for how long; None: as in the sweep, which may have searched with fewer than its winner deserves.

    Raises:
        RunError: nothing is done yet, or there is no such place.
        UserError: as `repeats.create`.
    """
    found = find(name, url, folder)
    chosen = (
        found.best
        if place is None
        else next((each for each in found.trials if each.place == place), None)
    )
    if chosen is None or chosen.state != DONE:
        raise RunError(
            f"{name} has no run {'' if place is None else f'{place} '}that was trained to the end; wait for "
            "one."
        )
    config = config_of(found.sweep, chosen).changed(
        holdout=0, **({} if epochs is None else {"epochs": epochs})
    )
    wanted = repeats.free_name(f"{name}-{chosen.place:03d}-all", folder)
    return repeats.create(
        config, wanted, count, recipe=found.sweep.recipe, folder=folder, limits=limits
    )


def importance(name: str, url: str | None = None, folder: Path | None = None) -> dict[str, float]:
    """How much each thing varied mattered for the accuracy, as shares of 1; empty while too little is done.

    Source: Watanabe et al., PED-ANOVA, IJCAI 2023, as Optuna computes it.

    Raises:
        RunError: as `find`.
    """
    with sweep_storage.reached(url):
        study, _ = load(name, url, folder)
        done = [each for each in study.get_trials(deepcopy=False) if each.state.name == "COMPLETE"]
        if len(done) < 4 or len({each.values[0] for each in done}) < 2:
            return {}
        from optuna.importance import get_param_importances

        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # that low targets are explained, which is why it is negated
            return get_param_importances(study, target=lambda trial: -trial.values[0])


# ---- studies


def load(name: str, url: str | None = None, folder: Path | None = None) -> tuple[Study, Sweep]:
    """The study of a sweep, and what it describes.

    Raises:
        RunError: there is none of that name.
    """
    if sweep_storage.nothing_yet(url, folder):
        raise RunError(f"there is no sweep {str(name)[:60]!r}.")
    import optuna

    storage = sweep_storage.connect(url, folder)
    try:
        study = optuna.load_study(study_name=name, storage=storage)
        sweep = Sweep.from_dict(study.user_attrs.get("sweep"))
    except (KeyError, ConfigError):
        raise RunError(f"there is no sweep {str(name)[:60]!r}.") from None
    study.sampler, study.pruner = sampler(sweep), pruner(sweep)
    return study, sweep


def sampler(sweep: Sweep) -> BaseSampler:
    """Optuna's sampler of that name."""
    from optuna import exceptions, samplers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        return {
            "tpe": samplers.TPESampler,
            "random": samplers.RandomSampler,
            "grid": samplers.RandomSampler,
            "qmc": samplers.QMCSampler,
            "nsga2": samplers.NSGAIISampler,
        }[sweep.sampler]()


def pruner(sweep: Sweep) -> BasePruner:
    """Optuna's pruner of that name."""
    from optuna import pruners

    epochs = sweep.config.epochs
    return {
        "none": lambda: pruners.NopPruner(),
        "median": lambda: pruners.MedianPruner(n_startup_trials=4),
        "halving": lambda: pruners.SuccessiveHalvingPruner(),
        "hyperband": lambda: pruners.HyperbandPruner(max_resource=epochs),
    }[sweep.pruner]()


def offer(study: Study, sweep: Sweep) -> Found:
    """Put every place that needs an attempt up for the workers: new ones, and those whose worker died or left.

    Two workers may do so at once: of two attempts at a place only the first is taken up (`sweep_places.is_surplus`).
    """
    tried = study.get_trials(deepcopy=False)
    grid, offered = sweep.grid(), False
    for place, attempts in sweep_places.by_place(tried, sweep.places).items():
        if sweep_places.state_of(attempts) != OPEN:
            continue
        last = attempts[-1] if attempts else None
        params: dict[str, Any] = grid[place - 1] if grid else {}
        if last is not None and sweep_places.ended(last) != REFUSED:
            params = last.params or params
        study.enqueue_trial(params, user_attrs={"place": place})
        offered = True
    return found_in(study, sweep, None if offered else tried)
