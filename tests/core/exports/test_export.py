"""Exports: whatever rows a network has, the file predicts as the run does, or is discarded."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from core.config import RunConfig
from core.data.augmenter import Augmenter
from core.data.batches import normalise
from core.data.dataset import synthetic
from core.data.labelled_images import LabelledImages
from core.data.presets import PRESETS
from core.errors import RunError
from core.exports import export as exports
from core.exports import script
from core.exports.export import FORMATS, export
from core.models.architectures import ARCHITECTURES
from core.models.rows import ACTIVATIONS, KINDS
from core.recipes import RECIPES
from core.runs.loading import load_model, load_teacher
from core.runs.run import Run
from core.runs.weights import save_tensors
from core.training import schedules
from core.training.schedules import SCHEDULES
from tests.made import made_run
from tests.networks import ODD, OTHER, build_model

NETWORKS = {
    **{name: {"architecture": name} for name in ARCHITECTURES},
    "odd": {"layers": ODD},
    "other": {"layers": OTHER},
}


@pytest.fixture(scope="module")
def test() -> LabelledImages:
    data = synthetic(train=10, test=60)
    return data.test.to_numpy()


@pytest.fixture
def trained(folder):
    """Returns a function that makes a run with random weights and statistics."""

    def make(name: str = "net", **config) -> Run:
        run = made_run(folder, name, done=1, **config)
        generator = torch.Generator().manual_seed(7)
        weights = build_model(run.config).state_dict()
        for tensor in weights.values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        for which in ("last", "best"):
            save_tensors(run.folder / f"{which}.safetensors", weights)
        return run

    return make


def test_the_networks_cover_every_kind_of_row_and_activation():
    rows = [*ODD, *OTHER, *(row for each in ARCHITECTURES.values() for row in each.rows)]
    assert {row["kind"] for row in rows} == set(KINDS)
    assert {row.get("activation", "relu") for row in rows} == set(ACTIVATIONS)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_predicts_the_same_in_every_format(name, format, trained, test):
    made = export(trained(**NETWORKS[name]), format, test=test)
    assert made.name == f"net{FORMATS[format].extension}"
    assert made.check.images == made.check.agreeing == 60
    assert made.check.difference < 1e-3
    assert made.check.seconds is None if format == "html" else made.check.seconds > 0
    assert "60 of 60 test images" in made.check.summary


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_predicts_differently_is_discarded(format, trained, test, monkeypatch):
    run, other = (
        trained("net", architecture="linear-7850"),
        trained("other", architecture="keras-style"),
    )
    if format == "script":  # it is checked with the run's weights, so its normalisation is changed
        right = script.build_script(run)
        monkeypatch.setattr(script, "build_script", lambda run: right.replace("0.1307", "0.9"))
    else:
        making = exports._WRITERS[format]
        monkeypatch.setitem(
            exports._WRITERS,
            format,
            lambda run, model, which: making(other, exports.load_model(other), which),
        )
    with pytest.raises(RunError, match="predicts differently from the run"):
        export(run, format, test=test)


def test_what_cannot_be_exported_is_refused(trained, folder, test):
    with pytest.raises(
        RunError, match="unknown format 'pickle'; the formats are html, onnx, torch or script"
    ):
        export(trained(), "pickle", test=test)
    with pytest.raises(RunError, match="no weights yet"):
        export(made_run(folder, "fresh", done=0), "onnx", test=test)


def test_an_onnx_file_describes_itself_and_takes_batches_of_any_size(trained, test):
    made = export(trained(**NETWORKS["odd"]), "onnx", test=test)
    model = onnx.load_from_string(made.data)
    about = {item.key: item.value for item in model.metadata_props}
    assert about["input"].startswith("images: (N, 28, 28) uint8")
    assert json.loads(about["config"])["layers"][0]["kind"] == "space_to_depth"
    session = onnxruntime.InferenceSession(made.data)
    for count in (1, 2, 59):
        logits, probabilities = session.run(None, {"images": test.images[:count]})
        assert logits.shape == probabilities.shape == (count, 10)
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert (logits.argmax(axis=1) == probabilities.argmax(axis=1)).all()


@pytest.mark.mnist
def test_a_file_is_checked_on_images_from_the_whole_test_set(trained, mnist):
    made = export(trained(architecture="linear-7850"), "onnx")
    assert made.check.images == 1_000
    assert (exports._test_images(None) == mnist.test.images[::10].numpy()).all()


def namespace(run: Run) -> dict:
    """What a run's script defines; its training is not started."""
    names = {"__name__": "script"}
    exec(compile(script.build_script(run), "script.py", "exec"), names)
    return names


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("how", ["torch", "xavier", "he"])
def test_a_script_draws_the_runs_initial_weights(name, how, folder):
    run = made_run(folder, "net", initialisation=how, seed=3, **NETWORKS[name])
    names = namespace(run)
    model = names["Network"](names["layers"]())
    names["initialise"](model, how, torch.Generator().manual_seed(3))
    own, theirs = model.state_dict().values(), build_model(run.config).state_dict().values()
    assert all(torch.equal(mine, other) for mine, other in zip(own, theirs, strict=True))


@pytest.mark.parametrize("anneal", ["linear", "cos"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_script_follows_the_runs_schedule(name, anneal, folder):
    config = {
        "schedule": name,
        "anneal": anneal,
        "lr": 0.03,
        "max_lr": 0.2,
        "warmup": 0.4,
        "momentum_cycle": True,
    }
    run = made_run(folder, "net", epochs=7, **config)
    names = namespace(run)
    assert set(names["SCHEDULES"]) == set(SCHEDULES)
    rate, settings = names["SCHEDULES"][name], names["config"]
    for step in range(7 * 20):
        assert rate(settings, step, 20) == schedules.rate(run.config, step, 20)
        assert names["momentum"](settings, step, 20) == schedules.momentum(run.config, step, 20)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.transforms])
def test_a_script_augments_as_the_run_does(name, folder, test):
    run = made_run(folder, "net", augmentation=name, seed=4)
    theirs = Augmenter(tuple(PRESETS[name].transforms), 4)(test.images[:12], (2, 1))
    ours = namespace(run)["augment"](test.images[:12], 2, 1)
    # The script warps by OpenCV, which rounds otherwise; a later transform may magnify that.
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= (1 if len(PRESETS[name].transforms) == 1 else 2)
    assert difference.mean() < 0.02


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_script_needs_nothing_of_this_app(recipe, folder, tmp_path):
    config = RECIPES[recipe].config
    if config.teacher != "none":
        made_run(folder, config.teacher)
    text = script.build_script(made_run(folder, recipe, recipe=recipe, **config.to_dict()))
    roots = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    # albumentations is imported by a function that only an augmenting run calls
    assert roots - set(sys.stdlib_module_names) == {"torch", "numpy", "torchvision"}
    (tmp_path / "script.py").write_text(text)
    unused = ["ruff", "check", "--isolated", "--select", "F", "script.py"]
    subprocess.run([sys.executable, "-m", *unused], cwd=tmp_path, check=True)


def test_a_script_mentions_the_run_that_the_weights_came_from(folder):
    parent = {"name": "other", "which": "last", "epoch": 3}
    run = made_run(folder, "net")
    from core.runs import store

    store.update_run_json(run.folder, parent=parent)
    assert "began with another run's weights" in script.build_script(store.open_run("net"))


def test_every_setting_reaches_the_script(folder):
    names = namespace(made_run(folder, "net"))
    settings = {name for name in vars(names["RunConfig"]) if not name.startswith("__")}
    added = {"teacher_precision", "memory_format"}
    assert settings == set(RunConfig().to_dict()) - script.OMITTED | added
    read = {
        node.attr
        for node in ast.walk(ast.parse(script.build_script(made_run(folder, "other"))))
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "config"
    }
    assert settings <= read, "the script ignores a setting"


def test_a_script_carries_its_teacher(folder, test):
    teacher = made_run(folder, "old", **NETWORKS["odd"])
    run = made_run(folder, "net", teacher="old")
    assert "learns from the logits of old" in script.build_script(run)
    images = normalise(torch.from_numpy(test.images), "cpu")

    def logits(run: Run) -> torch.Tensor:
        return namespace(run)["load_teacher"]("cpu")(images)

    assert torch.allclose(logits(run), load_model(teacher)(images), atol=1e-5)
    assert export(run, "script", test=test).check.agreeing == 60
    made_run(folder, "other")
    both = made_run(folder, "both", teacher="old+other")
    assert torch.allclose(logits(both), load_teacher(both.config)(images), atol=1e-5)
    assert not torch.allclose(logits(both), logits(run), atol=1e-2)
    assert export(both, "script", test=test).check.agreeing == 60
    (folder / "old").rename(folder / "elsewhere")
    with pytest.raises(RunError, match="no run old"):
        script.build_script(run)
