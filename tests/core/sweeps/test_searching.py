"""A worker searches: samplers, pruners, objectives and limits of size."""

from __future__ import annotations

import json

import pytest

from core.errors import RunError
from core.sweeps import study
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import DONE, PRUNED, WAITING
from core.sweeps.sweep import AIMS, PRUNERS, SAMPLERS
from core.sweeps.training import Interrupted
from tests.core.sweeps.sweeping import epochs, made, row, work

pytestmark = pytest.mark.usefixtures("quick")


def test_every_slot_is_trained_once_and_the_best_is_known():
    study.create(made(runs=6))
    assert study.read("made").count(WAITING) == 6
    state, lines = work()
    assert [trial.slot for trial in state.trials] == [1, 2, 3, 4, 5, 6]
    assert {trial.state for trial in state.trials} == {"done"}
    assert state.is_over
    assert len(lines) == 6
    assert lines[0].startswith("made-001: ")
    assert state.best.accuracy == max(trial.accuracy for trial in state.trials)
    assert len(state.best.epochs) == 2
    assert "6 of 6 runs" in state.summary
    assert json.loads(json.dumps(state.to_dict()))["best"] == state.best.slot
    again, lines = work()
    assert (again.trials, lines) == (state.trials, [])


def test_two_objectives_have_a_pareto_front():
    study.create(
        made(
            vary={"architecture": {"choices": ["tiny-2650", "original-3762", "wide-7124"]}},
            sampler="grid",
            aim="accuracy-parameters",
            runs=3,
        )
    )
    reached = {"tiny-2650": 900, "original-3762": 890, "wide-7124": 950}

    def train(job, should_continue):
        yield row(1, reached[job.config.architecture])

    state, _ = work(train=train)
    assert [trial.params["architecture"] for trial in state.front] == ["wide-7124", "tiny-2650"]
    assert state.best.parameters == 7_124


def test_unpromising_runs_are_pruned():
    study.create(made(vary={"epochs": {"choices": [6]}}, pruner="median", runs=6, epochs=6))
    left = []

    def train(job, should_continue):
        for epoch in range(1, 7):
            yield row(epoch, 900 - 20 * job.slot + epoch)
            if not should_continue():
                left.append((job.slot, epoch))
                raise Interrupted

    state, lines = work(train=train)
    assert state.count(PRUNED) == len(left) >= 1
    assert state.best.slot == 1
    assert state.trials[left[0][0] - 1].accuracy < 90
    assert any("pruned after epoch" in line for line in lines)


def test_too_large_networks_are_sampled_again_and_never_trained():
    study.create(
        made(vary={"rows.1.channels": {"low": 2, "high": 100}}, max_parameters=4_500, runs=5)
    )
    trained = []

    def train(job, should_continue):
        trained.append(job.slot)
        return epochs(job, should_continue)

    state, _ = work(train=train)
    assert sorted(trained) == [1, 2, 3, 4, 5]
    assert max(trial.parameters for trial in state.trials) <= 4_500
    opened, _ = study.load("made")
    assert len(opened.trials) > 5


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_every_sampler_works_for_every_aim_within_the_size(sampler, aim):
    runs = 12 if sampler == "tpe" else 3  # after the tenth it draws no longer at random
    study.create(
        made(
            vary={"rows.1.channels": {"low": 2, "high": 8}, "ema_decay": {"choices": [0.0, 0.9]}},
            runs=runs,
            sampler=sampler,
            aim=aim,
            max_parameters=3_900,
        )
    )
    state, _ = work()
    assert state.count(DONE) == runs
    assert state.front
    assert max(trial.parameters for trial in state.trials) <= 3_900


def test_too_large_networks_of_a_grid_have_failed():
    study.create(
        made(vary={"rows.1.channels": {"choices": [4, 40]}}, sampler="grid", max_parameters=4_000)
    )
    state, _ = work()
    assert [trial.state for trial in state.trials] == ["done", "failed"]
    assert state.trials[1].reason == "not trained: 5,490 parameters"


@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_leaves_a_best(pruner):
    study.create(made(pruner=pruner, runs=8, epochs=9))
    state, _ = work()
    assert state.count(DONE, PRUNED) == 8
    assert state.best.accuracy == max(trial.accuracy for trial in state.trials)


def test_ranges_without_any_valid_network_are_an_error(monkeypatch):
    monkeypatch.setattr(sweep_worker, "MAX_REJECTED", 5)
    study.create(made(vary={"rows.1.channels": {"low": 50, "high": 60}}, max_parameters=4_000))
    with pytest.raises(RunError, match=r"5 samples in a row .* parameters"):
        work()
