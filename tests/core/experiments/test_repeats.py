"""Groups: created whole or not at all, with mean, standard deviation and confidence interval."""

from __future__ import annotations

import pytest

from core.config import RunConfig
from core.errors import LimitError, RunError
from core.experiments import repeats
from core.limits import Limits
from core.runs import folders, run_queue
from tests.made import made_run

QUICK = RunConfig(architecture="linear-7850", epochs=1, batch_size=3_000)


@pytest.fixture
def idle(monkeypatch) -> list[str]:
    """Start no process; return the names of the runs that would have been trained."""
    asked: list[str] = []
    monkeypatch.setattr(
        run_queue,
        "start_worker",
        lambda place: asked.append(place.name) or run_queue.processes.identity(),
    )
    return asked


def test_repeats_differ_in_their_seed_only():
    group = repeats.create(QUICK.changed(seed=7), "five", 5, recipe="final")
    assert [run.name for run in group.runs] == [
        "five-s7",
        "five-s8",
        "five-s9",
        "five-s10",
        "five-s11",
    ]
    assert {run.config.changed(seed=0) for run in group.runs} == {QUICK.changed(seed=0)}
    assert all(run.group == "five" and run.recipe == "final" for run in group.runs)
    assert group.statistics is None
    assert "none of its 5 runs" in group.summary


def test_all_runs_of_a_group_are_queued_once(idle):
    group = repeats.create(QUICK, "both", 2)
    assert repeats.submit(group) == ["both-s1", "both-s2"]
    assert idle == ["both-s1"]
    assert run_queue.list_waiting() == ["both-s2"]
    assert repeats.submit(repeats.open_group("both")) == [], "nobody is submitted twice"


def test_a_group_is_created_whole_or_not_at_all(folder):
    limits = Limits(max_runs=3)
    with pytest.raises(LimitError, match="3 runs"):
        repeats.create(QUICK, "many", 5, limits=limits)
    assert folders.list_entries(folder) == []
    with pytest.raises(LimitError, match="queue of 4"):
        repeats.create(QUICK, "many", 5, limits=Limits(max_queue=4))
    for count in (0, 1, 101):
        with pytest.raises(RunError, match="2 to 100 runs"):
            repeats.create(QUICK, "many", count)
    with pytest.raises(RunError, match="seeds go up to"):
        repeats.create(QUICK.changed(seed=2**31 - 1), "many", 2)


def test_an_interrupted_creation_leaves_no_run(folder, monkeypatch):
    create_run = repeats.creation.create_run

    def interrupted(config, *args, **options):
        if config.seed == 2:
            raise KeyboardInterrupt
        return create_run(config, *args, **options)

    monkeypatch.setattr(repeats.creation, "create_run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        repeats.create(QUICK, "pair", 2)
    assert folders.list_entries(folder) == []


def test_a_group_cannot_have_the_name_of_a_run_or_group(folder):
    made_run(folder, "taken")
    repeats.create(QUICK, "pair", 2)
    for name, words in (
        ("taken", "already a run"),
        ("Pair", "already a group"),
        ("../x", "cannot be a run's name"),
    ):
        with pytest.raises(RunError, match=words):
            repeats.create(QUICK, name, 2)
    assert repeats.find_free_name("pair") == "pair-2"
    assert repeats.find_free_name("taken") == "taken-2"
    assert repeats.find_free_name("new") == "new"


def test_a_group_is_extended_by_the_next_seeds(group):
    group("grown", [9_900, 9_910], seeds=(3, 8))
    assert [run.config.seed for run in repeats.extend("grown", 2)] == [9, 10]
    assert len(repeats.open_group("grown").runs) == 4
    with pytest.raises(RunError, match="cannot be added"):
        repeats.extend("grown", 97)
    with pytest.raises(RunError, match="at least 1"):
        repeats.extend("grown", 0)
    with pytest.raises(LimitError, match="queue of 2"):
        repeats.extend("grown", 3, limits=Limits(max_queue=2))


def test_mean_and_interval_are_those_of_finished_runs(group, folder):
    made = group("three", [9_904, 9_923, 9_926])
    made_run(folder, "three-s4", done=1, epochs=3, state="stopped", group="three", seed=4)
    made = repeats.open_group("three")
    assert made.statistics.mean == pytest.approx(99.1767, abs=1e-4)
    assert made.statistics.deviation == pytest.approx(0.1193, abs=1e-4)
    assert made.interval == pytest.approx((98.8802, 99.4731), abs=1e-3)
    assert made.finished_seeds == (1, 2, 3)
    for figure in ("99.18 %", "3 seeds", "98.88 to 99.47", "0.12", "99.04 to 99.26"):
        assert figure in made.summary
    assert made.to_dict()["finished"] == 3
    assert len(made.to_dict()["runs"]) == 4


def test_one_finished_run_has_no_interval(group):
    made = group("lone", [9_900])
    assert made.interval is None
    assert "in one run" in made.summary
    assert made.to_dict()["deviation"] is None


def test_the_mean_of_a_finished_group_decides_about_the_goal(group, folder):
    assert not group("lucky", [9_950, 9_925]).reaches_goal
    assert group("good", [9_950, 9_931]).reaches_goal
    assert not group("single", [9_950]).reaches_goal
    assert not group("long", [9_950, 9_950], epochs=16).reaches_goal
    assert not group("large", [9_950, 9_950], architecture="initial").reaches_goal
    assert not group("held", [9_950, 9_950], holdout=1_000).reaches_goal
    made_run(folder, "good-s3", done=1, epochs=3, state="stopped", group="good", seed=3)
    assert not repeats.open_group("good").reaches_goal, "one of it is still to come"


def test_runs_that_differ_in_other_fields_are_not_repeats(group, folder):
    group("mixed", [9_900, 9_910])
    made_run(folder, "mixed-s3", group="mixed", seed=3, lr=0.2)
    with pytest.raises(
        RunError, match="mixed-s1 and mixed-s3 are not repeats of each other: they differ in lr"
    ):
        repeats.open_group("mixed")
    with pytest.raises(RunError, match="no group 'nobody'"):
        repeats.open_group("nobody")


def test_runs_without_a_group_are_not_listed_as_groups(group, folder):
    made_run(folder, "alone")
    group("one", [9_900, 9_910])
    group("two", [9_900, 9_910])
    assert {each.name for each in repeats.list_groups()} == {"one", "two"}
