"""Model: valid and invalid rows, saved networks, and links of all kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.library import architectures as own_architectures
from core.models.architectures import ARCHITECTURES
from core.models.row_text import MAX_TEXT, to_text
from core.models.shapes import trace
from core.models.summary import summarise
from tests.opening import open_page, shown, well

ROOT = Path(__file__).parents[2]
OWN = [
    {"kind": "conv", "channels": 6},
    {"kind": "maxpool", "kernel": 4, "stride": 4},
    {"kind": "linear", "activation": "none"},
]
WRONG = [{"kind": "conv"}, {"kind": "conv", "kernel": 99}, {"kind": "cake"}, {"kind": "linear"}]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(tmp_path))
    return tmp_path


def opened(**link: str) -> AppTest:
    return open_page("pages/model.py", **link)


def components(app: AppTest, name: str) -> list[dict]:
    return [
        json.loads(each.proto.json)
        for each in app.get("bidi_component")
        if each.proto.component_name == f"inkling_{name}"
    ]


def table(app: AppTest) -> dict:
    (data,) = components(app, "rows")
    return data


def metrics(app: AppTest) -> list[str]:
    return [each.value for each in app.metric]


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click()
    return well(app.run())


def test_it_starts_with_the_original_network():
    app = opened()
    assert metrics(app) == ["3,762", "4,238", "0.62 M", "70 × 70"]
    assert app.selectbox(key="model_start").value == "original-3762"
    data = table(app)
    assert len(data["rows"]) == len(data["layers"]) == 15
    assert data["layers"][0] == {"gives": "4 × 28 × 28", "parameters": 48}
    assert data["mistakes"] == {}
    assert [each["wide"] for each in components(app, "drawing")] == [True, False]
    assert any("larger than the image" in each.value for each in app.caption)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_shipped_network_can_be_chosen(name):
    app = opened()
    app.selectbox(key="model_start").set_value(name)
    well(app.run())
    assert app.text_input(key="net").value == name
    assert metrics(app)[0] == f"{summarise(ARCHITECTURES[name].rows).total_params:,}"
    assert ARCHITECTURES[name].help in [each.value for each in app.caption]


def test_rows_of_ones_own_come_from_the_link():
    app = opened(net=to_text(OWN))
    assert table(app)["rows"] == OWN
    assert app.selectbox(key="model_start").value == ""
    assert metrics(app)[0] == f"{summarise(OWN).total_params:,}"


def test_mistakes_are_named_at_their_rows_and_nothing_can_be_saved_or_trained():
    app = opened(net=json.dumps(WRONG))
    assert not app.error
    data = table(app)
    assert set(data["mistakes"]) == {"2", "3"}
    assert data["mistakes"]["2"].startswith("Kernel is 99")
    assert len(data["layers"]) == 1, "the rows before the mistake are worked out"
    assert data["total"].startswith("Row 2 ")
    assert set(metrics(app)) == {"–"}
    disabled = {button.label for button in app.button if button.disabled}
    assert {"Train this", "Save"} <= disabled


@pytest.mark.parametrize(
    "text",
    [
        "cake",
        "[1]",
        '[{"kind":"conv","kernel":NaN}]',
        "{}",
        "x" * 10_000,
        "[" + "{}," * 300 + "{}]",
    ],
)
def test_a_link_that_holds_no_rows_is_refused_in_words_and_leaves_a_network(text):
    app = opened(net=text)
    assert shown(app.error[0].value)
    assert len(table(app)["rows"]) == 15


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '[{"kind":"conv"}]',
        '[{"kind":"linear","channels":12}]',
        '[{"kind":"cake"}]',
        json.dumps([{"kind": "conv", "channels": 1}] * 200),
        '[{"a":"b"}]',
    ],
)
def test_rows_that_are_no_network_yet_are_shown(text):
    app = opened(net=text, beside="residual-7850", form="torchsummary")
    assert table(app)["rows"] == json.loads(text)
    assert table(app)["mistakes"]


def test_what_a_link_names_that_is_not_there_is_passed_over():
    app = opened(beside="nobody", over="99", upto="900 cake", form="poem")
    assert metrics(app) == ["3,762", "4,238", "0.62 M", "70 × 70"]


def test_the_summary_comes_in_both_forms():
    app = opened(net="initial", form="torchsummary")
    assert app.code[0].value == summarise(ARCHITECTURES["initial"].rows).text()
    app.segmented_control(key="form").set_value("table")
    well(app.run())
    assert not app.code
    assert any("Conv2d-10" in each.proto.body for each in app.get("html"))


def test_the_receptive_field_of_any_row_can_be_looked_at():
    app = opened(net="initial", over="7", upto="1 conv")
    assert any(
        each.value.startswith("Row 1") and "3 × 3 pixels; its 26 × 26 outputs" in each.value
        for each in app.caption
    )
    app.select_slider(key="upto").set_value("7 maxpool")
    well(app.run())
    assert any(each.value.startswith("Row 7") and "16 × 16" in each.value for each in app.caption)
    app.text_input(key="net").set_value(to_text(OWN))
    well(app.run())
    assert any(each.value.startswith("Row 2") and "6 × 6" in each.value for each in app.caption), (
        "the row is gone"
    )


def test_two_networks_stand_side_by_side():
    app = opened(net=to_text(OWN), beside="initial")
    assert metrics(app)[0::4] == [f"{summarise(OWN).total_params:,}", "16,530"]
    assert len(components(app, "drawing")) == 4
    charts = app.get("vega_lite_chart") or app.get("arrow_vega_lite_chart")
    assert len(charts) == 2
    scales = [
        json.loads(chart.proto.spec)["layer"][0]["encoding"]["x"]["scale"]["domain"]
        for chart in charts
    ]
    assert scales[0] == scales[1]


def test_a_network_of_ones_own_is_saved_found_replaced_and_deleted(folder):
    app = opened(net=to_text(OWN))
    app.text_input(key="model_name").set_value("mine")
    press(app, "Save")
    assert shown(app.toast[0].value) == "Saved as mine."
    assert app.selectbox(key="model_start").value == "mine"
    app.selectbox(key="model_start").set_value("initial")
    well(app.run())
    app.selectbox(key="beside").set_value("mine")
    well(app.run())
    assert own_architectures.list_saved()[0].parameters < 16_530
    assert metrics(app)[4] == f"{summarise(OWN).total_params:,}"
    press(app, "Replace it")
    assert own_architectures.list_saved()[0].parameters == 16_530
    press(app, "Delete")
    assert own_architectures.list_saved() == []
    assert app.selectbox(key="beside").value == "none", "what it was compared with is gone"


@pytest.mark.parametrize("name", ["../out", "initial", "con"])
def test_a_name_that_cannot_be_had_is_refused_in_words(name, folder):
    app = opened(net=to_text(OWN))
    app.text_input(key="model_name").set_value(name)
    press(app, "Save")
    assert name in shown(app.toast[0].value)
    assert own_architectures.list_saved() == []


def test_damaged_files_are_named_and_break_nothing(folder):
    own_architectures.save("mine", OWN)
    place = folder / own_architectures.FOLDER
    (place / "cut.json").write_text('{"format": 1, "ro')
    (place / "newer.json").write_text('{"format": 9, "rows": []}')
    app = opened(net=to_text(OWN))
    assert app.selectbox(key="model_start").value == "mine"
    said = shown("\n".join(each.value for each in app.caption))
    assert "cut.json cannot be read" in said
    assert "newer.json cannot be read" in said
    assert "another version" in said
    next(button for button in app.button if button.key == "model_delete_cut.json").click()
    well(app.run())
    assert not (place / "cut.json").exists()


@pytest.mark.parametrize(("text", "layers"), [("initial", []), (to_text(OWN), OWN)])
def test_train_this_takes_the_rows_along(text, layers):
    app = press(opened(net=text), "Train this")
    assert app.session_state["train_layers"] == layers
    assert app.title[0].value == "Train"
    expected = trace(layers or ARCHITECTURES["initial"].rows)
    assert app.metric[0].value == f"{sum(layer.parameters for layer in expected):,}"


def test_the_text_takes_as_much_as_a_link_may_hold():
    assert opened().text_input(key="net").proto.max_chars == MAX_TEXT
