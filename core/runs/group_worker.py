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
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.runs import files, loading, run_queue, status, store, weights
from core.runs.group_runtime import computes_in
from core.runs.group_session import Session, describe_failure
from core.runs.run import Run
from core.runs.worker import (
    SAVE_SECONDS,
    Worker,
    handle_signals,
    is_out_of_memory,
)
from core.training.plan import plan
from core.training.stacking import can_stack, stacking_key

if TYPE_CHECKING:
    from core.data.dataset import Mnist
    from core.training.trainer import Training

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
        return stacking_key(self.run.config), self.run.runtime, position, self.run.is_tested

    @property
    def can_stack(self) -> bool:
        """Whether it can train together with others."""
        runtime = self.run.runtime
        if runtime is not None:
            return can_stack(self.run.config) and runtime.precision == "fp32"
        return can_stack(self.run.config) and computes_in(self.run, "fp32")


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
                self.end(worker, "failed", describe_failure(error, 0))
        return members

    def _train(self, group: list[Member]) -> None:
        """Train runs with the same key together; where memory is too small, in two halves."""
        if len(group) < 2 or not all(member.can_stack for member in group):
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
                    message = describe_failure(error, member.run.config.batch_size)
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
        workers = [member.worker for member in members]
        Session(self, workers, stack, group[0].run.is_tested).train()

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
