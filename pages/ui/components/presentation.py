"""A button that presents slides: full screen, one at a time, by keys or a presenter's remote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pages.ui.components.component import register_component

_mount = register_component("presentation", "presentation/presentation", "button")


def draw_presentation(
    key: str, slides: Sequence[dict[str, Any]] | None, linked: str, on_ask: Callable[[], None]
) -> None:
    """Draw the button.

    Args:
        key: of the component.
        slides: all slides, as presentation.js describes them; None: not asked for yet, or the
            browser has them.
        linked: name of the slide to open at once; empty or unknown: no slide is opened.
        on_ask: called when the button is pressed and the browser has no slides; the next run of the
            page must pass them.
    """
    _mount(
        key=key,
        on_asked_change=on_ask,
        data={"slides": slides, "linked": linked},
        width="content",
    )
