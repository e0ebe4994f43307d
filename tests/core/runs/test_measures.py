"""Settings and measures by name, and conditions on them."""

from __future__ import annotations

import pytest

from core.config import FIELDS
from core.errors import RunError
from core.runs import listing, measures, store
from tests.made import made_run


@pytest.fixture
def runs(folder):
    made_run(folder, "slow", done=3, max_lr=0.01, optimizer="sgd", nesterov=True)
    made_run(folder, "fast", done=3, max_lr=0.2, optimizer="muon", epochs=5)
    made_run(folder, "new", done=0, state="stopped", max_lr=0.1, seed=7)
    store.annotate("fast", tags=("Quick", "b"))
    return store.list_runs(folder)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("max_lr > 0.1", "fast"),
        ("max_lr>=0.1", "new fast"),
        ("max_lr = 0.1", "new"),
        ("MAX_LR != 0.1", "fast slow"),
        ("optimizer = muon", "fast"),
        ("optimizer != muon", "new slow"),
        ("nesterov = yes", "slow"),
        ("accuracy >= 90 optimizer=sgd", "slow"),
        ("accuracy < 90", ""),
        ("state = stopped", "new"),
        ("tag = quick", "fast"),
        ("tag != quick", "new slow"),
        ("recipe = final", ""),
        ("fa max_lr > 0", "fast"),
        ('architecture = "linear-7850" sl', "slow"),
        ("done >= 3 seconds < 100", "fast slow"),
        ("seed = 7", "new"),
        ("max_lr => 0.1 max_lr =< 0.1", "new"),
        ("nesterov = no", "new"),  # it has no effect on Muon, which "fast" trains with
        ("nesterov != yes", "new fast"),
    ],
)
def test_conditions_and_words_are_combined(runs, text, names):
    assert [run.name for run in listing.filter_runs(runs, text)] == names.split()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cake > 1", "no setting or measure 'cake'"),
        ("max_l > 1", "such as .*max_lr"),
        ("max_lr > high", "'high' is not"),
        ("optimizer > sgd", "not a number"),
    ],
)
def test_a_condition_that_means_nothing_is_refused(runs, text, message):
    with pytest.raises(RunError, match=message):
        listing.filter_runs(runs, text)


@pytest.mark.parametrize("text", ["->", "a<b>c", "=", "< 3", "x ="])
def test_other_text_is_words(text):
    assert measures.parse_search(text) == (text.lower().split(), [])


@pytest.mark.parametrize("name", [*measures.MEASURES, *FIELDS])
def test_every_setting_and_measure_is_read_from_every_run(runs, name):
    for run in runs:
        value = measures.read_value(run, name)
        assert value is None or isinstance(value, int | float | str)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("max_lr, highest first", "fast new slow"),
        ("max_lr, lowest first", "slow new fast"),
        ("val_loss, lowest first", "fast slow new"),
        ("optimizer, lowest first", "fast new slow"),
    ],
)
def test_any_value_sorts_and_runs_without_it_are_last(runs, by, names):
    assert [run.name for run in sorted(runs, key=listing.sort_key(by))] == names.split()
