"""Compiles calls of the C kernels for tests and benchmarks, and brings arrays to their layout."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping

import numpy as np

from core.compiler import load_library

HEADERS = ("activation", "convolution", "norm", "padding", "pooling")
EXPORT = "__declspec(dllexport) " if sys.platform == "win32" else ""


class Library:
    """Compiled calls of kernels.

    Args:
        calls: C statements by name; they read float pointers p[0], p[1]... and integers n[0]...
    """

    def __init__(self, calls: Mapping[str, str]):
        lines = [f'#include "{name}.h"' for name in HEADERS]
        lines.append(f"{EXPORT}int lanes(void) {{ return LANES; }}")
        lines += [
            f"{EXPORT}void call_{name}(float **p, const int *n) {{ {call} }}"
            for name, call in calls.items()
        ]
        self._library = load_library("\n".join((*lines, "")))
        self.lanes: int = self._library.lanes()

    def __call__(
        self, name: str, *arrays: np.ndarray | None, numbers: tuple[int, ...] = ()
    ) -> None:
        """Run a call on contiguous float32 arrays and integers."""
        pointers = (ctypes.c_void_p * max(1, len(arrays)))()
        for i, array in enumerate(arrays):
            assert array is None or (array.dtype == np.float32 and array.flags["C_CONTIGUOUS"])
            pointers[i] = None if array is None else array.ctypes.data
        getattr(self._library, "call_" + name)(
            pointers, (ctypes.c_int * max(1, len(numbers)))(*numbers)
        )

    def pack(self, x: np.ndarray) -> np.ndarray:
        """(N, ...) -> (chunks, ..., lanes), aligned, with zeros in unused lanes."""
        chunks = -(-len(x) // self.lanes)
        padded = np.zeros((chunks * self.lanes, *x.shape[1:]), np.float32)
        padded[: len(x)] = x
        packed = np.moveaxis(padded.reshape(chunks, self.lanes, *x.shape[1:]), 1, -1)
        return aligned(*packed.shape, values=packed)

    def unpack(self, x: np.ndarray, count: int) -> np.ndarray:
        """(chunks, ..., lanes) -> (count, ...)."""
        return np.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:-1])[:count]

    def mask(self, count: int) -> np.ndarray:
        """(lanes,): 1 for the first lanes, 0 for the others."""
        values = (np.arange(self.lanes) < count).astype(np.float32)
        return aligned(self.lanes, values=values)


def aligned(*shape: int, values: np.ndarray | float = np.nan) -> np.ndarray:
    """A float32 array that starts at a multiple of 64 bytes."""
    size = int(np.prod(shape))
    memory = np.empty(size + 16, np.float32)
    start = -memory.ctypes.data // 4 % 16
    array = memory[start : start + size].reshape(shape)
    array[...] = values
    return array
