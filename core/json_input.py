"""JSON from outside: files, options, links and uploads, with bounded size and nesting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.regular_files import read_regular_file
from core.schema import SchemaError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20  # lists and objects within each other; ours have at most 6


def parse_json(
    data: bytes | str, name: str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> Any:
    """Parse JSON in UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Args:
        data: the JSON; text counts as UTF-8.
        name: what errors call it.
        max_bytes: largest size.
        max_depth: how many lists and objects may be nested.

    Raises:
        SchemaError: too large, nested too deeply, or not JSON; NaN and Infinity are not JSON.
    """
    if isinstance(data, str):
        data = data.removeprefix("\ufeff").encode("utf-8", "surrogatepass")
    if len(data) > max_bytes:
        raise SchemaError(f"{name} has {len(data):,} bytes; at most {max_bytes:,} are allowed.")
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise SchemaError(
            f"{name} is not valid JSON (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise SchemaError(f"{name} is nested more than {max_depth} levels deep.") from None
    except ValueError:  # wrong encoding, a constant, or a number with too many digits
        raise SchemaError(f"{name} is not valid JSON.") from None
    level = [value]
    for _ in range(max_depth):
        level = [
            child
            for node in level
            if isinstance(node, list | dict)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, list | dict)
        ]
    if level:
        raise SchemaError(f"{name} is nested more than {max_depth} levels deep.")
    return value


def read_json_file(path: Path, name: str, *, max_bytes: int = MAX_BYTES) -> Any:
    """Parse a JSON file, which must be a regular file: a device or a pipe need not end.

    Raises:
        SchemaError: the file cannot be read, or as `parse_json`.
    """
    try:
        data = read_regular_file(path, max_bytes)
    except OSError as error:
        raise SchemaError(f"{name} cannot be read: {error.strerror}.") from None
    return parse_json(data, name, max_bytes=max_bytes)


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)
