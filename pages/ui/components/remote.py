"""A presenter's remote: Page Up, Page Down and the arrow keys press a page's two buttons."""

from __future__ import annotations

from pages.ui.components.component import register_component

_mount = register_component("remote", "remote/remote")


def listen_to_remote(back: str, next: str) -> None:
    """Mount the listener, which draws nothing.

    Args:
        back, next: keys of the buttons that go back and forward.
    """
    _mount(key="remote", data={"back": back, "next": next})
