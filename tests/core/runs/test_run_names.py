"""Names of runs: none leads out of the folder, and a free one is found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RunError
from core.runs import (
    creation,
    files,
    folders,
    run_names,
    store,
)

BAD_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc",
    "a\0b",
    "-a",
    ".hidden",
    "a b",
    "a.",
    "ä",
    "a" * 61,
    "con",
    "NUL.txt",
    "a\n",
    "~",
    "C:",
    "a:b",
    None,
    3,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_reach_elsewhere_is_refused(tiny, name, checkpoints):
    for call in (lambda: creation.create_run(tiny, name), lambda: store.open_run(name)):
        with pytest.raises(RunError, match="cannot be a run's name"):
            call()
    assert not [path for path in checkpoints.iterdir() if path.name != files.LOCK]


@given(st.text(max_size=80))
def test_any_wanted_name_becomes_a_valid_one(wanted):
    name = run_names.find_free_name(wanted, Path("nowhere"))
    assert run_names.check_name(name) == name


@given(st.text(alphabet=st.sampled_from("./\\abC-_ ~\0:"), max_size=12))
def test_any_valid_name_stays_inside_the_folder(name):
    try:
        run_names.check_name(name)
    except RunError:
        return
    assert Path("/x/checkpoints", name).resolve().parent == Path("/x/checkpoints")


def test_a_free_name_counts_up(tiny):
    assert run_names.find_free_name("final") == "final"
    creation.create_run(tiny, "final")
    creation.create_run(tiny, "Final-2")
    assert run_names.find_free_name("final") == "final-3"
    assert run_names.find_free_name("Größe: 5 / x") == "Grosse-5-x"
    assert run_names.find_free_name("class-Ada Łović") == "class-Ada-Lovic"
    assert run_names.find_free_name("class-Анна") == "class"


def test_names_are_unique_in_any_case(tiny):
    creation.create_run(tiny, "Run")
    with pytest.raises(RunError, match="already a run 'run'; choose another name, such as 'run-2'"):
        creation.create_run(tiny, "run")


def test_a_tilde_in_the_setting_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("INKLING_CHECKPOINTS", "~/runs")
    assert folders.checkpoints_folder() == (tmp_path / "runs").resolve()
    monkeypatch.setenv("INKLING_CHECKPOINTS", "~nobody-of-this-name/runs")
    assert folders.checkpoints_folder().name == "runs"


def test_a_file_in_place_of_the_checkpoints_folder_is_an_error(tiny, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path / "file"))
    assert store.list_runs() == []
    with pytest.raises(RunError):
        creation.create_run(tiny, "a")


@pytest.mark.parametrize(
    ("text", "name", "title"),
    [
        ("plain-2", "plain-2", None),
        ("Zoë Müller", "Zoe-Muller", "Zoë Müller"),
        ("  two   words ", "two-words", "two words"),
        ("Анна", "before", "Анна"),
        ("before!", None, None),
        ("a/b", None, None),
    ],
)
def test_a_run_is_renamed_to_a_title_in_any_script(text, name, title, tiny):
    creation.create_run(tiny, "before")
    if name is None:
        with pytest.raises(RunError, match="cannot be a run's name"):
            store.rename("before", text)
        return
    run = store.rename("before", text)
    assert (run.name, run.title) == (name, title)
    assert store.rename(name, "after").title is None
