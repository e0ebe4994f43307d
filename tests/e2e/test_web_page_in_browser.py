"""An exported web page, opened from the disk: it computes as PyTorch does and prepares drawings as
the app does, and no request leaves it."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import torch
from drawing import touch
from playwright.sync_api import expect
from serving import PHONE, ROOT, watched_page
from test_accessibility import findings

from core.data import dataset
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.exports.html import build_page
from core.insight.predictions import predict
from core.models.network import Network
from core.runs.loading import load_model
from core.runs.run import Run
from core.runs.store import open_run
from tests.made import made_run
from tests.networks import ODD, OTHER
from tests.strokes import DIGITS, Strokes

SHIPPED = ROOT / "checkpoints"
PREDICT = """bytes => {
  const pixels = Uint8Array.from(atob(bytes), letter => letter.charCodeAt(0));
  return Array.from({ length: pixels.length / 784 },
    (_, image) => inkling.predict(pixels.subarray(784 * image, 784 * (image + 1))));
}"""
PREPARE = "drawings => drawings.map(strokes => Array.from(inkling.prepare(strokes)))"
SHOWS = """([before, same]) =>
  (document.querySelector("#picture").toDataURL() === before) === same"""
INKED = """row => [...document.querySelectorAll("#rows .row")[row].querySelectorAll("canvas")].some(
  map => map.getContext("2d").getImageData(0, 0, map.width, map.height).data.some(Boolean))"""


def networks(folder) -> dict[str, tuple[Run, Network]]:
    """Rows of every kind with random numbers, and a shipped run where there is one."""
    found = {}
    for name, rows in (("odd", ODD), ("other", OTHER)):
        run = made_run(folder, name, layers=list(rows))
        model = load_model(run)
        generator = torch.Generator().manual_seed(3)
        for module in model.layers:
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.running_mean, module.running_var):
                    tensor.data.uniform_(0.5, 1.5, generator=generator)
        found[name] = run, model
    if (SHIPPED / "final" / "last.safetensors").is_file():
        run = open_run("final", SHIPPED)
        found["final"] = run, load_model(run)
    return found


def images() -> np.ndarray:
    """1,000 test images (N, 28, 28), made ones where MNIST is not on the disk."""
    if dataset.is_present():
        return dataset.load().test.images.numpy()[::10]
    return dataset.synthetic(train=10, test=1_000).test.images.numpy()


def drawings(count: int) -> list[Strokes]:
    """Digits of every size, slant, place and number of points, some across the pad's edge."""
    random = np.random.default_rng(5)
    drawn = []
    for number in range(count):
        angle, size, shift = (
            random.normal(0, 0.2),
            random.uniform(0.2, 1.6),
            random.normal(0, 0.08, 2),
        )
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        strokes = []
        for stroke in DIGITS[number % 10]:
            points = np.array(stroke)
            steps = np.linspace(0, len(points) - 1, len(points) * int(random.integers(1, 4)))
            points = np.stack(
                [np.interp(steps, range(len(points)), points[:, axis]) for axis in (0, 1)], 1
            )
            points = (
                (points - 0.5) * size @ turn + 0.5 + shift + random.normal(0, 0.003, points.shape)
            )
            strokes.append(points.clip(0, 1).round(3).tolist())
        drawn.append(strokes)
    return [*drawn, [[[0.3, 0.4]]], [[[0.5, 0.5], [0.5, 0.5]]], [[[0, 0.1], [1, 1]]]]


@pytest.fixture
def page_of(tmp_path, browser) -> Any:
    """Opens the page of a run's network from the disk; a request to anywhere fails the test."""

    def opened(run: Run, model: Network, **settings: Any) -> Any:
        path = tmp_path / f"{run.name}.html"
        path.write_text(build_page(run, model))
        return watched_page(browser, path.as_uri(), **settings), path.as_uri()

    return opened


def test_a_page_predicts_and_prepares_as_python_does(folder, page_of):
    pictures, drawn = images(), drawings(50)
    encoded = base64.b64encode(pictures.tobytes()).decode()
    for name, (run, model) in networks(folder).items():
        watched, address = page_of(run, model)
        with watched as tab:
            tab.goto(address)
            probabilities = np.array(tab.evaluate(PREDICT, encoded))
            expected = predict(model, pictures)
            assert np.abs(probabilities - expected).max() < 1e-4, name
            assert (probabilities.argmax(axis=1) == expected.argmax(axis=1)).all(), name
            if name != "other":  # the preparation is the same on every page
                continue
            prepared = np.array(tab.evaluate(PREPARE, drawn))
            expected = np.array([to_mnist(strokes_to_ink(strokes)).ravel() for strokes in drawn])
            assert np.abs(prepared - expected.astype(int)).max() <= 1
            assert prepared.any(axis=1).all()


def test_a_digit_is_drawn_read_undone_and_cleared_on_a_phone(folder, page_of):
    found = networks(folder)
    run, model = found.get("final", found["odd"])
    phone = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    watched, address = page_of(run, model, **phone)
    with watched as tab:
        tab.goto(address)
        expect(tab.get_by_role("heading", level=1)).to_have_text(run.name)
        picture = tab.locator("#picture")
        one, other = DIGITS[4]
        touch(tab, [one])
        expect(tab.locator("#spoken")).to_contain_text("robabilit")
        before = picture.evaluate("canvas => canvas.toDataURL()")
        touch(tab, [other])
        tab.wait_for_function(SHOWS, arg=[before, False])
        if "final" in found:
            expect(tab.locator("#digit")).to_have_text("4")
        shown = [row for row in model.rows if row["kind"] != "dropout"]
        rows = tab.locator("#rows .row")
        expect(rows).to_have_count(len(shown))
        rows.last.scroll_into_view_if_needed()
        tab.wait_for_function(INKED, arg=len(shown) - 1)  # painted once it is in sight
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        tab.get_by_role("button", name="Undo").tap()
        tab.wait_for_function(SHOWS, arg=[before, True])
        tab.get_by_role("button", name="Clear").tap()
        expect(tab.locator("#digit")).to_be_empty()
        expect(tab.get_by_role("button", name="Clear")).to_be_disabled()
        pad = tab.get_by_label("Drawing pad")
        pad.focus()
        for key in (" ", *["ArrowDown"] * 6, " "):
            pad.press(key)
        expect(tab.locator("#digit")).not_to_be_empty()
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme)
            assert findings(tab) == []
