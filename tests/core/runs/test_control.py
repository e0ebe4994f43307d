import pytest
from safetensors.torch import load_file

from core.errors import ConfigError, LimitError, RunError
from core.runs import (
    control,
    creation,
    events,
    files,
    processes,
    run_queue,
    status,
    store,
    worker,
)
from core.runs.progress import estimate_progress
from tests.made import RUNTIME


@pytest.fixture
def no_start(monkeypatch):
    """Submitting starts nothing: this very process stands for the worker."""
    started = []
    monkeypatch.setattr(
        run_queue,
        "start_worker",
        lambda folder: started.append(folder.name) or processes.identity(),
    )
    return started


@pytest.fixture
def live(tiny):
    run = creation.create_run(tiny, "live")
    status.write(run.folder, "running", "", processes.identity())
    return run


def _asked(run):
    return status.read_request(run.folder)


def test_a_pending_pause_can_be_withdrawn(live):
    assert control.pause("live").state == "pausing"
    assert _asked(live) == "pause"
    assert control.resume("live").state == "running"
    assert _asked(live) is None
    assert control.pause("live", after_epoch=True).message == "will pause at the end of the epoch"
    assert control.stop("live").message == "stopping"
    assert _asked(live) == "stop"
    with pytest.raises(RunError, match="already training"):
        control.resume("live")


def test_stepping_a_live_run_pauses_it_after_the_epoch(live):
    assert control.step("live").state == "running"
    assert _asked(live) == "pause-after-epoch"


def test_stepping_a_stopped_run_starts_it(tiny, no_start, digits, monkeypatch):
    run = creation.create_run(tiny, "a")
    monkeypatch.setattr(
        worker, "POLL_SECONDS", 60.0
    )  # all that is asked before the start is known at the start
    for done in (1, 2):
        assert control.step("a").state == "running"
        assert worker.train(run.folder, digits) == "paused"
        assert len(store.open_run("a").epochs) == done
    assert control.resume("a").state == "running"
    assert worker.train(run.folder, digits) == "finished"
    assert no_start == ["a"] * 3


def test_stopping_ends_a_pause_and_removes_a_queued_run(tiny):
    run = creation.create_run(tiny, "a")
    status.write(run.folder, "paused", "after epoch 1")
    assert control.stop("a").state == "stopped"
    with pytest.raises(RunError, match="stopped"):
        control.stop("a")
    with pytest.raises(RunError, match="stopped"):
        control.pause("a")
    status.write(run.folder, "queued")
    assert control.stop("a").message == "removed from the queue"


def test_an_old_request_does_not_stop_a_run_that_is_started_again(tiny, no_start, digits):
    run = creation.create_run(tiny, "a")
    status.write_request(run.folder, "stop")
    control.resume("a")
    assert worker.train(run.folder, digits) == "finished"


@pytest.mark.parametrize("state", ["finished", "diverged"])
def test_an_ended_run_is_not_resumed(trained, state):
    run = trained("a")
    status.write(run.folder, state)
    with pytest.raises(RunError, match="fork it"):
        control.resume("a")
    with pytest.raises(RunError, match="learning rate"):
        control.scale_lr("a", 0.5)


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.0001, 2000.0, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused(live, factor):
    with pytest.raises(RunError, match="can be multiplied by"):
        control.scale_lr("live", factor)


def test_a_damaged_request_is_ignored(live):
    for data in (
        b"",
        b"[]",
        b'{"action": "rm -rf"}',
        b'{"action": ["stop"]}',
        b'{"factor": "2"}',
        b'{"factor": 1e9}',
    ):
        (live.folder / "request.json").write_bytes(data)
        (live.folder / "rate.json").write_bytes(data)
        assert status.read_request(live.folder) is None
        assert status.read_lr_factor(live.folder) is None


def test_a_fork_starts_from_its_parents_weights_and_records_them(
    trained, tiny, digits, monkeypatch
):
    parent = trained("a")
    child = control.fork("a", "b", {"max_lr": 0.02, "epochs": 1}, "best")
    assert child.parent == {"name": "a", "which": "best", "epoch": parent.best.epoch}
    assert child.config == tiny.changed(max_lr=0.02, epochs=1)
    assert (child.state, child.epochs) == ("stopped", ())
    begun = []
    real = worker.Recorder.restore
    monkeypatch.setattr(
        worker.Recorder,
        "restore",
        lambda self, training, saved: (
            begun.append(training.weights()) or real(self, training, saved)
        ),
    )
    assert worker.train(child.folder, digits) == "finished"
    theirs = load_file(parent.folder / "best.safetensors")
    assert all((begun[0][name] == tensor).all() for name, tensor in theirs.items())
    child = store.open_run("b")
    assert child.epochs[0].train_loss < parent.epochs[0].train_loss
    assert child.parent["name"] == "a"


def test_a_stopped_fork_resumes_from_its_own_state(trained, digits, outcome):
    trained("a")
    whole, cut = (control.fork("a", name, {"epochs": 2}) for name in ("whole", "cut"))
    worker.train(whole.folder, digits)
    status.write_request(cut.folder, "pause-after-epoch")
    assert worker.train(cut.folder, digits) == "paused"
    assert worker.train(cut.folder, digits) == "finished"
    assert outcome(store.open_run("cut")) == outcome(store.open_run("whole"))


def test_impossible_forks_are_refused(trained, tiny, monkeypatch):
    trained("a")
    creation.create_run(tiny, "new")
    with pytest.raises(RunError, match="no weights yet"):
        control.fork("new", "b")
    with pytest.raises(RunError, match="do not fit another network"):
        control.fork("a", "b", {"architecture": "initial", "layers": []})
    with pytest.raises(ConfigError, match="unknown field"):
        control.fork("a", "b", {"colour": 3})
    with pytest.raises(RunError, match="cannot be a run's name"):
        control.fork("a", "../b")
    with pytest.raises(RunError, match="last or best"):
        control.fork("a", "b", which="start")
    monkeypatch.setenv("INKLING_MAX_EPOCHS", "2")
    with pytest.raises(LimitError):
        control.fork("a", "b")
    assert [run.name for run in store.list_runs()] == ["new", "a"]


def test_damaged_start_weights_are_named(trained, digits):
    trained("a")
    child = control.fork("a", "b")
    (child.folder / "start.safetensors").write_bytes(b"x")
    assert worker.train(child.folder, digits) == "failed"
    assert "start.safetensors is not a safetensors file" in store.open_run("b").message


def test_waiting_ends_after_the_given_seconds(live):
    assert control.wait_until_idle("live", seconds=0.2).is_live
    status.write(live.folder, "paused")
    assert control.wait_until_idle("live").state == "paused"


def test_progress_gives_fraction_and_seconds_left(tiny, checkpoints):
    run = creation.create_run(tiny, "a")
    assert estimate_progress(run).share == 0.0
    with files.lock_folder(checkpoints):
        store.update_run_json(run.folder, runtime=RUNTIME.changed(steps_per_epoch=6).to_dict())
    for kind, epoch, step, at in (
        ("started", 1, 0, 100.0),
        ("batch", 1, 6, 160.0),
        ("stopped", 1, 6, 161.0),
        ("resumed", 1, 6, 500.0),
        ("batch", 2, 3, 515.0),
    ):
        more = {"steps": 6, "loss": 1.0, "lr": 0.1} if kind == "batch" else {}
        line = events.format_event(kind, epoch, step, **more)
        files.append_bytes(
            run.folder / "events.jsonl",
            line.replace(
                line[line.index(b'"time": ') : line.index(b', "epoch"')], f'"time": {at}'.encode()
            ),
        )
    assert estimate_progress(store.open_run("a")).seconds_left is None, "nobody trains it"
    status.write(run.folder, "running", "", processes.identity())
    now = estimate_progress(store.open_run("a"))
    assert (now.epoch, now.epochs, now.step, now.steps, now.share) == (2, 3, 3, 6, 0.5)
    assert now.seconds_left == pytest.approx(9 * 5.0), "five seconds a step since it was resumed"


def test_names_are_checked_everywhere(checkpoints, tmp_path):
    for call in (
        control.stop,
        control.pause,
        control.resume,
        control.step,
        run_queue.submit,
        store.annotate,
        lambda name: control.scale_lr(name, 0.5),
        lambda name: control.wait_until_idle(name),
        lambda name: store.rename(name, "x"),
        lambda name: control.fork(name, "x"),
    ):
        with pytest.raises(RunError, match="cannot be a run's name"):
            call(f"../{tmp_path.name}")
