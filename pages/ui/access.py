"""Sign-in and permissions: the one place that decides who may do what.

Without `[auth]` in Streamlit's secrets file nobody signs in, and everybody may do everything, as on
the command line. On a server that is shared (`INKLING_SHARED=1`), only browsers on its own machine
may; anybody else is a guest, who is known by their browser and may change what they made in it.

With `[auth]`, people sign in by OpenID Connect before they see anything, and `[roles]`
says what they may do:

- a reader looks and draws, and changes nothing that is stored;
- a member also makes runs, architectures, digits and sweeps, and changes what is theirs;
- an owner may do everything.

Whoever makes something is stored with it as its owner. Every action of a page asks a `check_...`
function when it is carried out; `why_not_...` functions tell the controls why they are disabled.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.errors import UserError
from core.runs import store
from core.runs.run_schema import OWNER
from core.schema import Field, SchemaError, check_object, raising
from pages.ui import guests
from pages.ui.components.browser import watch_browser
from pages.ui.words import escape_markdown

READER, MEMBER, OWNER_ROLE, NO_ROLE = ROLES = ("reader", "member", "owner", "none")
_MANAGE = "Only owners of this app may do this."
_PEOPLE = Field("name", str, min_length=1, max_length=OWNER.max_length)
_ROLE_FIELDS = (
    Field("owners", list, [], max_length=10_000, items=_PEOPLE),
    Field("members", list, [], max_length=10_000, items=_PEOPLE),
    Field("readers", list, [], max_length=10_000, items=_PEOPLE),
    Field("default", str, READER, choices=(NO_ROLE, READER, MEMBER)),
    Field("claim", str, "email", min_length=1, max_length=60),
)


class AccessError(UserError):
    """Somebody may not do what they asked for."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever uses a page.

    Args:
        name: what is stored as the owner of what they make; None: nobody is signed in.
        role: one of ROLES.
    """

    name: str | None
    role: str

    @property
    def is_guest(self) -> bool:
        """Whether they are known only by their browser."""
        return self.role == MEMBER and (self.name or guests.PREFIX).startswith(guests.PREFIX)

    def why_not_create(self) -> str:
        """Why they may not make or start anything; empty: they may."""
        if self.role in (MEMBER, OWNER_ROLE):
            return ""
        return "Readers look and draw. Ask an owner of this app to make you a member."

    def why_not_change(self, owner: str | None) -> str:
        """Why they may not change or delete what has this owner; empty: they may."""
        if self.role == OWNER_ROLE:
            return ""
        if self.role != MEMBER:
            return self.why_not_create()
        if owner is not None and owner == self.name:
            return ""
        if owner and owner.startswith(guests.PREFIX):
            return "This was made in another browser."
        return f"This belongs to {owner}." if owner else "This belongs to the owners of this app."

    def why_not_manage(self) -> str:
        """Why they may not change what belongs to everybody; empty: they may."""
        return "" if self.role == OWNER_ROLE else _MANAGE


# The machine's owner, who needs no sign-in.
ANYBODY = Person(None, OWNER_ROLE)


@dataclass(frozen=True, slots=True)
class Roles:
    """The `[roles]` of the secrets file, and the claim that names people."""

    by_name: Mapping[str, str]
    default: str = READER
    claim: str = "email"

    @classmethod
    def from_dict(cls, values: Any) -> Roles:
        """The roles in the values of `[roles]`.

        Raises:
            AccessError: a value is not valid; the message names it.
        """
        with raising(AccessError):
            checked = check_object(values, _ROLE_FIELDS, "[roles]")
        by_name = {
            _normalise(name, checked["claim"]): role
            for role in (READER, MEMBER, OWNER_ROLE)  # the highest wins
            for name in checked[f"{role}s"]
        }
        return cls(by_name, checked["default"], checked["claim"])

    def find_person(self, claims: Mapping[str, Any]) -> Person:
        """The person that an identity provider's claims describe.

        Raises:
            AccessError: the claims do not name anybody, or an address that is not verified.
        """
        name = claims.get(self.claim)
        if not isinstance(name, str) or not name.strip():
            raise AccessError(f"The identity provider sent no {self.claim}.")
        # Some providers let people write any address into their profile.
        if self.claim == "email" and claims.get("email_verified") not in (True, "true"):
            raise AccessError(
                "The identity provider does not confirm that the address "
                f"{name[:80]} is verified. The claim in [roles] can be another one, such as sub."
            )
        name = _normalise(name, self.claim)
        try:
            OWNER.check(name)
        except SchemaError:
            raise AccessError(f"The {self.claim} is too long or cannot be shown.") from None
        return Person(name, self.by_name.get(name, self.default))


def current_person() -> Person:
    """Whoever uses this session; signed-out people have no role.

    Raises:
        AccessError: sign-in is not set up correctly, or the person cannot be named.
    """
    roles = _read_settings()
    if roles is None:
        return Person(guests.guest_name(), MEMBER) if guests.is_guest() else ANYBODY
    if not st.user.get("is_logged_in"):
        return Person(None, NO_ROLE)
    return roles.find_person(st.user.to_dict())


def require_sign_in() -> None:
    """Show the sign-in page and stop the script, unless whoever uses the page may see it."""
    try:
        person = current_person()
    except AccessError as error:
        _draw_closed_door(str(error))
    else:
        if person.name is None and person.role == NO_ROLE:
            _draw_sign_in()
        elif person.role == NO_ROLE:
            _draw_closed_door(f"{person.name} may not use this app. Ask an owner of it.")
        else:
            return
    st.stop()


def draw_account() -> None:
    """Draw who is signed in, and a button to sign out; nothing without sign-in."""
    person = current_person()
    if person.is_guest:
        watch_browser()
        st.caption("Shared server: you can change and delete what you start in this browser.")
        return
    if person.name is None:
        return
    with st.container(key="account", gap="xxsmall"):
        st.markdown(f"{escape_markdown(person.name)}  \n:gray[:small[{person.role}]]")
        _draw_sign_out()


def owner_name() -> str | None:
    """What is stored as the owner of what is made in this session; None: nobody is signed in."""
    return current_person().name


def why_not_create() -> str:
    """Why whoever uses this session may not make or start anything; empty: they may."""
    return current_person().why_not_create()


def why_not_change(*owners: str | None) -> str:
    """Why they may not change what has these owners; empty: they may change all of it."""
    person = current_person()
    return next(filter(None, map(person.why_not_change, owners)), "")


def why_not_manage() -> str:
    """Why they may not change what belongs to everybody; empty: they may."""
    return current_person().why_not_manage()


def check_create() -> None:
    """Refuse to make or start anything.

    Raises:
        AccessError: whoever uses this session may not.
    """
    _refuse(why_not_create())


def check_change(*owners: str | None) -> None:
    """Refuse to change or delete what has these owners.

    Raises:
        AccessError: whoever uses this session may not.
    """
    _refuse(why_not_change(*owners))


def check_change_runs(names: Iterable[str]) -> None:
    """Refuse to change the runs that have these names now, whatever the page showed.

    Raises:
        AccessError: whoever uses this session may not.
        RunError: there is no such run.
    """
    if why_not_manage():
        check_change(*map(store.find_owner, names))


def check_manage() -> None:
    """Refuse to change what belongs to everybody.

    Raises:
        AccessError: whoever uses this session may not.
    """
    _refuse(why_not_manage())


def describe_owner(owner: str | None) -> str:
    """Who made something, for people; empty: nobody was signed in."""
    if owner is None or not owner.startswith(guests.PREFIX):
        return owner or ""
    return "you" if owner == owner_name() else "a guest"


def _refuse(reason: str) -> None:
    if reason:
        raise AccessError(reason)


def _read_settings() -> Roles | None:
    """The roles; None: sign-in is not set up.

    Raises:
        AccessError: it is set up, but not correctly; everything stays closed then.
    """
    if not st.secrets.load_if_toml_exists():
        if any(map(os.path.exists, st.get_option("secrets.files"))):
            raise AccessError("Streamlit's secrets file cannot be read.")
        return None
    auth, roles = st.secrets.get("auth"), st.secrets.get("roles")
    if auth is None and roles is None:
        return None
    if not isinstance(auth, Mapping):
        raise AccessError("The secrets file has [roles], but no [auth].")
    if importlib.util.find_spec("authlib") is None:
        raise AccessError("Sign-in needs a package: pip install 'streamlit[auth]'.")
    return Roles.from_dict({} if roles is None else _to_dict(roles))


def _to_dict(values: Any) -> Any:
    return values.to_dict() if hasattr(values, "to_dict") else values


def _normalise(name: str, claim: str) -> str:
    """Addresses are compared without regard to case; other names, such as `sub`, as they are."""
    return name.strip().lower() if claim == "email" else name.strip()


def _draw_sign_in() -> None:
    auth = st.secrets["auth"]
    named = [name for name, value in auth.items() if isinstance(value, Mapping)]
    with _draw_door():
        st.markdown("Sign in to see the runs, train networks and draw digits.")
        if "client_id" in auth or not named:
            st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
        for name in named:
            if name != "client_kwargs":
                st.button(
                    f"Sign in with {escape_markdown(name.capitalize())}",
                    key=f"access_login_{name}",
                    type="primary",
                    icon=":material/login:",
                    on_click=st.login,
                    args=(name,),
                )


def _draw_closed_door(reason: str) -> None:
    with _draw_door():
        st.error(escape_markdown(reason), icon=":material/lock:")
        if st.user.get("is_logged_in"):
            _draw_sign_out()


def _draw_door() -> st.delta_generator.DeltaGenerator:
    place = st.container(key="door", width=440, gap="medium")
    with place:
        st.title("Inkling", anchor=False)
    return place


def _draw_sign_out() -> None:
    st.button(
        "Sign out",
        key="access_logout",
        type="tertiary",
        icon=":material/logout:",
        on_click=st.logout,
    )
