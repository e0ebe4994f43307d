"""Runs scored and compared on QMNIST's further test digits: commands, Mistakes and reports."""

from __future__ import annotations

import json

import pytest

from core.cli import main as cli
from core.data import dataset, qmnist, sources
from core.data.labelled_images import LabelledImages
from core.experiments.statistics import wilson_interval
from core.reports.report import write_markdown
from core.runs import files
from core.runs.evaluation import evaluate_run
from tests.made import made_run
from tests.opening import open_page
from tests.pages.reading import component, page_links, page_text

pytestmark = pytest.mark.usefixtures("fresh", "idle")


@pytest.fixture
def further(digits, monkeypatch) -> LabelledImages:
    """Made-up digits in place of MNIST, and others in place of QMNIST's."""
    images = dataset.synthetic(test=300, seed=5).test
    images = LabelledImages(images.images, images.labels, "qmnist")
    monkeypatch.setattr(dataset, "load", lambda *rest, **options: digits)
    monkeypatch.setattr(dataset, "is_present", lambda *rest: True)
    monkeypatch.setattr(qmnist, "load", lambda *rest: images)
    monkeypatch.setattr(qmnist, "fetch", lambda *rest: None)
    monkeypatch.setattr(qmnist, "is_present", lambda *rest: True)
    return images


@pytest.fixture
def missing(digits, monkeypatch, tmp_path):
    """Made-up digits in place of MNIST; QMNIST is missing and cannot be downloaded."""

    def refuse(url, report):
        raise sources.Unavailable("no answer")

    monkeypatch.setattr(dataset, "load", lambda *rest, **options: digits)
    monkeypatch.setattr(sources, "download", refuse)
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "empty"))


def run_command(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["core", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


def test_the_command_scores_a_run_with_its_interval(folder, further, monkeypatch, capsys):
    run = made_run(folder, "mine", architecture="keras-style")
    status, text, _ = run_command(monkeypatch, capsys, "evaluate", "mine", "--on", "qmnist")
    expected = evaluate_run(run, further)
    assert status == 0
    assert f"{expected.accuracy:.2f} % of the further test images of QMNIST" in text
    assert "biased" not in text
    values = json.loads(
        run_command(monkeypatch, capsys, "evaluate", "mine", "--on", "qmnist", "--json")[1]
    )
    assert (values["correct"], values["total"]) == (expected.correct, 300)
    assert values["interval"] == list(wilson_interval(expected.correct, 300))
    assert values["measured_on"] == "further test images of QMNIST"


def test_two_runs_are_compared_in_pairs(folder, further, monkeypatch, capsys):
    one, two = (made_run(folder, name, seed=at) for at, name in enumerate(("one", "two"), 1))
    text = run_command(monkeypatch, capsys, "compare", "one", "two", "--on", "qmnist", "--json")[1]
    result = json.loads(text)
    correct = [evaluate_run(run, further).correct for run in (one, two)]
    assert result["accuracies"] == pytest.approx([100 * count / 300 for count in correct])
    images = result["images"]
    assert images["only_second"] - images["only_first"] == correct[1] - correct[0]
    assert "Of the same 300 further test images of QMNIST" in result["method"]


def test_groups_are_not_compared_on_it(folder, further, monkeypatch, capsys):
    for group in ("a", "b"):
        for seed in (1, 2):
            made_run(folder, f"{group}-s{seed}", group=group, seed=seed)
    status, _, error = run_command(monkeypatch, capsys, "compare", "a", "b", "--on", "qmnist")
    assert status == 1
    assert "compare two runs" in error


def test_mistakes_shows_its_errors_without_links_to_mnist(folder, further):
    run = made_run(folder, "mine")
    app = open_page("pages/mistakes.py", run="mine", on="qmnist")
    errors = 300 - evaluate_run(run, further).correct
    assert f"Errors {errors}" in page_text(app)
    assert "On 300 further test images of QMNIST" in page_text(app)
    assert component(app, "matrix")
    assert not any("digit=" in query for query in page_links(app).values())
    made_run(folder, "other", seed=2)
    app = open_page("pages/mistakes.py", run="mine", other="other", show="two runs", on="qmnist")
    assert "Of the same 300 further test images of QMNIST" in page_text(app)


def test_the_report_has_the_score_and_the_comparison(folder, further):
    before = made_run(folder, "initial", recipe="initial")
    run = made_run(folder, "intermediate", recipe="intermediate", seed=2)
    text = write_markdown(run)
    expected = evaluate_run(run, further)
    low, high = wilson_interval(expected.correct, 300)
    assert f"**{expected.accuracy:.2f} %**" in text
    assert f"{low:.2f} to {high:.2f} %" in text
    assert text.count("300 further test images of QMNIST") == 2, before.name
    files.remove_file(run.folder / "last.safetensors")


def test_without_the_files_each_way_says_so_in_a_sentence(
    folder, missing, monkeypatch, capsys, tmp_path
):
    run = made_run(folder, "mine")
    status, text, error = run_command(monkeypatch, capsys, "evaluate", "mine", "--on", "qmnist")
    assert (status, text) == (1, "")
    assert error.startswith("Error: QMNIST could not be downloaded")
    assert error.count("\n") == 1
    app = open_page("pages/mistakes.py", run="mine", on="qmnist")
    assert not app.exception
    assert "`python -m core evaluate RUN --on qmnist`" in app.info[0].value
    for name in qmnist.FILES:
        path = tmp_path / "empty" / qmnist.FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"damaged")
    assert "damaged" in open_page("pages/mistakes.py", run="mine", on="qmnist").error[0].value
    assert "QMNIST" not in write_markdown(run)


def test_an_unknown_set_is_refused_by_name(folder, monkeypatch, capsys):
    made_run(folder, "mine")
    status, _, error = run_command(monkeypatch, capsys, "evaluate", "mine", "--on", "cake")
    assert status == 1
    assert "mnist or qmnist" in error
