"""Reports: every sentence follows from the run's figures."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from core.errors import RunError
from core.experiments.repeats import open_group
from core.recipes import RECIPES
from core.reports import html as report_html
from core.reports import report as reports
from core.reports.changes import find_predecessor
from core.reports.parts import describe_origin, describe_settings, recipe_of
from core.reports.report import write_html, write_markdown
from core.runs import control, files, store
from core.training.results import HEADER, TestResult
from tests.core.reports.examples import row, run_of
from tests.made import RUNTIME, made_run


def test_a_report_has_the_originals_parts():
    text = write_markdown(
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
        "accuracy on the test images **99.41 %**",
        "interval: 99.24 to 99.54 %",
        "99.45 % (epoch 2)",
        "Total params: 3,762",
        "reaches the goal",
    ):
        assert part in text


def test_settings_without_effect_are_not_reported():
    rows = [row(1, 57_000, 9_900)]
    alone = run_of("final", rows, teacher_share=0.3, temperature=9.0, schedule="one-cycle")
    text = "\n".join(describe_settings(alone))
    assert "Max Lr: 0.1" in text
    assert "\nLr: " not in text
    assert "Teacher" not in text
    assert recipe_of(run_of("final", rows, teacher_share=0.3)) is not None
    taught = run_of("final", rows, teacher="teacher", teacher_share=0.0, temperature=9.0)
    assert "Teacher: teacher (share 0)" in describe_settings(taught)
    soft = run_of("final", rows, teacher="teacher", teacher_share=1.0, label_smoothing=0.1)
    assert not any(line.startswith("Label smoothing") for line in describe_origin(soft))


def test_a_hold_out_and_the_test_accuracy_are_reported():
    run = dataclasses.replace(
        run_of("final", [row(1, 49_000, 4_950)], holdout=5_000),
        test=TestResult(0.02, 9_938, 10_000),
    )
    text = write_markdown(run)
    assert "5,000 validation images" in text
    assert "**99.38 %**" in text


def test_the_teacher_and_the_precision_are_among_the_settings():
    run = run_of(
        "initial", [row(1, 58_000, 9_900)], teacher="old", teacher_share=0.7, temperature=3.0
    )
    assert "Teacher: old (share 0.7, temperature 3)" in write_markdown(run)
    runtime = RUNTIME.changed(precision="bf16")
    rounded = dataclasses.replace(run_of("initial", [row(1, 58_000, 9_900)]), runtime=runtime)
    assert "Using Device: cpu (bf16)" in write_markdown(rounded)
    assert "Teacher" not in write_markdown(rounded)


def test_a_run_without_an_epoch_has_no_report():
    with pytest.raises(RunError, match="no epoch to report"):
        write_markdown(run_of("final", []))


def test_augmented_images_are_named_only_where_they_were_used():
    # The recipe's last two epochs see plain images.
    early = write_markdown(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 14)]))
    late = write_markdown(run_of("final", [row(n, 59_000, 9_940) for n in range(1, 15)]))
    assert "(augmented images)" in early
    assert "(augmented images)" not in late


def test_a_run_is_compared_with_its_parent_else_its_recipe_else_the_recipe_before(folder):
    initial = made_run(folder, "initial", recipe="initial", **RECIPES["initial"].config.to_dict())
    taught = made_run(folder, "taught", recipe="taught", **RECIPES["taught"].config.to_dict())
    assert find_predecessor(initial) is None
    assert find_predecessor(taught).name == "initial", "intermediate is not here"
    own = made_run(
        folder, "own", recipe="taught", **RECIPES["taught"].config.changed(lr=0.01).to_dict()
    )
    assert find_predecessor(own).name == "taught"
    seed = made_run(
        folder,
        "seed",
        recipe="taught",
        **RECIPES["taught"].config.changed(seed=7, threads=1).to_dict(),
    )
    assert find_predecessor(seed).name == "initial", "another seed is no change"
    assert find_predecessor(control.fork("own", "child")).name == "own"
    assert find_predecessor(made_run(folder, "alone")) is None


def test_changes_and_their_effect_are_reported(folder, errors):
    made_run(folder, "final", recipe="final", **RECIPES["final"].config.to_dict())
    own = made_run(
        folder,
        "own",
        recipe="final",
        **RECIPES["final"].config.changed(max_lr=0.3, seed=4).to_dict(),
    )
    errors |= {"final": 60, "own": 100}
    text = write_markdown(own)
    assert "## Changes since final\n1. Max lr: 0.3 instead of 0.1\n\n" in text
    assert "Seed" not in text.split("## Changes")[1].split("##")[0]
    assert "Effect: **final is better by 0.40 points" in text
    errors["own"] = 63
    assert "**No clear difference: own is 0.03 points worse" in write_markdown(own)
    child = control.fork("own", "child", {"epochs": 5})
    files.write_json(child.folder / "epochs.json", [each.to_dict() for each in own.epochs])
    for which in ("last", "best"):
        (child.folder / f"{which}.safetensors").write_bytes(
            (own.folder / f"{which}.safetensors").read_bytes()
        )
    errors["child"] = 60
    assert (
        "1. Started from own (last weights, epoch 3)\n2. Epochs: 5 instead of 15"
        in write_markdown(store.open_run("child"))
    )


def test_errors_are_counted_by_digit_and_the_worst_shown(folder, errors):
    run = made_run(folder, "own")
    errors["own"] = 25
    text = write_markdown(run).split("## Errors")[1]
    assert "25 of the 10,000 test images" in text
    assert "0 (3 of 1,000, 0.30 %), 1 (3 of 1,000, 0.30 %)" in text
    assert "0 predicted as 1 (3 times)" in text
    assert "No. 0: 0 predicted as 1 with probability 91.0 %" in text
    assert text.count("No. ") == 12
    errors["own"] = 0
    assert "None on the test images." in write_markdown(run)


def test_without_the_dataset_a_report_leaves_out_the_errors(folder, no_dataset):
    text = write_markdown(made_run(folder, "own"))
    assert "## Analysis" in text
    assert "## Errors" not in text


class Outline(HTMLParser):
    """The elements of a page, those left open, and the addresses that it refers to."""

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


def test_the_html_file_is_self_contained(folder, errors):
    made_run(folder, "own")
    run = store.annotate("own", notes="<script>alert(1)</script> & **bold**")
    errors["own"] = 30
    text = write_html(run)
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


def test_charts_take_the_colour_of_the_surrounding_text(folder, no_dataset):
    drawn = [
        report_html.render_svg(block.chart)
        for section in reports.build_report(made_run(folder, "own"), charts=True).sections
        for block in section.blocks
        if hasattr(block, "chart")
    ]
    assert len(drawn) == 3
    for picture in drawn:
        assert 'fill="currentColor"' in picture
        assert 'fill="#000"' not in picture
        assert re.match(r"<svg[^>]*viewBox", picture)
        assert not re.match(r'<svg[^>]* width="', picture)


def test_a_group_is_reported_by_its_mean(group, errors):
    made = group("three", [9_904, 9_923, 9_926], recipe="final", done=2)
    errors |= {"three-s1": 96, "three-s2": 77, "three-s3": 74}
    text = write_markdown(made)
    for part in (
        "# three",
        "3 runs that differ only in their seed",
        "Train a network of 7,850 parameters for 2 epochs",
        "**99.18 %**, mean over 3 seeds (95 % confidence interval: 98.88 to 99.47 %)",
        "Standard deviation 0.119 points, minimum 99.04 %, maximum 99.26 %",
        "|     1 |  92.50 % |  99.04 % | 98.83 to 99.21 |",
        "| three-s1",
        "Using Device: cpu",
        "|  88.00 % |  88.00 % |",
        "0.22 points below the goal of 99.4 %",
        "so 3 seeds cannot show",
        "over the seeds is 0.12 points",
        "10,000 images is 0.09 points",
        "74 of the 10,000 test images are errors of all 3 runs, 96 of at least one",
        "mean per run: 82",
        "The ensemble (mean probabilities) makes 77 errors",
    ):
        assert part in text, part
    page = Outline(write_html(made))
    assert page.open == []
    assert page.seen.count("svg") == 2


def test_unfinished_runs_of_a_group_are_mentioned_and_an_empty_group_has_no_report(
    group, folder, no_dataset
):
    group("two", [9_904, 9_923])
    made_run(folder, "two-s3", done=1, epochs=3, state="stopped", group="two", seed=3)
    assert "1 of 3 runs" in write_markdown(open_group("two"))
    made_run(folder, "new-s1", done=0, group="new", state="stopped")
    with pytest.raises(RunError, match="no finished run to report"):
        write_markdown(open_group("new"))


def test_a_mean_that_reaches_the_goal_is_mentioned(group, no_dataset):
    text = write_markdown(group("good", [9_950, 9_945]))
    assert "**The mean reaches the goal**" in text
    assert "reaches the goal of 99.4 %" in text
