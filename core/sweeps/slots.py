"""The slots of a sweep: each holds one run to train, and Optuna's trials are attempts at it.

Anyone who reaches the storage may have written what it holds, so `read_attempt` checks every value.
Neither optuna nor torch at import.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from core import aliases
from core.errors import UserError
from core.runs.run_names import check_name

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MAX_ATTEMPTS = 3  # times that a slot's worker may die before the slot has failed
# States of a slot.
OPEN, WAITING, RUNNING = "open", "waiting", "running"
DONE, PRUNED, FAILED = "done", "pruned", "failed"
# Outcomes of an attempt that gave no result.
DUPLICATE = "duplicate"
"""Another attempt at the slot was first."""
INTERRUPTED = "interrupted"
"""The worker was stopped."""
REJECTED = "rejected"
"""The sampled values make no network that may be trained; others are sampled."""
UNTRAINABLE = "untrainable"
"""The run failed, and would fail again."""
MAX_TEXT = 500
_MAX_NAME = 100  # characters of a name


@dataclass(frozen=True, slots=True)
class Attempt:
    """A checked trial of Optuna; a value that is missing or not valid is None."""

    number: int
    state: str
    """Optuna's name for it: WAITING, RUNNING, COMPLETE, PRUNED or FAIL."""
    slot: int | None
    outcome: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float | None = None
    parameters: int | None = None
    seconds: float | None = None
    run: str | None = None
    machine: str | None = None
    reason: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    epochs: tuple[float, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether it waits for a worker, or has one."""
        return self.state in ("WAITING", "RUNNING")

    @property
    def is_complete(self) -> bool:
        """Whether it has a result, with all its figures."""
        figures = (self.accuracy, self.parameters, self.seconds)
        return self.state == "COMPLETE" and None not in figures


@dataclass(frozen=True, slots=True)
class Trial:
    """The state of a slot."""

    slot: int
    """From 1."""
    state: str
    """`open`, `waiting`, `running`, `done`, `pruned` or `failed`."""
    params: Mapping[str, Any]
    """The sampled values; empty before they are sampled."""
    accuracy: float | None = None
    """Validation accuracy after the last epoch so far, in percent."""
    parameters: int | None = None
    seconds: float | None = None
    """Training time."""
    run: str | None = None
    machine: str | None = None
    reason: str = ""
    """Why it failed."""
    began: datetime | None = None
    ended: datetime | None = None
    epochs: tuple[float, ...] = ()
    """Accuracy by epoch, if it was reported."""
    best: bool = False
    """Whether it is the best trial, or on the Pareto front."""

    @property
    def title(self) -> str:
        """The name of its run, or the slot's number before it has one."""
        return self.run or f"run {self.slot}"

    def to_dict(self) -> dict[str, Any]:
        """The trial as JSON values."""
        values = dataclasses.asdict(self)
        for name in ("began", "ended"):
            values[name] = values[name].isoformat() if values[name] else None
        return values


def read_attempt(trial: FrozenTrial) -> Attempt:
    """Check a trial of Optuna."""
    attributes = {aliases.TRIAL.get(name, name): value for name, value in trial.user_attrs.items()}
    reports = trial.intermediate_values
    epochs = tuple(reports[step] for step in sorted(reports))
    if not all(_is_number(value, 0, 100) for value in epochs):
        epochs = ()
    accuracy = _number(attributes.get("accuracy"), 0, 100)
    parameters = _number(attributes.get("parameters"), 1, 1e9)
    outcome = aliases.current_value("outcome", attributes.get("outcome"))
    slot = attributes.get("slot")
    return Attempt(
        trial.number,
        trial.state.name,
        slot if type(slot) is int else None,
        outcome if outcome in (DUPLICATE, INTERRUPTED, REJECTED, UNTRAINABLE) else None,
        _params(trial.params),
        accuracy if accuracy is not None or not epochs else epochs[-1],
        None if parameters is None else int(parameters),
        _number(attributes.get("seconds"), 0, 1e9),
        read_name(attributes.get("run")),
        _text(attributes.get("machine"), _MAX_NAME) or None,
        _text(attributes.get("reason"), MAX_TEXT),
        _to_utc(trial.datetime_start),
        _to_utc(trial.datetime_complete),
        epochs,
    )


def attempts_by_slot(attempts: Iterable[Attempt], slots: int) -> dict[int, list[Attempt]]:
    """The attempts at each slot, from 1 to `slots`, the oldest first, without duplicates."""
    by_slot: dict[int, list[Attempt]] = {slot: [] for slot in range(1, slots + 1)}
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        if attempt.outcome != DUPLICATE and attempt.slot in by_slot:
            by_slot[attempt.slot].append(attempt)
    return by_slot


def is_duplicate(attempts: Iterable[Attempt], slots: int, number: int, slot: int | None) -> bool:
    """Whether the attempt of this number, which a worker has just started, is not needed.

    It is not if its slot has a result, or an older attempt that is open. Attempts are numbered in
    the order in which they are made, so only one attempt at a slot is ever needed.
    """
    of_slot = attempts_by_slot(attempts, slots).get(slot or 0)
    if of_slot is None:
        return True
    others = [attempt for attempt in of_slot if attempt.number != number]
    return slot_state(others) in (DONE, PRUNED, FAILED) or any(
        attempt.number < number and attempt.is_open for attempt in others
    )


def slot_state(attempts: Sequence[Attempt]) -> str:
    """The state of a slot, from the attempts at it."""
    if any(attempt.is_complete for attempt in attempts):
        return DONE
    deaths = 0
    for attempt in attempts:
        if attempt.outcome == UNTRAINABLE or attempt.state == "COMPLETE":
            return FAILED
        if attempt.state == "PRUNED" and attempt.outcome != REJECTED:
            return PRUNED
        deaths += attempt.state == "FAIL" and attempt.outcome is None
    states = {attempt.state for attempt in attempts}
    if "RUNNING" in states:
        return RUNNING
    if "WAITING" in states:
        return WAITING
    return FAILED if deaths >= MAX_ATTEMPTS else OPEN


def to_trial(slot: int, attempts: Sequence[Attempt], best: Container[int] = ()) -> Trial:
    """The state of a slot with the values of its most telling attempt.

    Args:
        slot: from 1.
        attempts: at the slot, the oldest first.
        best: slots of the best trials.
    """
    state = slot_state(attempts)
    order = {"COMPLETE": 3, "PRUNED": 2, "RUNNING": 1}
    shown = max(
        (attempt for attempt in attempts if attempt.outcome != REJECTED),
        key=lambda attempt: (order.get(attempt.state, 0), attempt.number),
        default=None,
    )
    if shown is None:
        return Trial(slot, state, {})
    reason = shown.reason
    if state == FAILED and not reason:
        reason = f"its worker died {MAX_ATTEMPTS} times"
        if shown.state == "COMPLETE":
            reason = "its entry in the storage is damaged"
    return Trial(
        slot,
        state,
        shown.params,
        shown.accuracy,
        shown.parameters,
        shown.seconds,
        shown.run,
        shown.machine,
        reason,
        shown.began,
        shown.ended,
        shown.epochs,
        slot in best,
    )


def worked_minutes(attempts: Iterable[Attempt]) -> float:
    """Minutes in which at least one attempt was running."""
    now = datetime.now(UTC)
    spans = sorted(
        (attempt.began, attempt.ended or now) for attempt in attempts if attempt.began is not None
    )
    total, until = 0.0, None
    for began, ended in spans:
        began = began if until is None else max(began, until)
        total += max(0.0, (ended - began).total_seconds())
        until = ended if until is None else max(until, ended)
    return total / 60


def _params(params: Mapping[str, Any]) -> dict[str, Any]:
    current = aliases.current_names(params)
    return {
        _text(name, _MAX_NAME): _text(value, MAX_TEXT) if isinstance(value, str) else value
        for name, value in current.items()
        if isinstance(value, str | bool) or _is_number(value, -1e12, 1e12)
    }


def _is_number(value: Any, low: float, high: float) -> bool:
    return type(value) in (int, float) and low <= value <= high


def _number(value: Any, low: float, high: float) -> float | None:
    return value if _is_number(value, low, high) else None


def _text(value: Any, length: int) -> str:
    """Text that is safe to print: one line, without control characters; "" for other types."""
    if not isinstance(value, str):
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in value[:length]).strip()


def read_name(value: Any) -> str | None:
    """The name of a run or sweep; None if it is not valid."""
    try:
        return check_name(value) if isinstance(value, str) else None
    except UserError:
        return None


def _to_utc(time: datetime | None) -> datetime | None:
    try:
        return None if time is None else time.astimezone(UTC)
    except (OverflowError, ValueError, OSError):  # the year 1 or 9999
        return None
