"""A group of runs that one process trains together, and what it writes into their folders."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from core.errors import UserError
from core.runs.recorder import EVENT_SECONDS, MAX_SAVE_SHARE
from core.runs.worker import POLL_SECONDS, Worker, describe_error, describe_position

if TYPE_CHECKING:
    from torch import Tensor

    from core.runs.group_worker import GroupWorker
    from core.training.results import EpochResult, TestResult
    from core.training.stacked.results import StackedBatchResult
    from core.training.stacked.snapshot import Snapshot
    from core.training.stacked.training import StackedTraining
    from core.training.trainer import Diverged

WRITERS = 8  # threads that write the runs' files


class Session:
    """Trains a stack and keeps the folders of its runs.

    Files are written by threads while the GPU goes on.

    Args:
        owner: the process's worker.
        workers: of the runs, in the order of the stack.
        stack: the runs.
        is_tested: whether the runs are evaluated on the test images at their end.
    """

    def __init__(
        self,
        owner: GroupWorker,
        workers: Sequence[Worker],
        stack: StackedTraining,
        is_tested: bool = True,
    ):
        self.owner, self.workers, self.stack = owner, workers, stack
        self.is_tested = is_tested
        self._writing: dict[int, Future[None]] = {}
        self._loss_sum: Tensor | None = None  # (N,), of the steps that no event covers yet
        self._step_count = 0
        self._polled_at = self._event_at = self._saved_at = time.monotonic()
        self._last: StackedBatchResult
        self._pool: ThreadPoolExecutor

    def train(self) -> None:
        """Train until all runs have ended.

        Raises:
            Exception: training failed for all runs that have not ended.
        """
        from core.training.stacked.results import StackedBatchResult

        with (
            ThreadPoolExecutor(WRITERS) as self._pool,
            contextlib.closing(
                cast(Generator[Any, None, None], self.stack.run(self.is_tested))
            ) as results,
        ):
            for result in results:
                if isinstance(result, StackedBatchResult):
                    self._record_batch(result)
                else:
                    for n, part in result.results.items():
                        self._record(n, part)
                if not self.stack.finished:
                    self._obey()
                    self._save_if_due()
            for n in self.stack.active:
                self._end(n, "finished", "")

    def _record_batch(self, result: StackedBatchResult) -> None:
        self._loss_sum = result.losses if self._loss_sum is None else self._loss_sum + result.losses
        self._step_count, self._last = self._step_count + 1, result
        is_due = result.step == 1 or time.monotonic() - self._event_at >= EVENT_SECONDS
        if result.step == result.steps or (is_due and not self._is_writing()):
            self._flush()

    def _flush(self) -> None:
        """Record in each run the steps since the last time."""
        from core.training.results import BatchResult

        if self._loss_sum is None:
            return
        last, means, count = self._last, self._loss_sum.cpu() / self._step_count, self._step_count
        self._loss_sum, self._step_count, self._event_at = None, 0, time.monotonic()
        for n in self.stack.active:
            step = BatchResult(last.epoch, last.step, last.steps, means[n], last.lrs[n])
            self._write(n, self.workers[n].recorder.record_batch, step, count)

    def _record(self, n: int, result: EpochResult | TestResult | Diverged) -> None:
        """Record what ended in a run."""
        from core.training.results import EpochResult, TestResult

        recorder = self.workers[n].recorder
        if isinstance(result, EpochResult):
            self._write(n, recorder.record_epoch, self._snapshot(n), result)
        elif isinstance(result, TestResult):
            self._write(n, recorder.record_test, result)
        else:
            self._end(n, "diverged", str(result))

    def _end(self, n: int, state: str, message: str) -> None:
        if self._wait(n):
            self.stack.end(n)
            self.owner.end(self.workers[n], state, message)

    def _leave(self, n: int, state: str) -> None:
        """Save a run and end it before its time."""
        self._flush()
        snapshot = self._snapshot(n)
        self._write(n, self.workers[n].recorder.save_state, snapshot)
        self._end(n, state, describe_position(snapshot))

    def _obey(self) -> None:
        """Do what was requested of each run."""
        ended_epoch = self.stack.step == 0
        if not ended_epoch and time.monotonic() - self._polled_at < POLL_SECONDS:
            return
        self._polled_at = time.monotonic()
        self.owner.end_waiting_as_requested()
        for n in self.stack.active:
            worker = self.workers[n]
            worker.read_requests()
            if worker.lr_factor is not None and self._wait(n):
                self._flush()
                worker.apply_lr_factor(self.stack.store(n))
            if worker.request == "stop":
                self._leave(n, "stopped")
            elif worker.request == "pause" or (
                worker.request == "pause-after-epoch" and ended_epoch
            ):
                self._leave(n, "paused")

    def _save_if_due(self) -> None:
        began = time.monotonic()
        if began - self._saved_at < self.owner.save_every or self._is_writing():
            return
        self._flush()
        for n in self.stack.active:
            self._write(n, self.workers[n].recorder.save_state, self._snapshot(n))
        now = time.monotonic()
        self._saved_at = now + max(0.0, (now - began) / MAX_SAVE_SHARE - self.owner.save_every)

    def _snapshot(self, n: int) -> Snapshot:
        from core.training.stacked.snapshot import take_snapshot

        return take_snapshot(self.stack.store(n))

    def _is_writing(self) -> bool:
        return any(not writing.done() for writing in self._writing.values())

    def _write(self, n: int, write: Callable[..., None], *arguments: Any) -> None:
        """Write files of a run in another thread, after those before."""
        if self._wait(n):
            self._writing[n] = self._pool.submit(write, *arguments)

    def _wait(self, n: int) -> bool:
        """Wait until a run's files are written; False if it has ended or now ends by a failure."""
        if self.workers[n].folder.name in self.owner.ended:
            return False
        writing = self._writing.pop(n, None)
        try:
            if writing is not None:
                writing.result()
        except Exception as error:  # whatever it is, only this run is affected
            self.stack.end(n)
            self.owner.end(
                self.workers[n], "failed", describe_failure(error, self.stack.config.batch_size)
            )
            return False
        return True


def describe_failure(error: Exception, batch_size: int) -> str:
    """Return why training failed: an error's own words if it is meant for the user."""
    return str(error) if isinstance(error, UserError) else describe_error(error, batch_size)
