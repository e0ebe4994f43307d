import pytest

from core.errors import RunError
from core.runs import listing, store
from tests.made import made_run


@pytest.fixture
def runs(checkpoints):
    made_run(checkpoints, "Alpha", done=3, recipe="final", architecture="original-3762")
    made_run(checkpoints, "beta", done=1, state="stopped", epochs=4, lr=0.5)
    made_run(checkpoints, "gamma", done=0, state="stopped", architecture="initial", max_lr=0.5)
    store.annotate("beta", tags=("quick", "Final-try"))
    return store.list_runs()


@pytest.mark.parametrize(
    ("text", "state", "names"),
    [
        ("", None, "gamma beta Alpha"),
        ("alp", None, "Alpha"),
        ("FINAL", None, "beta Alpha"),
        ("final quick", None, "beta"),
        ("original-3762", None, "Alpha"),
        ("", "stopped", "gamma beta"),
        ("initial", "finished", ""),
        ("nix", None, ""),
    ],
)
def test_filtering_needs_all_words_in_any_case(runs, text, state, names):
    assert [run.name for run in listing.filter_runs(runs, text, state)] == names.split()


@pytest.mark.parametrize("text", ["Zoë’s", "zoe's FIRST", "ZOË"])
def test_a_title_is_found_however_it_is_typed(runs, text):
    store.rename("beta", "Zoë’s first network")
    matching = listing.filter_runs(store.list_runs(), text)
    assert [run.title for run in matching] == ["Zoë’s first network"]
    with pytest.raises(RunError, match=f"the name of its run: {matching[0].name}"):
        store.open_run("Zoë’s first network")


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("newest", "gamma beta Alpha"),
        ("name", "Alpha beta gamma"),
        ("last accuracy", "Alpha beta gamma"),
        ("best accuracy", "Alpha beta gamma"),
        ("fewest parameters", "Alpha beta gamma"),
        ("shortest time", "beta Alpha gamma"),
    ],
)
def test_runs_without_a_value_are_sorted_last(runs, by, names):
    assert [run.name for run in listing.sort_runs(runs, by)] == names.split()


def test_every_sort_key_works_and_others_are_refused(runs):
    assert len(listing.SORT_KEYS) == 6
    with pytest.raises(RunError, match=r"by newest, .* or name, not 'colour'"):
        listing.sort_runs(runs, "colour")


def test_only_differing_fields_are_returned(runs):
    by_name = {run.name: run for run in runs}
    assert listing.differing_fields([by_name["beta"]]) == listing.differing_fields([]) == []
    assert listing.differing_fields([by_name["beta"], by_name["beta"]]) == []
    assert listing.differing_fields([by_name["beta"], by_name["gamma"]]) == [
        "architecture",
        "max_lr",
        "epochs",
    ]


def test_settings_without_effect_on_any_of_the_runs_do_not_differ(checkpoints):
    plain = made_run(checkpoints, "plain", teacher_share=0.5, temperature=2.0)
    other = made_run(checkpoints, "other", teacher_share=0.9, temperature=4.0)
    taught = made_run(checkpoints, "taught", teacher="teacher", teacher_share=0.9, temperature=4.0)
    assert listing.differing_fields([plain, other]) == []
    assert set(listing.differing_fields([plain, taught])) == {
        "teacher",
        "teacher_share",
        "temperature",
    }


def test_total_seconds_sum_all_epochs(runs):
    assert [listing.total_seconds(run) for run in runs] == [0.0, 2.0, 6.0]
