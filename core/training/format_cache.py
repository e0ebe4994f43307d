"""What runs with precision "auto" measured on this machine, kept for later runs.

A run's figures depend on its precision and memory layout, and two measurements may disagree where
formats are about equally fast. So a measurement is made once for a machine, version, network and
batch size, and kept in the user's cache folder. Must not import torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.json_input import read_json_file
from core.schema import SchemaError
from core.user_cache import cache_folder

FOLDER = "formats"
MAX_ENTRIES = 500  # the least recently used ones go
MAX_BYTES = 100_000  # of an entry
LOCK_SECONDS = 60.0  # wait for another process that measures

Times = dict[str, float]
"""Milliseconds by format, such as "fp32 contiguous"."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A kept measurement."""

    setting: Mapping[str, Any]
    """What it holds for; see `describe_machine`."""
    times: Times
    measured: float
    """Seconds since 1970."""


def reuse_or_measure(setting: Mapping[str, Any], measure: Callable[[], Times]) -> Times:
    """Return the times that were measured for a setting, or measure and keep them.

    Processes that ask for the same setting at once wait for the first one's measurement. A folder
    that cannot be used, or a damaged file, is no error: then the times are measured.

    Args:
        setting: everything that the times depend on, as JSON values.
        measure: measures the times.
    """
    path = _folder() / f"{_key(setting)}.json"
    if (kept := _read(path, setting)) is not None:
        with contextlib.suppress(OSError):
            os.utime(path)  # it is in use
        return kept.times
    with _locked(path):
        if (kept := _read(path, setting)) is not None:
            return kept.times
        times = measure()
        with contextlib.suppress(OSError):
            _write(path, Measurement(dict(setting), times, round(time.time(), 3)))
            _remove_oldest(path.parent)
    return times


def list_measurements() -> list[Measurement]:
    """Return the kept measurements, the last used one first; damaged files are left out."""
    kept = [_read(path) for path in reversed(_entries(_folder()))]
    return [measurement for measurement in kept if measurement is not None]


def clear() -> int:
    """Remove all measurements, so that the next runs measure anew.

    Returns:
        How many there were.

    Raises:
        OSError: the folder cannot be changed.
    """
    paths = _entries(_folder())
    for path in paths:
        path.unlink(missing_ok=True)
    for path in _folder().glob("*.lock"):
        path.unlink(missing_ok=True)
    return len(paths)


def describe_machine(device: str, device_name: str) -> dict[str, Any]:
    """Return the part of a setting that names the machine.

    Args:
        device: "cpu", "cuda" or "mps".
        device_name: of a GPU.
    """
    return {
        "processor": processor_name(),
        "cpus": os.cpu_count() or 1,
        "device": device,
        "device_name": device_name,
    }


def processor_name() -> str:
    """Return the processor's name as its maker gives it; where it is unknown, the architecture."""
    name = ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "linux":
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
            named = (line for line in lines if line.lower().startswith("model name"))
            name = next(named, "").partition(":")[2].strip()
        elif sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            name = subprocess.check_output(command, text=True, timeout=5).strip()
    return name or platform.processor() or platform.machine()


def digest(value: Any) -> str:
    """Return a short hash of JSON values, such as the layer rows of a network."""
    return hashlib.sha256(_to_json(value)).hexdigest()[:16]


def _folder() -> Path:
    return cache_folder() / FOLDER


def _key(setting: Mapping[str, Any]) -> str:
    return digest(dict(setting))


def _to_json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, default=list, allow_nan=False).encode()


def _entries(folder: Path) -> list[Path]:
    """The files of measurements, the least recently used one first."""
    aged: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for path in folder.glob("*.json"):
            with contextlib.suppress(OSError):
                aged.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(aged)]


def _read(path: Path, setting: Mapping[str, Any] | None = None) -> Measurement | None:
    """Read a measurement; None where it is missing, damaged or of another setting."""
    try:
        value = read_json_file(path, path.name, max_bytes=MAX_BYTES)
    except SchemaError:
        return None
    if not isinstance(value, dict):
        return None
    stored, times = value.get("setting"), value.get("times")
    measured = value.get("measured", math.nan)
    if not isinstance(stored, dict) or not isinstance(times, dict) or not times:
        return None
    if not all(_is_time(number) for number in [*times.values(), measured]):
        return None
    if _key(stored) != path.stem:
        return None
    if setting is not None and _to_json(stored) != _to_json(dict(setting)):
        return None
    if set(times) != set(stored.get("formats", times)):
        return None
    return Measurement(stored, times, float(measured))


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1e12


def _write(path: Path, measurement: Measurement) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    value = {
        "setting": measurement.setting,
        "times": measurement.times,
        "measured": measurement.measured,
    }
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(_to_json(value))
            file.close()
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _remove_oldest(folder: Path) -> None:
    for path in _entries(folder)[:-MAX_ENTRIES]:
        path.unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a setting's lock where that is possible."""
    lock = FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS)
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, NotImplementedError):  # filelock's Timeout is an OSError
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            stack.enter_context(lock)
        yield
