"""One value of a network, explained in the browser: as Python explains it, and back to a pixel."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from drawing import draw, is_drawing
from playwright.sync_api import expect
from test_accessibility import findings
from waiting import visit, wait_for_value, wait_until

from core.insight.cells import Cell
from core.insight.forward_pass import ForwardPass, run_forward
from core.runs.loading import load_model
from core.runs.run import Run
from core.runs.weights import save_tensors
from tests.made import made_run
from tests.networks import EVERY_KIND
from tests.strokes import DIGITS

pytestmark = pytest.mark.usefixtures("guests")

# The value, the result of the last step of its calculation if there are steps, and the cell.
VALUE = """view => [
  view.querySelector(".value").textContent,
  view.querySelector(".steps tr:last-child .result")?.textContent,
  view.cell,
]"""


def every_kind(checkpoints) -> Run:
    """A run with every kind of row, whose batch norms do something."""
    run = made_run(
        checkpoints, "every-kind", kept=True, architecture="own", layers=list(EVERY_KIND)
    )
    weights = load_model(run).state_dict()
    torch.manual_seed(1)
    for name, values in weights.items():
        if name.endswith(("running_mean", "running_var")):
            values.uniform_(0.2, 1.5)
    save_tensors(run.weights_path("last"), weights)
    return run


def open_layers(tab: Any, run: str) -> Any:
    visit(tab, f"/draw?view=Layers&network={run}")
    draw(tab, DIGITS[5])
    layers = tab.locator(".layers")
    expect(layers.locator(".name")).to_contain_text("Score of")
    # The first stroke's maps are here before those of the whole drawing.
    wait_until(tab, lambda: is_drawing(layers.evaluate("view => view.data.pixels"), DIGITS[5]))
    return layers


def as_python(layers: Any, run: Run, which: str | int = "last") -> ForwardPass:
    """The same drawing by the same network, in Python."""
    pixels = layers.evaluate("view => view.data.pixels")
    return run_forward(load_model(run, which), np.array(pixels, np.uint8).reshape(28, 28))


def agree(here: Any, there: Any) -> bool:
    if isinstance(there, dict):
        return all(agree(here[name], value) for name, value in there.items())
    if isinstance(there, list):
        return len(here) == len(there) and all(map(agree, here, there))
    if isinstance(there, float):
        return here == pytest.approx(there, abs=1e-4)
    return here == there


def shown_cell(layers: Any) -> Cell:
    return Cell(*layers.evaluate("view => view.cell"))


def as_number(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def expect_value(layers: Any, forward: ForwardPass) -> None:
    """Wait until the value in the panel is that of the map, and the last step's result is too."""

    def is_value() -> bool:
        text, last, numbers = layers.evaluate(VALUE)
        cell, value = Cell(*numbers), as_number(text)
        return bool(
            value == pytest.approx(forward.values[cell.row][cell[1:]], abs=1e-4, rel=1e-2)
            and (last is None or as_number(last) == pytest.approx(value, abs=2e-4, rel=1e-2))
        )

    wait_until(layers.page, is_value, "the panel has another value than the map")


def test_a_value_is_explained_and_walked_back_to_a_pixel(tab, checkpoints):
    run = every_kind(checkpoints)
    layers = open_layers(tab, run.name)
    forward = as_python(layers, run)
    for row, values in enumerate(forward.values):
        channels, height, width = values.shape
        for place in ((0, 0, 0), (channels - 1, height // 2, width - 1), (0, height - 1, 0)):
            cell = Cell(row, *place)
            here = layers.evaluate("(view, cell) => view.explain(cell)", list(cell))
            assert agree(here, forward.explain(cell).to_dict()), cell

    tile = layers.get_by_role("button", name=re.compile("Row 2, conv 3×3, channel 2"))
    tile.click(position={"x": 20, "y": 20})
    expect(layers.locator(".name")).to_contain_text("2 · conv 3×3, channel 2")
    expect_value(layers, forward)
    expect(layers.locator(".maps .chosen")).to_have_count(1)
    expect(layers.locator(".maps .source")).to_have_count(4)
    assert findings(tab) == []
    before = shown_cell(layers)
    tile.press("ArrowRight")
    wait_for_value(tab, lambda: shown_cell(layers), before._replace(x=before.x + 1))
    expect_value(layers, forward)

    chosen, text = shown_cell(layers), layers.locator(".value").inner_text()
    tab.get_by_role("slider", name="Epoch").press("ArrowLeft")
    expect(layers.locator(".value")).not_to_have_text(text)
    assert shown_cell(layers) == chosen, "the cell is kept while epochs are rewound"
    expect_value(layers, as_python(layers, run, 2))
    tab.get_by_role("slider", name="Epoch").press("ArrowRight")
    expect(layers.locator(".value")).to_have_text(text)

    tile.focus()
    for _ in range(20):  # up to the score; then back to the image
        tab.keyboard.press("PageDown")
    last = len(forward.layers)
    wait_for_value(tab, lambda: shown_cell(layers).row, last)
    tab.keyboard.press("Enter")
    panel = layers.locator(".panel")
    assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth"), "nothing is cut off"
    rows = [last]
    while rows[-1] and len(rows) <= last:  # an `add` may lead past the row above it
        tab.keyboard.press("Enter")
        wait_until(
            tab, lambda: shown_cell(layers).row != rows[-1], f"Enter stays at row {rows[-1]}"
        )
        rows.append(shown_cell(layers).row)
        expect_value(layers, forward)
        expect(layers.locator(".pictures .field, .pictures .chosen").first).to_be_attached()
    assert rows[-1] == 0
    assert all(after < before for before, after in pairwise(rows)), rows
    expect(layers.locator(".name")).to_contain_text("Pixel")
    tab.keyboard.press("Backspace")
    wait_for_value(tab, lambda: shown_cell(layers).row, 1)
    walk_in_a_large_network(tab, checkpoints)


def walk_in_a_large_network(tab, checkpoints) -> None:
    """The explanations come from Python."""
    run = made_run(checkpoints, "large", architecture="pytorch-example")
    layers = open_layers(tab, run.name)
    forward = as_python(layers, run)
    tile = layers.get_by_role("button", name=re.compile("Row 2, conv 3×3, channel 2:"))
    tile.click(position={"x": 20, "y": 20})
    expect(layers.locator(".name")).to_contain_text("2 · conv 3×3, channel 2,")
    expect_value(layers, forward)
    layers.locator(".panel .strongest").click()
    expect(layers.locator(".name")).to_contain_text("1 · conv 3×3")
    expect_value(layers, forward)
