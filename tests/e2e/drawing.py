"""Draw on the pad in browser tests, with the mouse or a finger, and read the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import expect

Strokes = Sequence[Sequence[Sequence[float]]]


def pad(tab: Any) -> Any:
    """The pad, once it is there."""
    canvas = tab.get_by_label("Drawing pad")
    expect(canvas).to_be_visible()
    return canvas


def draw(tab: Any, strokes: Strokes) -> None:
    """Draw with the mouse; points [x, y] are shares of the pad's width and height."""
    box = pad(tab).bounding_box()
    for stroke in strokes:
        (first, *rest) = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
        ]
        tab.mouse.move(*first)
        tab.mouse.down()
        for point in rest:
            tab.mouse.move(*point)
        tab.mouse.up()


def touch(tab: Any, strokes: Strokes) -> None:
    """Draw with a finger."""
    box = pad(tab).bounding_box()
    finger = tab.context.new_cdp_session(tab)
    for stroke in strokes:
        points = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in stroke
        ]
        for at, point in enumerate(points):
            finger.send(
                "Input.dispatchTouchEvent",
                {"type": "touchMove" if at else "touchStart", "touchPoints": [point]},
            )
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def answer(tab: Any) -> Any:
    """The digit that the network in question reads."""
    return tab.locator(".readout .digit").first
