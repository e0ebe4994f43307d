"""Runs and groups in one list: repeats folded, put in order by their mean, and judged by it."""

from __future__ import annotations

import pytest

from core.experiments import overview
from core.experiments.scores import count_epochs
from core.runs import files, store
from core.runs.run import Run
from tests.made import made_run


def trained(folder, name: str, correct: int, **config) -> None:
    run = made_run(folder, name, **config)
    rows = [dict(row) for row in files.read_json(run.folder / "epochs.json")]
    rows[-1]["val_correct"] = correct
    files.write_json(run.folder / "epochs.json", rows)


@pytest.fixture
def runs(folder) -> list[Run]:
    """A group, a single run, and two runs that share a group's name but not their config."""
    for seed, correct in ((1, 9_700), (2, 9_900)):
        trained(folder, f"pair-s{seed}", correct, group="pair", seed=seed)
    trained(folder, "between", 9_850)
    for seed, rate in ((1, 0.1), (2, 0.2)):
        trained(folder, f"odd-s{seed}", 9_500, group="odd", seed=seed, max_lr=rate)
    return [run for run in store.list_runs(folder) if isinstance(run, Run)]


def names(entries) -> list[str]:
    return [overview.entry_key(entry) for entry in entries]


def test_only_repeats_are_folded_and_sorted_by_their_mean(runs):
    assert names(overview.fold_groups(runs, runs, "last accuracy"))[:2] == [
        "between",
        "pair (group)",
    ]
    assert {"odd-s1", "odd-s2"} <= set(names(overview.fold_groups(runs, runs, "name")))


def test_a_group_with_a_matching_run_is_listed_with_all_its_runs(runs):
    found = [run for run in runs if run.name == "pair-s2"]
    (group,) = overview.fold_groups(runs, found, "newest")
    assert [run.name for run in overview.runs_of(group)] == ["pair-s1", "pair-s2"]
    assert names(overview.fold_groups(runs, found, "newest", expanded=True)) == [
        "pair (group)",
        "pair-s2",
    ]


@pytest.mark.parametrize("order", list(overview.listing.SORT_KEYS))
def test_groups_have_a_place_in_every_order(runs, order):
    assert len(overview.fold_groups(runs, runs, order)) == 4


def test_a_group_has_a_deviation_and_a_run_the_interval_of_its_images(runs):
    (group,) = overview.find_groups(runs)
    found = overview.validation_accuracy(group)
    assert (found.mean, found.runs) == (98.0, 2)
    assert found.deviation == pytest.approx(2**0.5)
    single = overview.validation_accuracy(next(run for run in runs if run.name == "between"))
    assert single.deviation is None
    assert single.interval[0] < 98.5 < single.interval[1]


def test_a_mean_curve_has_the_range_of_its_runs(runs):
    (group,) = overview.find_groups(runs)
    last = overview.mean_curve(group, lambda row: row.val_accuracy).iloc[-1]
    assert (last["run"], last["low"], last["value"], last["high"]) == ("pair", 97.0, 98.0, 99.0)


def test_a_run_without_an_epoch_has_no_accuracy(folder):
    run = made_run(folder, "fresh", done=0, state="stopped")
    assert overview.validation_accuracy(run) is None
    assert overview.current_accuracy(run) is None
    assert not len(overview.mean_curve(run, lambda row: row.val_accuracy))


def test_the_epochs_before_a_fork_count_towards_the_goal(folder):
    trained(folder, "one", 9_950, done=2, epochs=12)
    start = {"name": "one", "which": "epoch", "epoch": 2}
    trained(folder, "two", 9_950, done=1, epochs=13, parent=start)
    trained(folder, "three", 9_950, done=1, parent={"name": "two", "which": "last", "epoch": 13})
    one, two, three = map(store.open_run, ("one", "two", "three"))
    assert [count_epochs(run) for run in (one, two, three)] == [12, 15, 16]
    assert [overview.reaches_goal(run) for run in (one, two, three)] == [True, True, False]
