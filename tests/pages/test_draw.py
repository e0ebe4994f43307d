"""The Draw page: every view of a drawing, and the networks side by side."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.library import digits as own_digits
from core.runs.loading import load_model
from core.runs.weights import save_tensors
from pages.ui.draw.nearest import COUNT, FEATURES, SPACES
from pages.ui.draw.views import DEFAULT_VIEW, VIEWS
from tests.made import made_run
from tests.opening import ROOT, open_page, well
from tests.pages.reading import component, components, page_text
from tests.strokes import DIGITS

CONV = [
    {"kind": "conv", "channels": 4, "kernel": 5, "padding": 2},
    {"kind": "maxpool"},
    {"kind": "dropout", "p": 0.1},
    {"kind": "conv", "channels": 4, "padding": 1, "activation": "none"},
    {"kind": "add", "from": 3},
    {"kind": "global_avgpool"},
    {"kind": "linear", "activation": "none"},
]


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch, digits, fresh) -> Path:
    """An empty checkpoints folder, made-up digits in place of MNIST, and empty caches."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    return folder


def opened(drawn: int | None = None, session: dict | None = None, **link: str) -> AppTest:
    """The page with a digit on its pad."""
    app = AppTest.from_file(ROOT / "streamlit_app.py", default_timeout=60).switch_page(
        "pages/draw.py"
    )
    for name, value in link.items():
        app.query_params[name] = value
    if drawn is not None:
        app.session_state["drawing"] = {"strokes": DIGITS[drawn], "version": 1}
    for name, value in (session or {}).items():
        app.session_state[name] = value
    return well(app.run())


def spoil(folder: Path, name: str, filling: float) -> None:
    """Fill a run's weights with a value, as after training that diverged."""
    weights = {
        key: torch.full_like(value, filling) if value.is_floating_point() else value
        for key, value in load_file(folder / name / "last.safetensors").items()
    }
    save_tensors(folder / name / "last.safetensors", weights)


def seen(app: AppTest) -> np.ndarray:
    return np.array(component(app, "readout")["pixels"], np.uint8).reshape(28, 28)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_waits_for_a_digit(view, folder):
    made_run(folder, "final")
    app = opened(view=view)
    assert not app.error
    if view not in (DEFAULT_VIEW, "Own digits"):
        assert "to see this view" in page_text(app)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("own", [False, True], ids=["one row", "custom rows"])
def test_every_view_of_a_drawing_opens(view, own, folder):
    made_run(folder, "final", **({"architecture": "own", "layers": CONV} if own else {}))
    app = opened(3, view=view)
    assert not app.error
    assert app.session_state["view"] == view


@pytest.mark.parametrize("filling", [float("nan"), 1e38])
@pytest.mark.parametrize("view", VIEWS)
def test_a_network_that_diverged_is_an_error_in_words(view, filling, folder):
    made_run(folder, "final", layers=CONV, architecture="own")
    spoil(folder, "final", filling)
    own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[3])), 3)
    app = opened(3, view=view, space=FEATURES)
    assert re.search("not finite|NaN", page_text(app))
    assert component(app, "readout")["probabilities"] is None
    assert re.search("not finite|NaN", component(app, "readout")["message"])


@pytest.mark.parametrize("view", VIEWS)
def test_weights_that_vanish_are_an_error_in_words(view, folder, monkeypatch):
    made_run(folder, "final")
    run = made_run(folder, "mine")
    monkeypatch.setattr("pages.ui.checkpoints.trained_runs", lambda: [run])
    own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[3])), 3)
    shutil.rmtree(folder / "mine")
    app = opened(3, view=view, space=FEATURES)
    assert "mine is gone" in page_text(app) + component(app, "readout")["message"]


def test_networks_side_by_side_are_in_the_link(folder):
    for name in ("final", "initial", "mine", "other"):
        made_run(folder, name)
    app = opened(3)
    assert [entry["name"] for entry in component(app, "cards")["cards"]][:2] == [
        "initial",
        "final",
    ]
    assert "beside" not in app.query_params
    app.multiselect(key="beside").set_value(["mine", "other"])
    well(app.run())
    assert {entry["name"] for entry in component(app, "cards")["cards"]} == {
        "final",
        "mine",
        "other",
    }
    shutil.rmtree(folder / "other")
    assert {entry["name"] for entry in component(well(app.run()), "cards")["cards"]} == {
        "final",
        "mine",
    }
    assert "beside" in app.query_params


def test_the_newest_runs_are_among_the_networks_until_others_are_selected(folder):
    for name in ("final", *"abcd"):
        made_run(folder, name)
    app = opened(3)
    names = [entry["name"] for entry in component(app, "cards")["cards"]]
    assert (names[0], len(names)) == ("final", 4)
    made_run(folder, "new")
    assert component(well(app.run()), "cards")["cards"][1]["name"] == "new"
    app.multiselect(key="beside").set_value(["a"])
    well(app.run())
    made_run(folder, "newer")
    assert [entry["name"] for entry in component(well(app.run()), "cards")["cards"]] == [
        "final",
        "a",
    ]


def test_layers_describes_every_channel(folder):
    made_run(folder, "final", layers=CONV, architecture="own")
    shown = component(opened(7, view="Layers"), "layers")
    rows = shown["maps"]
    assert [row["title"].split(" · ")[0] for row in rows] == list("1234567")
    assert [len(row["cells"]) for row in rows] == [4, 4, 0, 4, 4, 4, 10]
    assert [len(row["channels"]) for row in rows] == [4, 4, 0, 4, 4, 4, 10]
    assert rows[0]["cells"][2]["alt"].startswith("Row 1, conv 5×5, channel 3: from ")
    assert [cell["label"] for cell in rows[-1]["cells"]] == list("0123456789")


def test_layers_starts_with_the_predicted_digit_and_all_numbers_of_the_network(folder):
    run = made_run(folder, "final", layers=CONV, architecture="own")
    app = opened(7, view="Layers")
    shown, network = component(app, "layers"), component(app, "layers")["network"]
    assert shown["start"] == [7, component(app, "readout")["digit"], 0, 0]
    assert shown["explained"] is None
    numbers = np.frombuffer(base64.b64decode(network["numbers"]), "<f4")
    state = load_model(run).state_dict()
    for row, name in ((1, "layers.0"), (4, "layers.3"), (7, "layers.5")):
        placed = network["rows"][row]
        for key, start in (("weight", placed["weights"]["start"]), ("bias", placed["bias"])):
            expected = state[f"{name}.{key}"].numpy().ravel()
            np.testing.assert_array_equal(numbers[start : start + expected.size], expected)
    last = network["rows"][-1]["values"]
    np.testing.assert_allclose(numbers[last : last + 10], shown["scores"], atol=1e-6)


@pytest.mark.parametrize(
    "asked", [[6, 2, 0, 0], [6, 99, 0, 0], [6, 1], "cake", None, [0.5, 0, 0, 0]]
)
def test_layers_explains_the_cell_that_was_asked_for_in_a_large_network(folder, monkeypatch, asked):
    monkeypatch.setattr("pages.ui.components.layers.MAX_NUMBERS", 1_000)
    made_run(folder, "final", layers=CONV, architecture="own")
    app = opened(7, view="Layers", session={"draw_layers_cell": asked})
    shown, digit = component(app, "layers"), component(app, "readout")["digit"]
    assert shown["network"] is None
    expected = asked if asked == [6, 2, 0, 0] else [7, digit, 0, 0]
    assert shown["start"] == shown["explained"]["cell"] == expected


def test_reasons_are_given_for_the_answer_or_any_other_digit(folder):
    made_run(folder, "final")
    app = opened(7, view="Reasons")
    answer = component(app, "readout")["digit"]
    saliency, occlusion = components(app, "maps")
    assert saliency["rows"][0]["ink"]
    assert str(answer) in occlusion["rows"][0]["alt"]
    other = str((answer + 1) % 10)
    app.button_group(key="why").set_value(other)
    assert other in components(well(app.run()), "maps")[0]["rows"][0]["alt"]
    app.slider(key="patch").set_value(12)
    well(app.run())


@pytest.mark.parametrize("space", SPACES)
def test_the_nearest_training_images_are_shown(space, folder, digits):
    made_run(folder, "final", layers=CONV, architecture="own")
    app = opened(None, None, view="Nearest", space=space, digit="train-17")
    cells = component(app, "gallery")["cells"]
    assert len(cells) == COUNT or space == FEATURES
    for _ in range(50):
        if len(cells) == COUNT and "So far" not in page_text(app):
            break
        cells = component(well(app.run()), "gallery")["cells"]
    assert cells[0]["note"] == "17", "itself"
    assert cells[0]["label"] == str(int(digits.train.labels[17]))
    assert "are labelled" in page_text(app)


def test_slow_views_wait_until_the_pen_is_lifted(folder):
    made_run(folder, "final")
    app = opened(
        view="Layers",
        session={
            "drawing": {"strokes": DIGITS[1], "version": 0},
            "drawing_pad": {
                "drawing": {"strokes": DIGITS[7], "version": 0, "number": 2, "busy": True}
            },
        },
    )
    assert seen(app).any()


def test_a_link_full_of_nonsense_opens(folder):
    made_run(folder, "final")
    open_page(
        "pages/draw.py",
        view="cake",
        reading="cake",
        beside="nobody",
        why="99",
        patch="-3",
        along="up",
        space="outer",
        nudge_turn="1e99",
        digit="",
        network="nobody",
    )
