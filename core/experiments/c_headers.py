"""Measured sizes and accuracies of shipped runs as C headers, read from c_headers.json.

`python tests/benchmarks/c_headers.py --write` measures them and writes the file. Must not import
torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import RunError, UserError
from core.json_input import read_json_file
from core.runs.file_cache import FileCache, file_signature
from core.schema import Field, check_object

FILE = Path(__file__).with_name("c_headers.json")
COMMAND = "python tests/benchmarks/c_headers.py"


@dataclass(frozen=True, slots=True)
class MeasuredHeader:
    """A run as a C header, compiled and run on the test images."""

    run: str
    scheme: str
    """int8 or int4; empty: floating point."""
    four_bit_layers: int
    """Layers with 4-bit weights."""
    weights: int
    """Bytes of weights and all other constants."""
    memory: int
    """Bytes of static buffers."""
    code: int
    """Bytes of instructions."""
    processor: str
    """That the code is for."""
    multiply_adds: int
    """For one image."""
    correct: int
    """Test images."""
    images: int
    fine_tuned: bool

    @property
    def accuracy(self) -> float:
        """On the test images, in percent."""
        return 100 * self.correct / self.images

    @property
    def label(self) -> str:
        """How the weights are stored, in words."""
        if not self.scheme:
            return "floating point"
        if self.scheme == "int8" and self.four_bit_layers:
            return "8 and 4 bits"
        return "8 bits" if self.scheme == "int8" else "4 bits"


@dataclass(frozen=True, slots=True)
class PublicHeader:
    """A public network for a microcontroller, as its source reports it."""

    source: str
    weights: int
    """Bytes."""
    accuracy: float
    """In percent."""


# Of its models with 2 to 4 bits per weight, trained with quantisation.
PUBLIC_HEADERS = (
    PublicHeader("cpldcpu/BitNetMCU", 9_300, 99.44),
    PublicHeader("cpldcpu/BitNetMCU", 13_000, 99.58),
)


def read_headers(path: Path | None = None) -> tuple[MeasuredHeader, ...]:
    """Read a file, by default FILE; it is read again only when it has changed.

    Raises:
        RunError: it is missing or damaged; the message says how to make it.
    """
    file = path or FILE
    return _cache.get(file, file_signature(file), lambda: _read(file))


def write_headers(headers: Sequence[MeasuredHeader], path: Path = FILE) -> None:
    """Write a file, with one line per header."""
    lines = ",\n  ".join(json.dumps(asdict(header)) for header in headers)
    path.write_text(f'{{\n "headers": [\n  {lines}\n ]\n}}\n', encoding="utf-8")


def headers_table(headers: Sequence[MeasuredHeader]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| run | weights | bytes of weights | RAM | code | test accuracy | fine-tuned |",
        "|---|---|---|---|---|---|---|",
    ]
    for header in headers:
        lines.append(
            f"| {header.run} | {header.label} | {header.weights:,} | {header.memory:,} | "
            f"{header.code:,} | {header.accuracy:.2f} % | {'yes' if header.fine_tuned else 'no'} |"
        )
    return "\n".join(lines)


def _read(path: Path) -> tuple[MeasuredHeader, ...]:
    try:
        values = check_object(read_json_file(path, path.name), _FILE, path.name)
        return tuple(MeasuredHeader(**header) for header in values["headers"])
    except UserError as error:
        raise RunError(
            f"the measured figures of C headers cannot be read: {error} Restore the file, or write "
            f"it anew with {COMMAND} --write."
        ) from None


def _count(name: str) -> Field:
    return Field(name, int, low=0, high=10**9, required=True)


_HEADER = (
    Field("run", str, min_length=1, required=True),
    Field("scheme", str, choices=("", "int8", "int4"), required=True),
    *map(_count, ("four_bit_layers", "weights", "memory", "code")),
    Field("processor", str, required=True),
    *map(_count, ("multiply_adds", "correct")),
    Field("images", int, low=1, high=10**9, required=True),
    Field("fine_tuned", bool, required=True),
)
_FILE = (
    Field(
        "headers",
        list,
        max_length=1_000,
        items=Field("header", dict, fields=_HEADER),
        required=True,
    ),
)
_cache: FileCache[Path, tuple[MeasuredHeader, ...]] = FileCache(max_entries=4)
