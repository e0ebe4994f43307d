"""Property tests of sign-in: wrong roles and claims make nobody an owner by accident."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pages.ui.access import OWNER_ROLE, ROLES, AccessError, Roles

ADA = "ada@example.org"
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
names = st.sampled_from([ADA, "ADA@EXAMPLE.ORG ", "bob@example.org", "", " ", "*", "ada"])
lists = st.lists(names, max_size=3)
roles = anything | st.fixed_dictionaries(
    {},
    optional={
        "owners": lists | anything,
        "members": lists | anything,
        "readers": lists | anything,
        "default": st.sampled_from([*ROLES, "Owner", ""]) | anything,
        "claim": st.sampled_from(["email", "sub", "name", ""]) | anything,
        "admins": lists,
    },
)
claims = st.fixed_dictionaries(
    {},
    optional={
        "email": names | anything,
        "email_verified": st.sampled_from([True, False, "true", "false", 1]) | anything,
        "sub": names | anything,
        "name": names | anything,
    },
)


@given(roles, claims)
def test_any_roles_and_claims_give_a_listed_role_or_are_refused(values, claims):
    try:
        settings = Roles.from_dict(values)
        person = settings.find_person(claims)
    except AccessError as error:
        message = str(error)
    else:
        message = ""
    assert len(message) < 2_000
    if message:
        return
    assert person.role in ROLES
    assert person.name
    assert person.name.isprintable()
    if person.role == OWNER_ROLE:
        listed = [name.strip() for name in values["owners"]]
        assert person.name in [*listed, *(name.lower() for name in listed)]
        if settings.claim == "email":
            assert claims["email_verified"] in (True, "true")
