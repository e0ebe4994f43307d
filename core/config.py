"""RunConfig: the one description of a run.

A page's controls make a RunConfig, the command line makes one, a recipe is one with a name, a
checkpoint stores one and a shared link encodes one. Must not import torch, so that a page can draw
its controls at once. Whether the named architecture and augmentation exist is checked in
`core.training.plan`; what a machine allows, in `core.limits`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core import aliases
from core.errors import ConfigError
from core.schema import Field, SchemaError, check_object, raising, shown
from core.task import TRAINING_IMAGES

SCHEDULES = ("constant", "one-cycle", "original-one-cycle", "cosine", "triangle", "exponential")
OPTIMIZERS = ("sgd", "adam", "adamw", "adadelta", "muon")
INITIALISATIONS = ("torch", "xavier", "he")
DEVICES = ("auto", "cuda", "mps", "cpu")
PRECISIONS = ("auto", "fp32", "bf16")
NO_DIGITS = "none"  # value of `digits`
MAX_ROWS = 200  # of `layers`, and of `transforms`
_LARGEST_SEED = 2**31 - 1


def _field(
    default: Any, help: str, low: float | None = None, high: float | None = None, **more: Any
) -> Any:
    """A dataclass field with what its `schema.Field` needs besides name and type."""
    if isinstance(default, str):
        more = {"min_length": 1, "max_length": 80, **more}
    return dataclasses.field(
        default=default, metadata={"help": help, "low": low, "high": high, **more}
    )


def _rows(help: str) -> Any:
    row = Field("row", dict, items=Field("value", object, max_length=80), max_length=20)
    return _field((), help, items=row, max_length=MAX_ROWS)


@dataclass(frozen=True, slots=True)
class RunConfig:
    """All settings of a run, checked when the config is made.

    Raises:
        ConfigError: a value has the wrong type or is out of range; the message names the field.
    """

    architecture: str = _field("original-3762", "Name of the network.")
    layers: tuple[Mapping[str, Any], ...] = _rows(
        "Layer rows of a custom network, used instead of the named one."
    )
    dropout: float = _field(
        0.0,
        "Probability that a dropout layer sets a value to zero during training. Layers with a "
        "rate of their own keep it.",
        0.0,
        0.9,
    )
    initialisation: str = _field(
        "torch",
        "Distribution of the initial weights: PyTorch's defaults, Xavier (Glorot) or He (Kaiming).",
        choices=INITIALISATIONS,
    )
    augmentation: str = _field(
        "none", "Preset of random changes to the training images, different in every epoch."
    )
    transforms: tuple[Mapping[str, Any], ...] = _rows(
        "Transforms of a custom augmentation, used instead of the preset."
    )
    augment_fraction: float = _field(
        1.0,
        "Fraction of the epochs, from the first, that train on augmented images. The remaining "
        "epochs train on the images without augmentation.",
        0.0,
        1.0,
    )
    schedule: str = _field(
        "one-cycle", "How the learning rate changes over the run.", choices=SCHEDULES
    )
    lr: float = _field(
        0.01,
        "Initial learning rate. The one-cycle schedule derives it from the maximum instead.",
        0.0,
        10.0,
    )
    max_lr: float = _field(
        0.01,
        "Maximum learning rate, reached after the warm-up (one-cycle, original-one-cycle, "
        "triangle).",
        0.0,
        10.0,
    )
    warmup: float = _field(
        0.3,
        "Fraction of the run in which the learning rate rises (one-cycle, triangle).",
        0.0,
        1.0,
    )
    anneal: str = _field(
        "linear",
        "Whether one-cycle changes the learning rate linearly or along a cosine.",
        choices=("linear", "cos"),
    )
    gamma: float = _field(
        0.7,
        "Factor by which the exponential schedule multiplies the learning rate after each epoch.",
        0.01,
        1.0,
    )
    momentum_cycle: bool = _field(
        False,
        "Let one-cycle vary the momentum inversely to the learning rate, from 0.95 to 0.85 and "
        "back.",
    )
    batch_size: int = _field(
        32, "Training images per optimizer step.", 1, TRAINING_IMAGES, unit="images"
    )
    epochs: int = _field(15, "Passes over all training images.", 1, 1_000, unit="epochs")
    optimizer: str = _field(
        "sgd",
        "Update rule for the weights. Muon orthogonalises the updates of the hidden layers and "
        "uses a quarter of the learning rate for them.",
        choices=OPTIMIZERS,
    )
    momentum: float = _field(
        0.9,
        "Momentum of SGD and Muon: the fraction of the previous update that is kept. For Adam "
        "and AdamW, beta1.",
        0.0,
        0.999,
    )
    nesterov: bool = _field(False, "Use Nesterov momentum (SGD).")
    weight_decay: float = _field(
        0.0,
        "Weight decay: pulls the weights towards zero at every step. Biases and batch norm are "
        "left out.",
        0.0,
        1.0,
    )
    label_smoothing: float = _field(
        0.0,
        "Share of each target that is spread evenly over all ten classes, which discourages "
        "overconfident predictions.",
        0.0,
        0.9,
    )
    teacher: str = _field(
        "none",
        "Trained run whose predictions are learned along with the labels (knowledge "
        "distillation). Several runs joined by + are averaged.",
    )
    teacher_share: float = _field(
        0.5, "Weight of the distillation loss; the labels have the rest.", 0.0, 1.0
    )
    temperature: float = _field(
        2.0,
        "Temperature that softens the teacher's and the student's probabilities in distillation; "
        "1 leaves them unchanged.",
        1.0,
        20.0,
    )
    digits: str = _field(
        NO_DIGITS,
        "Set of your own digits to learn along with MNIST; they are copied into the run.",
    )
    digits_share: float = _field(
        0.1,
        "Fraction of the images of an epoch that are your own digits, repeated as often as needed.",
        0.01,
        0.5,
    )
    digits_test_share: float = _field(
        0.5,
        "Fraction of your own digits that is kept for testing and never trained on.",
        0.0,
        0.9,
    )
    clip_norm: float = _field(
        0.0, "Maximum norm of the gradient; larger ones are scaled down. 0: no limit.", 0.0, 1_000.0
    )
    ema_decay: float = _field(
        0.0,
        "Decay per step of an exponential moving average of the weights, which is validated and "
        "saved in their place. 0: no averaging.",
        0.0,
        0.99999,
    )
    seed: int = _field(
        1,
        "Random seed: the same seed on the same machine gives the same run.",
        0,
        _LARGEST_SEED,
    )
    holdout: int = _field(
        0,
        "Training images held out for validation. 0: validate on the test images, as the original "
        "did.",
        0,
        TRAINING_IMAGES // 2,
        unit="images",
    )
    holdout_seed: int = _field(
        0,
        "Random seed that chooses the validation images and the own digits kept for testing.",
        0,
        _LARGEST_SEED,
    )
    kept_epochs: int = _field(
        50,
        "Epochs whose weights are kept besides the initial ones, evenly spread over the run: all "
        "of a run that is shorter, fewer where the files would exceed 16 MB. 0: none.",
        0,
        500,
        unit="epochs",
    )
    device: str = _field(
        "auto",
        "Device to train on; auto takes the first there is of cuda, mps, cpu.",
        choices=DEVICES,
    )
    precision: str = _field(
        "auto",
        "Floating-point format; auto times the formats before the first epoch and takes the "
        "fastest.",
        choices=PRECISIONS,
    )
    threads: int = _field(0, "CPU threads; 0 chooses a number for this machine.", 0, 256)

    def __post_init__(self) -> None:
        with raising(ConfigError):
            for name, spec in FIELDS.items():
                value = spec.check(getattr(self, name))
                object.__setattr__(self, name, tuple(value) if spec.type is list else value)
        if self.schedule in ("one-cycle", "triangle", "original-one-cycle") and self.max_lr == 0:
            raise ConfigError(
                f"max_lr is 0, but the {self.schedule} schedule rises to it; give a rate above 0."
            )

    @property
    def teachers(self) -> tuple[str, ...]:
        """Names of the runs whose predictions are learned."""
        return () if self.teacher == "none" else tuple(self.teacher.split("+"))

    @property
    def augmented_epochs(self) -> int:
        """Epochs, from the first, that train on augmented images."""
        return round(self.augment_fraction * self.epochs)

    @property
    def training_images(self) -> int:
        """Images of an epoch: those of MNIST that are not held out, and the own digits."""
        images = TRAINING_IMAGES - self.holdout
        return images + self.count_own_images(images)

    def count_own_images(self, images: int) -> int:
        """Own digits, counted with their repetitions, in an epoch with so many images of MNIST."""
        if self.digits == NO_DIGITS:
            return 0
        return round(images * self.digits_share / (1 - self.digits_share))

    def count_test_digits(self, total: int) -> int:
        """Own digits kept for testing, of so many; at least one is left to train on."""
        return min(round(self.digits_test_share * total), total - 1)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {
            name: [dict(row) for row in value]
            if isinstance(value := getattr(self, name), tuple)
            else value
            for name in FIELDS
        }

    def changed(self, **values: Any) -> RunConfig:
        """A copy with some fields changed.

        Raises:
            ConfigError: as `from_dict`.
        """
        return RunConfig.from_dict({**self.to_dict(), **values})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """The config that a mapping of JSON values describes; missing fields take their defaults.

        Old names of fields and values are understood (`core.aliases`).

        Raises:
            ConfigError: no mapping, an unknown field, or a wrong value.
        """
        with raising(ConfigError):
            if not isinstance(values, Mapping):
                raise SchemaError(
                    f"a config must be an object of named values, not {shown(values)}."
                )
            return cls(**check_object(aliases.current_names(values), FIELDS.values()))

    @classmethod
    def from_strings(cls, values: Mapping[str, str], base: RunConfig | None = None) -> RunConfig:
        """The config that text values describe, as in a link or an option, on top of `base`.

        Raises:
            ConfigError: as `from_dict`, or a field made of rows is given as text.
        """
        parsed: dict[str, Any] = {}
        for name, text in values.items():
            name = aliases.FIELDS.get(name, name)
            parsed[name] = parse(name, text) if name in FIELDS else text
        return (base or cls()).changed(**parsed)

    def differences(self, other: RunConfig) -> dict[str, tuple[Any, Any]]:
        """The fields in which two configs differ: name -> (this one's value, the other's)."""
        mine, theirs = self.to_dict(), other.to_dict()
        return {name: (mine[name], theirs[name]) for name in FIELDS if mine[name] != theirs[name]}


def _fields() -> dict[str, Field]:
    hints = typing.get_type_hints(RunConfig)
    return {
        item.name: Field(
            item.name,
            list if typing.get_origin(hints[item.name]) is tuple else hints[item.name],
            item.default,
            **item.metadata,
        )
        for item in dataclasses.fields(RunConfig)
    }


FIELDS: Mapping[str, Field] = types.MappingProxyType(_fields())


def parse(name: str, text: str) -> Any:
    """The value of a field from its text form, not yet checked against its range.

    Raises:
        ConfigError: the text does not read as the field's type, or the field is made of rows.
    """
    with raising(ConfigError):
        return FIELDS[name].parse(text)
