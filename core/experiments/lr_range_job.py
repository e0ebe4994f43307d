"""A learning-rate range test in a process of its own: `python -m core.experiments.lr_range_job FILE`.

What is asked for and what is found stand in one file, checkpoints/.rates/KEY.jsonl, whose name follows from what is
asked: whoever asks the same again, in another tab or after a reload, sees what was found. No torch at import.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.errors import RunError, UserError
from core.experiments import lr_range
from core.experiments.lr_range import Point, Suggestion
from core.runs import files, processes, store
from core.training.plan import plan

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = ".rates"
KEPT = 60
EVERY = 0.2  # seconds between two writes
STARTING = 10.0  # seconds between asking for a process and knowing its number, at most


@dataclass(frozen=True, slots=True)
class Request:
    """What is tested."""

    config: RunConfig
    run: str | None = None
    """The run whose last weights are copied; None: the config's fresh ones."""
    steps: int = lr_range.STEPS

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON values."""
        return {"config": self.config.to_dict(), "run": self.run, "steps": self.steps}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Request:
        """The request that a file holds.

        Raises:
            UserError: it is none.
        """
        run, steps = values.get("run"), values.get("steps")
        if not (run is None or isinstance(run, str)) or type(steps) is not int:
            raise RunError("the file holds no range test.")
        return cls(RunConfig.from_dict(values.get("config", {})), run, steps)


@dataclass(frozen=True, slots=True)
class Finding:
    """How far a test is."""

    points: tuple[Point, ...]
    planned: int
    state: str
    """`running`, `done`, or `failed`."""
    message: str = ""
    seconds_left: float | None = None

    @property
    def suggestion(self) -> Suggestion | None:
        """What the test says; None while it runs, and when it failed."""
        return lr_range.suggest(self.points, self.planned) if self.state == "done" else None


def start(request: Request, folder: Path | None = None) -> None:
    """Begin a test, unless the same one runs already; one at a time, so that training keeps its processor.

    Raises:
        RunError: another test is under way, or no process could be started.
        UserError: the request makes no test.
    """
    folder = folder or store.checkpoints_folder()
    plan(request.config)
    lr_range.rates(request.config, request.steps)
    place = _place(request, folder)
    with files.locked(folder):
        for other in place.parent.glob("*.jsonl"):
            if _alive(other, _lines(other)):
                if other == place:
                    return
                raise RunError("another range test is under way; it takes less than a minute.")
        place.parent.mkdir(exist_ok=True)
        files.write_bytes(place, _line({"request": request.to_dict()}))
        try:
            pid, started = processes.launch(
                "core.experiments.lr_range_job", place, log=place.with_suffix(".log")
            )
        except OSError as error:
            raise RunError(f"no process could be started: {error.strerror}.") from None
        files.append(place, _line({"pid": pid, "started": started}))
        _tidy(place.parent)


def find(request: Request, folder: Path | None = None) -> Finding | None:
    """What was found so far; None: nobody has asked for this test yet."""
    place = _place(request, folder or store.checkpoints_folder())
    lines = _lines(place)
    if not lines:
        return None
    points = tuple(Point(**line["point"]) for line in lines if "point" in line)
    end = next((line["end"] for line in lines if "end" in line), None)
    if end is not None:
        return Finding(points, request.steps, end["state"], end["message"])
    if not _alive(place, lines):
        return Finding(points, request.steps, "failed", _last_words(place))
    left = None
    times = [line["time"] for line in lines if "point" in line]
    if len(times) > 1 and times[-1] > times[0]:
        left = (times[-1] - times[0]) / (len(times) - 1) * (request.steps - len(times))
    return Finding(points, request.steps, "running", "", left)


def main(arguments: list[str] | None = None) -> int:
    """Do the test that a file asks for, and write what is found behind it."""
    place = Path((arguments or sys.argv[1:])[0])
    state, message = "done", ""
    try:
        _test(place)
    except UserError as error:
        state, message = "failed", str(error)
    except Exception as error:  # whatever it is, the person who waits must hear of it
        traceback.print_exc()
        state, message = "failed", f"{type(error).__name__}: {str(error)[:200]}"
    files.append(place, _line({"end": {"state": state, "message": message}}))
    return 0 if state == "done" else 1


def _test(place: Path) -> None:
    lines = _lines(place)
    request = Request.from_dict(lines[0]["request"])
    from core.data import dataset

    config = request.config
    folder = place.parent.parent
    weights, teacher = starting_weights(request.run, folder), store.load_teacher(config, folder)
    waiting: list[bytes] = []
    written = time.monotonic()
    for point in lr_range.points(
        config, dataset.load(), lr_range.rates(config, request.steps), weights, teacher
    ):
        waiting.append(_line({"point": point.to_dict(), "time": time.time()}))
        if time.monotonic() - written > EVERY:
            files.append(place, b"".join(waiting))
            waiting, written = [], time.monotonic()
    files.append(place, b"".join(waiting))


def starting_weights(run: str | None, folder: Path | None = None) -> dict[str, Tensor] | None:
    """A run's last weights; None for no run.

    Raises:
        RunError: there is no such run, or it has no weights yet.
    """
    return None if run is None else store.load_model(store.open_run(run, folder)).state_dict()


def _place(request: Request, folder: Path) -> Path:
    known = hashlib.blake2b(json.dumps(request.to_dict(), sort_keys=True).encode(), digest_size=12)
    if request.run is not None:  # which may have trained on since
        known.update(store.open_run(request.run, folder).weights_path().read_bytes())
    return folder / FOLDER / f"{known.hexdigest()}.jsonl"


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, allow_nan=False).encode() + b"\n"


def _lines(place: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a last one that is still being written is left out."""
    try:
        return [json.loads(line) for line in place.read_bytes().split(b"\n")[:-1]]
    except (OSError, ValueError):
        return []


def _alive(place: Path, lines: list[dict[str, Any]]) -> bool:
    if not lines or any("end" in line for line in lines):
        return False
    process = next((line for line in lines if "pid" in line), None)
    if process is None:  # its starter is just about to write it down, or died over it
        return time.time() - place.stat().st_mtime < STARTING
    return processes.alive(process["pid"], process["started"])


def _last_words(place: Path) -> str:
    try:
        words = place.with_suffix(".log").read_text(errors="replace").strip().splitlines()
    except OSError:
        words = []
    return f"the test ended without a word{f': {words[-1][:200]}' if words else '; try it again'}."


def _tidy(folder: Path) -> None:
    """Keep the newest tests only."""
    for old in sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".log").unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
