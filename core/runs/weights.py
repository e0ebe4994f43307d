"""Files of weights: looked at without torch and without running what is in them, and loaded.

torch saves a zip: a small pickle that says which tensors there are, and their bytes beside it. Here the pickle is
read with every name in it replaced by a stand-in, which tells shapes and refuses code, before torch ever sees it.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.models.shapes import trace
from core.runs import safe_zip
from core.runs.file_cache import FileCache, file_signature
from core.runs.torch_file import load as load_state

Shapes = Mapping[str, tuple[int, ...]]
MAX_PICKLE_BYTES = 2_000_000
MOST_TENSORS = 2_000


def expected(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of the network that layer rows make, as its `state_dict` has them."""
    shapes: dict[str, tuple[int, ...]] = {}
    number = 0
    for layer in trace(rows):
        row, channels = layer.row, layer.input_shape[0]
        inputs = 1
        for side in layer.input_shape:
            inputs *= side
        for module in layer.modules:
            out = module.output_shape[0]
            own: dict[str, tuple[int, ...]] = {}
            if module.type == "Conv2d":
                own["weight"] = (out, channels // row["groups"], row["kernel"], row["kernel"])
            elif module.type == "Linear":
                own["weight"] = (out, inputs)
            elif module.type == "BatchNorm2d":
                own = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (out,))
                own["num_batches_tracked"] = ()
            if module.type in ("Conv2d", "Linear") and row["bias"]:
                own["bias"] = (out,)
            shapes |= {f"layers.{number}.{name}": shape for name, shape in own.items()}
            number += 1
    return shapes


def shapes_in(path: Path) -> Shapes:
    """Names and shapes of the tensors in a file of weights, read without torch; nothing in it is run.

    Raises:
        RunError: the file is missing, no file of weights, or holds anything but tensors.
    """
    try:
        with open(path, "rb") as file, safe_zip.opened(file, path.name, MOST_TENSORS) as archive:
            entries = archive.infolist()
            # torch stores tensors as they are; a compressed one could unpack to any size.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
                sum(entry.file_size for entry in entries) > path.stat().st_size
            ):
                raise RunError(f"{path.name} is packed in a way that torch does not use.")
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
                raise RunError(f"{path.name} is no file of weights.")
            value = _value(archive.read(pickles[0]), path.name)
    except FileNotFoundError:
        raise RunError(f"{path.name} is missing.") from None
    except OSError as error:
        raise RunError(f"{path.name} cannot be read: {error.strerror}.") from None
    if not isinstance(value, dict) or not all(
        isinstance(name, str) and isinstance(tensor, _Tensor) for name, tensor in value.items()
    ):
        raise RunError(f"{path.name} holds something other than named tensors.")
    return {name: tensor.shape for name, tensor in value.items()}


def check(path: Path, shapes: Shapes) -> None:
    """Refuse a file whose weights are not of these names and shapes.

    Raises:
        RunError: says in one sentence what does not fit.
    """
    found = _shapes.get(path, file_signature(path), lambda: shapes_in(path))
    if set(found) != set(shapes):
        raise RunError(
            f"{path.name} belongs to another network: it holds {len(found)} tensors, "
            f"not the {len(shapes)} that this one has."
        )
    for name, shape in shapes.items():
        if found[name] != shape:
            raise RunError(
                f"{path.name} belongs to another network: {name} has the shape {found[name]} "
                f"instead of {shape}."
            )


def load_tensors(path: Path) -> dict[str, Any]:
    """The named tensors in a file of weights, on the CPU.

    Raises:
        RunError: as `shapes_in`.
    """
    shapes_in(path)
    return load_state(path)


@lru_cache(maxsize=16)  # networks of one kind have the same list of tensors
def _value(data: bytes, name: str) -> Any:
    try:
        return _Reader(io.BytesIO(data)).load()
    except pickle.UnpicklingError as error:
        raise RunError(f"{name} is refused: {error}.") from None
    except Exception as error:  # whatever a made-up pickle makes the reader stumble over
        raise RunError(f"{name} is no file of weights ({type(error).__name__}).") from None


class _Tensor:
    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape


def _tensor(size: Any, offset: Any, shape: Any, stride: Any, *rest: Any) -> _Tensor:
    whole = all(
        isinstance(part, tuple) and all(type(side) is int and side >= 0 for side in part)
        for part in (shape, stride)
    )
    if (
        not whole
        or len(shape) != len(stride)
        or type(offset) is not int
        or type(size) is not int
        or offset < 0
    ):
        raise pickle.UnpicklingError("a tensor in it is malformed")
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    if math.prod(shape) > size or last >= max(size, 1):
        raise pickle.UnpicklingError("a tensor in it is larger than its data")
    return _Tensor(tuple(shape))


class _Reader(pickle.Unpickler):
    """Knows the four kinds of names that a file of tensors holds, and calls none but stand-ins."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"it would run {f'{module}.{name}'[:60]}")

    def persistent_load(self, pid: Any) -> int:
        # ("storage", kind, key, device, number of elements)
        if (
            not isinstance(pid, tuple)
            or len(pid) != 5
            or pid[0] != "storage"
            or type(pid[4]) is not int
        ):
            raise pickle.UnpicklingError("it refers to something other than tensors")
        return pid[4]


_shapes: FileCache[Path, Shapes] = FileCache(max_entries=4_000)
