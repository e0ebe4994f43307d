"""A sweep's worker: take a slot, train its run, store the result, until nothing is left.

On a GPU it takes several slots whose runs can train as one stack. It is the same on one machine and
on several: whoever reaches the storage can work. If a worker dies, the others notice and train its
slots again with the same values. No optuna or torch at import.
"""

from __future__ import annotations

import math
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RunError, UserError
from core.runs import files, folders, jobs, run_names
from core.sweeps import slots, storage, study
from core.sweeps.open_trials import OpenTrials
from core.sweeps.slots import DUPLICATE, INTERRUPTED, REJECTED, UNTRAINABLE, WAITING
from core.sweeps.state import SweepState
from core.sweeps.sweep import AIMS, Sweep
from core.sweeps.training import (
    Epochs,
    Interrupted,
    Job,
    Train,
    TrainingFailed,
    choose_run_name,
    count_together,
    stop_runs,
    submit_together,
    train_in_queue,
    wait_for_runs,
)
from core.training.plan import plan
from core.training.results import EpochResult

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

LOOK_SECONDS = 2.0  # between two reads of the storage
MAX_REJECTED = 400  # samples in a row that make no network of the allowed size
MAX_FAILED = 5  # runs in a row that fail, after which the fault is taken to be this machine's


def run_worker(
    name: str,
    url: str | None = None,
    folder: Path | None = None,
    *,
    report: Callable[[str], None] = print,
    train: Train | None = None,
) -> SweepState:
    """Work on a sweep until it is over or stopped.

    Args:
        name: of the sweep.
        url, folder: as `study.create`.
        report: called with a line for each run that is done.
        train: trains a run; None: `train_in_queue`, after `submit_together` for several.

    Returns:
        The state of the sweep at the end.

    Raises:
        RunError: there is no such sweep, the storage cannot be used, or every run fails.
        UserError: a run exceeds this machine's limits.
    """
    folder = folder or folders.checkpoints_folder()
    opened, sweep = study.load(name, url, folder)
    with storage.storage_errors(url, folder):
        opened.set_user_attr("stopped", False)
    return _Worker(opened, sweep, url, folder, report, train).run()


class _TrainingError(Exception):
    """An error of a training, not of the storage; its argument is the outcome of the attempt."""


@dataclass(eq=False)
class _Attempt:
    """A trial of Optuna, and the training of its run."""

    trial: Trial
    job: Job
    epochs: Epochs = field(init=False)
    rows: list[EpochResult] = field(default_factory=list)
    is_pruned: bool = False


class _Worker:
    def __init__(
        self,
        opened: Study,
        sweep: Sweep,
        url: str | None,
        folder: Path,
        report: Callable[[str], None],
        train: Train | None,
    ):
        self.study, self.sweep, self.url, self.folder = opened, sweep, url, folder
        self.report, self.train = report, train
        self.rejected = self.failed = 0
        """Samples in a row that were rejected, and runs in a row that failed."""
        self.rejection = ""
        self._training_error: Exception | None = None
        self._looked = -math.inf
        self._stopped = False

    def run(self) -> SweepState:
        while True:
            with storage.storage_errors(self.url, self.folder):
                state = self._offer_slots()
                if state.is_over or self._is_stopped():
                    return state
            waiting = state.count(WAITING)
            if not waiting:
                time.sleep(LOOK_SECONDS)  # other workers may die, and leave their slots
                continue
            self._attempt_some(min(waiting, count_together(self.sweep, self.folder)))
            if self.rejected >= MAX_REJECTED:
                raise RunError(
                    f"{self.rejected} samples in a row made no network that may be trained: "
                    f"{self.rejection}; choose other ranges than those of {self.sweep.name}."
                )
            if self.failed >= MAX_FAILED:
                raise RunError(
                    f"{self.failed} runs in a row failed; see the last runs of {self.sweep.name}."
                )

    def _offer_slots(self) -> SweepState:
        if storage.is_missing(self.url, self.folder):
            raise RunError(
                "the file of the sweep's storage is gone; restore it, or start a new sweep."
            )
        study.fail_stale_attempts(self.study)
        return study.enqueue_open_slots(self.study, self.sweep)

    def _attempt_some(self, count: int) -> None:
        """Train the runs of so many slots at the same time.

        Raises:
            Exception: the first error of a training; the other runs are trained to their end.
        """
        attempts: list[_Attempt] = []
        with (
            storage.storage_errors(self.url, self.folder),
            OpenTrials(self.study, storage.connect(self.url, self.folder)) as self.trials,
        ):
            try:
                for _ in range(count):
                    trial = self.trials.take()
                    with self.trials.working_on(trial):
                        attempts += self._begin(trial)
                if self.train is None and len(attempts) > 1:
                    submit_together([attempt.job for attempt in attempts])
                active = attempts
                while active := [attempt for attempt in active if self._advance(attempt)]:
                    wait_for_runs(self.folder)
            except KeyboardInterrupt:
                stop_runs([attempt.job for attempt in attempts])
                raise
            finally:
                for attempt in attempts:
                    attempt.epochs.close()
        if (error := self._training_error) is not None:
            self._training_error = None
            raise error

    def _begin(self, trial: Trial) -> list[_Attempt]:
        """Sample the values of a trial's slot; nothing is returned where there is none to train."""
        attempts = study.read_attempts(self.study)
        slot = next((each.slot for each in attempts if each.number == trial.number), None)
        if slot is None or slots.is_duplicate(attempts, self.sweep.slots, trial.number, slot):
            self.trials.end(trial, "FAIL", DUPLICATE)
            return []
        job = self._sample(trial, slot)
        if job is None:
            return []
        for name, value in (("run", job.name), ("machine", platform.node())):
            trial.set_user_attr(name, value)
        attempt = _Attempt(trial, job)
        attempt.epochs = self._epochs(attempt)
        return [attempt]

    def _epochs(self, attempt: _Attempt) -> Epochs:
        """The epochs of an attempt; an error of the training is kept apart from the storage's."""
        train = self.train or train_in_queue
        try:
            yield from train(attempt.job, lambda: not attempt.is_pruned and not self._is_stopped())
        except (TrainingFailed, Interrupted):
            raise
        except Exception as error:
            self._training_error = self._training_error or error
            raise _TrainingError(INTERRUPTED if isinstance(error, UserError) else None) from error

    def _sample(self, trial: Trial, slot: int) -> Job | None:
        values = {
            name: dimension.suggest(trial, name) for name, dimension in self.sweep.space.items()
        }
        reason, parameters = "", 0
        try:
            config = self.sweep.config_with(values).changed(kept_epochs=0)
            parameters = plan(config).parameters
        except UserError as error:
            reason = str(error)
        if limit := self.sweep.max_parameters:
            trial.set_constraint("parameters", float(parameters - limit))
            if parameters > limit:
                reason = f"{parameters:,} parameters"
        if reason:
            trial.set_constraint("network", 1.0)
            if self.sweep.sampler == "grid":  # which has no other values for this slot
                trial.set_user_attr("reason", f"not trained: {reason}")
                self.trials.end(trial, "PRUNED", UNTRAINABLE)
            else:
                self.rejected, self.rejection = self.rejected + 1, reason
                self.trials.end(trial, "PRUNED", REJECTED)
            return None
        self.rejected = 0
        trial.set_user_attr("parameters", parameters)
        name = choose_run_name(self.sweep, slot, config, self.folder)
        return Job(self.sweep, slot, name, config, self.folder)

    def _advance(self, attempt: _Attempt) -> bool:
        """Record what an attempt has trained since the last time; return whether it goes on."""
        trial, job = attempt.trial, attempt.job
        with self.trials.working_on(trial):
            try:
                for row in attempt.epochs:
                    if row is None:
                        return True
                    attempt.rows.append(row)
                    if len(AIMS[self.sweep.aim]) == 1:
                        trial.report(row.val_accuracy, row.epoch)
                        attempt.is_pruned = row.epoch < job.config.epochs and trial.should_prune()
            except Interrupted:
                if not attempt.is_pruned:
                    self.trials.end(trial, "FAIL", INTERRUPTED)
                    return False
            except TrainingFailed as error:
                self.failed += 1
                self.report(f"{job.name}: {error}")
                trial.set_user_attr("reason", str(error)[: slots.MAX_TEXT])
                trial.set_constraint("network", 1.0)
                self.trials.end(trial, "PRUNED", UNTRAINABLE)
                return False
            except _TrainingError as error:
                self.trials.end(trial, "FAIL", error.args[0])
                return False
            self._complete(attempt)
        return False

    def _complete(self, attempt: _Attempt) -> None:
        """Record the result of a run that is finished or pruned."""
        rows, trial, job = attempt.rows, attempt.trial, attempt.job
        self.failed = 0
        figures = {
            "accuracy": rows[-1].val_accuracy,
            "parameters": plan(job.config).parameters,
            "seconds": sum(row.seconds for row in rows),
        }
        for name in ("accuracy", "seconds"):
            trial.set_user_attr(name, figures[name])
        accuracy = f"{figures['accuracy']:.2f} % of the validation images"
        pruning = f", pruned after epoch {rows[-1].epoch}" if attempt.is_pruned else ""
        self.report(f"{job.name}: {accuracy}, {figures['parameters']:,} parameters{pruning}")
        if attempt.is_pruned:
            self.trials.end(trial, "PRUNED")
        else:
            self.trials.end(
                trial, "COMPLETE", values=tuple(figures[n] for n in AIMS[self.sweep.aim])
            )

    def _is_stopped(self) -> bool:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._stopped = self.study.user_attrs.get("stopped") is True
        return self._stopped


def start(name: str, folder: Path | None = None) -> None:
    """Start a worker in the background, unless one of this machine already works on the sweep.

    Raises:
        RunError: no process could be started.
    """
    folder = folder or folders.checkpoints_folder()
    run_names.check_name(name)
    with files.lock_folder(folder):
        if not is_working(name, folder):
            _job(name, folder).start("core.sweeps.worker", folder, name)


def is_working(name: str, folder: Path | None = None) -> bool:
    """Whether a worker that `start` began on this machine is running."""
    return _job(name, folder).is_alive


def last_error(name: str, folder: Path | None = None) -> str:
    """The error that ended the worker that `start` began; "" for none."""
    return _job(name, folder).last_error


def _job(name: str, folder: Path | None) -> jobs.Job:
    return jobs.Job((folder or folders.checkpoints_folder()) / storage.FOLDER, name)


def main(arguments: list[str] | None = None) -> int:
    """Work on the sweep that the command line names: FOLDER NAME."""
    folder, name = (arguments or sys.argv[1:])[:2]
    return jobs.run(
        lambda: run_worker(name, folder=Path(folder), report=lambda line: print(line, flush=True))
    )


if __name__ == "__main__":
    sys.exit(main())
