"""Exports: whatever rows a network has, the file answers as the run does, or is not handed out."""

from __future__ import annotations

import ast
import json
import sys

import onnx
import onnxruntime
import pytest
import torch

from core.config import RunConfig
from core.data.augmenter import Augmenter
from core.data.batches import normalise
from core.data.dataset import split, synthetic
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
from tests.networks import build_model

# A row of every kind with other values than the usual ones, and every activation.
ODD = (
    {"kind": "space_to_depth", "block": 2},
    {
        "kind": "conv",
        "channels": 8,
        "kernel": 3,
        "stride": 2,
        "padding": 2,
        "groups": 4,
        "bias": False,
        "norm": "batch",
        "activation": "silu",
    },
    {
        "kind": "conv",
        "channels": 8,
        "kernel": 3,
        "padding": 1,
        "norm": "batch",
        "activation": "gelu",
    },
    {"kind": "conv", "channels": 8, "kernel": 1, "activation": "none"},
    {"kind": "add", "from": 2, "activation": "relu"},
    {"kind": "avgpool", "kernel": 3, "stride": 1},
    {"kind": "maxpool", "kernel": 2, "stride": 1},
    {"kind": "dropout", "p": 0.3},
    {"kind": "linear", "channels": 12, "bias": False, "activation": "gelu"},
    {"kind": "dropout"},
    {"kind": "linear", "channels": 10, "activation": "none"},
)
OTHER = (
    {"kind": "conv", "channels": 12, "kernel": 5, "stride": 2},
    {"kind": "global_avgpool"},
    {"kind": "conv", "channels": 10, "kernel": 1, "activation": "none"},
)
NETWORKS = {
    **{name: {"architecture": name} for name in ARCHITECTURES},
    "odd": {"layers": ODD},
    "other": {"layers": OTHER},
}


@pytest.fixture(scope="module")
def test() -> LabelledImages:
    return synthetic(train=10, test=60).test.to_numpy()


@pytest.fixture
def trained(folder):
    """Makes a run whose weights and statistics are all random, as if it had learnt."""

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


def test_the_networks_here_have_every_kind_of_row_and_every_activation():
    rows = [*ODD, *OTHER, *(row for each in ARCHITECTURES.values() for row in each.rows)]
    assert {row["kind"] for row in rows} == set(KINDS)
    assert {row.get("activation", "relu") for row in rows} == set(ACTIVATIONS)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_answers_alike_in_every_format(name, format, trained, test):
    made = export(trained(**NETWORKS[name]), format, test=test)
    assert made.name == f"net{FORMATS[format].ending}"
    assert made.check.images == made.check.agreeing == 60
    assert made.check.difference < 1e-3
    assert made.check.seconds > 0
    assert "names 60 of 60 test images as the run does" in made.check.words


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_answers_otherwise_is_not_handed_out(format, trained, test, monkeypatch):
    run, other = (
        trained("net", architecture="linear-7850"),
        trained("other", architecture="keras-style"),
    )
    if format == "script":  # its weights are the run's, so its arithmetic has to be wrong
        right = script.source(run)
        monkeypatch.setattr(script, "source", lambda run: right.replace("0.1307", "0.9"))
    else:
        making = exports._MAKERS[format]
        monkeypatch.setitem(
            exports._MAKERS,
            format,
            lambda run, model, which: making(other, exports.load_model(other), which),
        )
    with pytest.raises(RunError, match=r"answers otherwise than the run: .* It is not handed out"):
        export(run, format, test=test)


def test_what_cannot_be_exported_is_refused_in_words(trained, folder, test):
    with pytest.raises(RunError, match="no format 'pickle'; choose onnx, torch or script"):
        export(trained(), "pickle", test=test)
    with pytest.raises(RunError, match="no weights yet"):
        export(made_run(folder, "fresh", done=0), "onnx", test=test)


def test_an_onnx_file_says_what_it_is_and_takes_any_number_of_images(trained, test):
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
def test_it_is_checked_on_real_images_from_the_whole_test_set(trained, mnist):
    made = export(trained(architecture="linear-7850"), "onnx")
    assert made.check.images == 1_000
    assert (exports._some(None) == mnist.test.images[::10].numpy()).all()


def namespace(run: Run) -> dict:
    """What a run's script defines, without its training."""
    names = {"__name__": "script"}
    exec(compile(script.source(run), "script.py", "exec"), names)
    return names


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("how", ["torch", "xavier", "he"])
def test_a_script_begins_with_the_runs_own_weights(name, how, folder):
    run = made_run(folder, "net", initialisation=how, seed=3, **NETWORKS[name])
    names = namespace(run)
    model = names["Network"]()
    names["initialise"](model)
    own, theirs = model.state_dict().values(), build_model(run.config).state_dict().values()
    assert all(torch.equal(mine, other) for mine, other in zip(own, theirs, strict=True))


@pytest.mark.parametrize("anneal", ["linear", "cos"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_script_follows_the_same_rates(name, anneal, folder):
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
    steps = range(0, 7 * 20)
    assert [names["rate"](step, 20) for step in steps] == pytest.approx(
        [schedules.rate(run.config, step, 20) for step in steps]
    )
    if name == "one-cycle":
        assert [names["momentum"](step, 20) for step in steps] == pytest.approx(
            [schedules.momentum(run.config, step, 20) for step in steps]
        )


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.transforms])
def test_a_script_augments_the_same_way(name, folder, test):
    run = made_run(folder, "net", augmentation=name, seed=4)
    theirs = Augmenter(tuple(PRESETS[name].transforms), 4)(test.images[:12], (2, 1))
    assert (namespace(run)["augment"](test.images[:12], 2, 1) == theirs).all()


def test_a_script_keeps_the_same_images_back(folder, digits):
    names = namespace(made_run(folder, "net", holdout=100, holdout_seed=5))
    train, held = names["split"](digits.train.labels)
    for mine, theirs in zip((train, held), split(digits.train.labels, 100, 5), strict=True):
        assert torch.equal(mine.nonzero()[:, 0], theirs)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_script_needs_nothing_of_ours(recipe, folder):
    config = RECIPES[recipe].config
    if config.teacher != "none":
        made_run(folder, config.teacher)
    text = script.source(made_run(folder, recipe, recipe=recipe, **config.to_dict()))
    roots = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    outside = roots - set(sys.stdlib_module_names)
    augments = bool(PRESETS[config.augmentation].transforms)
    assert outside == {"torch", "numpy"} | ({"albumentations", "cv2"} if augments else set())
    assert max(map(len, text.splitlines())) <= 120
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    for root in roots - {"pathlib", "torch"}:
        assert {"numpy": "np", "albumentations": "A"}.get(root, root) in used, (
            f"{root} is imported for nothing"
        )


def test_no_word_of_a_config_becomes_code(folder):
    evil = '"""\nimport os\nos.system("touch pwned")\n#'
    run = made_run(
        folder,
        "net",
        layers=OTHER,
        architecture=evil,
        augmentation=evil,
        transforms=({"kind": "noise"},),
    )
    text = script.source(run)
    assert "pwned" not in text
    ast.parse(text)


def test_a_run_that_began_elsewhere_says_so(folder):
    parent = {"name": "other", "which": "last", "epoch": 3}
    run = made_run(folder, "net")
    from core.runs import store

    store.update_run_json(run.folder, parent=parent)
    assert "began with the weights of another run" in script.source(store.open_run("net"))


def test_what_a_script_cannot_hold_is_refused_rather_than_left_out(folder, monkeypatch):
    assert set(RunConfig().to_dict()) == script.HELD, "does a script follow this field?"
    run = made_run(folder, "net", momentum=0.5)
    monkeypatch.setattr(script, "HELD", script.HELD - {"momentum"})
    with pytest.raises(
        RunError, match=r"net has momentum 0\.5 and not 0\.9, which a script of its own cannot hold"
    ):
        script.source(run)


def test_a_script_carries_its_teacher_or_says_that_it_cannot(folder, test, monkeypatch):
    teacher = made_run(folder, "old", **NETWORKS["odd"])
    run = made_run(folder, "net", teacher="old")
    assert "learns from the answers of old too" in script.source(run)
    theirs = namespace(run)["trained_teacher"]()
    images = normalise(torch.from_numpy(test.images), "cpu")
    assert torch.allclose(theirs(images), load_model(teacher)(images), atol=1e-5)
    assert export(run, "script", test=test).check.agreeing == 60
    made_run(folder, "other")
    run = made_run(folder, "both", teacher="old+other")
    both = namespace(run)["trained_teacher"]()
    assert torch.allclose(both(images), load_teacher(run.config)(images), atol=1e-5)
    assert not torch.allclose(both(images), theirs(images), atol=1e-2)
    assert export(run, "script", test=test).check.agreeing == 60
    monkeypatch.setattr(script, "LARGEST_TEACHER", 1_000)
    with pytest.raises(
        RunError,
        match=r"both learnt from old\+other, whose [\d,]+ parameters are more than a script",
    ):
        script.source(run)
    (folder / "old").rename(folder / "elsewhere")
    with pytest.raises(RunError, match="the teacher old is no run here"):
        script.source(run)
