"""Whether probabilities can be trusted: calibration on Mistakes and the command line, and drawings
that do not look like a digit on Draw and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.cli import main as cli
from core.data import dataset
from core.data.dataset import hold_out
from core.drawing.strokes import strokes_to_ink
from core.insight.calibration import calibrate
from core.insight.familiarity import MESSAGE
from core.runs.evaluation import predict_run
from core.runs.weights import save_tensors
from tests.made import made_run
from tests.networks import build_model
from tests.opening import ROOT, open_page, well
from tests.pages.reading import component, components, page_text
from tests.strokes import DIGITS, LETTERS

MISTAKES = "pages/mistakes.py"


@pytest.fixture(autouse=True)
def folder(folder, monkeypatch, digits, fresh) -> Path:
    """An empty checkpoints folder, made-up digits in place of MNIST, and empty caches."""
    monkeypatch.setattr(dataset, "load", lambda *rest, **options: digits)
    monkeypatch.setattr(dataset, "is_present", lambda *rest: True)
    return folder


def figures(app: AppTest) -> list[str]:
    return [each.value.replace("\u00a0", " ") for each in app.metric]


def expected(calibration) -> list[str]:
    return [
        f"{100 * calibration.before.error:.2f} %",
        f"{100 * calibration.before.confidence:.2f} %",
        f"{100 * calibration.before.accuracy:.2f} %",
        f"{calibration.temperature:.2f}",
        f"{100 * calibration.after.error:.2f} %",
    ]


def run_command(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["core", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("holdout", [0, 100])
def test_mistakes_and_evaluate_show_the_same_calibration(
    holdout, folder, digits, monkeypatch, capsys
):
    run = made_run(folder, "mine", holdout=holdout, kept=not holdout)
    found, held_out = predict_run(run, digits.test.to_numpy()), None
    if holdout:
        held_out = predict_run(run, hold_out(run.config, digits.train)[1].to_numpy())
    calibration = calibrate(found, held_out)
    app = open_page(MISTAKES, run="mine", view="calibration")
    assert figures(app) == expected(calibration)
    assert len(app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")) == 2
    answer = json.loads(
        run_command(monkeypatch, capsys, "evaluate", "mine", "--calibration", "--json")
    )
    assert answer["calibration"] == calibration.to_dict()
    text = run_command(monkeypatch, capsys, "evaluate", "mine", "--calibration")
    assert f"{100 * calibration.before.error:.2f} %" in text.replace("\u00a0", " ")
    plain = json.loads(run_command(monkeypatch, capsys, "evaluate", "mine", "--json"))
    assert "calibration" not in plain
    if not holdout:
        first = calibrate(predict_run(run, digits.test.to_numpy(), 1))
        app = open_page(MISTAKES, run="mine", view="calibration", epoch="1")
        assert figures(app) == expected(first)
        assert "after epoch 1" in page_text(app)


def test_validation_images_are_not_taken_for_as_many_test_images(folder, digits):
    # The hold-out has as many images as the synthetic test set.
    run = made_run(folder, "mine", holdout=200)
    held_out = predict_run(run, hold_out(run.config, digits.train)[1].to_numpy())
    app = open_page(MISTAKES, run="mine", view="calibration")
    assert figures(app) == expected(calibrate(predict_run(run, digits.test.to_numpy()), held_out))


def test_a_network_that_predicts_a_single_digit_or_nothing_finite_can_be_looked_at(folder):
    for name, factor in (("stuck", 0.0), ("wild", float("nan"))):
        run = made_run(folder, name)
        weights = {
            key: value * factor for key, value in build_model(run.config).state_dict().items()
        }
        save_tensors(run.folder / "last.safetensors", weights)
    assert not open_page(MISTAKES, run="stuck", view="calibration").error
    assert (
        "wild cannot predict" in open_page(MISTAKES, run="wild", view="calibration").error[0].value
    )


def drawn(strokes: list, **link: str) -> AppTest:
    app = AppTest.from_file(ROOT / "streamlit_app.py", default_timeout=60)
    app.switch_page("pages/draw.py")
    for name, value in link.items():
        app.query_params[name] = value
    app.session_state["drawing"] = {"strokes": strokes, "version": 1}
    return well(app.run())


def test_draw_says_that_a_letter_does_not_look_like_a_digit(folder):
    made_run(folder, "final")
    app = drawn(LETTERS["K"])
    assert MESSAGE in page_text(app)
    readout = component(app, "readout")
    assert readout["spoken"] == MESSAGE
    assert sum(readout["probabilities"]) == pytest.approx(1, abs=1e-2)
    for app in (drawn(DIGITS[3]), drawn([])):
        assert MESSAGE not in page_text(app)
        assert component(app, "readout")["spoken"] == ""


def test_a_digit_with_a_label_is_not_judged(folder):
    made_run(folder, "final")  # the made-up digits are no handwriting
    app = open_page("pages/draw.py", digit="test-3")
    assert MESSAGE not in page_text(app)


def test_each_digit_of_a_number_is_judged(folder):
    made_run(folder, "final")
    wide = [[[0.05 + 0.4 * x, y] for x, y in stroke] for stroke in DIGITS[3]]
    wide += [[[0.5 + 0.4 * x, y] for x, y in stroke] for stroke in LETTERS["W"]]
    for selected, is_strange in ((0, False), (1, True)):
        app = AppTest.from_file(ROOT / "streamlit_app.py", default_timeout=60)
        app.switch_page("pages/draw.py")
        app.query_params["read"] = "a number"
        app.session_state["number"] = {"strokes": wide, "version": 1}
        app.session_state["draw_selected_digit"] = selected
        app = well(app.run())
        assert len(components(app, "gallery")[0]["cells"]) == 2
        assert (MESSAGE in page_text(app)) == is_strange


def test_predict_says_which_pictures_do_not_look_like_a_digit(
    folder, tmp_path, monkeypatch, capsys
):
    made_run(folder, "mine")
    paths = []
    for name, strokes in (("three", DIGITS[3]), ("letter", LETTERS["X"])):
        paths.append(str(tmp_path / f"{name}.png"))
        Image.fromarray(255 - strokes_to_ink(strokes)).save(paths[-1])
    rows = json.loads(run_command(monkeypatch, capsys, "predict", "mine", *paths, "--json"))
    assert [row["looks_like_digit"] for row in rows] == [True, False]
    assert [len(row["probabilities"]) for row in rows] == [10, 10]
    lines = run_command(monkeypatch, capsys, "predict", "mine", *paths).splitlines()
    assert [MESSAGE in line for line in lines] == [False, True]
    assert np.isfinite(rows[1]["probabilities"]).all()

    both = np.concatenate([strokes_to_ink(DIGITS[3]), strokes_to_ink(LETTERS["M"])], axis=1)
    Image.fromarray(255 - both).save(tmp_path / "both.png")
    number = ("predict", "mine", str(tmp_path / "both.png"), "--number")
    (row,) = json.loads(run_command(monkeypatch, capsys, *number, "--json"))
    assert [digit["looks_like_digit"] for digit in row["digits"]] == [True, False]
    assert "place 2" in run_command(monkeypatch, capsys, *number)
