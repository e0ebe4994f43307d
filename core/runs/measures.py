"""What is measured of a run, by name: for columns, for sorting and for conditions in a search.

A condition such as `max_lr > 0.1` names a field of the config or a measure. Reads no files.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.config import FIELDS
from core.errors import RunError, listed
from core.runs.run import Run
from core.runs.run_schema import MAX_TAG_LENGTH
from core.training.effects import unused_fields

Value = float | str | None


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure or a fact of a run: title, help, and how it is read; None where there is none."""

    title: str
    help: str
    read: Callable[[Run], Value]
    format: str = "%.2f"
    """As in `printf`; empty: text."""


def _last(name: str) -> Callable[[Run], Value]:
    return lambda run: getattr(run.last, name) if run.last else None


MEASURES: Mapping[str, Measure] = {
    "accuracy": Measure(
        "Last accuracy",
        "Validation accuracy after the last epoch, in percent.",
        _last("val_accuracy"),
    ),
    "best": Measure(
        "Best accuracy",
        "Validation accuracy of the best epoch, in percent. It was chosen on these images, so it "
        "is optimistic.",
        lambda run: run.best.val_accuracy if run.best else None,
    ),
    "best_epoch": Measure(
        "Best epoch",
        "The epoch with the highest validation accuracy.",
        lambda run: run.best.epoch if run.best else None,
        "%d",
    ),
    "test": Measure(
        "Test accuracy",
        "Accuracy on the test images, of a run that validated on a hold-out, in percent.",
        lambda run: run.test.accuracy if run.test else None,
    ),
    "errors": Measure(
        "Errors",
        "Validation images that were misclassified after the last epoch.",
        lambda run: run.last.val_errors if run.last else None,
        "%d",
    ),
    "val_loss": Measure(
        "Validation loss", "After the last epoch, in nats.", _last("val_loss"), "%.4f"
    ),
    "train_accuracy": Measure(
        "Training accuracy",
        "Accuracy on the training images during the last epoch, in percent.",
        _last("train_accuracy"),
    ),
    "train_loss": Measure(
        "Training loss", "Mean over the last epoch, in nats.", _last("train_loss"), "%.4f"
    ),
    "gap": Measure(
        "Gap",
        "Training accuracy minus validation accuracy, in percentage points.",
        lambda run: run.last.train_accuracy - run.last.val_accuracy if run.last else None,
        "%+.2f",
    ),
    "parameters": Measure(
        "Parameters", "Number of values that the network learns.", lambda run: run.parameters, "%d"
    ),
    "done": Measure("Epochs trained", "Finished epochs.", lambda run: len(run.epochs), "%d"),
    "seconds": Measure(
        "Time",
        "Sum of all epochs, in seconds.",
        lambda run: sum(row.seconds for row in run.epochs) if run.epochs else None,
        "%.0f",
    ),
    "seconds_per_epoch": Measure(
        "Seconds per epoch",
        "Mean over the finished epochs.",
        lambda run: (
            sum(row.seconds for row in run.epochs) / len(run.epochs) if run.epochs else None
        ),
        "%.1f",
    ),
    "state": Measure("State", "What the run is doing.", lambda run: run.state, ""),
    "recipe": Measure("Recipe", "The recipe it came from.", lambda run: run.recipe, ""),
    "parent": Measure(
        "Forked from",
        "The run whose weights it started from.",
        lambda run: run.parent["name"] if run.parent else None,
        "",
    ),
    "group": Measure("Group", "The repeats it belongs to.", lambda run: run.group, ""),
    "tag": Measure("Tags", "The tags, joined.", lambda run: ", ".join(run.tags), ""),
    "owner": Measure("Owner", "Who made it.", lambda run: run.owner, ""),
}

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "=<": operator.le,  # often typed for <=
    "=>": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(
    r"(?<!\S)([^\W\d]\w*)\s*(<=|>=|=<|=>|!=|==|=|<|>)\s*(\"[^\"]*\"|[^\s\"<>=!]+)(?!\S)"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a setting or a measure, such as `max_lr > 0.1`."""

    name: str
    operator: str
    value: float | str
    """A number, or a text in lower case."""

    def holds(self, run: Run) -> bool:
        """Whether it is true of a run; never where the run has no such value."""
        if self.name == "tag":
            return (str(self.value) in map(str.lower, run.tags)) == (self.operator != "!=")
        actual = read_value(run, self.name)
        if actual is None or actual == "":
            return self.operator == "!="
        if isinstance(self.value, float):
            return _OPERATORS[self.operator](float(actual), self.value)
        return _OPERATORS[self.operator](str(actual).lower(), self.value)


def read_value(run: Run, name: str) -> Value:
    """The value of a setting or a measure.

    Args:
        run: the run.
        name: a key of MEASURES or a field of the config.

    Returns:
        None for a setting that has no effect on this run. Truth values are "yes" and "no"; rows of
        a user's own, and the choice that they replace, are "custom".
    """
    if name in MEASURES:
        return MEASURES[name].read(run)
    if (cause := unused_fields(run.config).get(name)) is not None:
        return "custom" if cause.field in ("layers", "transforms") else None
    value = getattr(run.config, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "custom" if value else ""
    return value


def parse_search(text: str) -> tuple[list[str], list[Condition]]:
    """Split a search into words in lower case and conditions.

    Raises:
        RunError: a condition names neither a setting nor a measure, or compares a number with
            text.
    """
    conditions = [_condition(*match.groups()) for match in _CONDITION.finditer(text)]
    return _CONDITION.sub(" ", text).lower().split(), conditions


def _condition(name: str, sign: str, text: str) -> Condition:
    name = name.lower()
    if name not in MEASURES and name not in FIELDS:
        near = [known for known in (*MEASURES, *FIELDS) if name[:3] in known][:3]
        hint = f", such as {listed(near)}" if near else ""
        raise RunError(f"there is no setting or measure {name[:40]!r}{hint}.")
    text = text.strip('"')
    if not _is_number(name):
        if sign not in ("=", "==", "!="):
            raise RunError(f"{name} is not a number: compare it with = or !=, not {sign}.")
        return Condition(name, sign, text.lower()[:MAX_TAG_LENGTH])
    try:
        return Condition(name, sign, float(text))
    except ValueError:
        raise RunError(f"{name} is a number; {text[:40]!r} is not.") from None


def _is_number(name: str) -> bool:
    if name in MEASURES:
        return bool(MEASURES[name].format)
    return FIELDS[name].type in (int, float)


def describe_names() -> Sequence[str]:
    """All names that a condition can have, measures first."""
    return [*MEASURES, *FIELDS]
