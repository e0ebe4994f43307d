"""Repeat a sweep's best config with several seeds on all training images."""

from __future__ import annotations

from pathlib import Path

from core.config import RunConfig
from core.errors import RunError
from core.experiments import repeats
from core.experiments.repeats import Group
from core.limits import Limits
from core.sweeps import study
from core.sweeps.slots import DONE, Trial
from core.sweeps.sweep import Sweep


def trial_config(sweep: Sweep, trial: Trial) -> RunConfig:
    """The settings of a trial. Its run keeps no epochs (`kept_epochs`)."""
    return sweep.config_with(trial.params)


def create_group(
    name: str,
    count: int = 5,
    slot: int | None = None,
    url: str | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
    epochs: int | None = None,
    owner: str | None = None,
) -> Group:
    """Create a group of repeats of a trial's config, without hold-out, so that it is tested.

    Args:
        name: of the sweep.
        count: number of seeds, 2 to 100.
        slot: of the trial; None: the most accurate one.
        url, folder: as `study.create`.
        limits: of this machine; None: from the environment.
        epochs: of each run; None: as in the sweep, which may have searched with fewer.
        owner: of the runs, as `repeats.create`.

    Raises:
        RunError: no trial, or not this one, is finished.
        UserError: as `repeats.create`.
    """
    state = study.read(name, url, folder)
    by_slot = {trial.slot: trial for trial in state.trials}
    trial = state.best if slot is None else by_slot.get(slot)
    if trial is None or trial.state != DONE:
        which = "no finished run" if slot is None else f"no finished run {slot}"
        raise RunError(f"{name} has {which} yet.")
    changes = {} if epochs is None else {"epochs": epochs}
    config = trial_config(state.sweep, trial).changed(holdout=0, **changes)
    group = repeats.find_free_name(f"{name}-{trial.slot:03d}-all", folder)
    return repeats.create(
        config,
        group,
        count,
        recipe=state.sweep.recipe,
        owner=owner,
        folder=folder,
        limits=limits,
    )
