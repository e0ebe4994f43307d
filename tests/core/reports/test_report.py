"""Reports: every sentence follows from the run."""

from __future__ import annotations

import dataclasses
import datetime
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.experiments.repeats import open_group
from core.insight.mistakes import Predictions
from core.recipes import RECIPES
from core.reports import html as report_html
from core.reports import mistakes as report_mistakes
from core.reports import report as reports
from core.reports.analysis import of_run as analysis
from core.reports.changes import predecessor
from core.reports.report import html, markdown
from core.runs import control, files, store
from core.runs.run import Run
from core.training.results import HEADER, EpochResult, TestResult
from tests.made import RUNTIME, made_run


def run_of(recipe: str, rows, **changes) -> Run:
    now = datetime.datetime.now(datetime.UTC)
    config = RECIPES[recipe].config.changed(**changes)
    return Run(
        recipe,
        Path(recipe),
        config,
        now,
        recipe,
        None,
        "",
        (),
        RUNTIME,
        None,
        "finished",
        "",
        now,
        tuple(rows),
    )


def row(epoch: int, train: int, val: int, val_loss: float = 0.02) -> EpochResult:
    return EpochResult(epoch, 0.01, 10.0, 0.05, train, 60_000, val_loss, val, 10_000)


def test_a_report_has_the_seeds_parts():
    text = markdown(
        run_of("final", [row(1, 57_000, 9_900), row(2, 59_000, 9_945), row(3, 59_100, 9_941)])
    )
    for part in (
        "# Final",
        "## Targets",
        "## Results",
        "## Analysis",
        "**3,762** parameters",
        "Batch Size: 64",
        "Lr: 0.05",
        "Max Lr: 0.1",
        HEADER,
        "**99.41 %** of the test images",
        "interval 99.24 to 99.54",
        "was 2 with 99.45 %",
        "Total params: 3,762",
        "reaches the goal",
    ):
        assert part in text


def test_analysis_tells_over_fitting_from_its_absence():
    over = analysis(run_of("initial", [row(1, 58_000, 9_900, 0.03), row(2, 59_950, 9_915, 0.04)]))
    assert any(
        "overfits: 99.92 % in training against 99.15 % in validation, and" in s for s in over
    )
    assert any(
        "misses the goal of 99.4 % by 0.25 points and stands 8,530 parameters above" in s
        for s in over
    )
    under = analysis(run_of("final", [row(1, 59_000, 9_940)]))
    assert any("does not overfit" in s and "augmented" in s for s in under)
    same = analysis(run_of("intermediate", [row(1, 59_520, 9_925)]))
    assert any("agree" in s for s in same)


def test_analysis_tells_whether_it_was_still_learning():
    assert any(
        "still learning" in s
        for s in analysis(run_of("final", [row(n, 59_000, 9_900 + 10 * n) for n in range(1, 5)]))
    )
    assert any(
        "what it could" in s
        for s in analysis(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 5)]))
    )


def test_a_hold_out_is_named_and_its_test_score_told():
    run = dataclasses.replace(
        run_of("final", [row(1, 49_000, 4_950)], holdout=5_000),
        test=TestResult(0.02, 9_938, 10_000),
    )
    text = markdown(run)
    assert "5,000 validation images" in text
    assert "on the test images: **99.38 %**" in text


def test_what_the_run_learnt_from_and_how_it_rounded_stand_in_the_header():
    run = run_of(
        "initial", [row(1, 58_000, 9_900)], teacher="old", teacher_share=0.7, temperature=3.0
    )
    assert "Teacher: old (share 0.7, temperature 3)" in markdown(run)
    runtime = RUNTIME.changed(precision="bf16")
    rounded = dataclasses.replace(run_of("initial", [row(1, 58_000, 9_900)]), runtime=runtime)
    assert "Using Device: cpu (bf16)" in markdown(rounded)
    assert "Teacher" not in markdown(rounded)


def test_a_run_without_an_epoch_has_no_report():
    with pytest.raises(RunError, match="no epoch to report"):
        markdown(run_of("final", []))


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No dataset is here."""
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "nowhere"))


@pytest.fixture
def asked(monkeypatch):
    """Ten thousand made-up test images, and runs that misread the first so many of them: by name."""
    wrong: dict[str, int] = {}
    images = np.zeros((10_000, 28, 28), np.uint8)
    labels = np.arange(10_000) % 10

    def answer(run, which="last", test=None):
        probabilities = np.full((10_000, 10), 0.01, np.float32)
        probabilities[np.arange(10_000), labels] = 0.91
        some = np.arange(wrong[run.name])
        probabilities[some] = 0.01
        probabilities[some, (labels[some] + 1) % 10] = 0.91
        return Predictions(probabilities, labels)

    monkeypatch.setattr(report_mistakes, "test_set", lambda: LabelledImages(images, labels))
    for module in ("mistakes", "changes"):
        monkeypatch.setattr(f"core.reports.{module}.predictions_of", answer)
    return wrong


def test_capacity_is_told_from_training_against_validation():
    assert any(
        "more capacity than these images ask for" in s
        for s in analysis(run_of("initial", [row(1, 59_950, 9_915)]))
    )
    assert any(
        "learning them better has stopped helping" in s
        for s in analysis(run_of("initial", [row(1, 59_700, 9_915)]))
    )
    assert any(
        "0.80 % of its training images, about as many as of others: what it lacks is capacity or time"
        in s
        for s in analysis(run_of("intermediate", [row(1, 59_520, 9_925)]))
    )
    assert any(
        "1.67 % of its augmented training images, more than of others" in s
        for s in analysis(run_of("final", [row(1, 59_000, 9_940)]))
    )


def test_an_interval_that_holds_the_goal_is_told():
    assert (
        "holds the goal, so one run cannot tell"
        in analysis(run_of("final", [row(1, 59_000, 9_945)]))[0]
    )
    assert "holds the goal" not in analysis(run_of("final", [row(1, 59_000, 9_800)]))[0]
    assert (
        "more than the goal's 15"
        in analysis(run_of("final", [row(1, 59_000, 9_945)], epochs=20))[0]
    )


def test_augmented_images_are_called_so_only_while_they_were():
    # The recipe's last two epochs see plain images.
    early = markdown(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 14)]))
    late = markdown(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 15)]))
    assert "of the training images as augmented" in early
    assert "as augmented" not in late


def test_a_run_is_held_against_its_parent_else_its_recipe_else_the_recipe_before(folder):
    initial = made_run(folder, "initial", recipe="initial", **RECIPES["initial"].config.to_dict())
    final = made_run(folder, "final", recipe="final", **RECIPES["final"].config.to_dict())
    assert predecessor(initial) is None
    assert predecessor(final).name == "initial", "intermediate is not here"
    own = made_run(
        folder, "own", recipe="final", **RECIPES["final"].config.changed(lr=0.01).to_dict()
    )
    assert predecessor(own).name == "final"
    seed = made_run(
        folder,
        "seed",
        recipe="final",
        **RECIPES["final"].config.changed(seed=7, threads=1).to_dict(),
    )
    assert predecessor(seed).name == "initial", "another seed is no change"
    assert predecessor(control.fork("own", "child")).name == "own"
    assert predecessor(made_run(folder, "alone")) is None


def test_what_was_changed_and_what_it_bought_is_told(folder, asked):
    made_run(folder, "final", recipe="final", **RECIPES["final"].config.to_dict())
    own = made_run(
        folder,
        "own",
        recipe="final",
        **RECIPES["final"].config.changed(max_lr=0.3, seed=4).to_dict(),
    )
    asked |= {"final": 60, "own": 100}
    text = markdown(own)
    assert "## Changes since final\n1. Max lr: 0.3 instead of 0.1\n\n" in text
    assert "Seed" not in text.split("## Changes")[1].split("##")[0]
    assert "What that bought: **final is better by 0.40 points" in text
    asked["own"] = 63
    assert "**No clear difference: own is 0.03 points worse" in markdown(own)
    child = control.fork("own", "child", {"epochs": 5})
    files.write_json(child.folder / "epochs.json", [each.to_dict() for each in own.epochs])
    for which in ("last", "best"):
        (child.folder / f"{which}.safetensors").write_bytes(
            (own.folder / f"{which}.safetensors").read_bytes()
        )
    asked["child"] = 60
    assert (
        "1. It began with the last weights of own, from its epoch 3\n2. Epochs: 5 instead of 15"
        in markdown(store.open_run("child"))
    )


def test_mistakes_are_counted_by_digit_and_the_hardest_shown(folder, asked):
    run = made_run(folder, "own")
    asked["own"] = 25
    text = markdown(run).split("## What it gets wrong")[1]
    assert "1. 25 of the 10,000 test images" in text
    assert "Read worst: the 0 (3 of 1,000, 0.30 %), the 1 (3 of 1,000, 0.30 %)" in text
    assert "Confused most: a 0 for a 1 (3 times)" in text
    assert "No. 0: a 0, taken for a 1 with 91.0 %" in text
    assert "No. 7: a 7, taken for an 8 with 91.0 %" in text
    assert text.count("No. ") == 12
    asked["own"] = 0
    assert "Not one of the test images." in markdown(run)


def test_without_the_dataset_a_report_says_what_the_run_holds(folder, nowhere):
    text = markdown(made_run(folder, "own"))
    assert "## Analysis" in text
    assert "What it gets wrong" not in text


class Outline(HTMLParser):
    """Which elements a page has, that all are closed, and what they would fetch."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.seen, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "img", "br", "link", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)


def test_the_page_holds_all_it_shows(folder, asked):
    made_run(folder, "own")
    run = store.annotate("own", notes="<script>alert(1)</script> & **bold**")
    asked["own"] = 30
    text = html(run)
    page = Outline(text)
    assert page.open == []
    assert page.seen.count("svg") == 3
    assert page.seen.count("img") == 12
    assert "script" not in page.seen
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; <strong>bold</strong>" in text
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links), page.links
    assert not re.search(r"""url\(\s*['"]?http""", text)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert 'role="img" aria-label="Accuracy by epoch' in text


def test_charts_take_the_colour_of_the_text_around_them(folder, nowhere):
    drawn = [
        report_html.svg(block.chart)
        for section in reports.report(made_run(folder, "own"), charts=True).sections
        for block in section.blocks
        if hasattr(block, "chart")
    ]
    assert len(drawn) == 3
    for picture in drawn:
        assert 'fill="currentColor"' in picture
        assert 'fill="#000"' not in picture
        assert re.match(r"<svg[^>]*viewBox", picture)
        assert not re.match(r'<svg[^>]* width="', picture)


def test_a_group_is_told_by_its_mean(group, asked):
    made = group("three", [9_904, 9_923, 9_926], recipe="final", done=2)
    asked |= {"three-s1": 96, "three-s2": 77, "three-s3": 74}
    text = markdown(made)
    for part in (
        "# three",
        "3 runs that differ in their seed only",
        "1. Above 99.4 %",
        "**99.18 %** of the test images as the mean of 3 seeds (95 % interval 98.88 to 99.47)",
        "Standard deviation 0.119 points, the smallest 99.04 %, the largest 99.26 %",
        "|     1 |  92.50 % |  99.04 % | 98.83 to 99.21 |",
        "| three-s1",
        "Using Device: cpu",
        "|  88.00 % |  88.00 % |",
        "misses the goal of 99.4 % by 0.22 points",
        "so 3 seeds cannot tell",
        "The seeds spread by 0.12 points; which 10,000 images one happens to be asked about moves a single "
        "accuracy by 0.09 more",
        "74 of the 10,000 test images are misread by all 3 runs, and 96 by at least one",
        "a run misreads 82 on average",
        "Asked together, by the mean of their probabilities, they misread 77",
    ):
        assert part in text, part
    page = Outline(html(made))
    assert page.open == []
    assert page.seen.count("svg") == 2


def test_a_group_with_unfinished_runs_says_so_and_an_empty_one_has_no_report(
    group, folder, nowhere
):
    group("two", [9_904, 9_923])
    made_run(folder, "two-s3", done=1, epochs=3, state="stopped", group="two", seed=3)
    assert "Not counted, since not finished: 1 of its 3 runs" in markdown(open_group("two"))
    made_run(folder, "new-s1", done=0, group="new", state="stopped")
    with pytest.raises(RunError, match="no finished run to report"):
        markdown(open_group("new"))


def test_a_group_that_reaches_the_goal_says_so(group, nowhere):
    text = markdown(group("good", [9_950, 9_945]))
    assert "**The goal is reached** by the mean" in text
    assert "It reaches the goal" in text
