"""Weights as safetensors files: which tensors a network needs, checking a file's header, loading.

A safetensors file is the length of its header in 8 bytes, a JSON header with the dtype, shape and
place of each tensor, and the values (https://huggingface.co/docs/safetensors). Nothing in it can
run, and the header is checked before any value is read. Must not import torch at module level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.errors import RunError
from core.models.shapes import trace
from core.runs import files
from core.runs.file_cache import FileCache, file_signature

if TYPE_CHECKING:
    from torch import Tensor

SUFFIX = ".safetensors"
OLD_SUFFIX = ".pt"  # torch files, which earlier versions wrote
MAX_HEADER_BYTES = 500_000  # 2,000 tensors take 200,000
MAX_DIMENSIONS = 8
_ITEM_BYTES = {"F32": 4, "I64": 8}


class TensorSpec(NamedTuple):
    """Dtype, as safetensors names it ("F32"), and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]


Specs = Mapping[str, TensorSpec]


class OldWeightsError(RunError):
    """A run's weights are torch files, which have to be converted first."""


def expected_tensors(rows: Sequence[Mapping[str, Any]]) -> dict[str, TensorSpec]:
    """Return the tensors of a network's `state_dict`, from its layer rows alone.

    Args:
        rows: the layer rows, with their defaults filled in.
    """
    specs: dict[str, TensorSpec] = {}
    number = 0
    for layer in trace(rows):
        row, in_channels = layer.row, layer.input_shape[0]
        in_features = math.prod(layer.input_shape)
        for module in layer.modules[bool(layer.shares) :]:  # without a shared convolution
            out = module.output_shape[0]
            shapes: dict[str, tuple[int, ...]] = {}
            if module.type == "Conv2d":
                shapes["weight"] = (out, in_channels // row["groups"], row["kernel"], row["kernel"])
            elif module.type == "Linear":
                shapes["weight"] = (out, in_features)
            elif module.type == "BatchNorm2d":
                shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (out,))
                specs[f"layers.{number}.num_batches_tracked"] = TensorSpec("I64", ())
            if module.type in ("Conv2d", "Linear") and row["bias"]:
                shapes["bias"] = (out,)
            for name, shape in shapes.items():
                specs[f"layers.{number}.{name}"] = TensorSpec("F32", shape)
            number += 1
    return specs


def to_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Return named tensors as a safetensors file; equal tensors give equal bytes."""
    from safetensors.torch import save

    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    return save(contiguous, metadata={"format": "pt"})  # what other programs expect of torch's


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Replace a weights file atomically.

    Raises:
        DiskFullError, RunError: as `files.write_bytes`.
    """
    files.write_bytes(path, to_bytes(tensors))


def check_file(path: Path, expected: Specs) -> None:
    """Refuse a weights file whose header does not list exactly the expected tensors.

    Only the header is read, and only when the file has changed since the last time.

    Raises:
        RunError: the file is missing or damaged, or belongs to another network.
    """
    specs, data_bytes = _headers.get(path, file_signature(path), lambda: _read_header(path))
    _compare(specs, data_bytes, expected, path.name)


def check_bytes(data: bytes, expected: Specs, name: str) -> None:
    """As `check_file`, for the contents of a file.

    Args:
        data: the whole file.
        expected: the tensors that the network needs.
        name: name of the file, for error messages.
    """
    _compare(*_parse_header(data, len(data), name), expected, name)


def parse_tensors(data: bytes, expected: Specs, name: str) -> dict[str, Tensor]:
    """Return the tensors of a weights file, on the CPU; the bytes that are checked are parsed.

    Args:
        data: the whole file.
        expected: the tensors that the network needs.
        name: name of the file, for error messages.

    Raises:
        RunError: the file is damaged or belongs to another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    check_bytes(data, expected, name)
    try:
        tensors = load(data)
    except SafetensorError:
        raise RunError(f"{name} is damaged: its header does not match its size.") from None
    # Whatever two parsers may disagree on, such as a name that is there twice, is caught here.
    dtypes = {"torch.float32": "F32", "torch.int64": "I64"}
    specs = {
        key: TensorSpec(dtypes.get(str(tensor.dtype), "?"), tuple(tensor.shape))
        for key, tensor in tensors.items()
    }
    if specs != expected:
        raise RunError(f"{name} is damaged: its header is ambiguous.")
    return tensors


def load_tensors(path: Path, expected: Specs) -> dict[str, Tensor]:
    """Load a weights file on the CPU, read once.

    Raises:
        RunError: the file is missing, damaged or belongs to another network.
    """
    most = 8 + MAX_HEADER_BYTES + _count_bytes(expected)
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise _unreadable(error, path) from None
    return parse_tensors(data, expected, path.name)


def refuse_old_format(run_folder: Path) -> None:
    """Refuse a run whose weights are still torch files.

    Raises:
        OldWeightsError: says how to convert them.
    """
    for which in ("last", "best", "start"):
        old = run_folder / f"{which}{OLD_SUFFIX}"
        if old.is_file() and not old.with_suffix(SUFFIX).is_file():
            raise OldWeightsError(
                f"its weights have the old format ({old.name}); convert them with: "
                f"python -m core convert {run_folder.name}"
            )


def _read_header(path: Path) -> tuple[Specs, int]:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _parse_header(file.read(8 + MAX_HEADER_BYTES), size, path.name)
    except OSError as error:
        raise _unreadable(error, path) from None


def _parse_header(data: bytes, size: int, name: str) -> tuple[Specs, int]:
    """Return the tensors that a header lists and the number of bytes behind it.

    Args:
        data: the file, or as much of its beginning as a header may take.
        size: size of the whole file.
        name: name of the file, for error messages.
    """
    length = int.from_bytes(data[:8], "little")
    if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
        raise RunError(f"{name} is not a safetensors file, or it was cut off.")
    header = files.parse_json(data[8 : 8 + length], name)
    if not isinstance(header, dict):
        raise RunError(f"{name} is damaged: its header lists no tensors.")
    header.pop("__metadata__", None)
    specs = {}
    for key, entry in header.items():
        dtype, shape = (
            (entry.get("dtype"), entry.get("shape")) if isinstance(entry, dict) else (None, None)
        )
        if (
            not isinstance(dtype, str)
            or not isinstance(shape, list)
            or len(shape) > MAX_DIMENSIONS
            or not all(type(side) is int and side >= 0 for side in shape)
        ):
            raise RunError(f"{name} is damaged: its header does not describe {key[:60]!r}.")
        specs[key] = TensorSpec(dtype[:20], tuple(shape))
    return specs, size - 8 - length


def _compare(specs: Specs, data_bytes: int, expected: Specs, name: str) -> None:
    if set(specs) != set(expected):
        raise RunError(
            f"{name} belongs to another network: it holds {len(specs)} tensors, "
            f"not the {len(expected)} of this one."
        )
    for key, spec in expected.items():
        if specs[key] != spec:
            raise RunError(
                f"{name} belongs to another network: {key} should have the shape {spec.shape} and "
                f"dtype {spec.dtype}, not {str(specs[key].shape)[:80]} and {specs[key].dtype}."
            )
    if data_bytes != _count_bytes(expected):
        raise RunError(
            f"{name} is damaged: it holds {data_bytes:,} bytes of values instead of "
            f"{_count_bytes(expected):,}."
        )


def _count_bytes(specs: Specs) -> int:
    return sum(math.prod(spec.shape) * _ITEM_BYTES[spec.dtype] for spec in specs.values())


def _unreadable(error: OSError, path: Path) -> RunError:
    if isinstance(error, FileNotFoundError):
        return RunError(f"{path.name} is missing.")
    return RunError(f"{path.name} cannot be read: {error.strerror}.")


_headers: FileCache[Path, tuple[Specs, int]] = FileCache(max_entries=4_000)
