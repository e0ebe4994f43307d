"""The Mistakes page: without runs, with good, bad and broken ones, and with links of all kinds."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.data.dataset import Mnist
from core.data.labelled_images import LabelledImages
from core.experiments.comparison import compare_runs
from core.insight import mistakes
from core.insight.learning import NEVER
from core.runs.evaluation import predict_run
from core.runs.prediction_cache import load_learning, load_predictions
from core.runs.weights import save_tensors
from pages.ui.mistakes.shared import describe_votes, errors_csv
from pages.ui.run_boxes import VIEWED
from tests.made import made_run
from tests.networks import build_model
from tests.opening import open_page, well
from tests.pages.reading import component, components, page_text

pytestmark = pytest.mark.usefixtures("fresh")


@pytest.fixture
def here(digits, monkeypatch) -> Mnist:
    """The made-up digits in place of the dataset."""
    monkeypatch.setattr(dataset, "load", lambda progress: digits)
    return digits


def opened(**link: str) -> AppTest:
    return open_page("pages/mistakes.py", **link)


def found_of(run, here: Mnist) -> mistakes.Predictions:
    return load_predictions(run, test=here.test.to_numpy())


def figures(app: AppTest) -> list[str]:
    return [each.value for each in app.metric]


def test_without_runs_the_page_invites_to_train(folder):
    app = opened()
    assert "No run has been trained" in page_text(app)
    assert "start=final" in [each.proto.query_string for each in app.get("page_link")]


def test_a_run_without_weights_and_a_damaged_one_are_named_and_another_is_shown(folder, here):
    made_run(folder, "final")
    made_run(folder, "new", done=0, state="stopped")
    (folder / "broken").mkdir()
    (folder / "broken" / "run.json").write_text("{}")
    assert "new has no weights yet" in page_text(opened(run="new"))
    app = opened(run="broken")
    assert "broken is damaged" in page_text(app)
    assert app.selectbox(key=VIEWED).value == "final"
    assert component(app, "matrix")


def test_the_metrics_and_the_matrix_count_the_errors(folder, here):
    run = made_run(folder, "mine")
    found = found_of(run, here)
    app = opened(run="mine")
    assert figures(app)[:2] == [str(found.error_count), f"{100 * found.correct.mean():.2f}\u00a0%"]
    shown = component(app, "matrix")
    np.testing.assert_array_equal(
        shown["counts"], mistakes.confusion_matrix(found.labels, found.predicted)
    )
    cells = component(app, "gallery")["cells"]
    assert [cell["note"].split(", ")[1] for cell in cells] == [
        str(index) for index in mistakes.worst_errors(found, 56)
    ]
    assert cells[0]["label"] == f"{found.labels[mistakes.worst_errors(found)[0]]} → " + str(
        found.predicted[mistakes.worst_errors(found)[0]]
    )


def test_a_cell_filters_the_images(folder, here):
    found = found_of(made_run(folder, "mine"), here)
    counts = mistakes.confusion_matrix(found.labels, found.predicted)
    label, answer = next((a, b) for a in range(10) for b in range(10) if a != b and counts[a, b])
    app = opened(run="mine", labelled=str(label), read=str(answer))
    shown = component(app, "gallery")["cells"]
    assert len(shown) == min(56, counts[label, answer])
    assert {cell["label"] for cell in shown} == {f"{label} → {answer}"}
    assert component(app, "matrix")["picked"] == [label, answer]
    app.selectbox(key="labelled").set_value("any")
    app.selectbox(key="read").set_value("any")
    assert len(component(well(app.run()), "gallery")["cells"]) == min(56, found.error_count)


def test_the_diagonal_shows_correct_predictions(folder, here):
    found = found_of(made_run(folder, "mine"), here)
    digit = int(np.bincount(found.labels[found.correct]).argmax())
    app = opened(run="mine", labelled=str(digit), read=str(digit))
    assert f"{digit} predicted correctly" in page_text(app)
    assert {cell["label"] for cell in component(app, "gallery")["cells"]} == {f"{digit} → {digit}"}


def test_an_empty_cell_says_so(folder, here):
    found = found_of(made_run(folder, "mine"), here)
    counts = mistakes.confusion_matrix(found.labels, found.predicted)
    label, answer = (int(each[0]) for each in np.nonzero(counts == 0))
    assert "There are none" in page_text(opened(run="mine", labelled=str(label), read=str(answer)))


def test_any_image_can_be_shown_and_opened_in_draw(folder, here):
    made_run(folder, "mine")
    app = opened(run="mine", image="7")
    assert component(app, "closeup")["pixels"] == here.test.images[7].flatten().tolist()
    assert "test image 7" in page_text(app)
    queries = [each.proto.query_string for each in app.get("page_link")]
    assert any("digit=test-7" in query and "network=mine" in query for query in queries)
    assert any("index=7" in query and "set=test" in query for query in queries)


def test_the_pages_of_images_follow_the_loss(folder, here):
    found = found_of(made_run(folder, "mine"), here)
    order = mistakes.worst_errors(found)
    app = opened(run="mine")
    next(button for button in app.button if button.label == "Next").click()
    cells = component(well(app.run()), "gallery")["cells"]
    assert [cell["note"].split(", ")[1] for cell in cells] == [
        str(index) for index in order[56:112]
    ]


def test_a_network_that_predicts_a_single_digit_can_be_shown(folder, here):
    run = made_run(folder, "stuck", state="diverged", message="the loss is no number")
    weights = {name: value * 0 for name, value in build_model(run.config).state_dict().items()}
    weights[next(name for name in weights if name.endswith("bias"))][3] = 50.0
    save_tensors(run.folder / "last.safetensors", weights)
    shown = component(opened(run="stuck"), "matrix")
    assert shown["recall"][3] == "100"
    assert shown["precision"][4] == "–"
    assert {sum(row) for row in np.array(shown["counts"]).T.tolist()} == {0, 200}


def test_weights_that_are_not_finite_are_an_error_in_words(folder, here):
    run = made_run(folder, "wild")
    save_tensors(
        run.folder / "last.safetensors",
        {
            name: value * float("nan")
            for name, value in build_model(run.config).state_dict().items()
        },
    )
    app = opened(run="wild")
    assert "wild cannot predict" in app.error[0].value
    assert not components(app, "matrix") + components(app, "gallery")


def test_two_runs_are_compared_image_by_image(folder, here):
    first, second = made_run(folder, "one"), made_run(folder, "two", seed=2)
    found = mistakes.compare(found_of(first, here), found_of(second, here))
    app = opened(run="one", show="two runs", other="two", split="second right")
    assert figures(app) == [
        str(found.both_correct),
        *(str(len(each)) for each in (found.only_first, found.only_second, found.both_wrong)),
    ]
    cells = component(app, "gallery")["cells"]
    assert len(cells) == min(72, len(found.only_second))
    assert all(
        cell["note"].split(" | ")[1] == cell["label"] != cell["note"].split(" | ")[0]
        for cell in cells
    )
    assert compare_runs(
        "one", found_of(first, here), "two", found_of(second, here)
    ).summary in page_text(app)


def test_a_single_run_has_nothing_to_be_compared_with(folder, here):
    made_run(folder, "one")
    app = opened(show="two runs")
    assert "no second run" in page_text(app)


def test_equal_networks_do_not_differ(folder, here):
    made_run(folder, "one")
    made_run(folder, "two")
    app = opened(run="one", show="two runs", other="two")
    assert "same accuracy" in page_text(app)
    assert "There are none" in page_text(app)


def test_other_images_have_no_known_label_errors(folder, here):
    made_run(folder, "one")
    assert "No label errors are known" in page_text(opened(show="doubtful labels"))


@pytest.mark.mnist
def test_doubtful_labels_are_marked_and_shown_with_votes(folder, mnist, monkeypatch):
    monkeypatch.setattr(dataset, "load", lambda progress: mnist)
    made_run(folder, "one")
    app = opened(show="doubtful labels")
    cells = component(app, "gallery")["cells"]
    assert len(cells) == 15
    assert cells[0]["label"] == "8 or 9"
    assert "0 of 5 people agreed with the label 8, 5 said 9" in page_text(app)
    app = opened(show="one run", labelled="8", read="any", image="947")
    assert "0 of 5 people agreed with the label 8, 5 said 9" in page_text(app)
    assert figures(app)[3].endswith("of 15")


def test_votes_are_described():
    assert describe_votes(mistakes.LabelError(4, 9, 2, 2, 1)).endswith(
        "label 4, 2 said 9, 1 said both or neither."
    )


@pytest.mark.parametrize("view", ["one run", "two runs", "doubtful labels", "?"])
def test_the_page_opens_with_any_link(folder, here, view):
    made_run(folder, "one")
    made_run(folder, "two")
    opened(show=view, run="../x", other="one", labelled="12", read="-1", image="1e9", split="x")
    opened(show=view, run="one", other="one", labelled="any", read="3", image="-4")


def test_errors_can_be_saved_as_csv(folder, here):
    run = made_run(folder, "mine")
    found = found_of(run, here)
    test = LabelledImages(here.test.images.numpy(), found.labels, "test")
    table = pd.read_csv(io.StringIO(errors_csv(run, found, test)))
    assert "learnt_in_epoch" not in table
    assert list(table["index"]) == list(mistakes.worst_errors(found))
    assert list(table.columns[:5]) == ["index", "label", "predicted", "loss", "suspected_label"]
    np.testing.assert_allclose(
        table[[f"p{digit}" for digit in range(10)]].sum(axis=1), 1, atol=1e-4
    )
    assert [each.proto.label for each in opened(run="mine").get("download_button")] == [
        "Errors (CSV)"
    ]


def test_the_computation_of_a_misread_digit_can_be_followed(folder, here):
    run = made_run(folder, "final")
    assert not components(opened(), "layers")
    worst = int(mistakes.worst_errors(found_of(run, here))[0])
    app = opened(follow="true")
    shown = component(app, "layers")
    assert shown["start"] == [1, int(found_of(run, here).predicted[worst]), 0, 0]
    np.testing.assert_array_equal(np.reshape(shown["pixels"], (28, 28)), here.test.images[worst])
    app = opened(follow="true", labelled="3", read="3", image="7")
    pixels = component(app, "layers")["pixels"]
    np.testing.assert_array_equal(np.reshape(pixels, (28, 28)), here.test.images[7])


def test_errors_of_a_run_with_epochs_say_when_they_were_correct(folder, here):
    run = made_run(folder, "mine", kept=True)
    test = here.test.to_numpy()
    found = predict_run(run, test, 1)
    table = pd.read_csv(io.StringIO(errors_csv(run, found, test)))
    learning = load_learning(run, test)
    for name, epochs in (
        ("learnt_in_epoch", learning.learnt),
        ("last_correct_epoch", learning.last_correct),
    ):
        expected = [None if epoch == NEVER else epoch for epoch in epochs[table["index"]]]
        assert [None if pd.isna(value) else int(value) for value in table[name]] == expected
    assert table["last_correct_epoch"].notna().any()
