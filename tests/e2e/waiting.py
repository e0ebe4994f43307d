"""Wait for what a browser test needs: a page that is connected and idle, or a value that is right.

A click on a page whose script is running may hit an element that is about to be replaced, and a
value that is read once may be older than the last action. Open pages with `visit`, and read values
with Playwright's `expect`, with `wait_until` or with `wait_for_value`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")

SECONDS = 60  # a machine whose cores are all busy takes seconds for what usually takes one
IDLE = """() => {
  const app = document.querySelector(".stApp");
  return app?.dataset.testConnectionState === "CONNECTED" &&
    app.dataset.testScriptState === "notRunning" &&
    !document.querySelector("[data-testid=stSkeleton], [data-testid=stSpinner]");
}"""
# Charts are drawn after the script has ended, with the next frames.
QUIET = """milliseconds => new Promise((resolve) => {
  const end = () => { observer.disconnect(); resolve(); };
  let timer = setTimeout(end, milliseconds);
  const observer = new MutationObserver(() => {
    clearTimeout(timer);
    timer = setTimeout(end, milliseconds);
  });
  observer.observe(document.body, { subtree: true, childList: true, attributes: true });
  setTimeout(end, 20 * milliseconds);  // something that moves by itself never ends
})"""


def visit(page: Any, path: str) -> None:
    """Open a page of the app by its link, and wait until it is idle."""
    page.goto(path)
    wait_until_idle(page)


def wait_until_idle(page: Any) -> None:
    """Wait until a page is connected and its script has come to rest."""
    page.wait_for_function(IDLE, timeout=1_000 * SECONDS)


def settle(page: Any, milliseconds: int = 300) -> None:
    """Wait until a page is idle and nothing in it has changed for a while."""
    wait_until_idle(page)
    page.evaluate("document.fonts.ready.then(() => null)")
    page.evaluate(QUIET, milliseconds)


def wait_until(page: Any, condition: Callable[[], Any], message: str = "") -> None:
    """Wait until a condition holds, while the page goes on.

    Args:
        page: whose events are handled in the meantime.
        condition: is called ten times a second.
        message: says what was waited for.

    Raises:
        AssertionError: it does not hold within `SECONDS`.
    """
    for _ in range(10 * SECONDS):
        if condition():
            return
        page.wait_for_timeout(100)
    assert condition(), message


def wait_for_value(page: Any, read: Callable[[], Value], expected: Value) -> None:
    """Wait until a function returns a value, while the page goes on.

    Raises:
        AssertionError: it does not within `SECONDS`; the message has the last value.
    """
    for _ in range(10 * SECONDS):
        if read() == expected:
            return
        page.wait_for_timeout(100)
    assert read() == expected


def expect_no_sideways_scrolling(page: Any, name: str = "it") -> None:
    """Wait until the page's content is no wider than the page."""
    main = page.locator("[data-testid=stMain]")
    wait_until(
        page,
        lambda: main.evaluate("each => each.scrollWidth <= each.clientWidth"),
        f"{name} scrolls sideways",
    )
