"""Sweeps in Optuna's storage: create, list, read, stop and delete them.

Optuna stores sampled values and results, proposes the next values, and gives each attempt to one
worker only. Neither optuna nor torch at import.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core import aliases
from core.errors import RunError, UserError
from core.sweeps import slots, storage
from core.sweeps.dimension import to_stored
from core.sweeps.slots import OPEN, REJECTED, RUNNING, Attempt
from core.sweeps.state import SweepState, state_of
from core.sweeps.sweep import AIMS, Sweep

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

MIN_FOR_IMPORTANCE = 4  # finished trials


def create(sweep: Sweep, url: str | None = None, folder: Path | None = None) -> None:
    """Write a new sweep with all its slots into the storage; workers train it.

    Args:
        sweep: the description.
        url: address of the storage; None: as `storage.storage_url`.
        folder: the checkpoints folder; None: the default one.

    Raises:
        RunError: the name is taken, or the storage cannot be used.
        UserError: the grid cannot be enumerated.
    """
    sweep.grid_size()
    with storage.storage_errors(url, folder):
        import optuna

        try:
            study = optuna.create_study(
                storage=storage.connect(url, folder),
                study_name=sweep.name,
                sampler=make_sampler(sweep),
                directions=_directions(sweep),
            )
        except optuna.exceptions.DuplicatedStudyError:
            raise RunError(
                f"there is already a sweep {sweep.name!r}; choose another name, or work on it."
            ) from None
        study.set_user_attr("sweep", sweep.to_dict())
        enqueue_open_slots(study, sweep)


def list_names(url: str | None = None, folder: Path | None = None) -> list[str]:
    """Names of the sweeps in the storage, the newest first; studies of other programs are left out.

    Raises:
        RunError: the storage cannot be used.
    """
    if storage.is_missing(url, folder):
        return []
    with storage.storage_errors(url, folder):
        studies = storage.connect(url, folder).get_all_studies()
    names = [study.study_name for study in reversed(studies) if "sweep" in study.user_attrs]
    return [name for name in names if slots.read_name(name)]


def load(name: str, url: str | None = None, folder: Path | None = None) -> tuple[Study, Sweep]:
    """Open the study of a sweep.

    Raises:
        RunError: there is no such sweep, it is damaged, or the storage cannot be used.
    """
    missing = RunError(f"there is no sweep {str(name)[:60]!r}.")
    if storage.is_missing(url, folder):
        raise missing
    with storage.storage_errors(url, folder):
        import optuna

        try:
            study = optuna.load_study(study_name=name, storage=storage.connect(url, folder))
        except KeyError:
            raise missing from None
        attributes, directions = study.user_attrs, study.directions
    if "sweep" not in attributes:
        raise missing
    try:
        sweep = Sweep.from_dict(attributes["sweep"])
    except UserError as error:
        raise RunError(f"the sweep {name} is damaged in its storage: {error}") from None
    if sweep.name != name or [direction.name.lower() for direction in directions] != _directions(
        sweep
    ):
        raise RunError(f"the sweep {name} is damaged in its storage: its description is another's.")
    study.sampler, study.pruner = make_sampler(sweep), _make_pruner(sweep)
    return study, sweep


def read(name: str, url: str | None = None, folder: Path | None = None) -> SweepState:
    """Read the state of a sweep.

    Raises:
        RunError: as `load`.
    """
    study, sweep = load(name, url, folder)
    with storage.storage_errors(url, folder):
        return read_state(study, sweep)


def read_attempts(study: Study) -> list[Attempt]:
    """The attempts at a sweep's slots, in order."""
    return [slots.read_attempt(trial) for trial in study.get_trials(deepcopy=False)]


def read_state(study: Study, sweep: Sweep) -> SweepState:
    """The state of a sweep whose study is open."""
    return state_of(sweep, read_attempts(study), study.user_attrs.get("stopped") is True)


def stop(name: str, url: str | None = None, folder: Path | None = None) -> None:
    """Tell all workers of a sweep to stop, on every machine; their runs can be continued.

    Raises:
        RunError: as `load`.
    """
    study, _ = load(name, url, folder)
    with storage.storage_errors(url, folder):
        study.set_user_attr("stopped", True)


def delete(name: str, url: str | None = None, folder: Path | None = None) -> None:
    """Delete a sweep and keep its runs.

    Raises:
        RunError: as `load`, or a worker is training for it.
    """
    opened, sweep = load(name, url, folder)
    with storage.storage_errors(url, folder):
        import optuna

        fail_stale_attempts(opened)
        if read_state(opened, sweep).count(RUNNING):
            raise RunError(f"{name} is training; stop it first.")
        optuna.delete_study(study_name=name, storage=storage.connect(url, folder))


def read_importance(
    name: str, url: str | None = None, folder: Path | None = None
) -> dict[str, float]:
    """Importance of each parameter for the accuracy, as shares of 1; {} with too few trials.

    Source: Watanabe et al., PED-ANOVA, IJCAI 2023, in Optuna's implementation.

    Raises:
        RunError: as `load`.
    """
    study, _ = load(name, url, folder)
    with storage.storage_errors(url, folder):
        from optuna.importance import get_param_importances

        done = [attempt for attempt in read_attempts(study) if attempt.is_complete]
        if len(done) < MIN_FOR_IMPORTANCE or len({attempt.accuracy for attempt in done}) < 2:
            return {}
        with warnings.catch_warnings():
            # Low targets are explained, which is why the accuracy is negated.
            warnings.simplefilter("ignore", UserWarning)
            shares = get_param_importances(study, target=lambda trial: -trial.values[0])
    return aliases.current_names(shares)


def fail_stale_attempts(study: Study) -> None:
    """Record that attempts without a sign of life have failed: their workers are dead."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)


def enqueue_open_slots(study: Study, sweep: Sweep) -> SweepState:
    """Offer the workers every slot that needs an attempt, also after a worker died or stopped.

    Two workers may do so at once: of two attempts at a slot only the first is needed
    (`slots.is_duplicate`).
    """
    attempts = read_attempts(study)
    grid, enqueued = sweep.grid(), False
    for slot, of_slot in slots.attempts_by_slot(attempts, sweep.slots).items():
        if slots.slot_state(of_slot) != OPEN:
            continue
        params: Mapping[str, Any] = grid[slot - 1] if grid else {}
        if of_slot and of_slot[-1].outcome != REJECTED:
            params = of_slot[-1].params or params
        known = {name: value for name, value in params.items() if name in sweep.space}
        study.enqueue_trial(to_stored(sweep.space, known), user_attrs={"slot": slot})
        enqueued = True
    stopped = study.user_attrs.get("stopped") is True
    return state_of(sweep, read_attempts(study) if enqueued else attempts, stopped)


def make_sampler(sweep: Sweep) -> BaseSampler:
    """Optuna's sampler for a sweep; the points of a grid are enqueued and need none."""
    from optuna import exceptions, samplers

    by_name: dict[str, Any] = {
        "tpe": samplers.TPESampler,
        "random": samplers.RandomSampler,
        "grid": samplers.RandomSampler,
        "qmc": samplers.QMCSampler,
        "nsga2": samplers.NSGAIISampler,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        return by_name[sweep.sampler]()


def _make_pruner(sweep: Sweep) -> BasePruner:
    from optuna import pruners

    if sweep.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=4)
    if sweep.pruner == "halving":
        return pruners.SuccessiveHalvingPruner()
    if sweep.pruner == "hyperband":
        return pruners.HyperbandPruner(max_resource=sweep.config.epochs)
    return pruners.NopPruner()


def _directions(sweep: Sweep) -> list[Literal["maximize", "minimize"]]:
    return ["maximize" if name == "accuracy" else "minimize" for name in AIMS[sweep.aim]]
