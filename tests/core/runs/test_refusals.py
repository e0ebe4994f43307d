"""Windows refuses to replace or delete a file that is being read; simulated for every file."""

import os
from pathlib import Path

import pytest

from core.errors import RunError
from core.runs import control, creation, files, processes, run_queue, status, store, trash, worker

FILES = [
    "run.json",
    "status.json",
    "epochs.json",
    "events.jsonl",
    "last.safetensors",
    "best.safetensors",
    "state.pt",
    "request.json",
    "rate.json",
    ".reserve",
    ".queue.json",
]


class Refusals:
    """Lets the system refuse the first attempts at each file of a name."""

    def __init__(self, monkeypatch, name, attempts):
        self.name, self.attempts, self.count = name, attempts, 0
        monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
        for owner, action, target in ((os, "replace", 1), (Path, "unlink", 0), (Path, "rename", 0)):
            monkeypatch.setattr(owner, action, self._refusing(getattr(owner, action), target))

    def _refusing(self, real, target):
        left = {}

        def act(*arguments, **more):
            path = Path(arguments[target])
            if path.name == self.name and left.setdefault(real, self.attempts) > 0:
                left[real] -= 1
                self.count += 1
                raise PermissionError(13, "Access is denied", str(path))
            left.pop(real, None)
            return real(*arguments, **more)

        return act


@pytest.mark.parametrize("name", FILES)
def test_a_run_finishes_though_a_file_is_being_read(tiny, digits, monkeypatch, name):
    monkeypatch.setattr(run_queue, "start_worker", lambda folder: processes.identity())
    refusals = Refusals(monkeypatch, name, attempts=4)
    run = creation.create_run(tiny, "a")
    run_queue.submit("a")
    status.write(run.folder, "queued", "")
    control.scale_lr("a", 0.5)
    status.write_request(run.folder, "pause")
    status.clear_request(run.folder)
    assert worker.train(run.folder, digits) == "finished"
    assert refusals.count >= 4
    assert store.open_run("a").state == "finished"
    assert not list(run.folder.glob("*.tmp"))


def test_a_run_is_renamed_deleted_and_restored_though_it_is_being_read(tiny, monkeypatch):
    creation.create_run(tiny, "a")
    refusals = Refusals(monkeypatch, "a", attempts=3)
    store.rename("a", "b")
    refusals.name = "b"
    key = trash.delete("b").key
    refusals.name = key
    trash.restore(key)
    assert refusals.count == 9
    assert [run.name for run in store.list_runs()] == ["b"]


def test_a_refusal_that_lasts_is_an_error_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "status.json"
    files.write_json(path, 1)
    Refusals(monkeypatch, "status.json", attempts=10**6)
    with pytest.raises(RunError, match="could not be written"):
        files.write_json(path, 2)
    assert files.read_json(path) == 1
    assert os.listdir(tmp_path) == ["status.json"]
