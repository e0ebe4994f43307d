"""A run has one accuracy: every page, report and command shows it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from core.cli import main as cli
from core.config import RunConfig
from core.data import dataset
from core.experiments.scores import score_run
from core.reports.report import write_markdown
from core.runs import creation, files, store, worker
from core.runs.evaluation import (
    describe_deviation,
    evaluate_run,
    recorded_result,
    resolve_format,
)
from core.runs.prediction_cache import load_predictions
from core.runs.run import Run
from tests.opening import HOME, open_page, shown
from tests.pages.reading import page_text

pytestmark = pytest.mark.usefixtures("fresh", "idle")

NETWORK = (
    {"kind": "conv", "channels": 8, "kernel": 3, "norm": "batch"},
    {"kind": "maxpool", "kernel": 4, "stride": 4},
    {"kind": "conv", "channels": 16, "kernel": 3, "norm": "batch"},
    {"kind": "global_avgpool"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
# No compiled step has Adadelta.
FORMATS = {
    "fp32 compiled": {"precision": "fp32"},
    "fp32 contiguous": {"precision": "fp32", "optimizer": "adadelta", "lr": 0.5},
    "bf16 channels_last": {"precision": "bf16"},
}


@pytest.fixture
def data(digits, monkeypatch) -> dataset.Mnist:
    """The made-up digits in place of the dataset."""
    monkeypatch.setattr(dataset, "load", lambda *rest, **options: digits)
    monkeypatch.setattr(dataset, "is_present", lambda *rest: True)
    return digits


@pytest.fixture
def core(monkeypatch, capsys) -> Callable[..., str]:
    """Run a command in this process, and return what it prints."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["core", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def train(folder, data) -> Callable[..., Run]:
    """Train a small network for two epochs in this process."""

    def make(name: str, **changes) -> Run:
        config = RunConfig(
            layers=NETWORK, batch_size=50, epochs=2, max_lr=0.1, ema_decay=0.9, device="cpu"
        )
        run = creation.create_run(config.changed(**changes), name)
        assert worker.train(run.folder, data) == "finished"
        return store.open_run(name)

    return make


def read_pages(run: Run) -> dict[str, str]:
    """What the pages that show a run's accuracy say, by name."""
    links = {
        "train": {"run": run.name},
        "runs": {"select": run.name},
        "draw": {"network": run.name},
        "mistakes": {"run": run.name},
        "experiments": {"experiment": "Compare", "first": run.name, "second": "other"},
    }
    apps = {"home": open_page(HOME)}
    apps |= {name: open_page(f"pages/{name}.py", **link) for name, link in links.items()}
    return {
        name: shown(page_text(app) + "\n".join(frame.value.to_json() for frame in app.dataframe))
        for name, app in apps.items()
    }


@pytest.mark.parametrize("form", FORMATS)
def test_every_page_and_command_shows_the_figure_of_the_table(form, train, data, core):
    run = train("mine", **FORMATS[form])
    other = train("other", precision="fp32", seed=2)
    assert f"{run.runtime.precision} {run.runtime.layout}" == form, "what this test is about"
    last, test = run.last, data.test

    # Loss for loss, which tells two number formats apart where the images are few.
    assert evaluate_run(run, test) == recorded_result(run)
    assert describe_deviation(run, evaluate_run(run, test)) == ""
    found = load_predictions(run, test=test.to_numpy())
    assert len(found.labels) - found.error_count == last.val_correct
    assert float(found.loss.mean()) == pytest.approx(last.val_loss, rel=1e-5)
    assert score_run(run).correct == last.val_correct

    accuracy = f"{last.val_accuracy:.2f}"
    evaluated = json.loads(core("evaluate", "mine", "--json"))
    assert (evaluated["correct"], evaluated["loss"]) == (last.val_correct, last.val_loss)
    assert f"{accuracy} %" in core("evaluate", "mine")
    assert f"mine: {accuracy} %" in core("compare", "mine", "other")
    (listed,) = [each for each in json.loads(core("runs", "--json")) if each["name"] == "mine"]
    assert listed["epochs"][-1]["val_accuracy"] == last.val_accuracy
    assert f"**{accuracy} %**" in write_markdown(run)
    errors = last.val_errors
    assert f"{errors:,} of the {last.val_total:,} test images" in write_markdown(run)

    pages = read_pages(run)
    plain = {accuracy, accuracy.rstrip("0").rstrip("."), json.dumps(last.val_accuracy)[:9]}
    for name, text in pages.items():
        assert any(form in text for form in plain), (name, accuracy, text[:400])
    assert f"Errors {errors}" in pages["mistakes"]
    assert other.name in pages["experiments"]


def test_a_figure_that_is_computed_otherwise_says_so(train, data, core):
    run = train("mine", precision="fp32")
    rows = files.read_json(run.folder / "epochs.json")
    rows[-1]["val_correct"] -= 1  # as another machine might have rounded
    files.write_json(run.folder / "epochs.json", rows)
    run = store.open_run("mine")
    train("other", precision="fp32", seed=2)
    found = load_predictions(run, test=data.test.to_numpy())
    note = describe_deviation(run, found)
    assert f"{run.last.val_accuracy:.2f} %" in note
    assert "rounds differently" in note
    assert note in core("evaluate", "mine")
    assert json.loads(core("evaluate", "mine", "--json"))["note"] == note
    assert note in core("compare", "mine", "other")
    assert note in write_markdown(run)
    pages = read_pages(run)
    assert note in pages["mistakes"]
    assert note in pages["experiments"]


def test_a_device_that_is_missing_here_is_replaced_and_named(train, data, monkeypatch):
    run = train("mine", precision="bf16")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    there = run.runtime.changed(device="cuda", device_name="a GPU")
    run = dataclasses.replace(run, runtime=there)
    assert resolve_format(run).device == "cpu"
    found = evaluate_run(run, data.test)
    changed = dataclasses.replace(found, correct=found.correct - 1)
    assert describe_deviation(run, found) == ""
    assert "on cuda in bf16" in describe_deviation(run, changed)
    assert "this machine's cpu in bf16" in describe_deviation(run, changed)


def test_only_the_last_weights_of_a_run_with_a_hold_out_are_compared_with_a_record(train):
    run = train("mine", precision="fp32", holdout=100)
    assert recorded_result(run) == run.test
    assert recorded_result(run, "best") is None
