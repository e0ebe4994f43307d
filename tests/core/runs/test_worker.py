import errno
import json
import os
import shutil
import signal
import threading

import pytest

from core.errors import RunError
from core.models.architectures import ARCHITECTURES
from core.runs import (
    control,
    creation,
    events,
    files,
    loading,
    run_queue,
    status,
    store,
    torch_file,
    worker,
)
from core.training import trainer
from core.training.results import BatchResult


class Killed(BaseException):
    """Stands for SIGKILL: nothing that runs after it may clean up."""


def _ask_at(monkeypatch, action, epoch, step):
    """Ask the worker after one step, as the watcher would."""
    real = worker.Recorder.record_batch

    def batch(self, result):
        real(self, result)
        if (result.epoch, result.step) == (epoch, step):
            status.write_request(self.folder, action)
            self.worker._request = action

    made = worker.Worker.__init__

    def init(self, *arguments, **more):
        made(self, *arguments, **more)
        self.recorder.worker = self

    monkeypatch.setattr(worker.Worker, "__init__", init)
    monkeypatch.setattr(worker.Recorder, "record_batch", batch)


def test_a_run_from_start_to_end(tiny, digits, kinds, checkpoints):
    run = creation.create_run(tiny, "one")
    assert (run.state, run.message, run.epochs) == ("stopped", "not started yet", ())
    assert worker.train(run.folder, digits) == "finished"
    run = store.open_run("one")
    assert (run.state, run.is_live, run.can_resume) == ("finished", False, False)
    assert [row.epoch for row in run.epochs] == [1, 2, 3]
    assert run.epochs[-1].train_loss < run.epochs[0].train_loss
    assert kinds(run) == ["started", "epoch", "epoch", "epoch", "finished"]
    batches = [event for event in run.read_events() if event["kind"] == "batch"]
    assert [
        (event["epoch"], event["step"], event["steps"])
        for event in batches
        if event["step"] in (1, 6)
    ] == [(epoch, step, 6) for epoch in (1, 2, 3) for step in (1, 6)]
    assert run.runtime.steps_per_epoch == 6
    assert run.runtime.device == "cpu"
    assert sorted(os.listdir(run.folder)) == [
        "best.safetensors",
        "epochs.json",
        "events.jsonl",
        "last.safetensors",
        "run.json",
        "status.json",
    ], "state.pt goes, nothing is left over"
    loss, correct = trainer.evaluate(
        loading.load_model(run),
        digits.test.images,
        digits.test.labels,
        trainer.choose_device("cpu"),
    )
    assert (loss, correct) == (run.last.val_loss, run.last.val_correct)


def test_the_best_weights_are_those_of_the_best_row(full, digits):
    run = creation.create_run(
        full.changed(epochs=6, max_lr=1.5), "wild"
    )  # a rate that makes some epochs worse
    worker.train(run.folder, digits)
    run = store.open_run("wild")
    assert run.best.val_correct == max(row.val_correct for row in run.epochs)
    model = loading.load_model(run, "best")
    assert trainer.evaluate(
        model, digits.test.images, digits.test.labels, trainer.choose_device("cpu")
    )[1] == (run.best.val_correct)


@pytest.mark.parametrize(("action", "state"), [("stop", "stopped"), ("pause", "paused")])
@pytest.mark.parametrize("place", [(1, 1), (1, 6), (2, 4), (3, 5)])
def test_a_stopped_run_goes_on_to_the_same_end(
    full, digits, monkeypatch, outcome, kinds, action, state, place
):
    whole, cut = creation.create_run(full, "whole"), creation.create_run(full, "cut")
    worker.train(whole.folder, digits)
    with monkeypatch.context() as patch:
        _ask_at(patch, action, *place)
        assert worker.train(cut.folder, digits) == state
    run = store.open_run("cut")
    assert run.state == state
    assert run.can_resume
    assert f"epoch {place[0]}" in run.message
    assert worker.train(cut.folder, digits) == "finished"
    assert outcome(store.open_run("cut")) == outcome(store.open_run("whole"))
    assert kinds(store.open_run("cut")).count("epoch") == 3
    assert kinds(store.open_run("cut")).count("resumed") == 1


def test_one_epoch_and_pause(tiny, digits, monkeypatch, outcome):
    whole, steps = creation.create_run(tiny, "whole"), creation.create_run(tiny, "steps")
    worker.train(whole.folder, digits)
    for done in (1, 2):
        _ask_at(monkeypatch, "pause-after-epoch", done, 2)
        assert worker.train(steps.folder, digits) == "paused"
        assert len(store.open_run("steps").epochs) == done
        assert not (steps.folder / "request.json").exists()
    assert worker.train(steps.folder, digits) == "finished", (
        "the last epoch ends the run, asked or not"
    )
    assert outcome(store.open_run("steps")) == outcome(store.open_run("whole"))


@pytest.mark.parametrize("how", ["before", "amidst", "after"])
def test_killed_at_any_write_it_ends_the_same(full, digits, monkeypatch, outcome, kinds, how):
    """Each write of each file in turn: killed there, resumed, and compared with the run that was left alone."""
    config = full.changed(epochs=2, batch_size=200, holdout=100)
    whole, cut = creation.create_run(config, "whole"), creation.create_run(config, "cut")
    worker.train(whole.folder, digits)
    pristine = cut.folder.with_name(".pristine")
    shutil.copytree(cut.folder, pristine)
    kills = 0
    while True:
        shutil.rmtree(cut.folder)
        shutil.copytree(pristine, cut.folder)
        with monkeypatch.context() as patch:
            _kill(patch, kills + 1, how)
            try:
                worker.train(cut.folder, digits, save_every=0.0)
            except Killed:
                kills += 1
            else:
                break
        store.open_run("cut")  # whatever was cut short, the folder is no damaged one
        if store.open_run("cut").state != "finished":
            worker.train(cut.folder, digits)
        assert outcome(store.open_run("cut")) == outcome(store.open_run("whole")), (
            f"killed at write {kills}"
        )
        assert kinds(store.open_run("cut")).count("epoch") == 2
        assert not list(cut.folder.glob(".*.tmp"))
    assert kills > 20


def test_killed_again_and_again_it_ends_the_same(full, digits, monkeypatch, outcome, kinds):
    whole, cut = creation.create_run(full, "whole"), creation.create_run(full, "cut")
    worker.train(whole.folder, digits)
    for kills in range(1_000):
        with monkeypatch.context() as patch:
            _kill(patch, kills + 1, ("before", "amidst", "after")[kills % 3])
            try:
                worker.train(cut.folder, digits, save_every=0.0)
            except Killed:
                continue
            break
    assert kills > 8
    assert outcome(store.open_run("cut")) == outcome(store.open_run("whole"))


def _kill(patch, at, how):
    """Let the process die at its write of that number."""
    calls = 0
    write, append = files.write_bytes, files.append_bytes

    def dying(real, path, data):
        nonlocal calls
        calls += 1
        if calls < at:
            real(path, data)
            return
        if how == "after":
            real(path, data)
        elif how == "amidst" and real is append:
            append(path, data[: len(data) // 2])
        elif how == "amidst":
            path.with_name(f".{path.name}.1-1.tmp").write_bytes(data[: len(data) // 2])
        raise Killed

    patch.setattr(files, "write_bytes", lambda path, data: dying(write, path, data))
    patch.setattr(files, "append_bytes", lambda path, data: dying(append, path, data))


def test_events_tell_each_step_once(tiny, digits, monkeypatch):
    run = creation.create_run(tiny, "cut")
    monkeypatch.setattr("core.runs.recorder.EVENT_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(worker.Recorder, "should_save", lambda self: False)
        real = worker.Recorder.record_batch

        def batch(self, result):
            real(self, result)
            if (result.epoch, result.step) == (2, 4):
                raise Killed

        patch.setattr(worker.Recorder, "record_batch", batch)
        with pytest.raises(Killed):
            worker.train(run.folder, digits)
    with open(run.folder / events.NAME, "ab") as file:
        file.write(b'{"kind": "batch", "epo')
    worker.train(run.folder, digits)
    places = [
        (event["epoch"], event["step"]) for event in run.read_events() if event["kind"] == "batch"
    ]
    assert places == [(epoch, step) for epoch in (1, 2, 3) for step in range(1, 7)]


def test_a_stop_in_a_long_step_is_had_at_once(tiny, digits, monkeypatch):
    """The step never ends here; the process is left all the same, with what was saved before."""
    run = creation.create_run(tiny, "slow")
    left, hung = threading.Event(), threading.Event()
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.2)

    monkeypatch.setattr(os, "_exit", lambda code: left.set())
    real = trainer.Training._step

    def step(self, *batch):
        if (self.epoch, self.step) == (1, 3):
            hung.set()
            left.wait(10)
            raise Killed
        return real(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Training, "_step", step)
        asker = threading.Thread(target=lambda: hung.wait(10) and control.stop("slow"))
        asker.start()
        with pytest.raises(Killed):
            worker.Worker(run.folder, digits, may_exit=True).run()
        asker.join()
    assert left.is_set()
    run = store.open_run("slow")
    assert (run.state, len(run.epochs), run.can_resume) == ("stopped", 1, True)
    assert worker.train(run.folder, digits) == "finished"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops(tiny, digits, monkeypatch, number):
    run = creation.create_run(tiny, "signalled")
    before = signal.getsignal(number)
    real = worker.Recorder.record_batch

    def batch(self, result):
        real(self, result)
        if (result.epoch, result.step) == (2, 2):
            os.kill(os.getpid(), number)

    monkeypatch.setattr(worker.Recorder, "record_batch", batch)
    assert worker.train(run.folder, digits) == "stopped"
    assert signal.getsignal(number) is before
    assert store.open_run("signalled").can_resume


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
                "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"
            ),
            "out of memory at batch size 100; try 50",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/tmp9"),
            "the disk is full: tmp9 could not be saved",
        ),
        (ValueError("a bug\nwith more lines"), "ValueError: a bug"),
    ],
)
def test_a_failure_is_named_and_what_was_saved_is_intact(
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
def test_a_full_disk_is_named_and_the_run_goes_on_once_there_is_room(
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


def test_a_rate_that_was_changed_is_kept_by_a_resumed_run(tiny, digits, monkeypatch, outcome):
    """Two runs changed at the same step, one of them killed later: the same end, and another than unchanged."""
    monkeypatch.setattr("core.runs.recorder.EVENT_SECONDS", 0.0)
    config = tiny.changed(schedule="constant", lr=0.01)
    results = {}
    for name, kill in (("unchanged", False), ("changed", False), ("killed", True)):
        run = creation.create_run(config, name)
        real = worker.Recorder.record_batch

        def batch(self, result, name=name, kill=kill, real=real):
            real(self, result)
            if (result.epoch, result.step) == (2, 2) and name != "unchanged":
                control.scale_lr(name, 3.0)
                self.worker._lr_factor = 3.0
            if (result.epoch, result.step) == (3, 3) and kill:
                raise Killed

        made = worker.Worker.__init__

        def init(self, *arguments, made=made, **more):
            made(self, *arguments, **more)
            self.recorder.worker = self

        with monkeypatch.context() as patch:
            patch.setattr(worker.Worker, "__init__", init)
            patch.setattr(worker.Recorder, "record_batch", batch)
            patch.setattr(worker.Recorder, "should_save", lambda self: False)
            if kill:
                with pytest.raises(Killed):
                    worker.train(run.folder, digits)
            else:
                worker.train(run.folder, digits)
        if kill:
            worker.train(run.folder, digits)
        run = store.open_run(name)
        assert not (run.folder / "rate.json").exists()
        results[name] = outcome(run)
        changes = [event for event in run.read_events() if event["kind"] == "rate"]
        assert [(event["epoch"], event["step"], event["factor"]) for event in changes] == (
            [] if name == "unchanged" else [(2, 2, 3.0)]
        )
        rates = {
            event["lr"]
            for event in run.read_events()
            if event["kind"] == "batch" and event["epoch"] == 3
        }
        assert rates == {0.01 if name == "unchanged" else 0.03}
    assert results["killed"] == results["changed"]
    assert results["changed"]["last"] != results["unchanged"]["last"]


def test_a_run_with_a_holdout_is_scored_once_on_the_test_images(tiny, digits):
    run = creation.create_run(tiny.changed(holdout=100), "held")
    worker.train(run.folder, digits)
    run = store.open_run("held")
    assert run.runtime.validated_on == "hold-out"
    assert run.last.val_total == 100
    assert run.test.total == len(digits.test.labels)


def test_a_resumed_run_keeps_its_runtime(tiny, digits, monkeypatch):
    run = creation.create_run(tiny.changed(threads=0, precision="auto"), "kept")
    _ask_at(monkeypatch, "stop", 1, 3)
    worker.train(run.folder, digits)
    before = store.open_run("kept").runtime
    monkeypatch.setattr(
        trainer,
        "resolve_runtime",
        lambda *arguments: before.changed(threads=7, precision="bf16"),
    )
    used = []
    real = trainer.Training._step
    monkeypatch.setattr(
        trainer.Training,
        "_step",
        lambda self, *more: used.append(self.runtime) or real(self, *more),
    )
    assert worker.train(run.folder, digits) == "finished"
    assert set(map(id, used)) == {id(used[0])}
    assert used[0] == before
    assert store.open_run("kept").runtime == before


@pytest.mark.parametrize("damage", ["missing", "torn", "format", "rows", "other network"])
def test_a_state_that_does_not_fit_is_refused_in_words(tiny, digits, monkeypatch, damage):
    run = creation.create_run(tiny, "run")
    _ask_at(monkeypatch, "stop", 2, 3)
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


def test_a_device_that_is_gone_is_an_error_and_no_silent_change(tiny, digits, monkeypatch):
    run = creation.create_run(tiny.changed(device="auto"), "moved")
    _ask_at(monkeypatch, "stop", 1, 3)
    worker.train(run.folder, digits)
    values = json.loads((run.folder / "run.json").read_text())
    values["runtime"]["device"] = "mps"
    files.write_json(run.folder / "run.json", values)
    assert worker.train(run.folder, digits) == "failed"
    assert "device mps is not on this machine" in store.open_run("moved").message


def test_losses_are_summed_where_they_are_and_read_now_and_then(tiny, digits, monkeypatch):
    """Asking a device for a number at every step would make it wait."""
    reads = []
    real = worker.Recorder._append_batch_event
    monkeypatch.setattr(
        worker.Recorder,
        "_append_batch_event",
        lambda self: reads.append(self._step_count) or real(self),
    )
    run = creation.create_run(tiny.changed(batch_size=10), "often")
    worker.train(run.folder, digits)
    assert sum(reads) == 180
    assert len(reads) < 60


def test_batch_losses_in_events_are_means(tiny, digits, monkeypatch):
    losses = {}
    real = worker.Recorder.record_batch

    def batch(self, result: BatchResult):
        losses[result.epoch, result.step] = float(result.loss)
        real(self, result)

    monkeypatch.setattr(worker.Recorder, "record_batch", batch)
    run = creation.create_run(tiny, "mean")
    worker.train(run.folder, digits)
    past = [
        event for event in run.read_events() if event["kind"] == "batch" and event["epoch"] == 2
    ]
    first = 1
    for event in past:
        steps = range(first, event["step"] + 1)
        assert event["loss"] == pytest.approx(
            sum(losses[2, step] for step in steps) / len(steps), abs=2e-6
        )
        first = event["step"] + 1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_trains_stops_and_goes_on(name, tiny, digits, monkeypatch):
    run = creation.create_run(
        tiny.changed(layers=[], architecture=name, epochs=1, batch_size=200), "run"
    )
    _ask_at(monkeypatch, "stop", 1, 1)
    assert worker.train(run.folder, digits) == "stopped"
    assert worker.train(run.folder, digits) == "finished"
    loading.load_model(store.open_run("run"))
