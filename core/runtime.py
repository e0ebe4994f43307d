"""Runtime: the settings that a run was trained with on its machine, as in run.json.

`core.training.runtime` resolves them before the first step; a resumed run keeps them. Must
not import torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core import aliases
from core.errors import RunError
from core.schema import Field, check_object, raising

DEVICES = ("cpu", "cuda", "mps")
PRECISIONS = ("fp32", "bf16")
LAYOUTS = ("contiguous", "channels_last", "compiled", "triton")
VALIDATED_ON = ("test", "hold-out")
MAX_COUNT = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that the machine and the dataset decide about a run.

    Raises:
        RunError: a value has the wrong type or is out of range; the message names the field.
    """

    device: str
    device_name: str = ""
    precision: str
    """Number format of the arithmetic: float32, or bfloat16 under autocast.

    On a GPU, cuDNN's convolutions of float32 may round their inputs to TF32.
    """
    layout: str
    """Memory layout of the images, or the kind of training step that decides it."""
    benchmarked: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds per step (median) by "precision layout"; empty if precision is not "auto"."""
    threads: int
    """CPU threads for the arithmetic."""
    workers: int = 0
    """Processes that augment images."""
    teacher_precision: str | None = None
    """Number format of the teacher's arithmetic; None without a teacher."""
    not_captured: str = ""
    """Why a GPU does not replay the training steps as a CUDA graph; empty if it does."""
    parameters: int
    steps_per_epoch: int
    train_images: int
    val_images: int
    validated_on: str
    inkling: str = ""
    """Version of this project; like the versions below, empty in runs that did not record it."""
    python: str = ""
    torch: str = ""
    ziglang: str = ""
    commit: str = ""
    """Git commit of the project, with "+" if its code was changed since; empty where unknown."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that a result depends on."""
    machine: str = ""
    """Processor, number of cores and system."""

    def __post_init__(self) -> None:
        with raising(RunError):
            for spec in _FIELDS:
                spec.check(getattr(self, spec.name), f"runtime: {spec.name}")

    def changed(self, **values: Any) -> Runtime:
        """Return a copy with some fields changed.

        Raises:
            RunError: as the class.
        """
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        values = {spec.name: getattr(self, spec.name) for spec in _FIELDS}
        return {
            **values,
            "benchmarked": dict(self.benchmarked),
            "packages": dict(self.packages),
        }

    @classmethod
    def from_dict(cls, values: Any) -> Runtime:
        """Return the runtime that JSON values describe.

        Former names are read through `core.aliases`; fields of later versions are ignored.

        Raises:
            RunError: the value is no mapping, lacks a required field, or as the class.
        """
        if isinstance(values, Mapping):
            values = {aliases.RUNTIME.get(name, name): value for name, value in values.items()}
            # Runs from before layouts were recorded computed bf16 in channels_last.
            layout = "channels_last" if values.get("precision") == "bf16" else "contiguous"
            values.setdefault("layout", layout)
            values["layout"] = aliases.current_value("layout", values["layout"])
        with raising(RunError):
            return cls(**check_object(values, _FIELDS, "runtime", drop_unknown=True))


def _count(name: str, low: int = 1, high: int = MAX_COUNT, **options: Any) -> Field:
    return Field(name, int, low=low, high=high, **options)


_FIELDS = (
    Field("device", str, choices=DEVICES, required=True),
    Field("device_name", str, ""),
    Field("precision", str, choices=PRECISIONS, required=True),
    Field("layout", str, choices=LAYOUTS, required=True),
    Field("benchmarked", dict, {}, max_length=20, items=Field("time", float, low=0, high=1e9)),
    _count("threads", high=4_096, required=True),
    _count("workers", 0, 4_096, default=0),
    Field("teacher_precision", str, choices=PRECISIONS, nullable=True),
    Field("not_captured", str, ""),
    _count("parameters", required=True),
    _count("steps_per_epoch", required=True),
    _count("train_images", required=True),
    _count("val_images", required=True),
    Field("validated_on", str, choices=VALIDATED_ON, required=True),
    *(Field(name, str, "") for name in ("inkling", "python", "torch", "ziglang", "commit")),
    Field("packages", dict, {}, max_length=40, items=Field("version", str, max_length=80)),
    Field("machine", str, ""),
)
