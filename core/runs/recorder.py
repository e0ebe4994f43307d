"""Recorder: writes a run's folder while it trains, so that the run survives a kill at any moment.

state.pt is written first and holds the epoch table too; no other file is ever ahead of it, and
`restore` brings the others up to date with it.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import RunError
from core.runs import epoch_weights, events, files, store, torch_file, weights
from core.runs.creation import START
from core.runs.run import STATE, find_best_epoch
from core.runs.run_schema import check_epochs, clean_text

if TYPE_CHECKING:
    from core.config import RunConfig
    from core.runtime import Runtime
    from core.training.results import BatchResult, EpochResult, TestResult
    from core.training.stacked.snapshot import Snapshot
    from core.training.trainer import Training

STATE_FORMAT = 1
# Saving takes at most this share of the time: a save of one second is made every 20 seconds.
MAX_SAVE_SHARE = 1 / 20
EVENT_SECONDS = 0.25
# A long run gets fewer events, so that its file stays at some hundred kB.
MANY_EVENTS, SLOW_EVENT_SECONDS = 2_000, 1.0


class Recorder:
    """The writing side of a run's folder.

    Args:
        folder: the run's folder.
        save_every: seconds between two states to resume from, besides those after each epoch.
    """

    def __init__(self, folder: Path, save_every: float):
        self.folder, self.save_every = folder, save_every
        self.lock = threading.RLock()
        """Held while files are written."""
        self.rows: list[EpochResult] = []
        self._runtime: Runtime | None = None  # in run.json
        self._config: RunConfig
        self._warned = False
        self._loss_sum: Any = None
        self._step_count = self._event_count = 0
        self._last_batch: BatchResult | None = None
        self._is_rising = False  # the learning rate, at the last batch
        self._saved_at = self._event_at = time.monotonic()

    def load_state(self) -> dict[str, Any] | None:
        """Load the state to resume from; None at the start of a run.

        Raises:
            RunError: state.pt is damaged or was written by another version.
        """
        path = self.folder / STATE
        if not path.exists():
            return None
        state = torch_file.load(path)
        if state.get("format") != STATE_FORMAT or not isinstance(state.get("training"), Mapping):
            raise RunError(
                f"{STATE} has format {str(state.get('format'))[:20]}; this version reads "
                f"{STATE_FORMAT}."
            )
        return state

    def load_start_weights(self, expected: weights.Specs) -> dict[str, Any] | None:
        """Load the weights that a forked run starts from; None for other runs.

        Raises:
            RunError: the file is damaged.
        """
        path = self.folder / START
        return weights.load_tensors(path, expected) if path.exists() else None

    def restore(self, training: Training, state: Mapping[str, Any] | None) -> None:
        """Make all files agree with the state, since a worker may be killed between two of them.

        Args:
            training: about to start or to continue.
            state: what `load_state` returned.

        Raises:
            RunError: the state contradicts its own epoch table.
        """
        self.rows = check_epochs(state.get("rows")) if state else []
        if len(self.rows) != training.epoch:
            raise RunError(
                f"{STATE} is at epoch {training.epoch}, but its table has {len(self.rows)} rows."
            )
        self._loss_sum, self._step_count = None, 0
        self._config = training.config
        epoch, step = get_position(training)
        with self.lock:
            files.remove_partial_files(self.folder)
            epoch_weights.remove_later(self.folder, len(self.rows))
            with files.lock_folder(self.folder.parent):
                store.update_run_json(self.folder, runtime=training.runtime.to_dict())
            self._runtime = training.runtime
            kept = events.rewind(self.folder / events.NAME, epoch, step, len(self.rows))
            if training.step == 0:
                self._save_weights(training)
            self._save_epochs()
            recorded = {event["epoch"] for event in kept if event["kind"] == "epoch"}
            for row in self.rows:
                if row.epoch not in recorded:
                    self.append_event("epoch", row.epoch, training.steps, row=row.to_dict())
            notice = {"message": training.notice} if training.notice else {}
            self.append_event("resumed" if state else "started", epoch, step, **notice)
        self._event_count = len(events.read(self.folder / events.NAME))
        self._saved_at = self._event_at = time.monotonic()

    def record_batch(self, result: BatchResult, steps: int = 1) -> None:
        """Count training steps; every quarter of a second one event covers the steps since.

        A step with a peak of the learning rate ends an event, however few steps there are.

        Args:
            result: of the last step.
            steps: number of steps, over which its loss is the mean.
        """
        last = self._last_batch
        if last is not None and self._is_rising and result.lr < last.lr and self._step_count:
            self._append_batch_event()
        self._is_rising = last is not None and result.lr > last.lr
        # The sum stays on the device: reading it waits for all that the device still has to do.
        loss = result.loss if steps == 1 else result.loss * steps
        self._loss_sum = loss if self._loss_sum is None else self._loss_sum + loss
        self._step_count += steps
        self._last_batch = result
        interval = SLOW_EVENT_SECONDS if self._event_count >= MANY_EVENTS else EVENT_SECONDS
        if result.step in (1, result.steps) or time.monotonic() - self._event_at >= interval:
            self._append_batch_event()

    def record_epoch(self, training: Training | Snapshot, result: EpochResult) -> None:
        """Save state, weights, table and event of a finished epoch."""
        self.rows.append(result)
        with self.lock:
            if training.runtime != self._runtime:  # a GPU refused to capture the step
                with files.lock_folder(self.folder.parent):
                    store.update_run_json(self.folder, runtime=training.runtime.to_dict())
                self._runtime = training.runtime
            if training.step_sizes is not None:
                # Before the state: a run that resumes from an earlier one records it again.
                sizes = training.step_sizes.to_dict()
                self.append_event("update", result.epoch, training.steps, **sizes)
            self.save_state(training)
            self._save_weights(training)
            self._save_epochs()
            self.append_event("epoch", result.epoch, training.steps, row=result.to_dict())

    def record_test(self, result: TestResult) -> None:
        """Save the result on the test images."""
        with self.lock, files.lock_folder(self.folder.parent):
            store.update_run_json(
                self.folder,
                test={"loss": result.loss, "correct": result.correct, "total": result.total},
            )

    def record_lr_factor(self, training: Training | Snapshot) -> None:
        """Save that the learning rate was changed, so that a resumed run has it too."""
        with self.lock:
            self.save_state(training)
            self.append_event("rate", *get_position(training), factor=training.rate_factor)

    def should_save(self) -> bool:
        """Return whether it is time to save a state again."""
        return time.monotonic() - self._saved_at >= self.save_every

    def save_state(self, training: Training | Snapshot) -> None:
        """Save a state to resume from."""
        with self.lock:
            if self._step_count:
                self._append_batch_event()  # no event may span a point where a run resumes
            began = time.monotonic()
            torch_file.save(
                self.folder / STATE,
                {
                    "format": STATE_FORMAT,
                    "rows": [row.to_dict() for row in self.rows],
                    "training": training.state_dict(),
                },
            )
            now = time.monotonic()
            self._saved_at = now + max(0.0, (now - began) / MAX_SAVE_SHARE - self.save_every)

    def append_event(self, kind: str, epoch: int, step: int, **values: Any) -> None:
        """Append an event to the run's events."""
        with self.lock:
            line = events.format_event(kind, epoch, step, **values)
            files.append_bytes(self.folder / events.NAME, line)
        self._event_count += 1

    def append_end(self, state: str, message: str) -> None:
        """Append an event that says how training ended, at the position of the last one."""
        recorded = events.read(self.folder / events.NAME)
        epoch, step = (recorded[-1]["epoch"], recorded[-1]["step"]) if recorded else (1, 0)
        self.append_event(state, epoch, step, message=clean_text(message))

    def _append_batch_event(self) -> None:
        result, loss = self._last_batch, float(self._loss_sum) / self._step_count
        self._loss_sum, self._step_count, self._event_at = None, 0, time.monotonic()
        if result is not None and math.isfinite(loss):
            self.append_event(
                "batch",
                result.epoch,
                result.step,
                steps=result.steps,
                loss=round(loss, 6),
                lr=result.lr,
            )

    def _save_weights(self, training: Training | Snapshot) -> None:
        data = weights.to_bytes(training.weights())
        if self.rows:
            files.write_bytes(self.folder / f"last{weights.SUFFIX}", data)
            best = find_best_epoch(self.rows)
            if best is not None and best.epoch == len(self.rows):
                files.write_bytes(self.folder / f"best{weights.SUFFIX}", data)
        self._keep_epoch(training, data)

    def _keep_epoch(self, training: Training | Snapshot, data: bytes) -> None:
        """Keep the weights of this epoch if it is one of those to keep; a run never fails by it."""
        config, epoch = self._config, len(self.rows)
        if epoch not in epoch_weights.choose_epochs(config.epochs, config.kept_epochs, len(data)):
            return
        try:
            epoch_weights.write(self.folder, epoch, data)
        except (RunError, OSError) as error:
            if self._warned:
                return
            self._warned = True
            message = f"the weights after epoch {epoch} are not kept: {error}"
            with contextlib.suppress(RunError):
                self.append_event("warning", *get_position(training), message=clean_text(message))

    def _save_epochs(self) -> None:
        files.write_json(self.folder / "epochs.json", [row.to_dict() for row in self.rows])


def get_position(training: Training | Snapshot) -> tuple[int, int]:
    """Return the epoch, from 1, and the number of steps done in it, as events give them."""
    if training.step == 0 and training.epoch > 0:
        return training.epoch, training.steps
    return training.epoch + 1, training.step
