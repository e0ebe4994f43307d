"""The group worker: one process that trains several runs, each with its own folder."""

from __future__ import annotations

import os
import signal

import pytest
import torch

from core.runs import creation, files, group_session, status, store, weights, worker
from core.runs.group_session import Session
from core.runs.group_worker import GroupWorker
from core.runs.recorder import Recorder
from core.training.stacked.training import StackedTraining


@pytest.fixture
def group(full):
    """Three runs that differ in their seed."""
    return [creation.create_run(full.changed(seed=seed), f"s{seed}") for seed in (1, 2, 3)]


@pytest.fixture
def at_step(monkeypatch):
    """Do something once, after so many steps of a stack."""

    def do(step, action):
        counts = iter(range(1, 10_000))
        record = Session._record_batch

        def record_and_act(self, result):
            record(self, result)
            self._polled_at = -1e9  # requests are seen at once
            if next(counts) == step:
                action()

        monkeypatch.setattr(Session, "_record_batch", record_and_act)

    return do


def train(group, digits, **more):
    return GroupWorker([run.folder for run in group], digits, **more).run()


def test_each_run_of_a_group_is_an_ordinary_run(group, digits, kinds, tiny):
    alone = creation.create_run(group[1].config.changed(layers=tiny.layers), "alone")
    together = [
        creation.create_run(run.config.changed(layers=tiny.layers), f"t{n}")
        for n, run in enumerate(group)
    ]
    assert set(train(together, digits).values()) == {"finished"}
    worker.train(alone.folder, digits)
    alone, other = store.open_run("alone"), store.open_run("t1")
    assert (other.state, other.message, other.is_live) == ("finished", "", False)
    assert sorted(os.listdir(other.folder)) == sorted(os.listdir(alone.folder))
    assert kinds(other) == kinds(alone)
    assert other.runtime.to_dict() == alone.runtime.to_dict()
    for mine, theirs in zip(other.epochs, alone.epochs, strict=True):
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert (mine.lr, mine.train_total) == (theirs.lr, theirs.train_total)
    expected = weights.expected_tensors(other.config.layers)
    first, second = (weights.load_tensors(run.weights_path(), expected) for run in (other, alone))
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=1e-3, atol=1e-4)
    assert len({store.open_run(f"t{n}").last.train_loss for n in range(3)}) == 3


def test_one_run_of_a_group_is_stopped_and_goes_on_alone(group, digits, at_step, kinds):
    at_step(8, lambda: status.write_request(group[1].folder, "stop"))
    assert train(group, digits) == {"s1": "finished", "s2": "stopped", "s3": "finished"}
    stopped = store.open_run("s2")
    assert (stopped.message, stopped.can_resume) == ("in epoch 2, step 2 of 6", True)
    assert len(stopped.epochs) == 1
    assert worker.train(stopped.folder, digits) == "finished"
    assert [row.epoch for row in store.open_run("s2").epochs] == [1, 2, 3]
    assert "resumed" in kinds(store.open_run("s2"))


@pytest.mark.parametrize("request_name", ["pause", "pause-after-epoch"])
def test_a_paused_run_of_a_group_resumes(group, digits, at_step, request_name):
    at_step(2, lambda: status.write_request(group[0].folder, request_name))
    assert train(group, digits)["s1"] == "paused"
    run = store.open_run("s1")
    assert len(run.epochs) == (request_name == "pause-after-epoch")
    assert worker.train(run.folder, digits) == "finished"


def test_a_stopped_group_goes_on_together(group, digits, at_step):
    at_step(8, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert set(train(group, digits).values()) == {"stopped"}
    assert set(train(group, digits).values()) == {"finished"}
    for run in map(store.open_run, ("s1", "s2", "s3")):
        assert [row.epoch for row in run.epochs] == [1, 2, 3]


def test_a_killed_group_goes_on_from_its_saved_states(group, digits, monkeypatch, at_step):
    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    at_step(9, kill)
    with pytest.raises(Killed):
        train(group, digits)
    monkeypatch.undo()
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(group[0].folder.parent))
    assert {len(store.open_run(run.name).epochs) for run in group} == {1}
    for run in group:
        status.write(run.folder, "stopped")
    assert set(train(group, digits).values()) == {"finished"}


def test_a_run_that_diverges_does_not_end_the_others(full, digits):
    runs = [creation.create_run(full.changed(seed=seed), f"s{seed}") for seed in (1, 2)]
    wild = creation.create_run(full.changed(max_lr=10.0, weight_decay=1.0, seed=3), "wild")
    status.write_lr_factor(wild.folder, 1_000.0)
    ended = train([*runs, wild], digits)
    assert (ended["s1"], ended["s2"]) == ("finished", "finished")
    assert ended["wild"] == "diverged"
    assert "try a lower learning rate" in store.open_run("wild").message


def test_runs_that_do_not_fit_into_memory_train_in_smaller_groups(group, digits, monkeypatch):
    sizes, ordinary = [], StackedTraining.run

    def run(self, *rest):
        sizes.append(len(self.runs))
        if len(self.runs) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return ordinary(self, *rest)

    monkeypatch.setattr(StackedTraining, "run", run)
    assert set(train(group, digits).values()) == {"finished"}
    assert sizes == [3, 2]  # and one alone


def test_an_error_fails_all_runs_that_train(group, digits, monkeypatch):
    def run(self, *rest):
        raise ValueError("a wrong shape")

    monkeypatch.setattr(StackedTraining, "run", run)
    assert set(train(group, digits).values()) == {"failed"}
    assert "a wrong shape" in store.open_run("s3").message


def test_a_full_disk_ends_the_runs_whose_files_it_refuses(group, digits, monkeypatch):
    save = Recorder.save_state

    def save_or_refuse(self, training):
        if self.folder.name == "s2":
            raise files.disk_full_error(self.folder / "state.pt")
        save(self, training)

    monkeypatch.setattr(Recorder, "save_state", save_or_refuse)
    assert train(group, digits) == {"s1": "finished", "s2": "failed", "s3": "finished"}
    assert "the disk is full" in store.open_run("s2").message


def test_unlike_runs_train_one_group_after_the_other(full, tiny, digits, monkeypatch):
    sizes, ordinary = [], StackedTraining.run

    def run(self, *rest):
        sizes.append(len(self.runs))
        return ordinary(self, *rest)

    monkeypatch.setattr(StackedTraining, "run", run)
    runs = [
        creation.create_run(config, name)
        for name, config in (
            ("a", full),
            ("b", tiny),
            ("c", full.changed(seed=2)),
            ("d", tiny.changed(seed=2)),
            ("e", full.changed(batch_size=60)),
        )
    ]
    assert set(train(runs, digits).values()) == {"finished"}
    assert sizes == [2, 2]


def test_states_are_saved_between_epochs(group, digits, monkeypatch):
    saved = []
    save = Recorder.save_state

    def count(self, training):
        saved.append((self.folder.name, training.epoch, training.step))
        save(self, training)

    monkeypatch.setattr(Recorder, "save_state", count)
    monkeypatch.setattr(group_session, "MAX_SAVE_SHARE", 1e9)
    train(group, digits, save_every=0.0)
    assert {name for name, _, step in saved if step} == {"s1", "s2", "s3"}
