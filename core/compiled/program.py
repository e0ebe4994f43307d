"""A compiled training step as a function of memory addresses, and the threads that compute it.

What the addresses belong to, a model, an optimizer and so on, is in `core.training.compiled_step`.
Must not import torch.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import weakref
from typing import Any

import numpy as np

from core.compiler import load_library

MAX_THREADS = 16
_ALIGNMENT = 64
# Microseconds that a helping thread waits for the next step before it sleeps: longer than Python
# needs from one step to the next.
_PATIENCE = 300
_LAST_STEP = 5.0  # seconds that the end waits for a helping thread

_Float, _Int, _Address = ctypes.c_float, ctypes.c_int32, ctypes.c_void_p


class Parameter(ctypes.Structure):
    """`struct Parameter` of kernels/optimizer.h."""

    _fields_ = [
        ("value", _Address),
        ("first", _Address),
        ("second", _Address),
        ("count", _Address),
        ("gradient", ctypes.c_int64),
        ("size", _Int),
        ("matrices", _Int),
        ("rows", _Int),
        ("columns", _Int),
        ("weight_decay", _Float),
    ]


class Averaged(ctypes.Structure):
    """`struct Averaged` of kernels/optimizer.h."""

    _fields_ = [("value", _Address), ("average", _Address), ("size", ctypes.c_int64)]


class Rule(ctypes.Structure):
    """`struct Rule` of kernels/optimizer.h."""

    _fields_ = [
        ("optimizer", _Int),
        ("nesterov", _Int),
        ("lr", _Float),
        ("momentum", _Float),
        ("beta2", _Float),
        ("epsilon", _Float),
        ("correction1", _Float),
        ("correction2", _Float),
        ("update_size", _Float),
        ("clip_norm", _Float),
        ("average_weight", _Float),
    ]


class Input(ctypes.Structure):
    """`struct Input` of kernels/phases.h."""

    _fields_ = [
        ("images", _Address),
        ("labels", _Address),
        ("teacher", _Address),
        ("tensors", _Address),
        ("parameters", _Address),
        ("averaged", _Address),
        ("loss_sum", _Address),
        ("correct", _Address),
        ("gradients", _Address),
        ("key", ctypes.c_uint64),
        ("batch", _Int),
        ("parameter_count", _Int),
        ("averaged_count", _Int),
        ("smoothing", _Float),
        ("teacher_share", _Float),
        ("temperature", _Float),
        ("rule", Rule),
    ]


class Program:
    """A compiled training step with its buffers and helping threads.

    The threads sleep between steps that are far apart, and end with this object.

    Args:
        source: C of `core.compiled.source.training_source`.
        threads: that compute, at least 1; more than 16 count as 16.

    Raises:
        CompilerError: the source cannot be compiled.
    """

    def __init__(self, source: str, threads: int):
        library = load_library(source)
        library.control_bytes.restype = library.input_bytes.restype = ctypes.c_uint64
        if library.input_bytes() != ctypes.sizeof(Input):
            raise RuntimeError("struct Input differs between C and Python.")
        library.train_step.restype = ctypes.c_float
        library.train_step.argtypes = [_Address] * 3
        library.help.restype = None
        library.help.argtypes = [_Address, ctypes.c_int, ctypes.c_int, _Address]
        self._team = _Team(library, min(threads, MAX_THREADS))
        weakref.finalize(self, self._team.close)

    def __call__(self, given: Input) -> float:
        """Do a training step, and return its mean negative log-likelihood."""
        return self._team.step(given)

    def keep(self, *objects: Any) -> None:
        """Keep the owners of the addresses in an `Input` as long as a thread may read them."""
        self._team.kept = objects


class _Team:
    """What the helping threads share; they do not refer to the `Program`, so that it can end."""

    def __init__(self, library: ctypes.CDLL, threads: int):
        self.library, self.helpers = library, threads - 1
        size = library.control_bytes()
        self.memory = np.zeros(size + _ALIGNMENT, np.uint8)
        self.control = -(-self.memory.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        # generation, current, waiting, threads
        self.header = (ctypes.c_int32 * 4).from_address(self.control)
        self.header[3] = threads
        self.give_way = _give_way()
        self.kept: tuple[Any, ...] = ()
        self.closed = False
        self.events = [threading.Event() for _ in range(self.helpers)]
        self.threads = [
            threading.Thread(
                target=self._help,
                args=(number, event),
                name=f"training step, thread {number}",
                daemon=True,
            )
            for number, event in enumerate(self.events, 1)
        ]
        for thread in self.threads:
            thread.start()

    def step(self, given: Input) -> float:
        if self.header[2] < self.helpers:
            for event in self.events:
                event.set()
        return self.library.train_step(self.control, ctypes.addressof(given), self.give_way)

    def close(self) -> None:
        self.closed = True
        for event in self.events:
            event.set()
        # A thread that came back from C when the interpreter has gone would abort the process.
        for thread in self.threads:
            thread.join(_LAST_STEP)

    def _help(self, number: int, event: threading.Event) -> None:
        while True:
            event.wait()
            event.clear()
            if self.closed:
                return
            self.library.help(self.control, number, _PATIENCE, self.give_way)


def _give_way() -> int:
    """Return the address of the system's function that gives a thread's core to another thread."""
    if sys.platform == "win32":
        function: Any = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0
