"""A run as one Python script that trains it anew, without importing this app.

The script is `template` with the run's settings, layers and transforms in place of the words that
begin with RUN_, and with functions of the trainer copied whole. So it draws the same random numbers
in the same order, and on the same machine prints the same epoch table up to rounding, unless the
run was forked or its learning rate was changed by hand.
"""

from __future__ import annotations

import base64
import importlib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from core.config import NO_DIGITS
from core.data.affine import AS_ALBUMENTATIONS
from core.data.augmentations import KINDS
from core.data.presets import transforms_of
from core.models.architectures import rows_of
from core.models.rows import Row
from core.models.shapes import count_parameters, trace
from core.runs.loading import load_teacher
from core.runs.run import Run
from core.training import schedules

# Settings left out of RUN_SETTINGS: the script holds them as code or does not use them.
OMITTED = {
    *("architecture", "layers", "dropout", "augmentation", "transforms", "teacher"),
    *("device", "kept_epochs", "digits", "digits_share", "digits_test_share"),
}
# Kind of row -> the call that builds it; "add" is the number of the row to add.
LAYER_CALLS = {
    "conv": "nn.Conv2d({inputs}, {channels}, {kernel}, {stride}, {padding}, groups={groups}, "
    "bias={bias})",
    "linear": "nn.Flatten(), nn.Linear({values}, {channels}, bias={bias})",
    "maxpool": "nn.MaxPool2d({kernel}, {stride})",
    "avgpool": "nn.AvgPool2d({kernel}, {stride})",
    "global_avgpool": "nn.AdaptiveAvgPool2d(1)",
    "dropout": "nn.Dropout({p})",
    "space_to_depth": "nn.PixelUnshuffle({block})",
    "add": "{from}",
}
ACTIVATIONS = {"relu": ", nn.ReLU()", "silu": ", nn.SiLU()", "gelu": ", nn.GELU()", "none": ""}

SHARED_NAMES = {  # module -> constants, functions and classes that the script needs
    "core.config": "INITIALISATIONS",
    "core.errors": "listed",
    "core.data.dataset": "split",
    "core.data.affine": "adjust_affine",
    "core.task": "MEAN STD",
    "core.data.batches": "CHUNK epoch_order normalise",
    "core.models.network": "initialise",
    "core.training.schedules": "DIV_FACTOR FINAL_DIV_FACTOR BASE_MOMENTUM MAX_MOMENTUM "
    "ORIGINAL_KNOTS ORIGINAL_EPOCHS momentum _two_phases _interpolate",
    "core.training.muon": "UPDATE_SIZE SMALL_MATRIX Muon _MatrixBatch _in_memory_order "
    "orthogonalise muon_groups",
    "core.training.optimizers": "cycles_momentum CapturableSgd build_optimizer set_rate Average",
    "core.training.distillation": "Ensemble distillation_loss",
    "core.training.results": "HEADER format_row",
}


def build_script(run: Run) -> str:
    """Return the script as text.

    Raises:
        RunError: the run's teacher is missing.
    """
    config = run.config
    teacher = load_teacher(config, run.folder.parent)
    # an ensemble has members
    teachers = [] if teacher is None else getattr(teacher, "members", [teacher])
    transforms = [_transform_call(row) for row in transforms_of(config)]
    settings = (f"{name} = {value!r}" for name, value in _settings(run).items())
    weights = b"".join(
        tensor.numpy().astype("<f4").tobytes()
        for member in teachers
        for tensor in member.state_dict().values()
        if tensor.is_floating_point()
    )
    parts = {
        "RUN_SETTINGS": "\n    ".join(settings),
        "RUN_LAYERS": _lines(_layer_calls(rows_of(config), config.dropout)),
        "RUN_TRANSFORMS": _lines(transforms),
        "RUN_TEACHERS": _lines(
            f"Network([{_lines(_layer_calls(member.rows, 0.0))}])" for member in teachers
        ),
        "RUN_SHARED": _shared_source(),
        '"RUN_WEIGHTS"': f'"""\n{base64.encodebytes(weights).decode()}"""',
        "RUN_DESCRIPTION": _description(run),
    }
    text = Path(__file__).with_name("template.py").read_text(encoding="utf-8")
    text = text[text.index('"""') :]  # without the template's own header
    for word, code in parts.items():
        text = text.replace(word, code)
    return text


def _shared_source() -> str:
    """Return the source of what the script shares with the trainer."""
    values: dict[str, Any] = {}
    for path, names in SHARED_NAMES.items():
        module = importlib.import_module(path)
        values |= {name: getattr(module, name) for name in names.split()}
    rates = {name: schedule.rate for name, schedule in schedules.SCHEDULES.items()}
    values |= {rate.__name__: rate for rate in rates.values()}
    parts = [
        inspect.getsource(value).strip() if callable(value) else f"{name} = {value!r}"
        for name, value in values.items()
    ]
    table = _lines(f"{name!r}: {rate.__name__}" for name, rate in rates.items())
    # These errors cannot occur: the settings were checked before the run, so any exception class
    # will do.
    errors = "ConfigError = DataError = ValueError\nEpochResult = SimpleNamespace"
    return "\n\n\n".join([errors, *parts, f"SCHEDULES = {{{table}}}"])


def _description(run: Run) -> str:
    config, parameters = run.config, count_parameters(trace(rows_of(run.config)))
    libraries = "torch, torchvision" + (", albumentations" if transforms_of(config) else "")
    lines = [
        f"Train {run.name}, a network of {parameters:,} parameters, on MNIST. Needs {libraries}.",
        f"\n    python {run.name}.py --data FOLDER",
    ]
    if config.teacher != "none":
        lines.append(
            f"\nIt also learns from the logits of {config.teacher}, whose weights are included."
        )
    if run.parent:
        lines.append("\nThe run began with another run's weights; the script draws new ones.")
    if config.digits != NO_DIGITS:
        lines.append("\nThe run also learned from own digits, which the script leaves out.")
    if any(event["kind"] == "rate" for event in run.read_events()):
        lines.append(
            "\nThe run's learning rate was changed by hand, which the script does not reproduce."
        )
    return "\n".join(lines).replace("\\", "\\\\").replace('"', r"\"").replace("\0", r"\x00")


def _settings(run: Run) -> dict[str, Any]:
    """The config, with the precision, memory format and threads chosen for the run's machine."""
    runtime = run.runtime
    precision = runtime.precision if runtime else run.config.precision
    contiguous = runtime is None or runtime.layout != "channels_last"
    settings = {k: v for k, v in run.config.to_dict().items() if k not in OMITTED} | {
        "precision": precision,
        "teacher_precision": runtime.teacher_precision if runtime else precision,
        "memory_format": torch.contiguous_format if contiguous else torch.channels_last,
        "threads": runtime.threads if runtime else 1,
    }
    if transforms_of(run.config):
        return settings
    # Without transforms no epoch is augmented; above 0 the script would import albumentations.
    return settings | {"augment_fraction": 0.0}


def _layer_calls(rows: Sequence[Row], dropout: float) -> Iterator[str]:
    """The layers of each row, as a list of the calls that build them."""
    for layer in trace(rows):
        row = {"p": None, "norm": "none", "activation": "none", **layer.row}
        row |= {"inputs": layer.input_shape[0], "values": math.prod(layer.input_shape)}
        row["p"] = dropout if row["p"] is None else row["p"]
        norm = f", nn.BatchNorm2d({row['channels']})" if row["norm"] == "batch" else ""
        call = f"Shared({layer.shares})" if layer.shares else LAYER_CALLS[row["kind"]].format(**row)
        yield f"[{call}{norm}{ACTIVATIONS[row['activation']]}]"


def _transform_call(row: Mapping[str, Any]) -> str:
    """The call that builds a transform."""
    as_albumentations = {**row, **AS_ALBUMENTATIONS} if row["kind"] == "affine" else row
    call: str = KINDS[row["kind"]].build(_Calls(), _Calls(), as_albumentations)
    if as_albumentations == row:
        return call
    return f"adjust_affine({call}, {row['shifts']!r}, {row['centre']!r})"


class _Calls:
    """Stands in for albumentations and cv2; a call returns its own source."""

    BORDER_CONSTANT, BORDER_REFLECT_101 = 0, 4

    def __getattr__(self, name: str) -> Callable[..., str]:
        # `strict` makes albumentations check the arguments; the app has done so, and the script
        # stays short.
        return lambda strict, **settings: (
            f"A.{name}({', '.join(f'{key}={value!r}' for key, value in settings.items())})"
        )


def _lines(items: Iterable[str]) -> str:
    """The items of a list, each on a line of its own."""
    text = "".join(f"        {item},\n" for item in items)
    return f"\n{text}    " if text else ""
