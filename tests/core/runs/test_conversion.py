"""Runs of earlier versions: listed with the command that converts them; weights stay equal."""

import os

import pytest
import torch
from safetensors.torch import load_file

from core.errors import RunError
from core.runs import conversion, loading, processes, status, store
from core.runs.run import DamagedRun
from tests.made import made_run


@pytest.fixture
def old(checkpoints):
    """A run whose weights are torch files, and their tensors."""
    run = made_run(checkpoints, "old")
    tensors = load_file(run.folder / "last.safetensors")
    for which in ("last", "best"):
        torch.save(tensors, run.folder / f"{which}.pt")
        (run.folder / f"{which}.safetensors").unlink()
    return run, tensors


def test_an_old_run_is_listed_with_the_command_that_converts_it(old):
    (damaged,) = store.list_runs()
    assert isinstance(damaged, DamagedRun)
    assert "python -m core convert old" in damaged.reason
    with pytest.raises(RunError, match="python -m core convert old"):
        store.open_run("old")


def test_a_converted_run_holds_the_same_weights(old):
    run, tensors = old
    assert conversion.list_unconverted() == ["old"]
    conversion.convert_run("old")
    assert conversion.list_unconverted() == []
    assert not list(run.folder.glob("*.pt"))
    for which in ("last", "best"):
        state = loading.load_model(store.open_run("old"), which).state_dict()
        assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())


def test_the_start_weights_of_a_fork_are_converted_too(tiny, checkpoints, old):
    run = made_run(checkpoints, "fork", done=0, state="stopped")
    torch.save(old[1], run.folder / "start.pt")
    with pytest.raises(RunError, match="convert fork"):
        store.open_run("fork")
    conversion.convert_run("fork")
    assert load_file(run.folder / "start.safetensors").keys() == old[1].keys()


class MakesFolder:
    """A pickle of this makes a folder when it is loaded without care."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_what_is_not_weights_is_refused_and_left_as_it_was(old, tmp_path):
    run = old[0]
    for value in ({"w": MakesFolder(tmp_path / "ran")}, {"w": torch.zeros(3)}, {"w": [1]}, [1], 3):
        torch.save(value, run.folder / "best.pt")
        before = (run.folder / "best.pt").read_bytes()
        with pytest.raises(RunError, match=r"best\.pt"):
            conversion.convert_run("old")
        assert (run.folder / "best.pt").read_bytes() == before
        assert not (run.folder / "best.safetensors").exists()
    assert not (tmp_path / "ran").exists()


def test_a_run_that_trains_is_not_converted(old):
    status.write(old[0].folder, "running", "", processes.identity())
    with pytest.raises(RunError, match="stop it"):
        conversion.convert_run("old")


@pytest.mark.parametrize("name", ["none", "../old", ""])
def test_a_run_that_does_not_exist_is_refused(name, checkpoints):
    with pytest.raises(RunError):
        conversion.convert_run(name)
