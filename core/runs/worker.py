"""The process that trains a run: `python -m core.runs.worker RUN_FOLDER`.

It takes a slot of the queue, trains, watches for requests and signals, and records how it ended.
What is written when is in `recorder`.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from core.errors import UserError
from core.runs import files, jobs, loading, processes, run_queue, status, store, weights
from core.runs.digit_file import load_own
from core.runs.group_runtime import hold_group, resolve_group_runtime
from core.runs.recorder import Recorder, get_position
from core.runs.run import STATE
from core.training.plan import plan

if TYPE_CHECKING:
    from core.data.dataset import Mnist
    from core.runs.run import Run
    from core.training.stacked.snapshot import Snapshot
    from core.training.trainer import Training

SAVE_SECONDS = 10.0
POLL_SECONDS = 0.1
LOCK_SECONDS = 2.0  # somebody may be testing whether a worker holds the lock
STOP_SECONDS = 1.2  # how long a stop waits for the step under way
LEFT_IN_A_STEP = "stopped within a step; continues from the last saved state"


class Worker:
    """Trains one run in this process.

    Args:
        folder: the run's folder.
        data: the data set; None: MNIST.
        save_every: seconds between two states to resume from, besides those after each epoch.
        may_exit: whether a stop that meets a long step may end this process.
    """

    def __init__(
        self,
        folder: Path,
        data: Mnist | None = None,
        save_every: float = SAVE_SECONDS,
        may_exit: bool = False,
    ):
        self.folder, self.data, self.may_exit = folder, data, may_exit
        self.recorder = Recorder(folder, save_every)
        self.process = processes.identity()
        self._signalled = False
        self.request: str | None = None
        """What the worker was asked to do, as of the last `read_requests`."""
        self.lr_factor: float | None = None
        """Requested factor of the learning rate that is not applied yet."""
        self._outcome: tuple[str, str] | None = None
        self._ended = threading.Event()
        self._lock = contextlib.ExitStack()

    def run(self) -> str:
        """Train until the end, a stop or a failure.

        Returns:
            The state that the run is left in; where another process trains the run or all slots
            are taken, the state it is in.

        Raises:
            UserError: the run cannot be trained at all, or not even its end could be recorded.
        """
        with handle_signals(self.request_stop), self._lock:
            if not self.claim():
                return status.read(self.folder).state
            state = self.train_claimed()
        run_queue.start_waiting(self.folder.parent)
        return state

    def claim(self) -> bool:
        """Take a slot of the queue and the run's lock; False where the run must wait.

        Raises:
            UserError: as `run`.
        """
        if not run_queue.claim(self.folder):
            return False
        path = self.folder / status.WORKER_LOCK
        self._lock.enter_context(jobs.hold_lock(path, LOCK_SECONDS))
        self.read_requests()  # at once: a quick run could end before the watcher looks
        return True

    def train_claimed(self) -> str:
        """Train a run that was claimed; return the state that it is left in."""
        threading.Thread(target=self._watch, name="watcher", daemon=True).start()
        try:
            state, message = self._train_and_describe()
            with self.recorder.lock:
                self.record_end(state, message)
        finally:
            self._ended.set()
        return state

    def _train_and_describe(self) -> tuple[str, str]:
        """Train, and return the final state and message whatever happens."""
        batch_size = 0
        try:
            files.reserve_space(self.folder)
            run = store.open_run(self.folder.name, self.folder.parent)
            batch_size = run.config.batch_size
            from core.training.trainer import Diverged

            try:
                return self._train(run)
            except Diverged as error:
                return "diverged", str(error)
        except UserError as error:
            return "failed", str(error)
        except Exception as error:  # whatever it is, it must be recorded in the run
            traceback.print_exc()
            return "failed", describe_error(error, batch_size)

    def _train(self, run: Run) -> tuple[str, str]:
        from core.data import dataset
        from core.training.results import BatchResult, EpochResult
        from core.training.trainer import Training

        data = self.data or dataset.load(progress=self.report_loading)
        state = self.recorder.load_state()
        teacher = loading.load_teacher(run.config, self.folder.parent)
        own = load_own(run.config, self.folder)
        with hold_group(run):
            training = Training(
                run.config,
                data,
                state["training"] if state else None,
                resolve_group_runtime(run, data, teacher),
                self.recorder.load_start_weights(weights.expected_tensors(plan(run.config).rows)),
                teacher,
                own,
            )
            self.recorder.restore(training, state)
        status.write(self.folder, "running", training.notice, self.process)
        with contextlib.closing(
            cast(Generator[Any, None, None], training.run(run.is_tested))
        ) as results:
            for result in results:
                if isinstance(result, BatchResult):
                    self.recorder.record_batch(result)
                elif isinstance(result, EpochResult):
                    self.recorder.record_epoch(training, result)
                else:
                    self.recorder.record_test(result)
                if training.finished:
                    continue
                self.apply_lr_factor(training)
                request = self.request
                if request in ("stop", "pause") or (
                    request == "pause-after-epoch" and isinstance(result, EpochResult)
                ):
                    self.recorder.save_state(training)
                    state_name = "stopped" if request == "stop" else "paused"
                    self._outcome = state_name, describe_position(training)
                    return self._outcome  # closing the generator ends the augmenting processes too
                if self.recorder.should_save():
                    self.recorder.save_state(training)
        return "finished", ""

    def apply_lr_factor(self, training: Training) -> None:
        """Apply and record a requested factor of the learning rate."""
        factor, self.lr_factor = self.lr_factor, None
        if factor is None:
            return
        if factor != training.rate_factor:
            training.scale_rate(factor)
            self.recorder.record_lr_factor(training)
        status.clear_lr_factor(self.folder)

    def record_end(self, state: str, message: str) -> None:
        """Record how training ended, and give up the run."""
        files.release_space(self.folder)
        with contextlib.suppress(files.DiskFullError):  # the status matters more
            self.recorder.append_end(state, message)
        self._lock.close()  # as soon as the status tells, another worker may start
        status.write(self.folder, state, message)
        status.clear_request(self.folder)
        if state == "finished":
            files.remove_file(self.folder / STATE)

    def report_loading(self, text: str, fraction: float) -> None:
        """Tell in the status how far the loading of the data set is."""
        status.write(self.folder, "running", f"{text} ({fraction:.0%})", self.process)

    def read_requests(self) -> None:
        """Read what was requested of this run."""
        self.lr_factor = status.read_lr_factor(self.folder)
        self.request = "stop" if self._signalled else status.read_request(self.folder)

    def _watch(self) -> None:
        """Poll for requests; end the process where a stop would have to wait for a long step."""
        since: float | None = None
        while not self._ended.wait(POLL_SECONDS):
            self.read_requests()
            if self.request not in ("stop", "pause"):
                since = None
                continue
            since = since or time.monotonic()
            if self.may_exit and time.monotonic() - since > STOP_SECONDS:
                with self.recorder.lock:
                    if not self._ended.is_set():
                        state = "stopped" if self.request == "stop" else "paused"
                        self._exit(*(self._outcome or (state, LEFT_IN_A_STEP)))

    def _exit(self, state: str, message: str) -> None:
        try:
            self.record_end(state, message)
            run_queue.start_waiting(self.folder.parent)
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(0)

    def request_stop(self) -> None:
        """Stop as if it had been requested through the run's folder."""
        self._signalled, self.request = True, "stop"

    def release(self) -> None:
        """Give up the run's lock."""
        self._lock.close()


@contextlib.contextmanager
def handle_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on SIGTERM and SIGINT; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def train(folder: Path, data: Mnist | None = None, save_every: float = SAVE_SECONDS) -> str:
    """Train a run in this process, as `Worker.run` does; SIGTERM and SIGINT stop it."""
    return Worker(folder, data, save_every).run()


def describe_error(error: Exception, batch_size: int) -> str:
    """Return one sentence on why training failed; full memory and full disk are named as such.

    Args:
        error: what training raised.
        batch_size: of the run, to suggest a smaller one.
    """
    text = str(error).strip()
    if is_out_of_memory(error):
        return f"out of memory at batch size {batch_size}" + (
            f"; try {batch_size // 2}" if batch_size > 1 else ""
        )
    if "DataLoader worker" in text:
        return (
            "a process that augments images ended unexpectedly: it was killed, or memory ran out; "
            "resume to continue"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return str(files.disk_full_error(Path(error.filename or "a file")))
    return f"{type(error).__name__}: {(text.splitlines() or ['no reason given'])[0][:300]}"


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory is full, of this machine or of its GPU."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or "out of memory" in text.lower()
        or "can't allocate memory" in text
    )


def describe_position(training: Training | Snapshot) -> str:
    """Return where a run is, for its status."""
    epoch, step = get_position(training)
    if step == training.steps:
        return f"after epoch {epoch}"
    return f"in epoch {epoch}, step {step} of {training.steps}"


def main(arguments: list[str] | None = None) -> int:
    """Train the run whose folder the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m core.runs.worker", description="Train a run in this process."
    )
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument(
        "--save-every",
        type=float,
        default=SAVE_SECONDS,
        metavar="SECONDS",
        help="time between two states to resume from, besides those after each epoch",
    )
    options = parser.parse_args(arguments)
    try:
        folder = options.folder.resolve()
        store.open_run(folder.name, folder.parent)
        state = Worker(folder, save_every=options.save_every, may_exit=True).run()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if state in ("finished", "stopped", "paused", "queued", "running") else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written; an orderly end of torch would keep the process for another second.
    os._exit(code)
