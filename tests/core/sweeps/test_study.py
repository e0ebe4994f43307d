"""Sweeps in the storage, what mattered in them, and their winner."""

from __future__ import annotations

import pytest

from core.errors import RunError
from core.experiments import repeats
from core.sweeps import study
from core.sweeps.winner import create_group, trial_config
from tests.core.sweeps.sweeping import made, work

pytestmark = pytest.mark.usefixtures("quick")


def test_reading_creates_no_file(folder):
    assert study.list_names() == []
    with pytest.raises(RunError, match="no sweep 'made'"):
        study.read("made")
    assert list(folder.iterdir()) == []


def test_names_are_unique_and_the_newest_is_first():
    study.create(made("a"))
    study.create(made("b"))
    assert study.list_names() == ["b", "a"]
    with pytest.raises(RunError, match="already a sweep 'a'"):
        study.create(made("a"))
    study.delete("a")
    assert study.list_names() == ["b"]
    with pytest.raises(RunError, match="no sweep 'a'"):
        work("a")


@pytest.mark.parametrize("aim", ["accuracy", "accuracy-seconds"])
def test_the_importance_of_parameters_is_known_after_enough_trials(aim):
    study.create(
        made(
            runs=16,
            aim=aim,
            vary={"max_lr": {"low": 0.01, "high": 0.1}, "ema_decay": {"choices": [0.0, 0.9]}},
        )
    )
    assert study.read_importance("made") == {}
    work()
    shares = study.read_importance("made")
    assert shares["max_lr"] > shares["ema_decay"]
    assert sum(shares.values()) == pytest.approx(1)


def test_the_winner_is_repeated_on_all_training_images():
    study.create(made(runs=4, recipe="final"))
    with pytest.raises(RunError, match="no finished run"):
        create_group("made")
    state, _ = work()
    group = create_group("made", 3)
    assert group.name == f"made-{state.best.slot:03d}-all"
    assert [run.config.holdout for run in group.runs] == [0, 0, 0]
    assert {run.config.max_lr for run in group.runs} == {
        trial_config(state.sweep, state.best).max_lr
    }
    assert [run.config.seed for run in repeats.open_group(group.name).runs] == [1, 2, 3]
    other = next(trial for trial in state.trials if not trial.best)
    assert create_group("made", 2, other.slot).name == f"made-{other.slot:03d}-all"
    longer = create_group("made", 2, epochs=state.sweep.config.epochs + 3)
    assert {run.config.epochs for run in longer.runs} == {state.sweep.config.epochs + 3}
    with pytest.raises(RunError, match="no finished run 99"):
        create_group("made", 2, 99)
