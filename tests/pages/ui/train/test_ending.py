"""The end of a run on Train: its figures in words, and the links that follow."""

from __future__ import annotations

import pytest

from core.experiments.scores import score_run
from core.runs import files, store
from pages.ui.train.ending import describe_end, describe_result
from tests.made import made_run
from tests.opening import open_page, shown

TRAIN = "pages/train.py"


def links(app) -> dict[str, str]:
    return {
        shown(link.proto.label): f"{link.proto.page}?{link.proto.query_string}"
        for link in app.get("page_link")
    }


def correct(folder, name: str, count: int):
    rows = [dict(row) for row in files.read_json(folder / name / "epochs.json")]
    rows[-1]["val_correct"] = count
    files.write_json(folder / name / "epochs.json", rows)
    return store.open_run(name)


def test_the_figures_are_the_runs_own_and_those_of_its_recipe(folder):
    made_run(folder, "final", recipe="final", done=15, epochs=15)
    made_run(folder, "mine", recipe="final", done=1)
    mine, final = correct(folder, "mine", 9_901), correct(folder, "final", 9_940)
    text = describe_result(mine, score_run(mine), final)
    assert "99 of 10,000 test images wrong after 1 epoch: an accuracy of 99.01 %" in text
    assert "leaves 60 after 15 epochs" in text
    assert "allows 60." in text
    assert "it is reached" in describe_result(final, score_run(final), None)


def test_the_goal_asks_for_few_parameters_and_few_epochs_too(folder):
    made_run(folder, "mine", done=1, epochs=20, architecture="initial")
    mine = correct(folder, "mine", 9_950)
    text = describe_result(mine, score_run(mine), None)
    assert "it is reached" not in text
    assert "fewer than 8,000 parameters, and this network has 16,530" in text
    assert "at most 15 epochs, and this network has had 20" in text


def test_another_network_than_the_recipes_is_named(folder):
    final = made_run(folder, "final", recipe="final", done=2)
    mine = made_run(folder, "mine", recipe="final", done=1, architecture="original-3762")
    text = describe_result(mine, score_run(mine), final)
    assert "The recipe's own run, another network, leaves" in text


def test_a_fork_is_measured_against_its_start(folder):
    made_run(folder, "start", done=2)
    made_run(folder, "other")
    start = correct(folder, "start", 9_883)
    made_run(folder, "longer", done=3, parent={"name": "start", "which": "last", "epoch": 2})
    longer = correct(folder, "longer", 9_896)
    text = describe_result(longer, score_run(longer), None, start)
    assert "104 of 10,000 test images wrong after 3 more epochs from the weights of start" in text
    assert "Before, 117 were wrong." in text
    targets = links(open_page(TRAIN, run="longer"))
    assert targets["Compare with start"].endswith("first=start&second=longer")
    # Weights of an earlier epoch had another accuracy than the parent ended with.
    made_run(folder, "early", done=1, parent={"name": "start", "which": "epoch", "epoch": 1})
    early = store.open_run("early")
    assert "Before" not in describe_result(early, score_run(early), None, start)


def test_validation_images_are_named(folder):
    made_run(folder, "mine", done=2, holdout=5_000)
    rows = [dict(row) for row in files.read_json(folder / "mine" / "epochs.json")]
    rows[-1] |= {"val_correct": 4_900, "val_total": 5_000}
    files.write_json(folder / "mine" / "epochs.json", rows)
    mine = store.open_run("mine")
    text = describe_result(mine, score_run(mine), None)
    assert "100 of 5,000 validation images wrong after 2 epochs" in text
    assert "goal" not in text


def test_a_finished_run_leads_on(folder):
    made_run(folder, "other")
    made_run(folder, "mine")
    store.annotate("mine", tags=("class-7b",))
    targets = links(open_page(TRAIN, run="mine"))
    assert targets["See its mistakes"] == "mistakes?run=mine"
    assert targets["Draw with it"] == "draw?network=mine"
    assert targets["Train longer"] == "train?fork=mine"
    assert targets["Compare with other"].endswith("first=other&second=mine")
    assert targets["Board of class-7b"] == "board?board=class-7b"


@pytest.mark.parametrize(("state", "done"), [("stopped", 2), ("finished", 0)])
def test_what_has_no_result_has_no_ending(folder, state, done):
    made_run(folder, "mine", done=done, state=state, epochs=4)
    assert "Train longer" not in links(open_page(TRAIN, run="mine"))


def test_the_end_is_announced_in_words(folder):
    run = made_run(folder, "mine", done=2)
    assert "mine has ended with an accuracy of " in describe_end(run)
    failed = made_run(folder, "bad", done=0, state="failed", message="no space left")
    assert describe_end(failed).endswith("bad has failed: no space left")
    assert describe_end(made_run(folder, "next", done=0, state="queued", epochs=2)) == ""
