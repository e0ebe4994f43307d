"""Worker processes: they end with their parent, and never run the user's script."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest

from core.data import dataset
from core.data.batches import Batches
from core.data.presets import PRESETS

METHODS = ["default", "spawn", "forkserver"]
SETUP = """
import multiprocessing, os, sys, time
import torch.utils.data._utils.worker as loader
print("script", flush=True)
from core.data import workers
from core.data.batches import Batches
from core.data.presets import PRESETS
from core.data.dataset import synthetic
# Postpone what would end a worker late, and so hide that nothing ends it at once.
workers.GRACE = loader.MP_STATUS_CHECK_INTERVAL = 1_000
"""
USE = """
if sys.argv[1] != "default":
    multiprocessing.set_start_method(sys.argv[1])
training = synthetic(100, 1).train
batches = Batches(training[training.labels * 0], 32, PRESETS["final"].transforms, 1, 1)
stream = batches.stream(10_000)
first = next(stream)
print(multiprocessing.active_children()[-1].pid, int(first[2].sum()), flush=True)
if "wait" in sys.argv:
    time.sleep(1_000)
"""
GUARDED = SETUP + 'if __name__ == "__main__":' + USE.replace("\n", "\n    ")
SCRIPTS = {"guarded": GUARDED, "without a guard": SETUP + USE}


@contextlib.contextmanager
def started(tmp_path, script, *words):
    path = tmp_path / "script.py"
    path.write_text(script)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, str(path), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def is_gone(pid, within):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.02)
                continue
        return True
    return False


def test_workers_end_with_a_killed_parent(tmp_path):
    with started(tmp_path, GUARDED, "default", "wait") as process:
        process.stdout.readline()
        pid = int(process.stdout.readline().split()[0])
        time.sleep(0.5)  # until the worker waits: the loader itself ends a busy one
        assert psutil.pid_exists(pid)
        process.kill()
        assert is_gone(pid, 30)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("method", METHODS if os.name == "posix" else METHODS[:2])
def test_a_script_may_leave_its_stream_open_and_lack_a_main_guard(tmp_path, method, script):
    training = dataset.synthetic(100, 1).train
    transforms = PRESETS["final"].transforms
    expected = next(Batches(training[training.labels * 0], 32, transforms, 1, 0).stream(1))
    with started(tmp_path, script, method) as process:
        lines = process.stdout.readlines()
        assert process.wait(60) == 0
    assert [line.strip() for line in lines].count("script") == 1, "workers ran the script"
    pid, total = map(int, lines[-1].split())
    assert total == int(expected[2].sum())
    assert is_gone(pid, 30)
