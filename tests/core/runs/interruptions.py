"""Interrupting a worker at a chosen moment, for tests."""

from core.runs import (
    files,
    status,
    worker,
)


class Killed(BaseException):
    """Stands for SIGKILL: nothing that runs after it may clean up."""


def request_at(monkeypatch, action, epoch, step):
    """Ask the worker after one step, as the watcher would."""
    real = worker.Recorder.record_batch

    def batch(self, result):
        real(self, result)
        if (result.epoch, result.step) == (epoch, step):
            status.write_request(self.folder, action)
            self.worker.request = action

    made = worker.Worker.__init__

    def init(self, *arguments, **more):
        made(self, *arguments, **more)
        self.recorder.worker = self

    monkeypatch.setattr(worker.Worker, "__init__", init)
    monkeypatch.setattr(worker.Recorder, "record_batch", batch)


def kill(patch, at, how):
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
