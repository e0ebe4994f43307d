"""The queue: which runs train now and which wait. One for all tabs, users and shells of a checkpoints folder.

A run waits when its status says "queued"; .queue.json only holds the order. Whoever comes by pumps: pages, the
command line, a worker at its end. All of it happens under the folder's lock, so two starts at the same instant see
each other, and a holder that dies leaves nothing behind that the next one doesn't put right.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import LimitError, RunError
from core.limits import Limits
from core.runs import files, jobs, processes, status
from core.runs.disk_limits import measure_bytes
from core.runs.folders import checkpoints_folder, list_entries
from core.runs.run import Run
from core.runs.run_names import check_name
from core.runs.store import open_run
from core.training.plan import plan

ORDER_FILE = ".queue.json"
GPU_SLOTS = 3  # networks this small leave most of a GPU idle


def count_slots(limits: Limits | None = None) -> int:
    """How many runs train at once: INKLING_RUNNING, else one, or several where there is a GPU."""
    limits = limits or Limits.from_environment()
    several = "INKLING_RUNNING" not in os.environ and Path("/dev/nvidia0").exists()
    return max(limits.running, GPU_SLOTS) if several else limits.running


def submit(
    name: str, folder: Path | None = None, *, one_epoch: bool = False, limits: Limits | None = None
) -> Run:
    """Train a run, or go on with it: at once if a place is free, else when its turn comes.

    Args:
        name: the run.
        folder: the checkpoints folder; None: this machine's.
        one_epoch: pause at the end of the epoch.
        limits: what the machine lends; None: from the environment.

    Raises:
        RunError: it is training, finished, or cannot go on.
        LimitError: the queue is full, or the run is larger than the machine lends.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    with files.lock_folder(folder):
        run = open_run(name, folder)
        check_startable(run, limits)
        waiting = _waiting(folder)
        if name in waiting:
            raise RunError(f"{name} waits already, in place {waiting.index(name) + 1}.")
        if len(waiting) >= limits.max_queue:
            raise LimitError(
                f"{len(waiting):,} runs wait already, which is all this machine's queue takes; "
                "drop some, or raise INKLING_MAX_QUEUE."
            )
        status.clear_request(run.folder)
        if one_epoch:
            status.write_request(run.folder, "pause-after-epoch")
        status.write(run.folder, "queued", "waits for a place")
        _write_order(folder, [*waiting, name])
        _pump(folder, limits)
    return open_run(name, folder)


def start_waiting(folder: Path | None = None, limits: Limits | None = None) -> list[str]:
    """Start what waits, as far as places are free; cheap when nothing does.

    Returns:
        The names of the runs started.
    """
    folder = folder or checkpoints_folder()
    if not _waiting(folder):
        return []
    limits = limits or Limits.from_environment()
    with files.lock_folder(folder):
        return _pump(folder, limits)


def list_waiting(folder: Path | None = None) -> list[str]:
    """The names of the waiting runs, the next one first."""
    return _waiting(folder or checkpoints_folder())


def move(name: str, place: int, folder: Path | None = None) -> list[str]:
    """Give a waiting run another place.

    Args:
        name: the run.
        place: from 0, the next to start; larger than the queue: last.
        folder: the checkpoints folder.

    Returns:
        The new order.

    Raises:
        RunError: it does not wait.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        waiting = _waiting(folder)
        _check_waits(name, waiting)
        waiting.remove(name)
        waiting.insert(max(0, place), name)
        _write_order(folder, waiting)
    return waiting


def remove(name: str, folder: Path | None = None) -> Run:
    """Take a waiting run out of the queue; the run itself stays as it was.

    Raises:
        RunError: it does not wait.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        waiting = _waiting(folder)
        _check_waits(name, waiting)
        status.clear_request(folder / name)
        status.write(folder / name, "stopped", "taken out of the queue")
        _write_order(folder, [other for other in waiting if other != name])
    return open_run(name, folder)


def claim(run_folder: Path, limits: Limits | None = None) -> bool:
    """Take a place for this process to train a run in; at the start of every worker.

    Returns:
        False: another process trains it, or no place is free and the run waits again.

    Raises:
        UserError: as `submit`.
    """
    folder, limits = run_folder.parent, limits or Limits.from_environment()
    me = processes.identity()
    with files.lock_folder(folder):
        now = status.read(run_folder)
        if now.is_live and now.pid != me[0]:
            return False
        if (
            not now.is_live
        ):  # nobody kept a place for us: started by hand, or by a starter that died over it
            check_startable(open_run(run_folder.name, folder), limits)
            if len(_training(folder)) >= count_slots(limits):
                waiting = _waiting(folder)
                status.write(run_folder, "queued", "waits for a place")
                _write_order(
                    folder,
                    [run_folder.name, *(name for name in waiting if name != run_folder.name)],
                )
                return False
        status.write(run_folder, "running", "starting", me)
    return True


def check_startable(run: Run, limits: Limits) -> None:
    """Refuse to train a run that trains, is done or cannot go on.

    Raises:
        RunError: says which.
        LimitError: it is larger than the machine lends.
    """
    plan(run.config, limits)
    if measure_bytes(run.folder.parent) >= limits.max_disk_mb * 1_000_000:
        raise LimitError(
            f"the runs take all of the {limits.max_disk_mb:,} MB that this machine lends them; delete "
            "some and empty the bin, or raise INKLING_MAX_DISK_MB."
        )
    if run.is_live:
        raise RunError(f"{run.name} is training already.")
    if run.state == "finished":
        raise RunError(f"{run.name} is finished; fork it to train its weights further.")
    if run.state == "diverged":
        raise RunError(
            f"{run.name} diverged and would do so again; fork it with a lower learning rate."
        )
    if run.epochs and not (run.folder / "state.pt").is_file():
        raise RunError(
            f"{run.name} cannot go on: its state.pt is missing; fork it from its last weights."
        )


def start_worker(run_folder: Path) -> processes.ProcessId:
    """Start a worker for a run.

    Raises:
        RunError: as `jobs.start`.
    """
    log = run_folder / status.LOG
    return jobs.start("core.runs.worker", run_folder, log=log, append=True)


def _pump(folder: Path, limits: Limits) -> list[str]:
    started: list[str] = []
    waiting = _waiting(folder)
    free = count_slots(limits) - len(_training(folder))
    for name in waiting[: max(0, free)]:
        try:
            process = start_worker(folder / name)
        except RunError as error:
            status.write(folder / name, "failed", str(error))
        else:
            status.write(folder / name, "running", "starting", process)
            started.append(name)
    if waiting:
        _write_order(folder, waiting[max(0, free) :])
    return started


def _states(folder: Path) -> Mapping[str, status.Status]:
    states = {}
    for path in list_entries(folder):
        if path.is_symlink():
            continue
        try:
            states[check_name(path.name)] = status.read(path)
        except RunError:
            continue  # damaged: neither trains nor waits
    return states


def _training(folder: Path) -> list[str]:
    return [name for name, now in _states(folder).items() if now.is_live]


def _waiting(folder: Path) -> list[str]:
    queued = {name: now for name, now in _states(folder).items() if now.state == "queued"}
    if not queued:
        return []
    known = {name: number for number, name in enumerate(_read_order(folder))}
    return sorted(
        queued, key=lambda name: (known.get(name, len(known)), queued[name].updated, name)
    )


def _read_order(folder: Path) -> list[str]:
    try:
        value: Any = files.read_json(folder / ORDER_FILE)
    except RunError:
        return []  # only the order is lost; who waits stands in the runs
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _write_order(folder: Path, names: list[str]) -> None:
    files.write_json(folder / ORDER_FILE, names)


def _check_waits(name: str, waiting: list[str]) -> None:
    if name not in waiting:
        raise RunError(f"{str(name)[:60]!r} does not wait in the queue.")
