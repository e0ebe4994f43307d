"""The Draw page: a drawing, a picture or a digit of MNIST, and every view of it; empty, normal and broken."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.library import digits as own_digits
from core.runs.weights import save_tensors
from pages.ui.draw import nearest as draw_nearest
from pages.ui.draw import views as draw_views
from tests.made import made_run
from tests.opening import ROOT, open_page, well
from tests.strokes import DIGITS

VIEWS = list(draw_views.VIEWS)
CONV = [
    {"kind": "conv", "channels": 4, "kernel": 5, "padding": 2},
    {"kind": "maxpool"},
    {"kind": "dropout", "p": 0.1},
    {"kind": "conv", "channels": 4, "padding": 1, "activation": "none"},
    {"kind": "add", "from": 3},
    {"kind": "global_avgpool"},
    {"kind": "linear", "activation": "none"},
]
SHIPPED = ROOT / "checkpoints" / "final"


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch, digits, fresh) -> Path:
    """An empty checkpoints folder, made-up digits in place of MNIST, and nothing remembered of another test."""
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


def components(app: AppTest, name: str) -> list[dict]:
    return [
        json.loads(each.proto.json)
        for each in app.get("bidi_component")
        if each.proto.component_name == f"inkling_{name}"
    ]


def component(app: AppTest, name: str) -> dict:
    return components(app, name)[0]


def words(app: AppTest) -> str:
    return "\n".join(
        str(each.value) for kind in (app.caption, app.markdown, app.error) for each in kind
    )


def press(app: AppTest, label: str) -> AppTest:
    next(each for each in app.button if each.label == label).click()
    return well(app.run())


def shipped(folder: Path) -> None:
    """The shipped network, which can read."""
    if not (SHIPPED / "last.safetensors").is_file():
        pytest.skip("the final checkpoint is not shipped here")
    shutil.copytree(SHIPPED, folder / "final")


def spoil(folder: Path, name: str, filling: float) -> None:
    """Fill a run's weights with a value, as after training that diverged."""
    weights = {
        key: torch.full_like(value, filling) if value.is_floating_point() else value
        for key, value in load_file(folder / name / "last.safetensors").items()
    }
    save_tensors(folder / name / "last.safetensors", weights)


def seen(app: AppTest) -> np.ndarray:
    return np.array(component(app, "readout")["pixels"], np.uint8).reshape(28, 28)


def number(digits: list[int]) -> list:
    """Digits beside each other on the wide pad."""
    return [
        [[0.02 + 0.24 * at + x * 0.3, 0.1 + 0.8 * y] for x, y in stroke]
        for at, digit in enumerate(digits)
        for stroke in DIGITS[digit]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_waits_for_a_digit(view, folder):
    made_run(folder, "final")
    app = opened(view=view)
    assert not app.error
    if view not in (draw_views.FIRST, "Own digits"):
        assert "With a digit above" in words(app)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("own", [False, True], ids=["one row", "rows of one's own"])
def test_every_view_of_a_drawing_opens(view, own, folder):
    made_run(folder, "final", **({"architecture": "own", "layers": CONV} if own else {}))
    app = opened(3, view=view)
    assert not app.error
    assert app.session_state["view"] == view


@pytest.mark.parametrize("filling", [float("nan"), 1e38])
@pytest.mark.parametrize("view", VIEWS)
def test_a_network_that_diverged_is_answered_in_words(view, filling, folder):
    made_run(folder, "final", layers=CONV, architecture="own")
    spoil(folder, "final", filling)
    own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[3])), 3)
    app = opened(3, view=view, space=draw_nearest.FEATURES)
    assert "diverged" in words(app)
    assert component(app, "readout")["probabilities"] is None
    assert "diverged" in component(app, "readout")["message"]


@pytest.mark.parametrize("view", VIEWS)
def test_weights_that_vanish_meanwhile_are_answered_in_words(view, folder, monkeypatch):
    made_run(folder, "final")
    run = made_run(folder, "mine")
    monkeypatch.setattr("pages.ui.checkpoints.trained_runs", lambda: [run])
    own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[3])), 3)
    shutil.rmtree(folder / "mine")
    app = opened(3, view=view, space=draw_nearest.FEATURES)
    assert "mine is gone" in words(app) + component(app, "readout")["message"]


def test_networks_are_chosen_side_by_side_and_live_in_the_link(folder):
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


def test_ones_own_newest_runs_stand_among_the_networks_until_others_are_chosen(folder):
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


def test_layers_shows_every_channel_with_words(folder):
    made_run(folder, "final", layers=CONV, architecture="own")
    rows = component(opened(7, view="Layers"), "maps")["rows"]
    assert [row["title"].split(" · ")[0] for row in rows] == list("1234567")
    assert [len(row["cells"]) for row in rows] == [4, 4, 0, 4, 4, 4, 10]
    assert rows[0]["cells"][2]["alt"].startswith("Row 1, conv 5×5, channel 3: from ")
    assert [cell["label"] for cell in rows[-1]["cells"]] == list("0123456789")


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


def test_a_slider_changes_the_picture_and_the_curves_run_along_one(folder):
    made_run(folder, "final")
    app = opened(7, view="Nudge")
    first, changed = components(app, "readout")
    assert first["pixels"] == changed["pixels"]
    app.slider(key="nudge_right").set_value(4.0)
    well(app.run())
    first, changed = components(app, "readout")
    np.testing.assert_allclose(
        np.roll(np.array(first["pixels"]).reshape(28, 28), 4, axis=1),
        np.array(changed["pixels"]).reshape(28, 28),
        atol=2,
    )
    app = opened(7, view="Nudge", nudge_right="4.0")
    assert components(app, "readout")[1]["pixels"] == changed["pixels"]
    press(app, "As it was")
    assert app.slider(key="nudge_right").value == 0


@pytest.mark.parametrize("space", draw_nearest.SPACES)
def test_the_nearest_training_images_are_shown_and_can_be_turned_to(space, folder, digits):
    made_run(folder, "final", layers=CONV, architecture="own")
    app = opened(None, None, view="Nearest", space=space, digit="train-17")
    cells = component(app, "gallery")["cells"]
    assert len(cells) == draw_nearest.COUNT or space == draw_nearest.FEATURES
    for _ in range(50):
        if len(cells) == draw_nearest.COUNT and "reading on" not in words(app):
            break
        cells = component(well(app.run()), "gallery")["cells"]
    assert cells[0]["note"] == "17", "itself"
    assert cells[0]["label"] == str(int(digits.train.labels[17]))
    assert "are labelled" in words(app)


@pytest.mark.parametrize(
    ("link", "part", "index"),
    [
        ("test-12", "test", 12),
        ("train-17", "train", 17),
        ("training-17", "train", 17),
        (" TEST-3 ", "test", 3),
    ],
)
def test_a_digit_of_mnist_in_the_link_is_looked_at(link, part, index, folder, digits):
    made_run(folder, "final")
    app = opened(5, digit=link)
    np.testing.assert_array_equal(seen(app), getattr(digits, f"{part}_images")[index].numpy())
    assert (
        f"labelled {int(getattr(digits, f'{part}_labels')[index])}"
        in component(app, "closeup")["caption"]
    )
    press(app, "Back to the pad")
    np.testing.assert_array_equal(seen(app), to_mnist(strokes_to_ink(DIGITS[5])))
    assert "digit" not in app.query_params


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("cake", "names no digit"),
        ("test-", "names no digit"),
        ("test--1", "names no digit"),
        ("test-99999", "no test image 99,999"),
        ("train-600", "no training image 600"),
        ("x" * 5_000, "names no digit"),
        ("<script>", "names no digit"),
    ],
)
def test_a_link_that_names_no_digit_is_answered_in_words(link, said, folder):
    made_run(folder, "final")
    app = opened(5, digit=link)
    assert said in app.error[0].value
    assert component(app, "readout")["pixels"] is None
    assert seen(press(app, "Back to the pad")).any()


def test_another_digit_of_mnist_is_turned_to_and_stays_in_the_link(folder, digits):
    made_run(folder, "final")
    app = opened()
    app.button_group(key="source").set_value("MNIST")
    well(app.run())
    app.number_input(key="mnist_index").set_value(9)
    well(app.run())
    np.testing.assert_array_equal(seen(app), digits.test.images[9].numpy())
    assert app.query_params["digit"] in ("test-9", ["test-9"])
    app.button_group(key="mnist_set").set_value("training")
    np.testing.assert_array_equal(seen(well(app.run())), digits.train.images[9].numpy())


def test_digits_that_are_not_here_are_offered(folder, monkeypatch):
    made_run(folder, "final")
    monkeypatch.setattr(dataset, "load", lambda progress: progress("looking", 0.0))
    for link in ({"digit": "test-3"}, {"view": "Nearest"}):
        app = opened(3, **link)
        assert any(button.label == "Download MNIST" for button in app.button)


def picture(app: AppTest, data: bytes, name: str = "digit.png") -> AppTest:
    app.file_uploader(key="picture_file").set_value((name, data, "image/png"))
    return well(app.run())


def as_picture(strokes: list, size: int = 300) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(255 - strokes_to_ink(strokes, size)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_is_looked_at_like_a_drawing(folder):
    shipped(folder)
    app = opened(session={"own_source": "Picture"})
    assert "Choose a picture" in component(app, "readout")["message"]
    app = picture(app, as_picture(DIGITS[7]))
    assert component(app, "readout")["digit"] == 7
    assert 'role="img"' in "".join(each.proto.body for each in app.get("html"))
    app = picture(app, b"no picture")
    assert "picture that can be read" in app.error[0].value
    assert component(app, "readout")["pixels"] is None
    app = picture(app, as_picture([]))
    assert "Nothing in this picture" in app.error[0].value


def test_no_camera_is_asked_for_unasked(folder):
    made_run(folder, "final")
    app = opened(session={"own_source": "Picture"})
    assert not app.get("camera_input")
    app.toggle(key="camera_on").set_value(True)
    assert app.run().get("camera_input")


def test_a_picture_of_several_digits_says_so_and_is_read_as_a_number(folder):
    shipped(folder)
    row = np.concatenate(
        [strokes_to_ink(DIGITS[digit], 300)[:, 60:240] for digit in (4, 2)], axis=1
    )
    buffer = io.BytesIO()
    Image.fromarray(255 - row).save(buffer, "PNG")
    app = picture(opened(session={"own_source": "Picture"}), buffer.getvalue())
    assert "There seem to be 2 digits" in words(app)
    app.button_group(key="read").set_value("a number")
    well(app.run())
    assert [cell["label"] for cell in component(app, "gallery")["cells"]] == ["4", "2"]


def test_several_digits_are_read_as_a_number(folder):
    shipped(folder)
    app = opened(read="a number", session={"number": {"strokes": number([3, 0, 8]), "version": 1}})
    assert ">308<" in "".join(each.proto.body for each in app.get("html"))
    assert [cell["label"] for cell in component(app, "gallery")["cells"]] == ["3", "0", "8"]
    assert "sure of the whole number" in words(app)
    assert component(app, "readout")["digit"] == 3
    app.session_state["picked_digit"] = 2
    assert component(well(app.run()), "readout")["digit"] == 8


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_a_number_opens(view, folder):
    made_run(folder, "final")
    assert not opened(view=view, read="a number").error
    assert not opened(
        view=view,
        read="a number",
        session={"number": {"strokes": number([1, 5]), "version": 1}, "picked_digit": 7},
    ).error


def test_what_takes_its_time_waits_for_the_pen_to_be_lifted(folder):
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


def test_own_digits_are_kept_counted_and_deleted(folder):
    shipped(folder)
    app = opened(3, view="Own digits")
    assert "None yet" in words(app)
    press(app, "3")
    assert [digit.label for digit in own_digits.list_digits()] == [3]
    assert "final 1 of 1, 100.0" in words(app)
    press(app, "8")
    assert "final 1 of 2, 50.0\u00a0% (from 9.5 to 90.5)" in words(app)
    app.session_state["own_picked"] = own_digits.list_digits()[0].key
    well(app.run())
    press(app, "Delete the marked one")
    assert len(own_digits.list_digits()) == 1
    press(app, "Forget them")
    assert own_digits.list_digits() == []


def test_own_digits_go_out_and_come_in_as_a_file(folder):
    made_run(folder, "final")
    for label in (3, 8):
        own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[label])), label)
    data = own_digits.export_digits()
    own_digits.clear()
    app = opened(3, view="Own digits")
    app.file_uploader(key="own_file").set_value(("digits.json", data, "application/json"))
    well(app.run())
    assert "2 of its 2 digits are new" in words(app)
    assert len(own_digits.list_digits()) == 2
    app.file_uploader(key="own_file").set_value(("digits.json", b"\x80\x04.", "application/json"))
    well(app.run())
    assert "holds no JSON" in words(app)
    assert len(own_digits.list_digits()) == 2


def test_a_damaged_file_of_own_digits_is_named_and_begun_anew(folder):
    made_run(folder, "final")
    own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[3])), 3)
    (folder / own_digits.FOLDER / own_digits.NAME).write_bytes(b"{")
    app = opened(3, view="Own digits")
    assert "own.json" in app.error[0].value
    press(app, "Begin anew")
    assert own_digits.list_digits() == []


def test_digits_of_mnist_are_not_ones_own(folder):
    made_run(folder, "final")
    app = opened(view="Own digits", digit="test-3")
    assert "digits of your own come from the pad" in words(app)
    assert not [button for button in app.button if button.label == "7"]


def test_a_link_full_of_nonsense_opens(folder):
    made_run(folder, "final")
    open_page(
        "pages/draw.py",
        view="cake",
        read="cake",
        beside="nobody",
        why="99",
        patch="-3",
        along="up",
        space="outer",
        nudge_turn="1e99",
        digit="",
        network="nobody",
    )
