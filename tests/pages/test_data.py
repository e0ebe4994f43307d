"""Data: with the dataset, without it, and with links of all kinds."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import numpy as np
import pytest
from PIL import Image
from streamlit.delta_generator import DeltaGenerator
from streamlit.testing.v1 import AppTest

from core.data import dataset, sources
from core.data.augmentations import KINDS, check
from core.data.augmenter import Augmenter
from core.data.presets import PRESETS
from core.data.transform_text import from_text, to_text
from core.errors import DataError
from core.insight.digits import first_of_each_class
from tests.opening import open_page, shown, well

ROOT = Path(__file__).parents[2]
OWN = [{"kind": "affine", "rotate": 30.0, "p": 1.0}, {"kind": "blur", "sigma": 2.0}]


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch, folder, fresh):
    """Use an empty folder for data and one for runs, and empty caches."""
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "data"))


@pytest.fixture
def here(digits, monkeypatch):
    """Use synthetic digits in place of the dataset."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    return digits


def opened(**link: str) -> AppTest:
    return open_page("pages/data.py", **link)


def component(app: AppTest, name: str, at: int = 0) -> dict:
    found = [
        each for each in app.get("bidi_component") if each.proto.component_name == f"inkling_{name}"
    ]
    return json.loads(found[at].proto.json)


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return well(app.run())


def linked(app: AppTest, name: str) -> str:
    """What the link says."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[-1]


def indices(app: AppTest) -> list[int]:
    return [int(cell["note"]) for cell in component(app, "gallery")["cells"]]


def pictures(app: AppTest) -> np.ndarray:
    """The images of the page's grid, as they stand in its picture."""
    data = component(app, "gallery")
    picture = Image.open(io.BytesIO(base64.b64decode(data["sheet"].split(",")[1]))).convert("RGBA")
    alpha = np.asarray(picture)[..., 3]
    return np.stack([alpha[top : top + 28, left : left + 28] for left, top in data["places"]])


def test_digits_that_are_not_here_are_offered_and_fetched(digits, monkeypatch):
    here = []

    def load(progress):
        if not here:
            progress("Fetching the digits", 0.0)
        return digits

    def fetch(folder, progress):
        progress("Fetching the digits", 0.5)
        here.append(folder)

    monkeypatch.setattr(dataset, "load", load)
    monkeypatch.setattr(dataset, "fetch", fetch)
    app = opened()
    assert "MNIST" in shown(app.info[0].value)
    with pytest.raises(IndexError):
        component(app, "gallery")
    press(app, "Download MNIST")
    assert here == [dataset.data_folder()]
    assert len(indices(app)) == 72
    assert not app.info


def test_a_fetch_tells_how_long_it_will_take(monkeypatch):
    said, clock = [], iter((100, 105, 107, 110, 112))

    def fetch(folder, progress):
        for share in (0.0, 0.0, 0.2, 0.1, 0.3):
            progress("Fetching the digits", share)
        raise DataError("it broke off")

    monkeypatch.setattr(dataset, "fetch", fetch)
    monkeypatch.setattr("pages.ui.dataset.time", SimpleNamespace(monotonic=clock.__next__))
    monkeypatch.setattr(DeltaGenerator, "progress", lambda bar, share, text: said.append(text))
    app = press(opened(), "Download MNIST")
    assert shown(app.error[0].value) == "it broke off"
    begun = "Fetching the digits"
    # What passes until a source answers is no pace, and the next source begins anew.
    assert said == [begun, begun, f"{begun}, about 8 s left", begun, f"{begun}, about 7 s left"]


def test_digits_that_cannot_be_had_are_an_error_in_words(monkeypatch):
    def no_network(wanted, report):
        report(wanted[0], 0.0)
        raise sources.Unavailable("no route to it")
        yield

    monkeypatch.setattr(sources, "all_sources", lambda: [("the mirror", no_network)])
    app = press(opened(), "Download MNIST")
    assert "no route to it" in shown(app.error[0].value)
    assert "train-images-idx3" in shown(app.error[0].value)
    assert app.button(key="dataset_download").label == "Download MNIST", "it can be tried again"


def test_a_folder_that_cannot_be_used_is_an_error_in_words(tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")
    assert "cannot be stored" in shown(opened().error[0].value)


def test_digits_are_shown_page_by_page(here):
    app = opened()
    assert indices(app) == list(range(72))
    assert [cell["label"] for cell in component(app, "gallery")["cells"]] == [
        str(int(label)) for label in here.train.labels[:72]
    ]
    np.testing.assert_array_equal(pictures(app), here.train.images[:72].numpy())
    press(app, "Next")
    assert indices(app) == list(range(72, 144))
    assert linked(app, "index") == "72"
    press(app, "Previous")
    assert indices(app) == list(range(72))


def test_a_class_and_an_index_lead_to_the_digit(here):
    labels = here.train.labels.numpy()
    app = opened(index="300", **{"class": "7"})
    at = int(next(each for each in range(300, 600) if labels[each] == 7))
    shown = component(app, "gallery")
    assert {cell["label"] for cell in shown["cells"]} == {"7"}
    assert indices(app)[shown["picked"]] == at
    assert component(app, "closeup")["pixels"] == here.train.images[at].flatten().tolist()


def test_the_test_images_start_anew(here):
    app = opened(index="500")
    app.segmented_control(key="set").set_value("test")
    well(app.run())
    assert app.number_input(key="index").value == 0
    np.testing.assert_array_equal(pictures(app)[0], here.test.images[0].numpy())


@pytest.mark.parametrize("part", ["Digits", "Statistics", "Map", "Augmentation"])
@pytest.mark.parametrize(
    "link",
    [
        {"set": "test", "class": "3", "index": "7"},
        {"set": "x", "class": "12", "index": "-4", "axes": "9 and 9"},
        {
            "index": "1e99",
            "sample": "0",
            "transforms": "[[[",
            "subject": "?",
            "round": "0",
            "only": "7. Magic",
        },
        {
            "transforms": "[" + ",".join(['{"kind":"noise"}'] * 40) + "]",
            "index": "59999",
            "set": "test",
        },
        {"transforms": "x" * 20_000},
    ],
)
def test_every_part_opens_with_any_link(here, part, link):
    assert opened(part=part, **link).get("bidi_component")


def test_statistics_say_what_is_in_the_set(here):
    app = opened(part="Statistics", set="test")
    figures = {each.label: each.value for each in app.metric}
    grey = here.test.images.numpy() / 255
    assert figures["Mean"] == f"{grey.mean():.4f}"
    assert figures["Standard deviation"] == f"{grey.std():.4f}"
    assert len(component(app, "gallery")["cells"]) == 20
    assert len(app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")) == 3


def test_the_map_says_how_much_it_shows(here):
    app = opened(part="Map", axes="2 and 3", sample="500")
    assert app.selectbox(key="axes").value == "2 and 3"
    assert "% of the variance" in shown(app.caption[0].value)
    assert component(app, "gallery", 1)["alt"].endswith("component 3")


def studio(**link: str) -> AppTest:
    return opened(part="Augmentation", **link)


def transforms(app: AppTest) -> tuple:
    return from_text(app.text_input(key="transforms").value)


def test_the_draws_are_the_trainers(here):
    app = studio(transforms=to_text(OWN), round="3")
    originals = here.train.images[first_of_each_class(here.train.labels.numpy(), 0)].numpy()
    expected = Augmenter(check(OWN), 1)(np.repeat(originals, 8, axis=0), (3, 0)).reshape(
        10, 8, 28, 28
    )
    shown = pictures(app).reshape(10, 9, 28, 28)
    np.testing.assert_array_equal(shown[:, 0], originals)
    np.testing.assert_array_equal(shown[:, 1:], expected)


def test_one_transform_alone_and_one_digit_alone(here):
    app = studio(transforms=to_text(OWN), only="2. Blur", subject="this one", index="44")
    digit = here.train.images[44].numpy()
    expected = Augmenter(check(OWN[1:]), 1)(np.repeat(digit[None], 80, axis=0), (1, 0))
    shown = pictures(app)
    np.testing.assert_array_equal(shown[0], digit)
    np.testing.assert_array_equal(shown[1:], expected[1:])


def test_sliders_change_the_transforms_and_the_link(here):
    app = studio()
    assert transforms(app) == PRESETS["final"].transforms
    assert app.selectbox(key="data_preset").value == "final"
    app.slider(key="data_transform0_affine_rotate").set_value(21.0)
    well(app.run())
    assert transforms(app)[0]["rotate"] == 21.0
    assert from_text(linked(app, "transforms")) == transforms(app)
    assert app.selectbox(key="data_preset").value == "own"
    app.segmented_control(key="data_transform0_affine_border").set_value("black")
    well(app.run())
    assert transforms(app)[0]["border"] == "black"


def test_a_link_sets_the_sliders(here):
    app = studio(transforms=to_text(OWN))
    assert app.slider(key="data_transform0_affine_rotate").value == 30.0
    assert app.slider(key="data_transform1_blur_sigma").value == 2.0


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fills_the_list(here, name):
    app = studio()
    app.selectbox(key="data_preset").set_value(name)
    well(app.run())
    assert transforms(app) == PRESETS[name].transforms
    assert app.selectbox(key="data_preset").value == name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_added_and_removed(here, kind):
    app = studio(transforms="[]")
    assert "No transforms" in shown(app.caption[-1].value)
    app.selectbox(key="data_new_transform").set_value(kind)
    well(app.run())
    assert transforms(app) == check([{"kind": kind}])
    assert app.selectbox(key="data_new_transform").value is None
    press(app, "Remove")
    assert transforms(app) == ()


def test_a_broken_text_is_named_and_the_transforms_stay(here):
    app = studio(transforms=to_text(OWN))
    app.text_input(key="transforms").set_value('[{"kind":"affine","rotate":900}]')
    well(app.run())
    assert shown(app.error[0].value).startswith("Transform 1: rotate is 900")
    assert app.slider(key="data_transform0_affine_rotate").value == 30.0


def test_own_transforms_are_sent_to_train(here):
    app = press(studio(transforms=to_text(OWN)), "Train with this")
    assert app.session_state["train_transforms"] == list(check(OWN))
    assert app.title[0].value == "Train"


def test_a_preset_is_sent_to_train_by_its_name(here):
    app = press(studio(transforms=to_text(PRESETS["strong"].transforms)), "Train with this")
    assert app.title[0].value == "Train"
    assert app.selectbox(key="augmentation").value == "strong"
    assert app.session_state["train_transforms"] == []


def test_a_digit_is_taken_from_the_grid_to_the_studio(here):
    link = next(
        each.proto for each in opened(index="123").get("page_link") if "Augment" in each.proto.label
    )
    app = opened(**dict(parse_qsl(link.query_string)))
    np.testing.assert_array_equal(pictures(app)[0], here.train.images[123].numpy())
    assert len(pictures(app)) == 80


def test_transforms_are_kept_when_the_page_is_left(here):
    app = studio(transforms=to_text(OWN))
    well(app.switch_page("pages/draw.py").run())
    well(app.switch_page("pages/data.py").run())
    assert transforms(app) == check(OWN)
    assert from_text(linked(app, "transforms")) == check(OWN)
