"""The Draw page: digits of MNIST, pictures, numbers and the user's own digits."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.drawing.preparation import to_mnist
from core.drawing.strokes import strokes_to_ink
from core.library import digits as own_digits
from core.runs import epoch_weights, files, status, store
from core.runs.digit_file import FOLDER, read_run_digits
from pages.ui.draw.views import VIEWS
from tests.made import made_run
from tests.opening import ROOT, well
from tests.pages.reading import component, components, page_text, press, press_label
from tests.strokes import DIGITS

SHIPPED = ROOT / "checkpoints" / "taught"


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


def shipped(folder: Path) -> None:
    """The shipped network, which can read."""
    if not (SHIPPED / "last.safetensors").is_file():
        pytest.skip("the taught checkpoint is not shipped here")
    shutil.copytree(SHIPPED, folder / "final")


def seen(app: AppTest) -> np.ndarray:
    return np.array(component(app, "readout")["pixels"], np.uint8).reshape(28, 28)


def number(digits: list[int]) -> list:
    """Digits beside each other on the wide pad."""
    return [
        [[0.02 + 0.24 * at + x * 0.3, 0.1 + 0.8 * y] for x, y in stroke]
        for at, digit in enumerate(digits)
        for stroke in DIGITS[digit]
    ]


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
    press_label(app, "Reset")
    assert app.slider(key="nudge_right").value == 0


@pytest.mark.parametrize(
    ("link", "part", "index"),
    [
        ("test-12", "test", 12),
        ("train-17", "train", 17),
        ("training-17", "train", 17),
        (" TEST-3 ", "test", 3),
    ],
)
def test_a_digit_of_mnist_in_the_link_is_shown(link, part, index, folder, digits):
    made_run(folder, "final")
    app = opened(5, digit=link)
    np.testing.assert_array_equal(seen(app), getattr(digits, part).images[index].numpy())
    assert (
        f"label {int(getattr(digits, part).labels[index])}" in component(app, "closeup")["caption"]
    )
    press_label(app, "Back to the pad")
    np.testing.assert_array_equal(seen(app), to_mnist(strokes_to_ink(DIGITS[5])))
    assert "digit" not in app.query_params


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("cake", "is not a digit of MNIST"),
        ("test-", "is not a digit of MNIST"),
        ("test--1", "is not a digit of MNIST"),
        ("test-99999", "no test image 99,999"),
        ("train-600", "no training image 600"),
        ("x" * 5_000, "is not a digit of MNIST"),
        ("<script>", "is not a digit of MNIST"),
    ],
)
def test_a_link_without_a_digit_is_an_error_in_words(link, said, folder):
    made_run(folder, "final")
    app = opened(5, digit=link)
    assert said in page_text(app)
    assert component(app, "readout")["pixels"] is None
    assert seen(press_label(app, "Back to the pad")).any()


def test_another_digit_of_mnist_is_put_into_the_link(folder, digits):
    made_run(folder, "final")
    app = opened()
    app.button_group(key="source").set_value("MNIST")
    well(app.run())
    app.number_input(key="draw_mnist_index").set_value(9)
    well(app.run())
    np.testing.assert_array_equal(seen(app), digits.test.images[9].numpy())
    assert app.query_params["digit"] in ("test-9", ["test-9"])
    app.button_group(key="draw_mnist_set").set_value("training")
    np.testing.assert_array_equal(seen(well(app.run())), digits.train.images[9].numpy())


def test_a_missing_dataset_is_offered(folder, monkeypatch):
    made_run(folder, "final")
    monkeypatch.setattr(dataset, "load", lambda progress: progress("looking", 0.0))
    for link in ({"digit": "test-3"}, {"view": "Nearest"}):
        app = opened(3, **link)
        assert any(button.label == "Download MNIST" for button in app.button)


def picture(app: AppTest, data: bytes, name: str = "digit.png") -> AppTest:
    app.file_uploader(key="draw_picture_file").set_value((name, data, "image/png"))
    return well(app.run())


def as_picture(strokes: list, size: int = 300) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(255 - strokes_to_ink(strokes, size)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_picture_is_read_like_a_drawing(folder):
    shipped(folder)
    app = opened(session={"draw_source": "Picture"})
    assert "Choose a picture" in component(app, "readout")["message"]
    app = picture(app, as_picture(DIGITS[7]))
    assert component(app, "readout")["digit"] == 7
    assert 'role="img"' in "".join(each.proto.body for each in app.get("html"))
    app = picture(app, b"no picture")
    assert "picture that can be read" in page_text(app)
    assert component(app, "readout")["pixels"] is None
    app = picture(app, as_picture([]))
    assert "Found no digit" in page_text(app)


def test_the_camera_is_off_by_default(folder):
    made_run(folder, "final")
    app = opened(session={"draw_source": "Picture"})
    assert not app.get("camera_input")
    app.toggle(key="draw_camera_on").set_value(True)
    assert app.run().get("camera_input")


def test_a_picture_of_several_digits_says_so_and_is_read_as_a_number(folder):
    shipped(folder)
    row = np.concatenate(
        [strokes_to_ink(DIGITS[digit], 300)[:, 60:240] for digit in (4, 2)], axis=1
    )
    buffer = io.BytesIO()
    Image.fromarray(255 - row).save(buffer, "PNG")
    app = picture(opened(session={"draw_source": "Picture"}), buffer.getvalue())
    assert "2 digits" in page_text(app)
    app.button_group(key="reading").set_value("a number")
    well(app.run())
    assert [cell["label"] for cell in component(app, "gallery")["cells"]] == ["4", "2"]


def test_several_digits_are_read_as_a_number(folder):
    shipped(folder)
    app = opened(
        reading="a number", session={"number": {"strokes": number([3, 0, 8]), "version": 1}}
    )
    assert ">308<" in "".join(each.proto.body for each in app.get("html"))
    assert [cell["label"] for cell in component(app, "gallery")["cells"]] == ["3", "0", "8"]
    assert "Probability of the whole number" in page_text(app)
    assert component(app, "readout")["digit"] == 3
    app.session_state["draw_selected_digit"] = 2
    assert component(well(app.run()), "readout")["digit"] == 8


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_a_number_opens(view, folder):
    made_run(folder, "final")
    assert not opened(view=view, reading="a number").error
    assert not opened(
        view=view,
        reading="a number",
        session={"number": {"strokes": number([1, 5]), "version": 1}, "draw_selected_digit": 7},
    ).error


def test_own_digits_are_saved_counted_and_deleted(folder):
    shipped(folder)
    app = opened(3, view="Own digits")
    assert "None yet" in page_text(app)
    press_label(app, "3")
    assert [digit.label for digit in own_digits.list_digits()] == [3]
    assert "final: 1 of 1" in page_text(app)
    press_label(app, "8")
    assert all(text in page_text(app) for text in ("final: 1 of 2 correct", "9.5 to 90.5"))
    app.session_state["draw_own_selected"] = own_digits.list_digits()[0].key
    well(app.run())
    press_label(app, "Delete selected")
    assert len(own_digits.list_digits()) == 1
    press_label(app, "Delete them")
    assert own_digits.list_digits() == []


def test_pictures_are_previewed_discarded_and_added_to_a_set(folder, monkeypatch):
    made_run(folder, "final")
    for label in (3, 8):
        own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[label])), label, writer="Bo")
    data = own_digits.export_digits()
    own_digits.clear()
    picture = io.BytesIO()
    Image.fromarray(255 - strokes_to_ink(DIGITS[7])).save(picture, "PNG")
    app = opened(3, view="Own digits", session={"draw_own_set": "anna"})
    app.file_uploader(key="draw_own_file_0").set_value(
        [
            ("bo.zip", data, "application/zip"),
            ("7-anna.png", picture.getvalue(), "image/png"),
            ("x.png", picture.getvalue(), "image/png"),
        ]
    )
    well(app.run())
    assert "3 digits in MNIST's form" in page_text(app)
    assert "x.png: its name gives no label" in page_text(app)
    assert own_digits.list_sets() == [], "nothing is added yet"
    preview = app.session_state["draw_own_preview"]
    preview.discarded.append((0, preview.digits.pop(0)))
    well(app.run())
    press_label(app, "Undo, 1 discarded")
    preview.discarded.append((0, preview.digits.pop(0)))
    well(app.run())
    press_label(app, "Add 2 digits to anna")
    assert "New digits: 2 of 2" in page_text(app)
    digits = own_digits.list_digits(name="anna")
    assert sorted((digit.label, digit.writer) for digit in digits) == [(7, "anna"), (8, "Bo")]
    app.file_uploader(key="draw_own_file_1").set_value(
        [("a.zip", b"PK\x03\x04", "application/zip")]
    )
    well(app.run())
    assert "not a zip file" in page_text(app)
    assert len(own_digits.list_digits(name="anna")) == 2
    monkeypatch.setattr(own_digits, "MAX_DIGITS", 2)
    app.file_uploader(key="draw_own_file_2").set_value([("3.png", picture.getvalue(), "image/png")])
    well(app.run())
    press_label(app, "Add 1 digit to anna")
    assert "Nothing was added: the set has 2 digits and would have 3" in page_text(app)
    press_label(app, "Cancel")
    assert "Nothing was added" not in page_text(app)
    assert not app.error


def test_a_network_is_taught_a_set_and_compared(folder, idle):
    shipped(folder)
    for label, strokes in DIGITS.items():
        own_digits.save_digit(to_mnist(strokes_to_ink(strokes)), label)
    app = opened(3, view="Own digits")
    app.slider(key="draw_teach_share").set_value(30)
    app.text_input(key="draw_teach_name").set_value("mine")
    well(app.run())
    assert "7 of these 10 digits together" in page_text(app)
    press(app, "draw_teach")
    run = store.open_run("mine")
    assert [place.name for place in idle] == ["mine"]
    assert (run.parent["name"], run.config.digits) == ("final", "own")
    assert run.config.digits_test_share == 0.3
    assert read_run_digits(run.folder).drawing.label == 3, "the drawing is one of the digits"
    weights = (folder / "final" / "last.safetensors").read_bytes()
    for epoch in (0, 5):  # as if it had been trained, without any change
        epoch_weights.write(run.folder, epoch, weights)
    for which in ("last", "best"):
        files.write_bytes(run.folder / f"{which}.safetensors", weights)
    rows = files.read_json(folder / "final" / "epochs.json")
    files.write_json(run.folder / "epochs.json", rows[:5])
    status.write(run.folder, "finished")
    app = opened(3, view="Own digits")
    text = page_text(app)
    assert "| 3 own test digits | " in text
    assert "| 200 test images of MNIST |" in text
    assert "Your drawing, labelled 3: 3 (" in text
    press_label(app, "Delete them")
    assert "This set has no digits any more" in page_text(app)
    assert "| 3 own test digits | " in page_text(app), "the run has its own copy"


def test_a_damaged_file_of_own_digits_is_named_and_cleared(folder):
    made_run(folder, "final")
    own_digits.save_digit(to_mnist(strokes_to_ink(DIGITS[3])), 3)
    (folder / FOLDER / own_digits.NAME).write_bytes(b"{")
    app = opened(3, view="Own digits")
    assert "own.json" in page_text(app)
    press_label(app, "Clear")
    assert own_digits.list_digits() == []


def test_digits_of_mnist_are_not_saved_as_own(folder):
    made_run(folder, "final")
    app = opened(view="Own digits", digit="test-3")
    assert "your own digits come from the pad" in page_text(app)
    assert not [button for button in app.button if button.label == "7"]
