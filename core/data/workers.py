"""Background processes that prepare batches, and end with the process that started them."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

PREFETCH = 3  # items that each worker prepares ahead
GRACE = 10.0  # seconds that a terminated worker waits for its parent to close it
_START_LOCK = threading.Lock()


class BackgroundLoader:
    """Iterate over `dataset[key]` for all keys, in order, computed by worker processes.

    Args:
        dataset: can be pickled.
        keys: of the items.
        workers: number of processes.
    """

    def __init__(self, dataset: Dataset, keys: list[tuple[int, int]], workers: int):
        # With a generator of its own: the loader would draw from torch's global one, and a resumed
        # run, which starts a loader more often, would differ.
        loader = DataLoader(
            dataset,
            batch_size=None,
            sampler=keys,
            num_workers=workers,
            prefetch_factor=PREFETCH,
            worker_init_fn=_prepare_worker,
            generator=torch.Generator(),
        )
        with _hidden_main_module():
            self._items: Any = iter(loader)
        # Runs before multiprocessing's exit handler, which would wait for the workers.
        atexit.register(self.close)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return self

    def __next__(self) -> tuple[Tensor, ...]:
        return next(self._items)

    def close(self) -> None:
        """End the workers; they are gone when this returns."""
        atexit.unregister(self.close)
        self._items = iter(())  # the loader's iterator ends its workers when it is deleted


def available_cpus() -> int:
    """Number of CPUs that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextlib.contextmanager
def _hidden_main_module() -> Iterator[None]:
    """Keep processes that are started meanwhile from importing the user's script.

    Unless it forks, multiprocessing imports the main module in every worker. A script without a
    main guard would then start the training again, in the worker. Workers need nothing from it.
    """
    with _START_LOCK:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _prepare_worker(number: int) -> None:
    """End the worker with its parent, and leave the handling of signals to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _exit_after(GRACE))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_with, args=(parent,), daemon=True).start()


def _exit_after(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _exit_with(parent: Any) -> None:
    parent.join()  # returns when the parent has ended, for whatever reason
    os._exit(1)
