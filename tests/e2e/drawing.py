"""Draw on the pad in browser tests, with the mouse or a finger, and read the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from playwright.sync_api import expect
from waiting import wait_until

from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink

Strokes = Sequence[Sequence[Sequence[float]]]

PIXELS = """canvas => Array.from(canvas.getContext("2d").getImageData(0, 0, 28, 28).data)
  .filter((value, index) => index % 4 === 3)"""


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


def is_drawing(pixels: Any, strokes: Strokes) -> bool:
    """Whether 28x28 pixels (784, 0 to 255) are those of a drawing, except for rounding."""
    expected = to_mnist(strokes_to_ink(strokes)).astype(int).ravel()
    return bool(np.abs(np.asarray(pixels, int).ravel() - expected).mean() < 3)


def expect_drawing(tab: Any, strokes: Strokes) -> None:
    """Wait until the network's input is the whole drawing, which the pad sends in parts."""
    canvas = tab.locator(".readout canvas").first
    wait_until(
        tab, lambda: is_drawing(canvas.evaluate(PIXELS), strokes), "the drawing has not arrived"
    )


def answer(tab: Any) -> Any:
    """The digit that the network in question reads."""
    return tab.locator(".readout .digit").first
