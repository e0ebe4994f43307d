"""Loading networks and teachers from runs."""

import pytest
from safetensors.torch import load_file

from core.errors import RunError
from core.runs import (
    creation,
    loading,
    store,
)
from core.runs.weights import save_tensors
from tests.made import made_run


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_loaded_model_is_ready_to_use(trained, which):
    model = loading.load_model(trained("a"), which)
    assert not model.training


def test_weights_that_are_not_finite_are_refused(trained):
    import torch

    run = trained("a")
    tensors = load_file(run.folder / "last.safetensors")
    tensors["layers.1.bias"][3] = torch.nan
    save_tensors(run.folder / "last.safetensors", tensors)
    with pytest.raises(RunError, match=r"layers\.1\.bias"):
        loading.load_model(store.open_run("a"))


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("old+gone", "no run gone"),
        ("old+fresh", "fresh has no weights yet"),
        ("old+../old", "cannot be a run's name"),
        ("old+", "cannot be a run's name"),
    ],
)
def test_every_one_of_several_teachers_must_be_a_trained_run(asked, answer, tiny, checkpoints):
    made_run(checkpoints, "old")
    made_run(checkpoints, "fresh", done=0, state="stopped")
    with pytest.raises(RunError, match=answer):
        creation.create_run(tiny.changed(teacher=asked), "net")
    assert creation.create_run(tiny.changed(teacher="old+old"), "net").config.teachers == (
        "old",
        "old",
    )
