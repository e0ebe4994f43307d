"""Measured figures in words and tables: effects, the original's figures, the READMEs."""

from __future__ import annotations

import dataclasses

import pytest

from core.experiments.measurements import Measurement, Measurements, config_key
from core.recipes import RECIPES
from core.reports import results, rungs
from core.reports.original import PRINTED, explain_difference, mean_accuracies
from core.reports.report import write_markdown
from core.rungs import RUNGS, START, rung_configs
from tests.made import made_run, measured

FIRST = next(iter(RUNGS))


def steps(*figures: Measurement) -> list[rungs.MeasuredStep]:
    return rungs.list_steps(Measurements(figures))


def test_steps_find_their_figures():
    found = steps(measured(FIRST, 99.4))
    assert [step.name for step in found] == [START, *RUNGS]
    assert [step.name for step in found if step.measured] == [FIRST]
    assert {step.name: step.config for step in found[1:]} == rung_configs()


def test_some_steps_lead_to_final_and_all_to_taught():
    found = steps()
    last = found[rungs.steps_to(found, "final") - 1]
    assert config_key(last.config) == config_key(RECIPES["final"].config)
    assert rungs.steps_to(found, "taught") == len(found) == rungs.steps_to(found, "tiny")


def test_an_effect_pairs_the_seeds_that_both_have():
    before, now = measured(START, 99.2, 99.4, 99.3), measured(FIRST, 99.3, 99.5)
    effect = rungs.find_effect(before, now)
    assert (effect.seeds, effect.is_significant) == (2, True)
    assert effect.means == pytest.approx((99.3, 99.4))
    assert effect.interval == pytest.approx((0.1, 0.1), abs=1e-6)
    assert rungs.find_effect(before, measured(FIRST, 99.5)) is None
    assert rungs.find_effect(None, now) is None


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((99.41, 99.42, 99.46), "The accuracy is significantly higher."),
        ((99.11, 99.12, 99.13), "The accuracy is significantly lower."),
        ((99.29, 99.33, 99.31), "No significant difference; it could be chance."),
    ],
)
def test_the_verdict_follows_from_the_interval(accuracies, verdict):
    before, now, *_ = steps(measured(START, 99.28, 99.3, 99.33), measured(FIRST, *accuracies))
    text = rungs.describe_effect(before, now)
    assert text.startswith(verdict)
    effect = rungs.find_effect(before.measured, now.measured)
    assert f"{effect.interval[0]:+.3f} to {effect.interval[1]:+.3f}" in text


def test_what_is_missing_is_named():
    before, now, *_ = steps(measured(START, 99.28, 99.3))
    assert f"recipes.py {FIRST} --write" in rungs.describe_effect(before, now)
    before, now, *_ = steps()
    assert f"recipes.py {START} {FIRST} --write" in rungs.describe_effect(before, now)


def test_the_originals_best_epoch_is_told_from_its_last():
    final = PRINTED["final-published"]
    assert (final.stated, final.last, final.best_epoch) == (99.43, 99.35, 11)
    text = explain_difference(final, measured("final-published", 99.28, 99.32, best=99.36))
    assert "best of 15 epochs on the test images, in one run whose last epoch has 99.35 %" in text
    assert "99.300 % is the mean of 2 seeds" in text
    assert "99.36 % on average" in text


@pytest.mark.parametrize(
    ("accuracies", "place"),
    [((99.1, 99.2), "within"), ((99.0, 99.1), "above"), ((99.2, 99.3), "below")],
)
def test_a_last_epoch_is_placed_among_ours(accuracies, place):
    text = explain_difference(
        PRINTED["initial-published"], measured("initial-published", *accuracies)
    )
    assert f"lies {place} the range" in text


@pytest.mark.parametrize("name", PRINTED)
def test_the_originals_runs_have_the_epochs_of_their_recipes(name):
    printed, config = PRINTED[name], RECIPES[name].config
    assert len(printed.accuracies) == config.epochs
    assert printed.stated in (printed.last, max(printed.accuracies))
    means = mean_accuracies(measured(name, 99.2, 99.3))
    assert means[-1] == pytest.approx((99.25, 99.2, 99.3))


def test_a_report_of_a_published_recipe_stands_beside_the_original(tmp_path, figures):
    figures(measured("final-published", 99.28, 99.32))
    config = RECIPES["final-published"].config.to_dict()
    run = made_run(tmp_path, "final-published", done=15, recipe="final-published", **config)
    text = write_markdown(run)
    assert "## Beside the original" in text
    assert f"|    11 |      99.43 % | {run.epochs[10].val_accuracy:6.2f} % |" in text
    assert "99.300 % is the mean of 2 seeds" in text
    other = dataclasses.replace(run, config=run.config.changed(momentum=0.5))
    assert "Beside the original" not in write_markdown(other)


def test_tables_show_what_is_measured_and_dashes_for_the_rest(tmp_path):
    figures = Measurements([measured("tiny", 99.3, 99.4, 99.5), measured("teacher", 99.6)])
    rows = {
        row.split("|")[1].strip(): row
        for row in results.results_table(figures).splitlines()
        if "|" in row
    }
    assert "| 99.400 | 99.15–99.65 | 3 |" in rows["`tiny`"]
    assert "| 99.600 | – | 1 |" in rows["`teacher`"]
    assert rows["`best`"].endswith("| – | – | – |")
    assert not any("keras" in row for row in rows)
    assert "| 99.400 | 0.100 | 99.15–99.65 | 99.30–99.50 | 99.400 |" in results.seeds_table(figures)


def test_only_the_text_between_the_marks_is_made_anew(tmp_path):
    made_run(tmp_path, "tiny", done=2)
    text = "before\n<!-- table: shipped -->\nold\n<!-- end of table -->\nafter\n"
    filled = results.fill_tables(text, Measurements(), tmp_path)
    assert filled.startswith("before\n<!-- table: shipped -->\n| run ")
    assert filled.endswith("\n<!-- end of table -->\nafter\n")
    assert "old" not in filled
    assert "| `tiny` |" in filled
    assert results.fill_tables(filled, Measurements(), tmp_path) == filled
