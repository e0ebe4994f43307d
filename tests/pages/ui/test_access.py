"""Who may do what: roles, owners, and the secrets file that says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from streamlit import config
from streamlit.runtime.secrets import Secrets

from pages.ui import access
from pages.ui.access import ANYBODY, AccessError, Person, Roles

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
