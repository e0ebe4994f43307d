"""Failures of a worker: named in the run, with everything saved before intact."""

import errno
import json

import pytest

from core.errors import RunError
from core.runs import (
    creation,
    files,
    loading,
    run_queue,
    store,
    torch_file,
    worker,
)
from core.training import trainer
from core.training.runtime import choose_device
from tests.core.runs.interruptions import request_at


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "out of memory at batch size 100; try 50"),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
            "out of memory at batch size 100; try 50",
        ),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: "
                "you tried"
            ),
            "out of memory at batch size 100; try 50",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/tmp9"),
            "the disk is full: tmp9 could not be saved",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
            "a process that augments images ended unexpectedly",
        ),
        (ValueError("a bug\nwith more lines"), "ValueError: a bug"),
    ],
)
def test_a_failure_is_named_and_saved_files_stay_intact(
    tiny, digits, monkeypatch, outcome, capfd, error, says
):
    run = creation.create_run(tiny, "fails")
    real = trainer.Training._step

    def step(self, *batch):
        if self.epoch == 1 and self.step == 3:
            raise error
        return real(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Training, "_step", step)
        assert worker.train(run.folder, digits) == "failed"
    assert type(error).__name__ in capfd.readouterr().err, "the log holds the traceback"
    run = store.open_run("fails")
    assert run.state == "failed"
    assert run.message.startswith(says)
    assert "\n" not in run.message
    assert (len(run.epochs), run.can_resume) == (1, True)
    assert run.read_events()[-1]["kind"] == "failed"
    assert worker.train(run.folder, digits) == "finished"
    whole = creation.create_run(tiny, "whole")
    worker.train(whole.folder, digits)
    assert outcome(store.open_run("fails")) == outcome(store.open_run("whole"))


def test_a_batch_of_one_cannot_be_made_smaller():
    assert worker.describe_error(MemoryError(), 1) == "out of memory at batch size 1"


@pytest.mark.parametrize(
    "file", ["state.pt", "last.safetensors", "best.safetensors", "epochs.json", "events.jsonl"]
)
def test_a_full_disk_is_named_and_the_run_resumes_once_there_is_space(
    tiny, digits, monkeypatch, outcome, file
):
    run = creation.create_run(tiny, "full")
    name = "append_bytes" if file == "events.jsonl" else "write_bytes"
    real = getattr(files, name)

    def write(path, data):
        if path.name == file and (run.folder / "last.safetensors").exists():
            raise files.disk_full_error(path)
        real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(files, name, write)
        assert worker.train(run.folder, digits) == "failed"
    assert f"the disk is full: {file}" in store.open_run("full").message
    assert worker.train(run.folder, digits) == "finished"
    whole = creation.create_run(tiny, "whole")
    worker.train(whole.folder, digits)
    assert outcome(store.open_run("full")) == outcome(store.open_run("whole"))


def test_a_diverged_run_keeps_its_last_good_weights(tiny, digits, monkeypatch):
    run = creation.create_run(tiny, "wild")
    real = trainer.Training._step

    def step(self, *batch):
        if self.epoch == 1 and self.step == 3:
            for parameter in self.model.parameters():
                parameter.data.fill_(float("nan"))
        return real(self, *batch)

    monkeypatch.setattr(trainer.Training, "_step", step)
    assert worker.train(run.folder, digits) == "diverged"
    run = store.open_run("wild")
    assert run.state == "diverged"
    assert "epoch 2" in run.message
    loading.load_model(run)
    with pytest.raises(RunError, match="lower learning rate"):
        run_queue.submit("wild")


@pytest.mark.parametrize("damage", ["missing", "torn", "format", "rows", "other network"])
def test_a_state_that_does_not_fit_is_refused(tiny, digits, monkeypatch, damage):
    run = creation.create_run(tiny, "run")
    request_at(monkeypatch, "stop", 2, 3)
    worker.train(run.folder, digits)
    path = run.folder / "state.pt"
    state = torch_file.load(path)
    if damage == "missing":
        path.unlink()
        assert not store.open_run("run").can_resume
        with pytest.raises(RunError, match=r"state\.pt is missing; fork it"):
            run_queue.submit("run")
        return
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "format":
        torch_file.save(path, {**state, "format": 2})
    elif damage == "rows":
        torch_file.save(path, {**state, "rows": []})
    else:
        state["training"]["model"] = {
            "layers.0.weight": state["training"]["model"]["layers.1.weight"]
        }
        torch_file.save(path, state)
    assert worker.train(run.folder, digits) == "failed"
    assert store.open_run("run").message.endswith(".")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_run_whose_device_is_missing_continues_on_the_cpu(device, tiny, digits, monkeypatch):
    if choose_device("auto").type == device:
        pytest.skip("this machine has the device")
    run = creation.create_run(tiny.changed(device="auto"), "moved")
    request_at(monkeypatch, "stop", 1, 3)
    worker.train(run.folder, digits)
    values = json.loads((run.folder / "run.json").read_text())
    values["runtime"] |= {"device": device, "device_name": "Accelerator 9"}
    files.write_json(run.folder / "run.json", values)
    assert worker.train(run.folder, digits) == "finished"
    run = store.open_run("moved")
    assert run.runtime.device == "cpu"
    (resumed,) = [event for event in run.read_events() if event["kind"] == "resumed"]
    assert f"{device} (Accelerator 9)" in resumed["message"]
    assert "differ" in resumed["message"]
