"""Record: what a training run leaves in its folder while it trains, so that it can be killed at any moment.

state.pt is written first and holds the epoch table too; the other files never run ahead of it, and a run that is
taken up again puts them right from it.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RunError
from core.runs import events, files, store, torch_file, weights
from core.runs.run import find_best_epoch, parse_epochs

if TYPE_CHECKING:
    from core.training.results import BatchResult, EpochResult, TestResult
    from core.training.trainer import Training

STATE_FORMAT = 1
SAVE_SHARE = 20  # a save that takes a second is made every 20 seconds at most
EVENT_SECONDS = 0.25
EVENT_SLOWER_AFTER, EVENT_SLOW_SECONDS = (
    2_000,
    1.0,
)  # so that a run of hours stays a file of some hundred kB


class Recorder:
    """The writing side of a run's folder.

    Args:
        folder: the run's folder.
        save_every: seconds between two states to resume from, besides those at the end of each epoch.
    """

    def __init__(self, folder: Path, save_every: float):
        self.folder, self.save_every = folder, save_every
        self.busy = threading.RLock()
        """Held while files are written."""
        self.rows: list[EpochResult] = []
        self._loss: Any = None
        self._steps = self._lines = 0
        self._latest: BatchResult | None = None
        self._saved_at = self._event_at = time.monotonic()

    def saved(self) -> dict[str, Any] | None:
        """The state to resume from, or None where the run begins.

        Raises:
            RunError: state.pt is damaged or of another version.
        """
        path = self.folder / "state.pt"
        if not path.exists():
            return None
        saved = weights.load_state(path)
        if saved.get("format") != STATE_FORMAT or not isinstance(saved.get("training"), Mapping):
            raise RunError(
                f"state.pt has format {str(saved.get('format'))[:20]}; this version reads {STATE_FORMAT}."
            )
        return saved

    def start_weights(self) -> dict[str, Any] | None:
        """The weights that a forked run begins with.

        Raises:
            RunError: start.pt is damaged.
        """
        path = self.folder / "start.pt"
        return weights.load_tensors(path) if path.exists() else None

    def take_up(self, training: Training, saved: Mapping[str, Any] | None) -> None:
        """Bring the folder to where the training stands, as the last worker may have been killed between two files.

        Raises:
            RunError: the state and its epoch table contradict each other.
        """
        self.rows = parse_epochs(saved.get("rows")) if saved else []
        if len(self.rows) != training.epoch:
            raise RunError(
                f"state.pt stands at epoch {training.epoch}, but its table has {len(self.rows)} rows."
            )
        epoch, step = position(training)
        with self.busy:
            files.remove_partial_files(self.folder)
            with files.lock_folder(self.folder.parent):
                store.update_run_json(self.folder, runtime=training.runtime.to_dict())
            past = events.rewind(self.folder / events.NAME, epoch, step, len(self.rows))
            if self.rows and training.step == 0:
                self._save_weights(training)
            self._save_table()
            told = {event["epoch"] for event in past if event["kind"] == "epoch"}
            for row in self.rows:
                if row.epoch not in told:
                    self.event("epoch", row.epoch, training.steps, row=row.to_dict())
            self.event("resumed" if saved else "started", epoch, step)
        self._lines = len(events.read(self.folder / events.NAME))
        self._saved_at = self._event_at = time.monotonic()

    def batch(self, result: BatchResult) -> None:
        """Take note of a step; now and then this becomes an event."""
        # The sum stays on the device: reading it waits for all that the device still has to do.
        self._loss = result.loss if self._loss is None else self._loss + result.loss
        self._steps += 1
        self._latest = result
        slow = EVENT_SLOW_SECONDS if self._lines >= EVENT_SLOWER_AFTER else EVENT_SECONDS
        if result.step in (1, result.steps) or time.monotonic() - self._event_at >= slow:
            self._flush()

    def epoch(self, training: Training, result: EpochResult) -> None:
        """Save an epoch: state, weights, table, event."""
        self.rows.append(result)
        with self.busy:
            self.save(training)
            self._save_weights(training)
            self._save_table()
            self.event("epoch", result.epoch, training.steps, row=result.to_dict())

    def test(self, result: TestResult) -> None:
        """Save the score on the test images."""
        with self.busy, files.lock_folder(self.folder.parent):
            store.update_run_json(
                self.folder,
                test={"loss": result.loss, "correct": result.correct, "total": result.total},
            )

    def rate(self, training: Training, factor: float) -> None:
        """Change the learning rate from here on, so that a run that is resumed later has it too."""
        training.rate_factor = factor
        with self.busy:
            self.save(training)
            self.event("rate", *position(training), factor=factor)

    def is_due(self) -> bool:
        """Whether a state should be saved again."""
        return time.monotonic() - self._saved_at >= self.save_every

    def save(self, training: Training) -> None:
        """Save a state to resume from."""
        with self.busy:
            if self._steps:
                self._flush()  # no event reaches across the place where a run may be taken up
            began = time.monotonic()
            torch_file.save(
                self.folder / "state.pt",
                {
                    "format": STATE_FORMAT,
                    "rows": [row.to_dict() for row in self.rows],
                    "training": training.state_dict(),
                },
            )
            self._saved_at = time.monotonic()
            self._saved_at += max(0.0, SAVE_SHARE * (self._saved_at - began) - self.save_every)

    def event(self, kind: str, epoch: int, step: int, **values: Any) -> None:
        """Append an event."""
        with self.busy:
            files.append_bytes(
                self.folder / events.NAME, events.format_event(kind, epoch, step, **values)
            )
        self._lines += 1

    def ended(self, state: str, message: str) -> None:
        """Append how it ended, where it last stood."""
        past = events.read(self.folder / events.NAME)
        self.event(
            state, *((past[-1]["epoch"], past[-1]["step"]) if past else (1, 0)), message=message
        )

    def _flush(self) -> None:
        result, loss = self._latest, float(self._loss) / self._steps
        self._loss, self._steps, self._event_at = None, 0, time.monotonic()
        if result is not None and math.isfinite(loss):
            self.event(
                "batch",
                result.epoch,
                result.step,
                steps=result.steps,
                loss=round(loss, 6),
                lr=result.lr,
            )

    def _save_weights(self, training: Training) -> None:
        state = training.weights()
        torch_file.save(self.folder / "last.pt", state)
        best = find_best_epoch(self.rows)
        if best is not None and best.epoch == len(self.rows):
            torch_file.save(self.folder / "best.pt", state)

    def _save_table(self) -> None:
        files.write_json(self.folder / "epochs.json", [row.to_dict() for row in self.rows])


def position(training: Training) -> tuple[int, int]:
    """Epoch and steps done in it, both from 1, as events tell them."""
    if training.step == 0 and training.epoch > 0:
        return training.epoch, training.steps
    return training.epoch + 1, training.step
