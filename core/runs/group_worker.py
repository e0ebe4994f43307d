"""The process that trains several runs as one: `python -m core.runs.group_worker RUN_FOLDER ...`.

Each run keeps its own folder, lock, status and requests, as with a worker of its own. Runs that
cannot train together, or don't fit into memory together, train in smaller groups one after another.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from core.errors import UserError
from core.runs import files, loading, run_queue, status, store, weights
from core.runs.recorder import EVENT_SECONDS, MAX_SAVE_SHARE
from core.runs.run import Run
from core.runs.worker import (
    POLL_SECONDS,
    SAVE_SECONDS,
    Worker,
    describe_error,
    describe_position,
    handle_signals,
    is_out_of_memory,
)
from core.training.plan import plan
from core.training.stacking import can_stack, stacking_key

if TYPE_CHECKING:
    from torch import Tensor

    from core.data.dataset import Mnist
    from core.training.results import EpochResult, TestResult
    from core.training.stacked.snapshot import Snapshot
    from core.training.stacked.training import StackedBatchResult, StackedTraining
    from core.training.trainer import Diverged, Training

WRITERS = 8  # threads that write the runs' files
WAITS = "waits for the runs that train before it in the same process"


@dataclass
class Member:
    """A run of the group, as it was opened."""

    worker: Worker
    run: Run
    state: dict[str, Any] | None
    """What its training resumes from; None: its beginning."""

    @property
    def key(self) -> tuple[object, ...]:
        """What runs that train together have in common."""
        training = self.state["training"] if self.state else {}
        position = training.get("epoch", 0), training.get("step", 0)
        return stacking_key(self.run.config), self.run.runtime, position

    @property
    def can_stack(self) -> bool:
        """Whether it can train together with others."""
        runtime = self.run.runtime
        return can_stack(self.run.config) and (runtime is None or runtime.precision == "fp32")


class GroupWorker:
    """Trains several runs in this process.

    Args:
        folders: of the runs, in one checkpoints folder.
        data: the data set; None: MNIST.
        save_every: seconds between two states to resume from, besides those after each epoch.
    """

    def __init__(
        self, folders: Sequence[Path], data: Mnist | None = None, save_every: float = SAVE_SECONDS
    ):
        self.workers = [Worker(folder, data, save_every) for folder in folders]
        self.data, self.save_every = data, save_every
        self.ended: dict[str, str] = {}
        """The state that each run was left in, by name."""
        self._waiting: list[Member] = []

    def run(self) -> dict[str, str]:
        """Train all runs until their end, a stop or a failure.

        Returns:
            The state that each run is left in, by name, without those that another process trains
            or that wait for a slot.
        """
        with handle_signals(self._request_stop), contextlib.ExitStack() as locks:
            for worker in self.workers:
                locks.callback(worker.release)
                self._claim(worker)
            while self._waiting:
                key = self._waiting[0].key
                group = [member for member in self._waiting if member.key == key]
                self._waiting = [member for member in self._waiting if member.key != key]
                for member in self._waiting:
                    status.write(member.worker.folder, "running", WAITS, member.worker.process)
                self._train(group)
                self.end_waiting_as_requested()
        run_queue.start_waiting(self.workers[0].folder.parent)
        return self.ended

    def end(self, worker: Worker, state: str, message: str) -> None:
        """Record how a run ended, and give it up."""
        try:
            with worker.recorder.lock:
                worker.record_end(state, message)
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
        self.ended[worker.folder.name] = state

    def end_waiting_as_requested(self) -> None:
        """Stop or pause the runs that wait in this process and were asked to."""
        for member in list(self._waiting):
            member.worker.read_requests()
            if member.worker.request in ("stop", "pause"):
                state = "stopped" if member.worker.request == "stop" else "paused"
                self.end(member.worker, state, "while it waited for other runs")
                self._waiting.remove(member)

    def _request_stop(self) -> None:
        for worker in self.workers:
            worker.request_stop()

    def _claim(self, worker: Worker) -> None:
        """Claim and open a run."""
        try:
            if worker.claim():
                self._waiting += self._open([worker])
        except UserError as error:
            print(error, file=sys.stderr, flush=True)

    def _open(self, workers: Iterable[Worker]) -> list[Member]:
        """Read runs and the states that they resume from, or record why that is not possible."""
        members = []
        for worker in workers:
            try:
                files.reserve_space(worker.folder)
                run = store.open_run(worker.folder.name, worker.folder.parent)
                members.append(Member(worker, run, worker.recorder.load_state()))
            except Exception as error:  # whatever it is, it must be recorded in the run
                self.end(worker, "failed", _describe(error, 0))
        return members

    def _train(self, group: list[Member]) -> None:
        """Train runs with the same key together; where memory is too small, in two halves."""
        if len(group) < 2 or not group[0].can_stack:
            for member in group:
                name = member.worker.folder.name
                self.ended[name] = member.worker.train_claimed()
            return
        try:
            self._train_together(group)
            return
        except Exception as error:  # whatever it is, it must be recorded in the runs
            left = [member for member in group if member.worker.folder.name not in self.ended]
            if not is_out_of_memory(error) or len(left) < 2:
                if not isinstance(error, UserError):
                    traceback.print_exc()
                for member in left:
                    message = _describe(error, member.run.config.batch_size)
                    self.end(member.worker, "failed", message)
                return
        _free_memory()
        print(f"{len(left)} runs do not fit into memory together.", flush=True)
        for half in (left[: len(left) // 2], left[len(left) // 2 :]):
            self._train(self._open(member.worker for member in half))

    def _train_together(self, group: list[Member]) -> None:
        from core.training.stacked.training import StackedTraining

        trainings = self._prepare(group)
        members = [member for member in group if member.worker.folder.name in trainings]
        if not members:
            return
        stack = StackedTraining([trainings[member.worker.folder.name] for member in members])
        Session(self, [member.worker for member in members], stack).train()

    def _prepare(self, group: list[Member]) -> dict[str, Training]:
        """Return the runs in memory, by name, without those whose failure was recorded."""
        import torch

        from core.data import dataset
        from core.training.runtime import choose_device, resolve_runtime
        from core.training.trainer import Training

        first = group[0]
        config = first.run.config
        data = self.data or dataset.load(progress=first.worker.report_loading)
        teacher = loading.load_teacher(config, first.worker.folder.parent)
        # One for all, in the number format that stacks compute in.
        runtime = first.run.runtime or resolve_runtime(
            plan(config.changed(precision="fp32")), data, teacher
        )
        if runtime.device == "cuda" and torch.cuda.is_available():  # once, not once for each run
            device = choose_device("cuda")
            data = dataset.Mnist(data.train.to(device), data.test.to(device))
        expected = weights.expected_tensors(plan(config).rows)
        trainings = {}
        for member in group:
            worker, recorder = member.worker, member.worker.recorder
            try:
                training = Training(
                    member.run.config,
                    data,
                    member.state["training"] if member.state else None,
                    runtime,
                    recorder.load_start_weights(expected),
                    teacher,
                )
                recorder.restore(training, member.state)
                message = training.notice or f"trains together with {len(group) - 1} others"
                status.write(worker.folder, "running", message, worker.process)
                trainings[worker.folder.name] = training
            except UserError as error:
                self.end(worker, "failed", str(error))
        return trainings


class Session:
    """Trains a stack and keeps the folders of its runs.

    Files are written by threads while the GPU goes on.

    Args:
        owner: the process's worker.
        workers: of the runs, in the order of the stack.
        stack: the runs.
    """

    def __init__(self, owner: GroupWorker, workers: Sequence[Worker], stack: StackedTraining):
        self.owner, self.workers, self.stack = owner, workers, stack
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
        from core.training.stacked.training import StackedBatchResult

        with (
            ThreadPoolExecutor(WRITERS) as self._pool,
            contextlib.closing(cast(Generator[Any, None, None], self.stack.run())) as results,
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
                self.workers[n], "failed", _describe(error, self.stack.config.batch_size)
            )
            return False
        return True


def _describe(error: Exception, batch_size: int) -> str:
    return str(error) if isinstance(error, UserError) else describe_error(error, batch_size)


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main(arguments: list[str] | None = None) -> int:
    """Train the runs whose folders the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m core.runs.group_worker",
        description="Train several runs in this process, together where their networks allow.",
    )
    parser.add_argument("folders", type=Path, nargs="+", help="the runs' folders")
    try:
        GroupWorker([path.resolve() for path in parser.parse_args(arguments).folders]).run()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
