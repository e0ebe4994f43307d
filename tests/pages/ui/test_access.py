"""Who may do what: roles, owners, and every action of the pages that stores something."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit import config
from streamlit.runtime.secrets import Secrets
from streamlit.testing.v1 import AppTest

from core.config import RunConfig
from core.library import architectures, digits
from core.models.architectures import ARCHITECTURES
from core.runs import archive, store, trash
from core.sweeps import study
from core.sweeps.sweep import Sweep
from pages.ui import access
from pages.ui.access import ANYBODY, AccessError, Person, Roles
from tests.made import made_run
from tests.opening import open_page, well
from tests.pages.reading import page_text, press

ADA, BOB = "ada@example.org", "bob@example.org"
READER, MEMBER, OWNER = (Person(ADA, role) for role in ("reader", "member", "owner"))
VERIFIED = {"email_verified": True}


@pytest.mark.parametrize(
    ("person", "create", "own", "other", "unowned", "manage"),
    [
        (ANYBODY, True, True, True, True, True),
        (OWNER, True, True, True, True, True),
        (MEMBER, True, True, False, False, False),
        (READER, False, False, False, False, False),
        (Person(None, "none"), False, False, False, False, False),
        (Person(ADA, "none"), False, False, False, False, False),
    ],
)
def test_what_a_role_may_do(person, create, own, other, unowned, manage):
    assert (not person.why_not_create()) == create
    assert (not person.why_not_change(ADA)) == own
    assert (not person.why_not_change(BOB)) == other
    assert (not person.why_not_change(None)) == unowned
    assert (not person.why_not_manage()) == manage


def test_a_reason_names_the_owner():
    assert BOB in MEMBER.why_not_change(BOB)


@pytest.mark.parametrize(
    ("roles", "role"),
    [
        ({}, "reader"),
        ({"default": "member"}, "member"),
        ({"default": "none"}, "none"),
        ({"members": [ADA]}, "member"),
        ({"members": ["Ada@Example.org "]}, "member"),
        ({"owners": [ADA], "members": [ADA], "readers": [ADA]}, "owner"),
        ({"readers": [ADA], "default": "none"}, "reader"),
        ({"owners": [BOB]}, "reader"),
        ({"owners": ["da@example.org", "ada@example.org.evil", "*"]}, "reader"),
    ],
)
def test_the_lists_give_roles(roles, role):
    person = Roles.from_dict(roles).find_person({"email": "ADA@example.org", **VERIFIED})
    assert person == Person(ADA, role)


@pytest.mark.parametrize(
    "roles",
    [
        {"owners": ADA},
        {"owners": [1]},
        {"owners": [""]},
        {"owner": [ADA]},
        {"default": "owner"},
        {"default": "admin"},
        {"claim": 1},
        [],
        "owners",
    ],
)
def test_wrong_lists_are_refused(roles):
    with pytest.raises(AccessError):
        Roles.from_dict(roles)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"email": ADA},
        {"email": ADA, "email_verified": False},
        {"email": ADA, "email_verified": 1.5},
        {"email": None, **VERIFIED},
        {"email": " ", **VERIFIED},
        {"email": [ADA], **VERIFIED},
        {"email": f"{ADA}\n", "email_verified": "no"},
        {"email": "a\x00@b", **VERIFIED},
        {"email": "a\u202e@b", **VERIFIED},
        {"email": "a" * 201, **VERIFIED},
        {"sub": ADA},
    ],
)
def test_claims_that_name_nobody_are_refused(claims):
    with pytest.raises(AccessError):
        Roles.from_dict({"owners": [ADA]}).find_person(claims)


def test_another_claim_keeps_its_case_and_needs_no_verified_address():
    roles = Roles.from_dict({"claim": "sub", "owners": ["Xy"]})
    assert roles.find_person({"sub": "Xy"}) == Person("Xy", "owner")
    assert roles.find_person({"sub": "xy"}) == Person("xy", "reader")


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """Write a secrets file, and return who the claims of the signed-in user make a session's."""
    path = tmp_path / "secrets.toml"
    usual = config.get_option

    def get_option(name: str) -> Any:
        return [str(path)] if name == "secrets.files" else usual(name)

    monkeypatch.setattr(config, "get_option", get_option)
    monkeypatch.setattr(access.st, "get_option", get_option)
    monkeypatch.setattr(Secrets, "_maybe_install_file_watchers", lambda self: None)
    installed = SimpleNamespace(find_spec=lambda name: name)
    monkeypatch.setattr(access, "importlib", SimpleNamespace(util=installed))

    def write(text: str | None, claims: dict[str, Any] | None = None) -> Person:
        if text is not None:
            path.write_text(text)
        user = {"is_logged_in": claims is not None, **(claims or {})}
        fake = SimpleNamespace(get=user.get, to_dict=lambda: user)
        monkeypatch.setattr(access.st, "user", fake)
        monkeypatch.setattr(access.st, "secrets", Secrets())
        return access.current_person()

    return write


def test_without_auth_everybody_may_do_everything(secrets):
    assert secrets(None) == ANYBODY
    assert secrets("other = 1\n") == ANYBODY


AUTH = '[auth]\nclient_id = "x"\n'


def test_with_auth_people_have_to_sign_in(secrets):
    assert secrets(AUTH) == Person(None, "none")
    assert secrets(AUTH, {"email": ADA, **VERIFIED}) == READER
    assert secrets(f'{AUTH}[roles]\nowners = ["{ADA}"]\n', {"email": ADA, **VERIFIED}) == OWNER


@pytest.mark.parametrize(
    "text",
    [
        "[auth\n",
        'auth = "x"\n',
        '[roles]\nowners = ["a"]\n',
        f'{AUTH}[roles]\nowner = ["a"]\n',
        f'roles = "x"\n{AUTH}',
    ],
)
def test_a_wrong_secrets_file_closes_everything(secrets, text):
    with pytest.raises(AccessError):
        secrets(text, {"email": ADA, **VERIFIED})


def test_without_the_package_everything_is_closed(secrets, monkeypatch):
    monkeypatch.setattr(access.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AccessError, match="pip install"):
        secrets(AUTH)


# Pages, as somebody sees them. AppTest cannot sign in, so the session's person is set.


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
    from pages.ui.draw import own

    def image(value: int) -> np.ndarray:
        return np.full((28, 28), value, np.uint8)

    digits.save_digit(image(1), 1, owner=BOB)
    digits.save_digit(image(2), 2)
    signed_in(READER)
    with pytest.raises(AccessError):
        own._save(image(3), 3)
    with pytest.raises(AccessError):
        own._clear_own()
    signed_in(MEMBER)
    own._save(image(4), 4)
    for digit in digits.list_digits():
        if digit.owner != ADA:
            with pytest.raises(AccessError):
                own._delete(digit.key)
    with pytest.raises(AccessError):
        own._clear_all()
    own._clear_own()
    assert [digit.owner for digit in digits.list_digits()] == [BOB, None]
    assert BOB.encode() not in digits.export_digits()
    data = digits.export_digits()
    digits.clear()
    digits.import_digits(data, owner=ADA)
    assert {digit.owner for digit in digits.list_digits()} == {ADA}


def test_every_function_that_changes_something_is_called_behind_a_check():
    """Pages call functions that store, change or delete only where `access` is asked too."""
    import re
    from pathlib import Path

    changing = re.compile(
        r"\b(trash\.(delete|restore|empty)|store\.(rename|annotate)|archive\.import_run"
        r"|control\.(stop|pause|resume|step|fork|scale_lr)|creation\.create_run"
        r"|run_queue\.(submit|move|remove)|repeats\.(create|extend|submit)|study\.(create|stop)"
        r"|sweep_worker\.start|sweep_winner\.create_group|lr_range_job\.start|dataset\.fetch"
        r"|architectures\.(save|delete)|library\.(save_digit|delete|clear|import_digits))\("
    )
    root = Path(sys.modules["pages.ui.access"].__file__).parents[1]
    found = 0
    for path in [*root.rglob("*.py"), root.parent / "streamlit_app.py"]:
        for block in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
            if changing.search(block):
                found += 1
                assert "access.check_" in block or "_open_own(" in block or "_start(" in block, (
                    f"{path.name}: {block[:60]}"
                )
    assert found > 15
