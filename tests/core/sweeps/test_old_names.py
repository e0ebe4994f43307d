"""Sweeps stored with old names of fields and values are read, and can be continued."""

from __future__ import annotations

import pytest

from core.data.presets import transforms_of
from core.sweeps import storage, study
from core.sweeps.slots import DONE
from core.sweeps.sweep import Sweep
from core.sweeps.winner import trial_config
from tests.core.sweeps.sweeping import made, work

pytestmark = pytest.mark.usefixtures("quick")
OLD_SPACE = {
    "ema": {"choices": [0.0, 0.9]},
    "augmented": {"low": 0.5, "high": 1.0},
    "decay": {"choices": [0.9, 0.95]},
    "architecture": {"choices": ["seed-3762", "tiny-2650"]},
}
OLD_PARAMS = {"ema": 0.9, "augmented": 0.75, "decay": 0.95, "architecture": "seed-3762"}
PARAMS = {
    "ema_decay": 0.9,
    "augment_fraction": 0.75,
    "gamma": 0.95,
    "architecture": "original-3762",
}


@pytest.fixture
def old(folder) -> Sweep:
    """A sweep as an older version stored it, with one finished trial and one that was stopped."""
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    values = {**made(runs=4, vary={"max_lr": {"low": 0.01, "high": 0.1}}).to_dict()}
    config = {**values["config"], "ema": values["config"]["ema_decay"]}
    config["augmented"], config["decay"] = config.pop("augment_fraction"), config.pop("gamma")
    del config["ema_decay"]
    config["architecture"] = "seed-3762"
    opened = optuna.create_study(storage=storage.connect(), study_name="made", direction="maximize")
    opened.set_user_attr("sweep", {**values, "config": config, "space": OLD_SPACE})
    distributions = {
        "ema": CategoricalDistribution([0.0, 0.9]),
        "augmented": FloatDistribution(0.5, 1.0),
        "decay": CategoricalDistribution([0.9, 0.95]),
        "architecture": CategoricalDistribution(["seed-3762", "tiny-2650"]),
    }
    figures = {"accuracy": 97.0, "parameters": 3_762, "seconds": 2.0, "run": "made-001"}
    for place, state in ((1, "COMPLETE"), (2, "FAIL")):
        attributes = {"place": place, **(figures if place == 1 else {"ended": "left"})}
        opened.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState[state],
                value=97.0 if place == 1 else None,
                params=OLD_PARAMS,
                distributions=distributions,
                user_attrs=attributes,
            )
        )
    return study.load("made")[1]


def test_the_space_has_the_present_names(old):
    assert set(old.space) == set(PARAMS)
    assert old.space["architecture"].choices == ("original-3762", "tiny-2650")
    assert old.config.architecture == "original-3762"
    assert Sweep.from_dict(old.to_dict()).space.keys() == old.space.keys()


def test_the_trials_have_the_present_names(old):
    first, second, *_ = study.read("made").trials
    assert (first.state, first.params, first.accuracy) == (DONE, PARAMS, 97.0)
    assert second.state == "open"
    config = trial_config(old, first)
    assert (config.ema_decay, config.augment_fraction, config.gamma) == (0.9, 0.75, 0.95)
    assert config.architecture == "original-3762"


@pytest.mark.parametrize("sampler", ["tpe", "grid"])
def test_the_sweep_is_continued(old, sampler):
    if sampler == "grid":
        opened, _ = study.load("made")
        space = {**OLD_SPACE, "augmented": {"low": 0.5, "high": 1.0, "step": 0.25}}
        stored = {**opened.user_attrs["sweep"], "space": space, "sampler": sampler}
        opened.set_user_attr("sweep", stored)
    state, _ = work()
    assert state.count(DONE) == 4
    assert state.trials[1].params == PARAMS, "the values of the stopped trial are used again"
    assert all(set(trial.params) == set(PARAMS) for trial in state.trials)
    assert set(study.read_importance("made")) <= set(PARAMS)


def test_a_sweep_from_before_there_were_fractional_shifts_keeps_whole_pixels():
    new = made(vary={"augmentation": {"choices": ["none", "stretch"]}})
    values = {**new.to_dict(), "format": "inkling-sweep", "recipe": "final"}
    del values["whole_shifts"]
    values["config"] = {**values["config"], "transforms": [{"kind": "affine"}]}
    old = Sweep.from_dict(values)
    assert old.recipe == "taught"
    for sweep in (old, Sweep.from_dict(old.to_dict())):
        for params in ({}, {"augmentation": "stretch"}):
            (row,) = transforms_of(sweep.config_with(params))
            assert row["shifts"] == "whole"
        assert transforms_of(sweep.config_with({"augmentation": "none"})) == ()
    (row,) = transforms_of(new.config_with({"augmentation": "stretch"}))
    assert row["shifts"] == "fractional"
