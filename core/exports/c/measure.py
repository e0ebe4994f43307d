"""Compile an exported C header here, run it, and measure the size of its code. No torch."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from core.compiler import find_zig, load_once
from core.quantisation.integers import Array

_EXPORT = """
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
EXPORT void compute_logits(const unsigned char *pixels, float *logits, int count) {
    for (int i = 0; i < count; i++) inkling_logits(pixels + 784 * i, logits + 10 * i);
}
EXPORT void predict(const unsigned char *pixels, float *probabilities, int *digits, int count) {
    for (int i = 0; i < count; i++)
        digits[i] = inkling_predict(pixels + 784 * i, probabilities + 10 * i);
}
"""
_USE = """
int predict(const unsigned char *pixels, float *probabilities);
int predict(const unsigned char *pixels, float *probabilities) {
    return inkling_predict(pixels, probabilities);
}
"""
_EXECUTABLE, _TIMEOUT = 0x4, 120  # of a section in an ELF file; seconds


class CompiledHeader:
    """A header, compiled for this machine.

    Args:
        text: of the header.

    Raises:
        CompilerError: no compiler works, or it refuses the header.
    """

    def __init__(self, text: str):
        self._library = load_once(text + _EXPORT)

    def logits(self, images: Array) -> Array:
        """Compute logits (N, 10) float32 of images (N, 28, 28) uint8."""
        images = np.ascontiguousarray(images, np.uint8)
        logits = np.empty((len(images), 10), np.float32)
        self._library.compute_logits(_address(images), _address(logits), len(images))
        return logits

    def predict(self, images: Array) -> tuple[Array, Array]:
        """Predict probabilities (N, 10) float32 and digits (N,) of images (N, 28, 28) uint8."""
        images = np.ascontiguousarray(images, np.uint8)
        probabilities = np.empty((len(images), 10), np.float32)
        digits = np.empty(len(images), np.int32)
        pointers = (_address(images), _address(probabilities), _address(digits))
        self._library.predict(*pointers, len(images))
        return probabilities, digits


def measure_code(text: str) -> tuple[int, str] | None:
    """Measure the code of a header, compiled for size.

    Returns:
        Bytes of instructions, without constants and buffers, and the processor they are for: an Arm
        Cortex-M4 where the package ziglang is installed, else this machine's. None where nothing
        can be measured.
    """
    for command, processor in _commands():
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "header.c"), Path(folder, "header.o")
            source.write_text(text + _USE, encoding="utf-8")
            arguments = [*command, "-std=c99", "-Os", "-g0", "-c", str(source), "-o", str(target)]
            try:
                done = subprocess.run(arguments, capture_output=True, timeout=_TIMEOUT)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0 and target.is_file():
                size = executable_bytes(target.read_bytes())
                if size:
                    return size, processor
    return None


def executable_bytes(data: bytes) -> int:
    """Bytes of instructions in an object file in the ELF format; 0 for another format."""
    if data[:4] != b"\x7fELF" or data[5] != 1:  # little-endian
        return 0
    is_64 = data[4] == 2
    # Offset of the section headers, then size and number of them.
    (start,) = struct.unpack_from("<Q" if is_64 else "<I", data, 40 if is_64 else 32)
    size, count = struct.unpack_from("<HH", data, 58 if is_64 else 46)
    total = 0
    for number in range(count):
        at = start + number * size
        flags = struct.unpack_from("<Q" if is_64 else "<I", data, at + 8)[0]
        length = struct.unpack_from("<Q" if is_64 else "<I", data, at + (32 if is_64 else 20))[0]
        total += length if flags & _EXECUTABLE else 0
    return total


def _commands() -> list[tuple[list[str], str]]:
    commands = []
    zig = find_zig()
    if zig is not None:
        target = ["-target", "thumb-freestanding-eabi", "-mcpu=cortex_m4"]
        commands.append(([str(zig), "cc", *target, "-fno-sanitize=undefined"], "Arm Cortex-M4"))
    for name in ("cc", "gcc", "clang"):
        path = shutil.which(name)
        if path is not None:
            commands.append(([path], "this machine"))
    return commands


def _address(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
