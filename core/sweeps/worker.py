"""Working on a sweep: take up a place, train its run through the queue, tell what came out, until nothing is left.

The same on one machine and on many: whoever reaches the storage may work. A worker that dies is noticed by the others,
and its place is taken up again with what was drawn for it. Neither optuna nor torch at import.
"""

from __future__ import annotations

import contextlib
import platform
import sys
import time
import warnings
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import RunConfig
from core.errors import RunError, UserError
from core.runs import control, creation, files, folders, jobs, run_names, run_queue, store
from core.sweeps import slots as sweep_places
from core.sweeps import space as sweep_space
from core.sweeps import storage as sweep_storage
from core.sweeps import sweep as sweeps
from core.sweeps.slots import BROKEN, LEFT, REFUSED, SURPLUS, WAITING
from core.sweeps.sweep import AIMS, Found, Sweep
from core.training.plan import plan
from core.training.results import EpochResult

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial

POLL = 0.3  # seconds between two looks at a run
LOOK = 2.0  # seconds between two looks at the storage
STOP_SECONDS = 30.0
CRASHES = 2  # after which a run is not taken up again
REFUSED_IN_A_ROW = 400  # draws that make no network of the size asked for
BROKEN_IN_A_ROW = (
    5  # runs that cannot be trained, after which the fault is taken to be this machine's
)


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained for a place of a sweep."""

    sweep: Sweep
    place: int
    name: str
    """Of the run."""
    config: RunConfig
    folder: Path
    """The checkpoints folder."""


class Broken(RunError):
    """A run cannot be trained to its end, and could not the next time."""


class Left(Exception):
    """A run was left before its end, since it was asked for."""


Epochs = Generator[EpochResult, None, None]
Train = Callable[[Job, Callable[[], bool]], Epochs]
"""Trains a job: gives its epochs from the first on, and raises Left soon after the function given no longer holds."""


def work(
    name: str,
    url: str | None = None,
    folder: Path | None = None,
    *,
    say: Callable[[str], None] = print,
    train: Train | None = None,
) -> Found:
    """Work on a sweep until nothing is left of it, its time is used up, or somebody stops it.

    Args:
        name: of the sweep.
        url, folder: as `sweeps.find`.
        say: gets a line for each run that is through.
        train: trains a run; None: through the queue.

    Returns:
        The sweep as it stands then.

    Raises:
        RunError: there is no such sweep, the storage cannot be reached, or nothing can be trained here.
        UserError: the machine lends no more room.
    """
    folder = folder or folders.checkpoints_folder()
    with sweep_storage.reached(url):
        study, sweep = sweeps.load(name, url, folder)
        study.set_user_attr("stopped", False)
        return _Worker(study, sweep, folder, say, train or through_queue).work()


class _Worker:
    def __init__(
        self, study: Study, sweep: Sweep, folder: Path, say: Callable[[str], None], train: Train
    ):
        self.study, self.sweep, self.folder, self.say, self.train = study, sweep, folder, say, train
        self.trial: Trial | None = None
        self.refused = self.broken = 0
        """Draws in a row that make no network, and runs in a row that cannot be trained."""
        self.why = ""
        self._looked = 0.0
        self._stopped = False

    def work(self) -> Found:
        import optuna

        while True:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(self.study)
            found = sweeps.offer(self.study, self.sweep)
            if found.over or self._is_stopped():
                return found
            if not found.count(WAITING):
                time.sleep(LOOK)  # the others may die, and their places are then ours
                continue
            try:
                self.study.optimize(self._try, n_trials=1)
            except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
                # We were taken for dead, and somebody else has this place now.
                if not self._lost:
                    raise
            if self.refused >= REFUSED_IN_A_ROW:
                raise RunError(
                    f"{self.refused} draws in a row made no network that may be trained: {self.why}; choose "
                    f"other ranges than those of {self.sweep.name}."
                )
            if self.broken >= BROKEN_IN_A_ROW:
                raise RunError(
                    f"{self.broken} runs in a row could not be trained; see what {self.sweep.name}'s last "
                    "runs say."
                )

    @property
    def _lost(self) -> bool:
        return (
            self.trial is not None
            and self.study._storage.get_trial(self.trial._trial_id).state.is_finished()
        )

    def _try(self, trial: Trial) -> Any:
        """One attempt at a place. Nothing is returned where there is no result, which Optuna takes for a failure."""
        self.trial = trial
        place: Any = trial.user_attrs.get("place")
        if sweep_places.is_surplus(
            self.study.get_trials(deepcopy=False), self.sweep.places, trial.number, place
        ):
            trial.set_user_attr("ended", SURPLUS)
            return None
        job = self._draw(trial, place)
        for name, value in (("run", job.name), ("machine", platform.node())):
            trial.set_user_attr(name, value)
        try:
            return self._train(trial, job)
        except (UserError, KeyboardInterrupt):
            trial.set_user_attr("ended", LEFT)
            raise

    def _draw(self, trial: Trial, place: int) -> Job:
        from optuna import TrialPruned

        drawn = {name: dimension.draw(trial, name) for name, dimension in self.sweep.space.items()}
        try:
            config = sweep_space.apply(self.sweep.config, drawn)
            parameters, words = plan(config).parameters, ""
        except UserError as error:
            parameters, words = 0, str(error)
        if most := self.sweep.max_parameters:
            trial.set_constraint("parameters", float(parameters - most))
            if parameters > most:
                words = f"{parameters:,} parameters"
        if words:
            trial.set_constraint("network", 1.0)
            if self.sweep.sampler == "grid":  # which has nothing else to offer for this place
                trial.set_user_attr("reason", f"not trained: {words}")
            else:
                self.refused, self.why = self.refused + 1, words
            trial.set_user_attr("ended", BROKEN if self.sweep.sampler == "grid" else REFUSED)
            raise TrialPruned(words)
        self.refused = 0
        trial.set_user_attr("parameters", parameters)
        return Job(
            self.sweep,
            place,
            _run_name(self.sweep, place, config, self.folder),
            config,
            self.folder,
        )

    def _train(self, trial: Trial, job: Job) -> Any:
        from optuna import TrialPruned

        rows: list[EpochResult] = []
        alone, pruned = len(AIMS[self.sweep.aim]) == 1, False
        with contextlib.closing(
            self.train(job, lambda: not pruned and not self._is_stopped())
        ) as epochs:
            try:
                for row in epochs:
                    rows.append(row)
                    if alone:
                        trial.report(row.val_accuracy, row.epoch)
                        pruned = row.epoch < job.config.epochs and trial.should_prune()
            except Broken as error:
                self.broken += 1
                self.say(f"{job.name}: {error}")
                trial.set_user_attr("reason", str(error)[:500])
                trial.set_user_attr("ended", BROKEN)
                trial.set_constraint("network", 1.0)
                raise TrialPruned(str(error)) from None
            except Left:
                if not pruned:
                    trial.set_user_attr("ended", LEFT)
                    return None
        self.broken = 0
        facts = {
            "accuracy": rows[-1].val_accuracy,
            "parameters": plan(job.config).parameters,
            "seconds": sum(row.seconds for row in rows),
        }
        for name in ("accuracy", "seconds"):
            trial.set_user_attr(name, facts[name])
        self.say(
            f"{job.name}: {facts['accuracy']:.2f} % of the held-out images with {facts['parameters']:,} parameters"
            + (f", ended after epoch {rows[-1].epoch}" if pruned else "")
        )
        if pruned:
            raise TrialPruned
        return tuple(facts[name] for name in AIMS[self.sweep.aim])

    def _is_stopped(self) -> bool:
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self._stopped = bool(self.study.user_attrs.get("stopped"))
        return self._stopped


def through_queue(job: Job, go_on: Callable[[], bool]) -> Epochs:
    """Train a job as an ordinary run of this machine, in the queue with all others, and give its epochs as they end.

    Raises:
        Broken: it diverged, failed, or was stopped by somebody else.
        Left: it was stopped since `go_on` no longer holds.
        UserError: the machine lends no room for it.
    """
    name, folder = job.name, job.folder
    if not (folder / name).exists():
        creation.create_run(
            job.config, name, recipe=job.sweep.recipe, tags=(job.sweep.name,), folder=folder
        )
    if store.open_run(name, folder).can_resume:
        run_queue.submit(name, folder)
    shown = crashes = 0
    try:
        while True:
            run_queue.start_waiting(folder)
            run = store.open_run(name, folder)
            for row in run.epochs[shown:]:
                shown += 1
                yield row
            if run.state == "finished":
                return
            if run.state == "crashed" and run.can_resume and crashes < CRASHES:
                crashes += 1
                run_queue.submit(name, folder)
            elif run.state == "stopped":
                raise Broken("it was stopped by hand.")
            elif run.state in ("diverged", "failed", "crashed"):
                raise Broken(f"it {run.state}: {run.message}")
            if not go_on():
                _halt(name, folder)
                raise Left
            time.sleep(POLL)
    except KeyboardInterrupt:
        _halt(name, folder)
        raise


def _halt(name: str, folder: Path) -> None:
    with contextlib.suppress(RunError):  # it has ended meanwhile
        control.stop(name, folder)
    control.wait_until_idle(name, folder, seconds=STOP_SECONDS)


def _run_name(sweep: Sweep, place: int, config: RunConfig, folder: Path) -> str:
    """The name of a place's run; a run that has this name but another config keeps it."""
    wanted = sweep.run_name(place)
    if not (folder / wanted).exists():
        return wanted
    try:
        mine = store.open_run(wanted, folder).config == config
    except RunError:
        mine = False
    return wanted if mine else run_names.find_free_name(wanted, folder)


# ---- a worker in a process of its own, for a page


def start(name: str, folder: Path | None = None) -> None:
    """Begin to work on a sweep in a process of its own, unless one of this machine's does so already.

    Raises:
        RunError: no process could be started.
    """
    folder = folder or folders.checkpoints_folder()
    run_names.check_name(name)
    with files.lock_folder(folder):
        if working(name, folder):
            return
        _job(name, folder).start("core.sweeps.worker", folder, name)


def working(name: str, folder: Path | None = None) -> bool:
    """Whether a process that `start` began on this machine works on a sweep."""
    return _job(name, folder).is_alive


def last_words(name: str, folder: Path | None = None) -> str:
    """The error that ended the process that `start` began; "" for none."""
    return _job(name, folder).last_error


def _job(name: str, folder: Path | None) -> jobs.Job:
    return jobs.Job((folder or folders.checkpoints_folder()) / sweep_storage.FOLDER, name)


def main(arguments: list[str] | None = None) -> int:
    """Work on the sweep that the command line names: FOLDER NAME."""
    folder, name = (arguments or sys.argv[1:])[:2]
    return jobs.run(
        lambda: work(name, folder=Path(folder), say=lambda line: print(line, flush=True))
    )


if __name__ == "__main__":
    sys.exit(main())
