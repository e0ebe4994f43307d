"""Run a learning-rate range test in the background: `python -m core.experiments.lr_range_job FILE`.

The request and the points measured so far are lines of one file, checkpoints/.rates/KEY.jsonl. Its
name follows from the request, so the same request made elsewhere, or after a reload, finds the same
test. Must not import torch at module level.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.errors import RunError
from core.experiments import lr_range
from core.experiments.lr_range import Point, Suggestion
from core.runs import files, folders, loading, store
from core.runs.jobs import Job
from core.runs.jobs import run as run_job
from core.training.plan import plan

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = ".rates"
MAX_KEPT = 60
WRITE_SECONDS = 0.2
_DONE = b'{"done": true}\n'


@dataclass(frozen=True, slots=True)
class Request:
    """The description of a range test."""

    config: RunConfig
    run: str | None = None
    """The run whose last weights are copied; None: the config's fresh weights."""
    steps: int = lr_range.STEPS

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON values."""
        return {"config": self.config.to_dict(), "run": self.run, "steps": self.steps}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Request:
        """The request in JSON values.

        Raises:
            UserError: a field is missing or wrong.
        """
        run, steps = values.get("run"), values.get("steps")
        if not (run is None or isinstance(run, str)) or type(steps) is not int:
            raise RunError("the file is damaged: it describes no range test.")
        return cls(RunConfig.from_dict(values.get("config", {})), run, steps)


@dataclass(frozen=True, slots=True)
class RangeTest:
    """The state of a range test."""

    points: tuple[Point, ...]
    steps: int
    """How many steps were requested."""
    state: str
    """`running`, `done` or `failed`."""
    message: str = ""
    """Why it failed."""
    seconds_left: float | None = None

    @property
    def suggestion(self) -> Suggestion | None:
        """The suggested learning rate; None unless the test is done."""
        return lr_range.suggest(self.points, self.steps) if self.state == "done" else None


def start(request: Request, folder: Path | None = None) -> None:
    """Start a test, unless the same one runs already; only one runs at a time.

    Raises:
        RunError: another test is running, or no process could be started.
        UserError: the request is not valid.
    """
    folder = folder or folders.checkpoints_folder()
    plan(request.config)
    lr_range.learning_rates(request.config, request.steps)
    job = _job(request, folder)
    with files.lock_folder(folder):
        for record in job.folder.glob("*.json"):
            other = Job(job.folder, record.stem)
            if other.is_alive and not _is_done(_read_lines(other)):
                if other == job:
                    return
                raise RunError("another range test is running; it takes less than a minute.")
        job.folder.mkdir(exist_ok=True)
        job.remove()
        files.write_bytes(_path(job), _to_line({"request": request.to_dict()}))
        job.start("core.experiments.lr_range_job", _path(job))
        _remove_old(job.folder)


def read(request: Request, folder: Path | None = None) -> RangeTest | None:
    """Read the state of a test; None: it was never started."""
    job = _job(request, folder or folders.checkpoints_folder())
    if not job.was_started:
        return None
    is_alive = job.is_alive  # before the lines are read: the last one is written while it lives
    lines = _read_lines(job)
    points = tuple(Point(**line["point"]) for line in lines if "point" in line)
    if _is_done(lines):
        return RangeTest(points, request.steps, "done")
    if not is_alive:
        message = job.last_error or "the process of the test was killed; start it again."
        return RangeTest(points, request.steps, "failed", message)
    left = None
    times = [line["time"] for line in lines if "point" in line]
    if len(times) > 1 and times[-1] > times[0]:
        left = (times[-1] - times[0]) / (len(times) - 1) * (request.steps - len(times))
    return RangeTest(points, request.steps, "running", "", left)


def initial_weights(run: str | None, folder: Path | None = None) -> dict[str, Tensor] | None:
    """Load a run's last weights; None for no run.

    Raises:
        RunError: there is no such run, or it has no weights yet.
    """
    return None if run is None else loading.load_model(store.open_run(run, folder)).state_dict()


def main(arguments: list[str] | None = None) -> int:
    """Do the test that a file requests, and append its points to the file."""
    path = Path((arguments or sys.argv[1:])[0])
    return run_job(lambda: _test(path))


def _test(path: Path) -> None:
    request = Request.from_dict(_read_lines(Job(path.parent, path.stem))[0]["request"])
    from core.data import dataset

    config = request.config
    folder = path.parent.parent
    weights, teacher = initial_weights(request.run, folder), loading.load_teacher(config, folder)
    rates = lr_range.learning_rates(config, request.steps)
    waiting: list[bytes] = []
    written = time.monotonic()
    for point in lr_range.run_test(config, dataset.load(), rates, weights, teacher):
        waiting.append(_to_line({"point": point.to_dict(), "time": time.monotonic()}))
        if time.monotonic() - written > WRITE_SECONDS:
            files.append_bytes(path, b"".join(waiting))
            waiting, written = [], time.monotonic()
    files.append_bytes(path, b"".join([*waiting, _DONE]))


def _job(request: Request, folder: Path) -> Job:
    key = hashlib.blake2b(json.dumps(request.to_dict(), sort_keys=True).encode(), digest_size=12)
    if request.run is not None:  # it may have trained on since
        key.update(store.open_run(request.run, folder).weights_path().read_bytes())
    return Job(folder / FOLDER, key.hexdigest())


def _path(job: Job) -> Path:
    return job.folder / f"{job.name}.jsonl"


def _to_line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False).encode() + b"\n"


def _read_lines(job: Job) -> list[dict[str, Any]]:
    """The complete lines of a test's file; a last one that is still being written is left out."""
    try:
        return [json.loads(line) for line in _path(job).read_bytes().split(b"\n")[:-1]]
    except (OSError, ValueError):
        return []


def _is_done(lines: list[dict[str, Any]]) -> bool:
    return bool(lines) and "done" in lines[-1]


def _remove_old(folder: Path) -> None:
    paths = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
    for path in paths[:-MAX_KEPT]:
        path.unlink(missing_ok=True)
        Job(folder, path.stem).remove()


if __name__ == "__main__":
    sys.exit(main())
