"""The Weights page and its view on Train: kernels, firing, printing, and the sizes of steps."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.exports import network_sheet
from core.insight.weights import measure_firing
from core.runs import events, files, store
from core.runs.loading import load_model
from pages.ui.weights import kernels, printing
from tests.made import made_run
from tests.opening import open_page, well
from tests.pages.reading import component, components, page_links, page_text, press_label

WEIGHTS, TRAIN = "pages/weights.py", "pages/train.py"
ROWS = [
    {"kind": "conv", "channels": 4, "norm": "batch"},
    {"kind": "maxpool"},
    {"kind": "conv", "channels": 6, "kernel": 1},
    {"kind": "add", "from": 3},
    {"kind": "linear", "channels": 10, "activation": "none"},
]


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch, digits, fresh) -> Path:
    """An empty checkpoints folder, made-up digits in place of MNIST, and empty caches."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    return folder


def rows_on(app: AppTest) -> list[dict]:
    return component(app, "kernels")["rows"]


def values_of(row: dict) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(row["values"]), "<f4")
    return values.reshape(row["shape"])


def test_every_row_shows_its_numbers_and_how_often_it_fires(folder, digits):
    run = made_run(folder, "mine", layers=ROWS)
    app = open_page(WEIGHTS, run="mine")
    model = load_model(run)
    rows = rows_on(app)
    assert [row["title"].split(" · ")[0] for row in rows] == ["1", "3", "5"]
    for row, place in zip(rows, (0, 3, 4), strict=True):
        weight = model.layers[place].weight.detach().numpy()
        np.testing.assert_array_equal(values_of(row).ravel(), weight.ravel())
        assert sum(row["bins"]) == weight.size
        assert row["limit"] == rows[0]["limit"], "one scale"
    assert set(rows[0]["numbers"]) == {"bias", "scale", "shift", "mean", "variance"}
    firing = measure_firing(model, digits.test.images.numpy())
    np.testing.assert_allclose(rows[0]["fires"], 100 * firing[1].shares, rtol=0.05)
    assert rows[2]["fires"] == [], "the last row has no activation"
    assert rows[2]["labels"] == list("0123456789")
    assert f"{len(digits.test.images)} test images" in page_text(app)

    app.selectbox(key="row").set_value("row 3")
    app.segmented_control(key="scale").set_value("a scale for each row")
    (row,) = rows_on(well(app.run()))
    assert row["title"].startswith("3 ")
    assert row["limit"] == pytest.approx(float(np.quantile(np.abs(values_of(row)), 0.98)))


def test_rewinding_shows_the_weights_of_an_epoch_on_the_same_scale(folder):
    run = made_run(folder, "mine", kept=True, layers=ROWS)
    last, first = (rows_on(open_page(WEIGHTS, **link)) for link in ({}, {"epoch": "0"}))
    weight = load_model(run, 0).layers[0].weight.detach().numpy()
    np.testing.assert_array_equal(values_of(first[0]).ravel(), weight.ravel())
    assert first[0]["limit"] == last[0]["limit"]
    assert first[0]["values"] != last[0]["values"]
    run.weights_path(1).write_bytes(b"x")
    app = open_page(WEIGHTS, epoch="1")
    assert "0001.safetensors is not a safetensors file" in page_text(app)


def test_a_large_network_shows_one_row_and_a_very_large_row_in_parts(folder, monkeypatch):
    monkeypatch.setattr(kernels, "LARGE", 1_000)
    monkeypatch.setattr(kernels, "MAX_SHOWN", 4_000)  # a filter of the last row has 1,014 weights
    monkeypatch.setattr(printing, "LARGE", 1_000)
    monkeypatch.setattr(network_sheet, "MAX_PARAMETERS", 1_000)
    run = made_run(folder, "large", done=1, layers=ROWS)
    app = open_page(WEIGHTS, run="large")
    assert len(rows_on(app)) == 1
    assert "cannot be read on one page" in page_text(app)
    app.selectbox(key="row").set_value("row 5")
    app = well(app.run())
    parts = app.selectbox(key="filters").options
    assert parts == ["1 to 3", "4 to 6", "7 to 9", "10"]
    app.selectbox(key="filters").set_value(parts[-1])
    (row,) = rows_on(well(app.run()))
    weight = load_model(run).layers[4].weight.detach().numpy()
    np.testing.assert_array_equal(values_of(row).ravel(), weight[9])
    assert row["labels"] == ["9"], "a digit"


def test_without_the_test_images_the_kernels_are_shown_without_firing(folder, monkeypatch):
    from pages.ui import dataset as page_dataset

    monkeypatch.setattr(page_dataset, "load_digits", lambda: None)
    made_run(folder, "mine", layers=ROWS)
    rows = rows_on(open_page(WEIGHTS))
    assert rows[0]["fires"] == []
    assert set(rows[0]["marks"]) == {""}


def record_steps(folder: Path, name: str, epochs: int) -> None:
    for epoch in range(1, epochs + 1):
        sizes = {"rows": [1, 3, 5], "gradients": [0.1, 0.2, 0.3], "updates": [0.001, 0.002, 0.04]}
        line = events.format_event("update", epoch, 20, **sizes)
        files.append_bytes(folder / name / events.NAME, line)


@pytest.mark.parametrize("page", [WEIGHTS, TRAIN])
def test_the_sizes_of_steps_are_drawn_or_said_to_be_missing(page, folder, idle):
    made_run(folder, "old", layers=ROWS)
    made_run(folder, "new", layers=ROWS)
    record_steps(folder, "new", 3)
    app = open_page(page, run="old", inside="Weights")
    assert "has not recorded the sizes" in page_text(app)
    assert len(rows_on(app)) == 3
    app = open_page(page, run="new", inside="Weights")
    assert "has not recorded" not in page_text(app)
    charts = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    drawn = [chart for chart in charts if "relative to the weights" in chart.proto.spec]
    assert len(drawn) == 2, "updates and gradients"


def test_train_waits_for_the_first_epoch(folder, idle):
    made_run(folder, "fresh", done=0, state="queued", layers=ROWS)
    app = open_page(TRAIN, run="fresh", inside="Weights")
    assert not components(app, "kernels")
    assert "after epoch 1" in page_text(app)


def test_a_run_starts_from_the_weights_of_the_epoch_that_is_shown(folder, idle):
    parent = made_run(folder, "mine", kept=True, layers=ROWS)
    links = page_links(open_page(WEIGHTS, run="mine", epoch="1"))
    assert links["Train on from here"] == "fork=mine&fork_epoch=1"
    app = open_page(TRAIN, fork="mine", fork_epoch="1")
    assert "after epoch 1" in page_text(app)
    press_label(app, "Start")
    child = store.open_run("mine-fork")
    assert dict(child.parent) == {"name": "mine", "which": "epoch", "epoch": 1}
    started = (child.folder / "start.safetensors").read_bytes()
    assert started == parent.weights_path(1).read_bytes()
    app = open_page(TRAIN, fork="mine", fork_epoch="99")
    assert "has no weights after epoch 99" in page_text(app)
    assert page_links(open_page(WEIGHTS, run="mine"))["Train on from here"] == "fork=mine"
