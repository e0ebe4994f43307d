"""What each role sees on the pages, and that every action asks before it stores something.

AppTest cannot sign in, so the person who uses the session is set.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.library import architectures, digits
from core.library.digit_pictures import Candidate
from core.models.architectures import ARCHITECTURES
from core.runs import archive, store, trash
from core.sweeps import study
from core.sweeps.sweep import Sweep
from pages.ui import access
from pages.ui.access import AccessError, Person
from tests.made import made_run
from tests.opening import open_page, well
from tests.pages.reading import page_text, press

ADA, BOB = "ada@example.org", "bob@example.org"
READER, MEMBER, OWNER = (Person(ADA, role) for role in ("reader", "member", "owner"))


@pytest.fixture
def signed_in(monkeypatch):
    """Sign somebody in."""

    def sign_in(person: Person) -> None:
        monkeypatch.setattr(access, "current_person", lambda: person)

    return sign_in


@pytest.fixture
def two_owners(folder):
    """A folder with a run of Ada, one of Bob, and one of nobody."""
    for name, owner in (("adas", ADA), ("bobs", BOB), ("final", None)):
        run = made_run(folder, name, done=1)
        store.update_run_json(run.folder, owner=owner)
    return folder


PAGES = ["streamlit_app.py", *(f"pages/{name}.py" for name in ("story", "data", "model", "train"))]
PAGES += [f"pages/{name}.py" for name in ("runs", "experiments", "mistakes", "draw")]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("person", [Person(None, "none"), Person(ADA, "none")])
def test_signed_out_and_refused_people_see_nothing(
    two_owners, signed_in, page, person, monkeypatch
):
    signed_in(person)
    monkeypatch.setattr(access.st, "secrets", {"auth": {"client_id": "x"}})
    app = open_page(page)
    assert not app.dataframe
    assert not app.sidebar.children
    assert not app.get("page_link")
    assert not app.selectbox
    assert "adas" not in page_text(app)
    labels = [button.label for button in app.button]
    assert labels == ([] if person.name else ["Sign in"])


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("person", [READER, MEMBER, OWNER])
def test_signed_in_people_see_every_page_and_who_they_are(two_owners, signed_in, page, person):
    signed_in(person)
    app = open_page(page)
    shown = "\n".join(each.value for each in app.sidebar.markdown).replace("\\", "")
    assert ADA in shown.replace("\u2060", "")
    assert person.role in shown
    assert app.sidebar.button(key="access_logout")


def test_a_named_provider_has_its_own_button(folder, signed_in, monkeypatch):
    signed_in(Person(None, "none"))
    auth = {"redirect_uri": "x", "google": {"client_id": "x"}, "okta": {"client_id": "y"}}
    monkeypatch.setattr(access.st, "secrets", {"auth": auth})
    assert [button.label for button in open_page("pages/runs.py").button] == [
        "Sign in with Google",
        "Sign in with Okta",
    ]


def force(widget: Any) -> Any:
    """Let a disabled widget be used, as a message that a script in a browser makes up does."""
    widget.proto.disabled = False
    return widget


def press_anyway(app: AppTest, key: str) -> AppTest:
    return well(force(app.button(key=key)).click().run())


# (role, run) -> whether the run may be deleted
CHANGES = [
    (MEMBER, "adas", True),
    (MEMBER, "bobs", False),
    (MEMBER, "final", False),
    (READER, "adas", False),
    (OWNER, "bobs", True),
]


@pytest.mark.parametrize(("person", "name", "may"), CHANGES)
def test_delete_on_runs(two_owners, signed_in, person, name, may):
    signed_in(person)
    app = open_page("pages/runs.py")
    well(app.multiselect(key="select").set_value([name]).run())
    button = app.button(key="runs_delete_run")
    assert button.disabled == (not may)
    press_anyway(app, "runs_delete_run")
    if not may:  # Streamlit ignores a click on a disabled button; open the dialog all the same
        app.session_state["runs_dialog"] = [name]
        well(app.run())
    press(app, "runs_confirm")
    assert (two_owners / name).exists() == (not may)


@pytest.mark.parametrize(("person", "name", "may"), CHANGES)
def test_delete_on_train(two_owners, signed_in, person, name, may):
    signed_in(person)
    app = open_page("pages/train.py", run=name)
    assert app.button(key="train_delete").disabled == (not may)
    press_anyway(app, "train_delete")
    if may:
        press(app, "train_delete_now")
    else:
        assert "train_delete_now" not in [button.key for button in app.button]
    assert (two_owners / name).exists() == (not may)


def test_a_stale_page_cannot_delete_anothers_run(two_owners, signed_in):
    signed_in(MEMBER)
    app = open_page("pages/runs.py")
    well(app.multiselect(key="select").set_value(["adas"]).run())
    press(app, "runs_delete_run")
    # While the dialog is open, the run is replaced by one of somebody else.
    store.update_run_json(two_owners / "adas", owner=BOB)
    press(app, "runs_confirm")
    assert (two_owners / "adas").exists()


def test_a_damaged_run_of_somebody_else_cannot_be_deleted(two_owners, signed_in):
    signed_in(MEMBER)
    for name in ("adas", "bobs"):
        (two_owners / name / "epochs.json").write_text("{")
    app = open_page("pages/runs.py")
    assert not app.button(key="runs_damaged_adas").disabled
    assert app.button(key="runs_damaged_bobs").disabled


@pytest.mark.parametrize(("person", "name", "may"), CHANGES)
def test_notes_tags_and_name(two_owners, signed_in, person, name, may):
    signed_in(person)
    app = open_page("pages/runs.py")
    well(app.multiselect(key="select").set_value([name]).run())
    assert app.text_area(key=f"runs_notes_{name}").disabled == (not may)
    well(force(app.text_area(key=f"runs_notes_{name}")).set_value("mine").run())
    well(force(app.multiselect(key=f"runs_tags_{name}")).set_value([]).run())
    assert store.open_run(name).notes == ("mine" if may else "")
    well(app.text_input(key=f"runs_name_{name}").set_value("new").run())
    press_anyway(app, "runs_rename")
    assert (two_owners / "new").exists() == may


@pytest.mark.parametrize(("person", "name", "may"), CHANGES)
def test_the_bin(two_owners, signed_in, person, name, may):
    trash.delete(name)
    signed_in(person)
    app = open_page("pages/runs.py")
    assert app.button(key="runs_restore").disabled == (not may)
    assert app.button(key="runs_empty_bin").disabled == (person is not OWNER)
    if not may:
        with pytest.raises(AccessError):
            access.check_change(trash.find_latest(name).owner)
    press_anyway(app, "runs_restore")
    assert (two_owners / name).exists() == may
    if not may:
        app.session_state["runs_dialog"] = "empty the bin"
        press(well(app.run()), "runs_confirm")
        assert [item.name for item in trash.list_trash()] == [name]


@pytest.mark.parametrize(("person", "name", "may"), CHANGES)
def test_stop_and_fork(two_owners, signed_in, idle, person, name, may):
    signed_in(person)
    app = open_page("pages/train.py", fork=name)
    forks = [button for button in app.button if button.key == "train_drop_fork"]
    assert bool(forks) == may


@pytest.mark.parametrize(("person", "may"), [(READER, False), (MEMBER, True), (OWNER, True)])
def test_start(folder, signed_in, idle, person, may):
    signed_in(person)
    app = open_page("pages/train.py", start="final")
    start = next(button for button in app.button if button.label == "Start")
    assert start.disabled == (not may)
    well(force(start).click().run())
    assert [run.owner for run in store.list_runs()] == ([ADA] if may else [])


@pytest.mark.parametrize(("person", "may"), [(READER, False), (MEMBER, True)])
def test_repeats_and_sweeps_belong_to_who_started_them(
    folder, signed_in, idle, person, may, monkeypatch
):
    from pages.ui.experiments import sweep_setup

    signed_in(person)
    monkeypatch.setattr(sweep_setup.sweep_worker, "start", lambda name: None)
    monkeypatch.setattr(sweep_setup.dataset, "load_digits", lambda: {"test": None})
    app = open_page("pages/experiments.py", experiment="Repeats")
    made_run(folder, "one")
    press_anyway(app, "experiments_start_group")
    assert {run.owner for run in store.list_runs()} == ({None, ADA} if may else {None})
    app = open_page("pages/experiments.py", experiment="Sweep")
    press_anyway(app, "experiments_start_sweep")
    names = study.list_names()
    assert [study.read(name).sweep.owner for name in names] == ([ADA] if may else [])


def test_a_sweep_of_somebody_else_cannot_be_stopped_or_resumed(folder, signed_in, monkeypatch):
    from pages.ui.experiments import sweeps

    base = RunConfig(architecture="linear-7850", holdout=1_000)
    values = {"name": "search", "config": base.to_dict()}
    space = {"epochs": {"low": 1, "high": 3}}
    study.create(Sweep.from_dict({**values, "space": space, "owner": BOB}))
    signed_in(MEMBER)
    started = []
    monkeypatch.setattr(sweeps.sweep_worker, "start", started.append)
    app = open_page("pages/experiments.py", experiment="Sweep")
    assert app.button(key="experiments_resume_sweep").disabled
    press_anyway(app, "experiments_resume_sweep")
    with pytest.raises(AccessError):
        sweeps._stop("search")
    assert not started
    assert not study.read("search").stopped
    signed_in(OWNER)
    press(well(app.run()), "experiments_resume_sweep")
    assert started == ["search"]


def test_an_imported_run_belongs_to_who_imports_it(two_owners):
    data = archive.export_run(store.open_run("bobs"))
    assert BOB.encode() not in data
    assert archive.import_run(data, "theirs").owner is None
    assert archive.import_run(data, "mine", owner=ADA).owner == ADA


def test_architectures(folder, signed_in):
    from pages.ui.model import library

    rows = ARCHITECTURES["original-3762"].rows
    architectures.save("bobs", rows, owner=BOB)
    signed_in(MEMBER)
    st.session_state["model_name"] = "Bobs"
    for replaceable in (None, "Bobs"):
        library._save(rows, replaceable)
    library._delete("bobs")
    assert [(item.name, item.owner) for item in architectures.list_saved()] == [("bobs", BOB)]
    st.session_state["model_name"] = "adas"
    library._save(rows, None)
    assert {item.owner for item in architectures.list_saved()} == {ADA, BOB}
    library._delete("adas")
    signed_in(READER)
    library._save(rows, None)
    assert [item.name for item in architectures.list_saved()] == ["bobs"]
    st.session_state.clear()


def test_digits(folder, signed_in):
    from pages.ui.draw import own, own_import, own_teaching

    def image(value: int) -> np.ndarray:
        return np.full((28, 28), value, np.uint8)

    digits.save_digit(image(1), 1, owner=BOB)
    digits.save_digit(image(2), 2)
    stored = (folder / ".digits" / digits.NAME).read_bytes()
    made_run(folder, "final")
    signed_in(READER)
    with pytest.raises(AccessError):
        own._save(image(3), 3, "own")
    with pytest.raises(AccessError):
        own._clear_own("own")
    candidates = [Candidate("3.png", image(3), 3)]
    st.session_state["draw_own_preview"] = own_import._Preview(candidates, [])
    own_import._add("own")
    own_teaching._teach("final", "own", 0.5, None)
    assert all(
        "Ask an owner" in st.session_state[key] for key in ("draw_own_error", "draw_teach_error")
    )
    assert (folder / ".digits" / digits.NAME).read_bytes() == stored
    assert [run.name for run in store.list_runs()] == ["final"]
    signed_in(MEMBER)
    own._save(image(4), 4, "own")
    own_import._add("own")
    assert [digit.owner for digit in digits.list_digits()] == [BOB, None, ADA, ADA]
    for digit in digits.list_digits():
        if digit.owner != ADA:
            with pytest.raises(AccessError):
                own._delete(digit.key, "own")
    with pytest.raises(AccessError):
        own._clear_all("own")
    own._clear_own("own")
    assert [digit.owner for digit in digits.list_digits()] == [BOB, None]
    assert BOB.encode() not in digits.export_digits()
    digits.clear()
    digits.add_digits(digits.parse_export(stored))
    assert {digit.owner for digit in digits.list_digits()} == {None}, "a file names no owners"
    st.session_state.clear()


def test_every_function_that_changes_something_is_called_behind_a_check():
    """Pages call functions that store, change or delete only where `access` is asked too."""
    changing = re.compile(
        r"\b(trash\.(delete|restore|empty)|store\.(rename|annotate)|archive\.import_run"
        r"|control\.(stop|pause|resume|step|fork|scale_lr)|creation\.create_run"
        r"|run_queue\.(submit|move|remove)|repeats\.(create|extend|submit)|study\.(create|stop)"
        r"|sweep_worker\.start|sweep_winner\.create_group|lr_range_job\.start|dataset\.fetch"
        r"|architectures\.(save|delete)|library\.(save_digit|add_digits|delete|clear)"
        r"|teaching\.teach)\("
    )
    root = Path(access.__file__).parents[1]
    found = 0
    for path in [*root.rglob("*.py"), root.parent / "streamlit_app.py"]:
        for block in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
            if changing.search(block):
                found += 1
                assert "access.check_" in block or "_open_own(" in block or "_start(" in block, (
                    f"{path.name}: {block[:60]}"
                )
    assert found > 15
