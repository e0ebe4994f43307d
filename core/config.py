"""RunConfig: the one description of a run, and the limits of the machine that it may use.

A page's controls make a RunConfig, the command line makes one, a recipe is one with a name, a checkpoint
stores one and a shared link encodes one. No torch in here, so that a page can draw its controls at once.
Whether the named architecture or augmentation exists is checked where those live (`core.training.plan`).
"""

from __future__ import annotations

import dataclasses
import math
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core import aliases
from core.errors import ConfigError, LimitError, listed

SCHEDULES = ("constant", "one-cycle", "original-one-cycle", "cosine", "triangle", "exponential")
OPTIMIZERS = ("sgd", "adam", "adamw", "adadelta", "muon")
INITIALISATIONS = ("torch", "xavier", "he")
DEVICES = ("auto", "cuda", "mps", "cpu")
PRECISIONS = ("auto", "fp32", "bf16")


def _setting(
    default: Any,
    help: str,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    unit: str = "",
    **more: Any,
) -> Any:
    """A config field with what a page, the command line and the checks need to know of it."""
    metadata = {"help": help, "low": low, "high": high, "choices": choices, "unit": unit, **more}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything that a run needs, checked when it is made.

    Raises:
        ConfigError: a value is of the wrong type or out of range; the sentence names the field.
    """

    architecture: str = _setting("original-3762", "Network: a name from the list of architectures.")
    layers: tuple[Mapping[str, Any], ...] = _setting(
        (), "Layer rows of one's own network; empty: those of the name."
    )
    dropout: float = _setting(
        0.0,
        "Share of activations dropped while training, where the network has "
        "a dropout row without a rate of its own.",
        0.0,
        0.9,
    )
    initialisation: str = _setting(
        "torch", "How the first weights are drawn.", choices=INITIALISATIONS
    )
    augmentation: str = _setting("none", "Augmentation preset: what happens to training images.")
    transforms: tuple[Mapping[str, Any], ...] = _setting(
        (), "Transforms of one's own; empty: those of the preset."
    )
    augment_fraction: float = _setting(
        1.0,
        "Share of the epochs, from the first, that see augmented images; the others see "
        "them as they are.",
        0.0,
        1.0,
    )
    schedule: str = _setting(
        "one-cycle", "How the learning rate moves during the run.", choices=SCHEDULES
    )
    lr: float = _setting(
        0.01,
        "Learning rate at the start (original-one-cycle, constant, cosine, exponential).",
        0.0,
        10.0,
    )
    max_lr: float = _setting(
        0.01, "Highest learning rate (one-cycle, original-one-cycle, triangle).", 0.0, 10.0
    )
    warmup: float = _setting(
        0.3, "Share of the run in which one-cycle and triangle rise.", 0.0, 1.0
    )
    anneal: str = _setting(
        "linear", "Shape of one-cycle's rise and fall.", choices=("linear", "cos")
    )
    gamma: float = _setting(
        0.7, "What exponential multiplies the rate by after each epoch.", 0.01, 1.0
    )
    momentum_cycle: bool = _setting(
        False, "Let one-cycle lower momentum while the rate is high (0.95 to 0.85)."
    )
    batch_size: int = _setting(32, "Images per step.", 1, 60_000, unit="images")
    epochs: int = _setting(15, "Passes over the training images.", 1, 1_000, unit="epochs")
    optimizer: str = _setting(
        "sgd",
        "Rule that turns gradients into steps; muon makes the steps of hidden layers "
        "orthogonal, at a quarter of the learning rate.",
        choices=OPTIMIZERS,
    )
    momentum: float = _setting(
        0.9, "How much of the last step is kept (SGD), or Adam's first beta.", 0.0, 0.999
    )
    nesterov: bool = _setting(False, "Nesterov's look-ahead form of momentum (SGD).")
    weight_decay: float = _setting(0.0, "Pull of the weights towards zero.", 0.0, 1.0)
    label_smoothing: float = _setting(0.0, "Share of the target spread over all classes.", 0.0, 0.9)
    teacher: str = _setting(
        "none",
        "Trained run whose answers are learnt along with the labels (distillation), or "
        "several, joined by +, that answer together; none: labels only.",
    )
    teacher_share: float = _setting(
        0.5, "Weight of the teacher's answers in the loss; the labels have the rest.", 0.0, 1.0
    )
    temperature: float = _setting(
        2.0, "How much the teacher's answers are softened; 1: not at all.", 1.0, 20.0
    )
    clip_norm: float = _setting(0.0, "Longest gradient allowed; 0: no clipping.", 0.0, 1_000.0)
    ema_decay: float = _setting(
        0.0,
        "Decay per step of the averaged weights that are validated; 0: no averaging.",
        0.0,
        0.99999,
    )
    seed: int = _setting(1, "Number that fixes every random choice.", 0, 2**31 - 1)
    holdout: int = _setting(
        0,
        "Training images kept back to validate on; 0: validate on the test images, "
        "as the seed does.",
        0,
        30_000,
        unit="images",
    )
    holdout_seed: int = _setting(
        0, "Number that fixes which training images are kept back.", 0, 2**31 - 1
    )
    device: str = _setting(
        "auto", "Where to train; auto: cuda, then mps, then cpu.", choices=DEVICES
    )
    precision: str = _setting(
        "auto",
        "Number format of the arithmetic; auto: chosen by a short trial at the start.",
        choices=PRECISIONS,
    )
    threads: int = _setting(
        0, "CPU threads for the arithmetic; 0: chosen for this machine.", 0, 256
    )

    def __post_init__(self) -> None:
        for name, spec in FIELDS.items():
            object.__setattr__(self, name, _checked(name, getattr(self, name), spec))
        if self.schedule in ("one-cycle", "triangle", "original-one-cycle") and self.max_lr == 0:
            raise ConfigError(
                f"max_lr is 0, but the {self.schedule} schedule climbs to it; give it a rate above 0."
            )

    @property
    def teachers(self) -> tuple[str, ...]:
        """The names of the runs that it learns from."""
        return () if self.teacher == "none" else tuple(self.teacher.split("+"))

    def to_dict(self) -> dict[str, Any]:
        """The config as plain JSON values, every field included."""
        return {
            name: [dict(row) for row in value]
            if isinstance(value := getattr(self, name), tuple)
            else value
            for name in FIELDS
        }

    def changed(self, **values: Any) -> RunConfig:
        """A copy with some fields changed, checked again.

        Raises:
            ConfigError: as `from_dict`.
        """
        return RunConfig.from_dict({**self.to_dict(), **values})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """The config that a mapping of JSON values describes; missing fields take their defaults.

        Old names of fields and values are understood (`core.aliases`).

        Raises:
            ConfigError: the mapping is none, names an unknown field, or holds a wrong value.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"a config is a set of named fields, not {type(values).__name__}.")
        values = aliases.current_names(values)
        for name in values:
            if name not in FIELDS:
                raise ConfigError(
                    f"unknown field {str(name)[:40]!r}; the fields are {listed(FIELDS)}."
                )
        return cls(**values)

    @classmethod
    def from_strings(cls, values: Mapping[str, str], base: RunConfig | None = None) -> RunConfig:
        """The config that text values describe, as a link or an upload holds them, on top of `base`.

        Raises:
            ConfigError: as `from_dict`; a field made of rows cannot be given as text here.
        """
        parsed: dict[str, Any] = {}
        for name, text in values.items():
            name = aliases.FIELDS.get(name, name)
            parsed[name] = parse(name, text) if name in FIELDS else text
        return (base or cls()).changed(**parsed)

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The fields in which two configs differ: name -> (mine, the other's)."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {name: (mine[name], theirs[name]) for name in FIELDS if mine[name] != theirs[name]}


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What is known of one field of RunConfig: its type, default, help, range and choices."""

    type: type
    default: Any
    help: str
    low: float | None
    high: float | None
    choices: tuple[str, ...] | None
    unit: str


def _specs() -> dict[str, FieldSpec]:
    hints = typing.get_type_hints(RunConfig)
    specs = {}
    for item in dataclasses.fields(RunConfig):
        hint = hints[item.name]
        kind = tuple if typing.get_origin(hint) is tuple else hint
        meta = item.metadata
        specs[item.name] = FieldSpec(
            kind,
            item.default,
            meta["help"],
            meta["low"],
            meta["high"],
            meta["choices"],
            meta["unit"],
        )
    return specs


FIELDS: Mapping[str, FieldSpec] = types.MappingProxyType(_specs())


def _checked(name: str, value: Any, spec: FieldSpec) -> Any:
    if spec.type is tuple:
        return _checked_rows(name, value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        raise ConfigError(f"{name} is far too large a number.")
    if spec.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if spec.type is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not spec.type:
        raise ConfigError(f"{name} takes {_TYPE_WORDS[spec.type]}, not {str(value)[:40]!r}.")
    if isinstance(value, str):
        if spec.choices is not None and value not in spec.choices:
            raise ConfigError(f"{name} is {value[:40]!r}, but it must be {listed(spec.choices)}.")
        if not 0 < len(value) <= 80:
            raise ConfigError(f"{name} is a name of 1 to 80 characters, not one of {len(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{name} is {value}, which is no number to train with.")
    if (
        isinstance(value, int | float)
        and spec.low is not None
        and spec.high is not None
        and not spec.low <= value <= spec.high
    ):
        raise ConfigError(
            f"{name} is {value}, but it must lie between {spec.low:g} and {spec.high:g}."
        )
    return value


_LARGEST = 2**63  # beyond it a whole number may fit no float, nor into a sentence
_TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
MAX_ROWS = 200


def _checked_rows(name: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{name} takes a list of rows, not {type(value).__name__}.")
    if len(value) > MAX_ROWS:
        raise ConfigError(f"{name} has {len(value)} rows; at most {MAX_ROWS} are allowed.")
    for number, row in enumerate(value, 1):
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            raise ConfigError(
                f"{name}, row {number}: a row is a set of named values, not {str(row)[:40]!r}."
            )
    return tuple(dict(row) for row in value)


def parse(name: str, text: str) -> Any:
    """The value of a field from its text form, unchecked against its range.

    Raises:
        ConfigError: the text does not read as the field's type, or the field is made of rows.
    """
    spec = FIELDS[name]
    if spec.type is tuple:
        raise ConfigError(f"{name} is a list of rows and cannot be given as text.")
    if spec.type is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ConfigError(f"{name} takes true or false, not {text[:40]!r}.")
        return text.lower() in ("true", "1", "yes")
    try:
        return spec.type(text)
    except ValueError:
        raise ConfigError(f"{name} takes {_TYPE_WORDS[spec.type]}, not {text[:40]!r}.") from None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one machine lends to its users; the one settings place, read from INKLING_* variables."""

    max_batch_size: int = 8_192
    max_epochs: int = 200
    max_parameters: int = 2_000_000
    max_queue: int = 50
    max_runs: int = 1_000
    max_disk_mb: int = 4_000
    max_upload_mb: int = 32
    running: int = 1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Limits:
        """The limits with those overridden that the environment names, e.g. INKLING_MAX_EPOCHS=50.

        Raises:
            ConfigError: a variable does not hold a whole number of at least 1.
        """
        values: dict[str, int] = {}
        for item in dataclasses.fields(cls):
            text = environment.get(f"INKLING_{item.name.upper()}")
            if text is None:
                continue
            if not text.isascii() or not text.isdigit() or int(text) < 1:
                raise ConfigError(
                    f"INKLING_{item.name.upper()} takes a whole number of at least 1, not {text[:40]!r}."
                )
            values[item.name] = int(text)
        return cls(**values)

    def check(self, config: RunConfig, parameters: int) -> None:
        """Refuse a run that is larger than the machine lends.

        Raises:
            LimitError: names the figure, the limit and the variable that moves it.
        """
        for name, value in (
            ("max_batch_size", config.batch_size),
            ("max_epochs", config.epochs),
            ("max_parameters", parameters),
        ):
            limit = getattr(self, name)
            if value > limit:
                word = name.removeprefix("max_").replace("_", " ")
                raise LimitError(
                    f"{word} {value:,} is more than this machine allows ({limit:,}); "
                    f"whoever runs it can raise INKLING_{name.upper()}."
                )
