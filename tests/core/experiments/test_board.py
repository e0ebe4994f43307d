"""Boards: which runs belong to one, and in which order."""

from __future__ import annotations

import pytest

from core.experiments import board
from core.runs import store
from core.runs.run import Run
from tests.made import made_run


@pytest.fixture
def runs(folder) -> list[Run]:
    made_run(folder, "class-7b-ada", done=3)
    made_run(folder, "class-7b-bob", done=1, max_lr=0.05)
    made_run(folder, "class-7b", done=0, state="stopped", seed=7)
    made_run(folder, "class-7bis", done=3)
    made_run(folder, "mine", done=2)
    store.annotate("mine", tags=("class-7b",))
    return [run for run in store.list_runs() if isinstance(run, Run)]


def test_a_board_has_the_runs_with_its_tag_or_prefix_the_best_first(runs):
    for key in ("class-7b", "CLASS-7B"):
        assert [run.name for run in board.select_board(runs, key)] == [
            "class-7b-ada",
            "mine",
            "class-7b-bob",
            "class-7b",
        ]
    assert board.select_board(runs, "class-8") == []


def test_tags_and_shared_beginnings_are_boards(runs):
    assert board.list_boards(runs) == ["class-7b", "class"]
    untagged = [run for run in runs if not run.tags]
    assert set(board.list_boards(untagged)) == {"class", "class-7b"}


def test_seeds_are_no_difference(runs):
    members = board.select_board(runs, "class-7b")
    assert board.differing_settings(members) == ["max_lr", "epochs"]
