"""The process that trains a run: `python -m core.runs.worker RUN_FOLDER`. What happens is told in the run's folder.

It takes a place of the queue, trains, looks for requests and signals, and says how it ended. What is written when
is in `record`.
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
from collections.abc import Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from core.errors import UserError
from core.runs import files, loading, processes, run_queue, status, store
from core.runs.recorder import Recorder, position

if TYPE_CHECKING:
    from core.data.dataset import Mnist
    from core.runs.run import Run
    from core.training.trainer import Training

SAVE_SECONDS = 10.0
POLL_SECONDS = 0.1
STOP_SECONDS = 1.2  # seconds that a stop waits for the step under way
IN_A_STEP = "left in the middle of a step; goes on from the last saved state"


class Worker:
    """Trains one run in this process.

    Args:
        folder: the run's folder.
        data: what to train on; None: MNIST.
        save_every: seconds between two states to resume from, besides those at the end of each epoch.
        own_process: whether this process may be left at once when a stop finds it in a long step.
    """

    def __init__(
        self,
        folder: Path,
        data: Mnist | None = None,
        save_every: float = SAVE_SECONDS,
        own_process: bool = False,
    ):
        self.folder, self.data, self.own_process = folder, data, own_process
        self.record = Recorder(folder, save_every)
        self.me = processes.identity()
        self._signalled = False
        self._asked: str | None = None
        self._factor: float | None = None
        self._left: tuple[str, str] | None = None
        self._ended = threading.Event()

    def run(self) -> str:
        """Train until the end, a stop or a failure.

        Returns:
            The state the run is left in; "queued" or another worker's state when it was not ours to train.

        Raises:
            UserError: the run cannot be trained at all, or not even its end could be written down.
        """
        with self._signals():
            if not run_queue.claim(self.folder):
                return status.read(self.folder).state
            self._look()  # now: a quick run could be over before the watcher first does
            threading.Thread(target=self._watch, name="watcher", daemon=True).start()
            try:
                state, message = self._train_in_words()
                with self.record.busy:
                    self._end(state, message)
            finally:
                self._ended.set()
        run_queue.start_waiting(self.folder.parent)
        return state

    def _train_in_words(self) -> tuple[str, str]:
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
        except (
            Exception
        ) as error:  # whatever it is, the person who looks at the run must hear of it
            traceback.print_exc()
            return "failed", describe_error(error, batch_size)

    def _train(self, run: Run) -> tuple[str, str]:
        from core.data import dataset
        from core.training.results import BatchResult, EpochResult
        from core.training.trainer import Training

        data = self.data or dataset.load(progress=self._loading)
        saved = self.record.saved()
        training = Training(
            run.config,
            data,
            saved["training"] if saved else None,
            run.runtime,
            self.record.start_weights(),
            loading.load_teacher(run.config, self.folder.parent),
        )
        self.record.take_up(training, saved)
        status.write(self.folder, "running", "", self.me)
        with contextlib.closing(cast(Generator[Any, None, None], training.run())) as results:
            for result in results:
                if isinstance(result, BatchResult):
                    self.record.batch(result)
                elif isinstance(result, EpochResult):
                    self.record.epoch(training, result)
                else:
                    self.record.test(result)
                if training.finished:
                    continue
                if self._factor is not None:
                    self._change_rate(training)
                asked = self._asked
                if asked in ("stop", "pause") or (
                    asked == "pause-after-epoch" and isinstance(result, EpochResult)
                ):
                    self.record.save(training)
                    self._left = ("stopped" if asked == "stop" else "paused"), _place(training)
                    return self._left  # ends what augments in the background, too
                if self.record.is_due():
                    self.record.save(training)
        return "finished", ""

    def _change_rate(self, training: Training) -> None:
        factor, self._factor = self._factor, None
        if factor is not None and factor != training.rate_factor:
            self.record.rate(training, factor)
        status.clear_lr_factor(self.folder)

    def _end(self, state: str, message: str) -> None:
        files.release_space(self.folder)
        with contextlib.suppress(files.DiskFullError):  # the status matters more
            self.record.ended(state, message)
        status.write(self.folder, state, message)
        status.clear_request(self.folder)
        if state == "finished":
            (self.folder / "state.pt").unlink(missing_ok=True)

    def _loading(self, text: str, share: float) -> None:
        status.write(self.folder, "running", f"{text} ({share:.0%})", self.me)

    def _look(self) -> None:
        self._factor = status.read_lr_factor(self.folder)
        self._asked = "stop" if self._signalled else status.read_request(self.folder)

    def _watch(self) -> None:
        """Look for requests; where a stop cannot be had in time between two steps, have it at once."""
        since: float | None = None
        while not self._ended.wait(POLL_SECONDS):
            self._look()
            if self._asked not in ("stop", "pause"):
                since = None
                continue
            since = since or time.monotonic()
            if self.own_process and time.monotonic() - since > STOP_SECONDS:
                with self.record.busy:
                    if not self._ended.is_set():
                        self._leave(
                            *(
                                self._left
                                or ("stopped" if self._asked == "stop" else "paused", IN_A_STEP)
                            )
                        )

    def _leave(self, state: str, message: str) -> None:
        try:
            self._end(state, message)
            run_queue.start_waiting(self.folder.parent)
        except UserError as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(0)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT for a stop, where this thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signalled, self._asked = True, "stop"


def train(folder: Path, data: Mnist | None = None, save_every: float = SAVE_SECONDS) -> str:
    """Train a run in this process, as `Worker.run` does; SIGTERM and SIGINT stop it."""
    return Worker(folder, data, save_every).run()


def describe_error(error: Exception, batch_size: int) -> str:
    """Why training failed, in a sentence; the usual suspects, memory and disk, by name."""
    text = str(error).strip()
    if (
        isinstance(error, MemoryError)
        or "out of memory" in text.lower()
        or "can't allocate memory" in text
    ):
        return f"out of memory at batch size {batch_size}" + (
            f"; try {batch_size // 2}" if batch_size > 1 else ""
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return str(files.disk_full_error(Path(error.filename or "a file")))
    return f"{type(error).__name__}: {(text.splitlines() or ['no reason given'])[0][:300]}"


def _place(training: Training) -> str:
    epoch, step = position(training)
    return (
        f"after epoch {epoch}"
        if step == training.steps
        else f"in epoch {epoch}, step {step} of {training.steps}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Train the run whose folder the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m core.runs.worker", description="Train a run in this process."
    )
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument(
        "--save-every",
        type=float,
        default=SAVE_SECONDS,
        metavar="SECONDS",
        help="between two states to resume from, besides the end of each epoch",
    )
    options = parser.parse_args(arguments)
    try:
        folder = options.folder.resolve()
        store.open_run(folder.name, folder.parent)
        state = Worker(folder, save_every=options.save_every, own_process=True).run()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if state in ("finished", "stopped", "paused", "queued", "running") else 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is written; taking torch apart in an orderly way would only keep the process around for another second.
    os._exit(code)
