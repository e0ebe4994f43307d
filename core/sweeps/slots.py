"""The places of a sweep: what Optuna's attempts to train a run for each come to. Plain data, no storage.

Neither optuna nor torch at import.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ATTEMPTS = 3  # times that a place's worker may die before the place is given up
OPEN, WAITING, RUNNING, DONE, PRUNED, FAILED = (
    "open",
    "waiting",
    "running",
    "done",
    "pruned",
    "failed",
)
SURPLUS, LEFT, REFUSED, BROKEN = (
    "surplus",
    "left",
    "refused",
    "broken",
)  # how an attempt ended without a result


@dataclass(frozen=True, slots=True)
class Trial:
    """What stands at a place of a sweep."""

    place: int
    """From 1."""
    state: str
    """`open`, `waiting`, `running`, `done`, `pruned` or `failed`."""
    params: Mapping[str, Any]
    """What was drawn; empty before."""
    accuracy: float | None = None
    """After the last epoch so far, on the held-out images, in percent."""
    parameters: int | None = None
    seconds: float | None = None
    """Of training."""
    run: str | None = None
    machine: str | None = None
    reason: str = ""
    """Why it failed."""
    began: datetime | None = None
    ended: datetime | None = None
    epochs: tuple[float, ...] = ()
    """Accuracy by epoch, where it was reported."""
    best: bool = False
    """Whether it is the best, or stands in the front."""

    def to_dict(self) -> dict[str, Any]:
        """The trial as JSON values."""
        values = dataclasses.asdict(self)
        return {
            **values,
            **{
                name: value.isoformat() if (value := values[name]) else None
                for name in ("began", "ended")
            },
        }


def by_place(tried: Iterable[FrozenTrial], places: int) -> dict[int, list[FrozenTrial]]:
    """The attempts at each place, from 1 to `places`, the oldest first; those that were one too many are left out."""
    found: dict[int, list[FrozenTrial]] = {place: [] for place in range(1, places + 1)}
    for each in sorted(tried, key=lambda each: each.number):
        if ended(each) != SURPLUS and each.user_attrs.get("place") in found:
            found[each.user_attrs["place"]].append(each)
    return found


def is_surplus(tried: Iterable[FrozenTrial], places: int, number: int, place: object) -> bool:
    """Whether the attempt of this number, which was just taken up at a place, is one too many.

    It is, where its place has a result already or an older attempt that is still open. Since attempts are numbered in
    the order in which they are made, at most one of a place can ever pass.
    """
    attempts = by_place(tried, places).get(place) if isinstance(place, int) else None
    if attempts is None:
        return True
    others = [each for each in attempts if each.number != number]
    return state_of(others) in (DONE, PRUNED, FAILED) or any(
        each.number < number and not each.state.is_finished() for each in others
    )


def state_of(attempts: Sequence[FrozenTrial]) -> str:
    """What the attempts at a place come to."""
    dead = 0
    states = {each.state.name for each in attempts}
    if "COMPLETE" in states:
        return DONE
    for each in attempts:
        how = ended(each)
        if how == BROKEN:
            return FAILED
        if each.state.name == "PRUNED" and how != REFUSED:
            return PRUNED
        dead += each.state.name == "FAIL" and how is None
    for name, state in (("RUNNING", RUNNING), ("WAITING", WAITING)):
        if name in states:
            return state
    return FAILED if dead >= ATTEMPTS else OPEN


def ended(attempt: FrozenTrial) -> str | None:
    """How an attempt ended without a result; None for one that has a result, is open, or whose worker died."""
    return attempt.user_attrs.get("ended")


def trial_at(place: int, attempts: Sequence[FrozenTrial], best: Container[int]) -> Trial:
    """What stands at a place.

    Args:
        place: from 1.
        attempts: at it, the oldest first.
        best: numbers of the attempts that are the best, or stand in the front.
    """
    state = state_of(attempts)
    order = {"COMPLETE": 3, "PRUNED": 2, "RUNNING": 1}
    shown = max(
        (each for each in attempts if ended(each) != REFUSED),
        key=lambda each: (order.get(each.state.name, 0), each.number),
        default=None,
    )
    if shown is None:
        return Trial(place, state, {})
    facts, reports = shown.user_attrs, shown.intermediate_values
    reason = facts.get("reason", "")
    if state == FAILED and not reason:
        reason = f"its worker died {ATTEMPTS} times"
    epochs = tuple(reports[step] for step in sorted(reports))
    return Trial(
        place,
        state,
        dict(shown.params),
        facts.get("accuracy", epochs[-1] if epochs else None),
        facts.get("parameters"),
        facts.get("seconds"),
        facts.get("run"),
        facts.get("machine"),
        reason,
        _utc(shown.datetime_start),
        _utc(shown.datetime_complete),
        epochs,
        shown.number in best,
    )


def minutes(tried: Iterable[FrozenTrial]) -> float:
    """Minutes in which at least one attempt was under way."""
    now = datetime.now()
    spans = sorted(
        (each.datetime_start, each.datetime_complete or now)
        for each in tried
        if each.datetime_start
    )
    total, until = 0.0, None
    for began, end in spans:
        began = began if until is None else max(began, until)
        total += max(0.0, (end - began).total_seconds())
        until = end if until is None else max(until, end)
    return total / 60


def _utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)
