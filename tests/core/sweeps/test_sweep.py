"""Sweeps as descriptions and in their storage, and the worker with runs that cost nothing."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from core.errors import ConfigError, RunError, UserError
from core.experiments import repeats
from core.sweeps import slots as sweep_places
from core.sweeps import sweep as sweeps
from core.sweeps import worker as sweep_worker
from core.sweeps.slots import ATTEMPTS, DONE, OPEN, PRUNED, WAITING
from core.sweeps.sweep import Sweep
from core.sweeps.worker import Broken, Left
from tests.core.sweeps.sweeping import epochs, made, row, work

pytestmark = pytest.mark.usefixtures("quick")


# ---- descriptions


def test_a_sweep_is_plain_json():
    sweep = made(aim="accuracy-parameters", minutes=1.5, max_parameters=9_000, recipe="final")
    assert Sweep.from_dict(json.loads(json.dumps(sweep.to_dict()))) == sweep


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aim": "speed"}, "aim is 'speed'"),
        ({"sampler": "luck"}, "sampler is 'luck'"),
        ({"pruner": "axe"}, "pruner"),
        ({"runs": 0}, "runs is 0"),
        ({"runs": 2.5}, "runs is 2.5"),
        ({"runs": 501}, "500"),
        ({"minutes": -1}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"max_parameters": True}, "max_parameters"),
        ({"recipe": "x"}, "recipe"),
        ({"name": "../x"}, "name"),
        ({"name": "x" * 41}, "up to 40"),
        ({"colour": 1}, "no field 'colour'"),
        ({"config": {"holdout": 0}}, "never by the test images"),
        ({"config": {"holdout": 9, "architecture": "x"}}, "'x'"),
        ({"config": []}, "config"),
        ({"space": {}}, "at least one"),
        ({"format": "other"}, "named fields"),
        ({"aim": "accuracy-seconds", "pruner": "median"}, "accuracy alone"),
    ],
)
def test_a_wrong_field_is_named(change, words):
    with pytest.raises(UserError, match=words):
        Sweep.from_dict({**made().to_dict(), **change})


@pytest.mark.parametrize("values", [None, [], {}, {"name": "x"}])
def test_what_is_no_sweep_is_refused(values):
    with pytest.raises(ConfigError):
        Sweep.from_dict(values)


def test_a_grid_counts_through_every_combination():
    sweep = made(
        vary={"epochs": {"low": 1, "high": 3}, "ema_decay": {"choices": [0.0, 0.9]}},
        sampler="grid",
        runs=50,
    )
    assert sweep.grid()[0] == {"epochs": 1, "ema_decay": 0.0}
    assert sweep.places == len(sweep.grid()) == 6
    with pytest.raises(ConfigError, match=r"max_lr=0.01..0.1..STEP"):
        made(sampler="grid").grid()
    sweeps.create(sweep)
    found, _ = work()
    assert sorted(
        (trial.params["epochs"], trial.params["ema_decay"]) for trial in found.trials
    ) == sorted((point["epochs"], point["ema_decay"]) for point in sweep.grid())


# ---- in the storage


def test_looking_makes_no_file(folder):
    assert sweeps.names() == []
    with pytest.raises(RunError, match="no sweep 'made'"):
        sweeps.find("made")
    assert list(folder.iterdir()) == []


def test_names_are_taken_once_and_newest_is_first():
    sweeps.create(made("a"))
    sweeps.create(made("b"))
    assert sweeps.names() == ["b", "a"]
    with pytest.raises(RunError, match="already a sweep 'a'"):
        sweeps.create(made("a"))
    sweeps.delete("a")
    assert sweeps.names() == ["b"]
    with pytest.raises(RunError, match="no sweep 'a'"):
        work("a")


# ---- working


def test_every_place_is_tried_once_and_the_best_stands_out():
    sweeps.create(made(runs=6))
    assert sweeps.find("made").count(WAITING) == 6
    found, said = work()
    assert [trial.place for trial in found.trials] == [1, 2, 3, 4, 5, 6]
    assert {trial.state for trial in found.trials} == {"done"}
    assert found.over
    assert len(said) == 6
    assert said[0].startswith("made-001: ")
    assert found.best.accuracy == max(trial.accuracy for trial in found.trials)
    assert len(found.best.epochs) == 2
    assert "6 of 6 runs are through" in found.words
    assert json.loads(json.dumps(found.to_dict()))["best"] == found.best.place
    again, said = work()
    assert (again.trials, said) == (found.trials, [])


def test_two_aims_leave_a_front():
    sweeps.create(
        made(
            vary={"architecture": {"choices": ["tiny-2650", "original-3762", "wide-7124"]}},
            sampler="grid",
            aim="accuracy-parameters",
            runs=3,
        )
    )
    reached = {"tiny-2650": 900, "original-3762": 890, "wide-7124": 950}

    def train(job, go_on):
        yield row(1, reached[job.config.architecture])

    found, _ = work(train=train)
    assert [trial.params["architecture"] for trial in found.front] == ["wide-7124", "tiny-2650"]
    assert found.best.parameters == 7_124


def test_runs_that_promise_little_are_ended_early():
    sweeps.create(made(vary={"epochs": {"choices": [6]}}, pruner="median", runs=6, epochs=6))
    left = []

    def train(job, go_on):
        for epoch in range(1, 7):
            yield row(epoch, 900 - 20 * job.place + epoch)
            if not go_on():
                left.append((job.place, epoch))
                raise Left

    found, said = work(train=train)
    assert found.count(PRUNED) == len(left) >= 1
    assert found.best.place == 1
    assert found.trials[left[0][0] - 1].accuracy < 90
    assert any("ended after epoch" in words for words in said)


def test_too_large_networks_are_drawn_again_and_never_trained():
    sweeps.create(
        made(vary={"rows.1.channels": {"low": 2, "high": 40}}, max_parameters=4_500, runs=5)
    )
    trained = []

    def train(job, go_on):
        trained.append(job.place)
        return epochs(job, go_on)

    found, _ = work(train=train)
    assert sorted(trained) == [1, 2, 3, 4, 5]
    assert max(trial.parameters for trial in found.trials) <= 4_500
    study, _ = sweeps.load("made")
    assert len(study.trials) > 5


@pytest.mark.parametrize("aim", sweeps.AIMS)
@pytest.mark.parametrize("sampler", [name for name in sweeps.SAMPLERS if name != "grid"])
def test_every_sampler_serves_every_aim_and_keeps_to_the_size(sampler, aim):
    runs = 12 if sampler == "tpe" else 3  # after the tenth it draws no longer at random
    sweeps.create(
        made(
            vary={"rows.1.channels": {"low": 2, "high": 8}, "ema_decay": {"choices": [0.0, 0.9]}},
            runs=runs,
            sampler=sampler,
            aim=aim,
            max_parameters=3_900,
        )
    )
    found, _ = work()
    assert found.count(DONE) == runs
    assert found.front
    assert max(trial.parameters for trial in found.trials) <= 3_900


def test_a_grids_too_large_networks_are_told():
    sweeps.create(
        made(vary={"rows.1.channels": {"choices": [4, 40]}}, sampler="grid", max_parameters=4_000)
    )
    found, _ = work()
    assert [trial.state for trial in found.trials] == ["done", "failed"]
    assert found.trials[1].reason == "not trained: 5,490 parameters"


@pytest.mark.parametrize("pruner", sweeps.PRUNERS)
def test_every_pruner_leaves_a_best(pruner):
    sweeps.create(made(pruner=pruner, runs=8, epochs=9))
    found, _ = work()
    assert found.count(DONE, PRUNED) == 8
    assert found.best.accuracy == max(trial.accuracy for trial in found.trials)


def test_ranges_without_any_network_end_in_a_sentence(monkeypatch):
    monkeypatch.setattr(sweep_worker, "REFUSED_IN_A_ROW", 5)
    sweeps.create(made(vary={"rows.1.channels": {"low": 50, "high": 60}}, max_parameters=4_000))
    with pytest.raises(
        RunError, match=r"5 draws in a row made no network .* parameters; choose other ranges"
    ):
        work()


def test_a_sweep_stops_and_goes_on_where_it_was():
    sweeps.create(made(runs=3))
    halted = []

    def train(job, go_on):
        yield row(1, 500)
        if not halted:
            halted.append(job)
            sweeps.stop("made")
            assert not go_on()
            raise Left
        yield row(2, 900)

    found, _ = work(train=train)
    assert found.stopped
    assert found.count(DONE) == 0
    began = []

    def go_on_with(job, go_on):
        began.append(job)
        return train(job, go_on)

    found, _ = work(train=go_on_with)
    assert not found.stopped
    assert [job.place for job in began].count(halted[0].place) == 1
    assert halted[0] in began  # the very same config, under the same run's name
    assert found.count(DONE) == 3


def test_ctrl_c_leaves_the_place_to_others():
    sweeps.create(made(runs=2))

    def interrupted(job, go_on):
        yield row(1, 500)
        raise KeyboardInterrupt

    for _ in range(ATTEMPTS + 1):  # leaving is not dying
        with pytest.raises(KeyboardInterrupt):
            work(train=interrupted)
    found, _ = work()
    assert found.count(DONE) == 2


def test_a_run_that_cannot_be_trained_fails_alone():
    sweeps.create(made(runs=3))

    def train(job, go_on):
        if job.place == 2:
            raise Broken("it diverged: loss is not a number.")
        yield row(1, 900)

    found, said = work(train=train)
    assert [trial.state for trial in found.trials] == ["done", "failed", "done"]
    assert found.trials[1].reason == "it diverged: loss is not a number."
    assert "made-002: it diverged: loss is not a number." in said


def test_a_machine_that_can_train_nothing_gives_up():
    sweeps.create(made(runs=10))

    def train(job, go_on):
        raise Broken("it failed: no data.")
        yield

    with pytest.raises(RunError, match="5 runs in a row"):
        work(train=train)
    assert sweeps.find("made").count(WAITING) == 5


def test_a_dead_workers_place_is_taken_up_again_a_few_times():
    sweeps.create(made(runs=1))

    def die(job, go_on):
        raise ZeroDivisionError  # stands for whatever ends a process
        yield

    drawn = []
    for _ in range(ATTEMPTS):
        assert sweeps.find("made").count(OPEN, WAITING) == 1
        with pytest.raises(ZeroDivisionError):
            work(train=die)
        drawn.append(sweeps.find("made").trials[0].params)
    assert drawn[0] == drawn[1] == drawn[2] != {}
    found, _ = work()
    assert found.trials[0].state == "failed"
    assert found.trials[0].reason == "its worker died 3 times"


def test_of_two_attempts_at_a_place_only_the_first_is_trained():
    sweeps.create(made(runs=2))
    study, _ = sweeps.load("made")
    for place in (1, 2, 1):
        study.enqueue_trial({}, user_attrs={"place": place})
    trained = []

    def train(job, go_on):
        trained.append(job.place)
        return epochs(job, go_on)

    found, _ = work(train=train)
    assert sorted(trained) == [1, 2]
    assert found.count(DONE) == 2
    assert {
        each.number: sweep_places.is_surplus(study.trials, 2, each.number, each.user_attrs["place"])
        for each in study.trials
    } == {0: False, 1: False, 2: True, 3: True, 4: True}
    assert sweep_places.is_surplus(study.trials, 2, 5, None)


def test_no_run_is_begun_after_the_minutes_are_used_up(monkeypatch):
    sweeps.create(made(runs=5, minutes=10.0))
    minutes = iter([0.0, 4.0, 11.0])
    monkeypatch.setattr(sweep_places, "minutes", lambda tried: next(minutes))
    found, said = work()
    assert len(said) == 2
    assert found.out_of_time
    assert found.over


def test_minutes_count_once_where_runs_overlap():
    began = datetime(2026, 1, 1)
    spans = [(0, 10), (5, 12), (20, 30), (22, 25)]
    tried = [
        SimpleNamespace(
            datetime_start=began + timedelta(minutes=first),
            datetime_complete=began + timedelta(minutes=last),
        )
        for first, last in spans
    ]
    assert (
        sweep_places.minutes([*tried, SimpleNamespace(datetime_start=None, datetime_complete=None)])
        == 22
    )


@pytest.mark.parametrize("aim", ["accuracy", "accuracy-seconds"])
def test_importance_tells_what_mattered(aim):
    sweeps.create(
        made(
            runs=16,
            aim=aim,
            vary={"max_lr": {"low": 0.01, "high": 0.1}, "ema_decay": {"choices": [0.0, 0.9]}},
        )
    )
    assert sweeps.importance("made") == {}
    work()
    shares = sweeps.importance("made")
    assert shares["max_lr"] > shares["ema_decay"]
    assert sum(shares.values()) == pytest.approx(1)


# ---- the winner


def test_the_winner_is_trained_on_everything_with_several_seeds():
    sweeps.create(made(runs=4, recipe="final"))
    with pytest.raises(RunError, match="no run that was trained to the end"):
        sweeps.train_winner("made")
    found, _ = work()
    group = sweeps.train_winner("made", 3)
    assert group.name == f"made-{found.best.place:03d}-all"
    assert [run.config.holdout for run in group.runs] == [0, 0, 0]
    assert {run.config.max_lr for run in group.runs} == {
        sweeps.config_of(found.sweep, found.best).max_lr
    }
    assert [run.config.seed for run in repeats.open_group(group.name).runs] == [1, 2, 3]
    other = next(trial for trial in found.trials if not trial.best)
    assert sweeps.train_winner("made", 2, other.place).name == f"made-{other.place:03d}-all"
    longer = sweeps.train_winner("made", 2, epochs=found.sweep.config.epochs + 3)
    assert {run.config.epochs for run in longer.runs} == {found.sweep.config.epochs + 3}
    with pytest.raises(RunError, match="no run 99"):
        sweeps.train_winner("made", 2, 99)
