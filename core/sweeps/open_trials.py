"""The trials that a worker has taken: their signs of life, and how they end.

`Study.optimize` would do this for one trial at a time. Without signs of life, other workers take a
trial's slot. No optuna at import.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.sweeps import study
from core.sweeps.slots import INTERRUPTED

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import RDBStorage
    from optuna.trial import Trial


class OpenTrials:
    """Trials of a study that were taken and have not ended.

    As a context, it records their signs of life from a thread; those that are open at its end are
    given back to other workers.

    Args:
        opened: the study.
        storage: where it is stored, with an interval between two signs of life.
    """

    def __init__(self, opened: Study, storage: RDBStorage):
        self._study, self._storage = opened, storage
        self._study_id = storage.get_study_id_from_name(opened.study_name)
        self._trials: dict[int, tuple[int, Trial]] = {}  # id and trial by number; never changed
        self._current: int | None = None  # the trial that the storage is used for
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._record, name="heartbeat", daemon=True)

    def __enter__(self) -> OpenTrials:
        self._thread.start()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            for number, (_, trial) in self._trials.items():
                # An error of the storage counts as a death, but only of the trial that met it.
                is_death = number == self._current and isinstance(error, Exception)
                is_death = is_death and not isinstance(error, UserError)
                with contextlib.suppress(Exception):
                    self.end(trial, "FAIL", None if is_death else INTERRUPTED)
        finally:
            self._ended.set()
            self._thread.join()

    def take(self) -> Trial:
        """Take the next trial that waits."""
        with warnings.catch_warnings():
            # Optuna warns that only `optimize` records signs of life; here `_record` does.
            warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)
            trial = self._study.ask()
        number = trial.number
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        self._storage.record_heartbeat(trial_id)  # without a first one it never counts as dead
        self._trials = {**self._trials, number: (trial_id, trial)}
        return trial

    def end(
        self,
        trial: Trial,
        state: str,
        outcome: str | None = None,
        values: tuple[float, ...] | None = None,
    ) -> None:
        """Record how a trial ended.

        Args:
            trial: the trial.
            state: COMPLETE, with values, PRUNED or FAIL.
            outcome: of an attempt without a result, as in `slots`.
            values: of the objectives.
        """
        from optuna.trial import TrialState

        if outcome is not None:
            trial.set_user_attr("outcome", outcome)
        self._study.tell(trial, values, TrialState[state])
        self._remove(trial)

    @contextlib.contextmanager
    def working_on(self, trial: Trial) -> Iterator[None]:
        """Work on a trial, and give it up where others have ended it.

        They do so if they take this worker for dead, as after a clock that is set.
        """
        self._current = trial.number
        try:
            yield
        except Exception:
            attempts = study.read_attempts(self._study)
            if any(each.number == trial.number and each.is_open for each in attempts):
                raise
            self._remove(trial)
        self._current = None

    def _remove(self, trial: Trial) -> None:
        self._trials = {
            number: entry for number, entry in self._trials.items() if number != trial.number
        }

    def _record(self) -> None:
        while not self._ended.wait(self._storage.get_heartbeat_interval()):
            for trial_id, _ in self._trials.values():
                try:
                    self._storage.record_heartbeat(trial_id)
                except Exception:  # the storage is busy; the next sign is in time as well
                    break
