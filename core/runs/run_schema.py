"""What the JSON files of a run may hold: type, range and length of every value.

The same checks apply to runs on this disk and to uploads, since a folder may come from anywhere.
Must not import torch.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from core.config import MAX_ROWS
from core.errors import RunError
from core.schema import Field, check_object, raising
from core.training.results import EpochResult, TestResult

MAX_COUNT = 10**9  # images or steps; far above any data set of ours
MAX_EPOCHS = 100_000
MAX_SECONDS = 1e9  # 30 years
MAX_LOSS = 1e30  # a diverging run may come far
MAX_LR = 1e6
MAX_NOTES = 10_000
MAX_TAGS, MAX_TAG_LENGTH = 20, 40
MAX_OWNER = 200
MAX_TITLE = 60
MAX_MESSAGE = 2_000
WHICH_WEIGHTS = ("last", "best")
EPOCH_WEIGHTS = "epoch"  # of a fork that starts from the weights after a certain epoch
EVENT_KINDS = (
    "started",
    "resumed",
    "batch",
    "epoch",
    "update",
    "rate",
    "warning",
    "paused",
    "stopped",
    "finished",
    "diverged",
    "failed",
)


def _loss(name: str) -> Field:
    return Field(name, float, low=0, high=MAX_LOSS, required=True)


def _count(name: str, low: int = 0) -> Field:
    return Field(name, int, low=low, high=MAX_COUNT, required=True)


NOTES = Field("notes", str, "", max_length=MAX_NOTES, multiline=True)
TAGS = Field(
    "tags",
    list,
    [],
    max_length=MAX_TAGS,
    items=Field("tag", str, min_length=1, max_length=MAX_TAG_LENGTH),
)
OWNER = Field("owner", str, min_length=1, max_length=MAX_OWNER, nullable=True)
TITLE = Field("title", str, min_length=1, max_length=MAX_TITLE, nullable=True)
_RUN = (
    Field("format", object, required=True),
    Field("created", str, max_length=60, required=True),
    Field("config", dict, max_length=200, required=True),
    Field("recipe", str, max_length=80, nullable=True),
    Field(
        "parent",
        dict,
        nullable=True,
        fields=(
            Field("name", str, min_length=1, max_length=60, required=True),
            Field("which", str, choices=(*WHICH_WEIGHTS, EPOCH_WEIGHTS), required=True),
            Field("epoch", int, low=0, high=MAX_EPOCHS, required=True),
        ),
    ),
    NOTES,
    TAGS,
    Field("group", str, min_length=1, max_length=60, nullable=True),
    OWNER,
    TITLE,
    Field("is_tested", bool, True),
    Field(
        "test",
        dict,
        nullable=True,
        fields=(
            _loss("loss"),
            _count("correct"),
            _count("total", 1),
        ),
    ),
)
_EPOCH = (
    Field("epoch", int, low=1, high=MAX_EPOCHS, required=True),
    Field("lr", float, low=0, high=MAX_LR, required=True),
    Field("seconds", float, low=0, high=MAX_SECONDS, required=True),
    _loss("train_loss"),
    _count("train_correct"),
    _count("train_total", 1),
    _loss("val_loss"),
    _count("val_correct"),
    _count("val_total", 1),
)
_EVENT = (
    Field("kind", str, choices=EVENT_KINDS, required=True),
    Field("time", float, low=0, high=1e11, required=True),
    Field("epoch", int, low=0, high=MAX_EPOCHS, required=True),
    Field("step", int, low=0, high=MAX_COUNT, required=True),
)
_BATCH = (
    Field("steps", int, low=1, high=MAX_COUNT, required=True),
    _loss("loss"),
    Field("lr", float, low=0, high=MAX_LR, required=True),
)
_UPDATE = (
    Field(
        "rows",
        list,
        max_length=MAX_ROWS,
        items=Field("row", int, low=1, high=MAX_ROWS),
        required=True,
    ),
    *(
        Field(
            name,
            list,
            max_length=MAX_ROWS,
            items=Field("size", float, low=0, high=MAX_LOSS),
            required=True,
        )
        for name in ("gradients", "updates")
    ),
)
_RATE = (Field("factor", float, low=0, high=MAX_LR, required=True),)
_MESSAGE = (Field("message", str, "", max_length=MAX_MESSAGE),)
_ROW = (Field("row", dict, fields=_EPOCH, required=True),)
_MORE = {
    "started": (),
    "resumed": _MESSAGE,
    "batch": _BATCH,
    "rate": _RATE,
    "epoch": _ROW,
    "update": _UPDATE,
}
EVENT_FIELDS = {kind: _EVENT + _MORE.get(kind, _MESSAGE) for kind in EVENT_KINDS}


def check_run(values: Any) -> dict[str, Any]:
    """Return the values of run.json, checked, without unknown ones and without `runtime`.

    The config is checked by `RunConfig`, the runtime by `Runtime`.

    Raises:
        RunError: names the value that is wrong.
    """
    with raising(lambda message: RunError(f"run.json is damaged: {message}")):
        checked = check_object(values, _RUN, drop_unknown=True)
    if checked["test"] and checked["test"]["correct"] > checked["test"]["total"]:
        raise RunError('run.json is damaged: "test" has more correct images than images.')
    return checked


def check_epochs(values: Any) -> list[EpochResult]:
    """Return the epoch table from JSON values.

    Raises:
        RunError: names the value that is wrong, or the epochs do not count up from 1.
    """
    if not isinstance(values, list) or len(values) > MAX_EPOCHS:
        raise RunError("epochs.json is damaged: it is not a table.")
    rows = []
    for number, row in enumerate(values, 1):
        with raising(lambda message: RunError(f"epochs.json is damaged: {message}")):
            rows.append(EpochResult(**check_object(row, _EPOCH, f"epoch {number}")))
        if rows[-1].epoch != number:
            raise RunError("epochs.json is damaged: its epochs do not count up from 1.")
        if (
            rows[-1].train_correct > rows[-1].train_total
            or rows[-1].val_correct > rows[-1].val_total
        ):
            raise RunError(f"epochs.json is damaged: epoch {number} has more correct than images.")
    return rows


def to_test_result(values: Mapping[str, Any] | None) -> TestResult | None:
    """Return the checked value `test` of run.json as a result."""
    return None if values is None else TestResult(**values)


def check_owner(owner: Any) -> str | None:
    """Return who owns a run, a digit, an architecture or a sweep; None: only the machine's owner.

    Raises:
        RunError: it is not text, or too long, or cannot be shown.
    """
    with raising(RunError):
        checked: str | None = OWNER.check(owner)
    return checked


def check_title(title: Any) -> str | None:
    """Return how a run is called on pages, in any script; None: by its name.

    Raises:
        RunError: it is not text, or too long, or cannot be shown.
    """
    with raising(RunError):
        checked: str | None = TITLE.check(title)
    return checked


def clean_text(text: str, max_length: int = MAX_MESSAGE) -> str:
    """Return text that can be stored and shown: control characters and surrogates become spaces."""
    return "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs") else character
        for character in text[:max_length]
    ).strip()
