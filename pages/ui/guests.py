"""Guests: people on a shared server without sign-in, who are known by their browser.

`INKLING_SHARED=1` declares that a server is shared. Whoever opens it on its own machine is no
guest. This keeps people apart who do not mean to harm: a browser's cookie can be copied.
"""

from __future__ import annotations

import hashlib
import os
from urllib.parse import urlsplit

import streamlit as st

from pages.ui.components.browser import read_browser

SHARED = "INKLING_SHARED"
PREFIX = "browser:"  # begins the owner of what a guest makes
_PROXY_HEADERS = ("forwarded", "via", "x-forwarded", "x-real-ip")


def is_guest() -> bool:
    """Whether whoever uses this session is a guest."""
    return is_shared() and not _is_local()


def is_shared() -> bool:
    """Whether the server is declared to be shared by people who do not sign in."""
    return os.environ.get(SHARED, "").strip().lower() in ("1", "true", "yes", "on")


def _is_local() -> bool:
    """Whether the browser runs on the server's machine, with no proxy between them."""
    headers = {name.lower(): value for name, value in st.context.headers.items()}
    if st.context.ip_address is not None or any(map(_names_proxy, headers)):
        return False
    host = urlsplit(f"//{headers.get('host', 'localhost')}").hostname
    return host in ("localhost", "127.0.0.1", "::1")


def _names_proxy(header: str) -> bool:
    return header.startswith(_PROXY_HEADERS)


def guest_name() -> str | None:
    """What is stored as the owner of what a guest makes: a hash of their browser's secret."""
    secret = read_browser()
    if not secret:
        return None  # the browser tells it in a moment
    return PREFIX + hashlib.sha256(f"inkling {secret}".encode()).hexdigest()[:16]
