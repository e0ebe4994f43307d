"""The queue: which runs train and which wait; one for everything that uses a checkpoints folder.

A run waits when its status is "queued"; .queue.json only holds the order. Pages, the command line
and workers at their end call `start_waiting`. Everything happens under the lock of the checkpoints
folder, so simultaneous starts never take the same slot, and whatever a process that was killed
leaves unfinished is completed by the next caller. Must not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import LimitError, RunError
from core.limits import Limits
from core.runs import capacity, files, jobs, processes, status
from core.runs.capacity import has_gpu
from core.runs.disk_limits import check_disk
from core.runs.folders import checkpoints_folder, list_entries
from core.runs.run import STATE, Run
from core.runs.run_names import check_name
from core.runs.store import open_run
from core.training.plan import plan
from core.training.stacking import can_stack, stacking_key

ORDER_FILE = ".queue.json"


def submit(
    name: str, folder: Path | None = None, *, one_epoch: bool = False, limits: Limits | None = None
) -> Run:
    """Start or resume a run: at once if a slot is free, else when its turn comes.

    Args:
        name: name of the run.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        one_epoch: pause at the end of the epoch.
        limits: limits of this machine; None: from the environment.

    Raises:
        RunError: it is training, finished, or cannot be resumed.
        LimitError: the queue is full, or the run is larger than the limits allow.
    """
    folder = folder or checkpoints_folder()
    submit_all([name], folder, one_epoch=one_epoch, limits=limits)
    return open_run(name, folder)


def submit_all(
    names: Sequence[str],
    folder: Path | None = None,
    *,
    one_epoch: bool = False,
    limits: Limits | None = None,
) -> None:
    """Queue several runs before any of them starts, so that a GPU can train them together.

    Args:
        names: of the runs, in this order.
        folder, one_epoch, limits: as of `submit`.

    Raises:
        RunError, LimitError: as `submit`; runs queued before that stay queued.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    with files.lock_folder(folder):
        try:
            for name in names:
                _queue(name, folder, one_epoch, limits)
        finally:
            _start_waiting(folder, limits)


def _queue(name: str, folder: Path, one_epoch: bool, limits: Limits) -> None:
    run = open_run(name, folder)
    check_startable(run, limits)
    waiting = _waiting(folder)
    if name in waiting:
        raise RunError(f"{name} is already waiting, at place {waiting.index(name) + 1}.")
    if len(waiting) >= limits.max_queue:
        raise LimitError(
            f"the queue is full: {len(waiting):,} runs are waiting; remove some, or raise "
            "INKLING_MAX_QUEUE."
        )
    status.clear_request(run.folder)
    if one_epoch:
        status.write_request(run.folder, "pause-after-epoch")
    status.write(run.folder, "queued", "waiting for a slot")
    _write_order(folder, [*waiting, name])


def start_waiting(folder: Path | None = None, limits: Limits | None = None) -> list[str]:
    """Start waiting runs while slots are free; cheap when none waits.

    Returns:
        The names of the runs that were started.
    """
    folder = folder or checkpoints_folder()
    if not _waiting(folder):
        return []
    limits = limits or Limits.from_environment()
    with files.lock_folder(folder):
        return _start_waiting(folder, limits)


def list_waiting(folder: Path | None = None) -> list[str]:
    """Return the names of the waiting runs, the next one first."""
    return _waiting(folder or checkpoints_folder())


def move(name: str, place: int, folder: Path | None = None) -> list[str]:
    """Move a waiting run to another place in the queue.

    Args:
        name: name of the run.
        place: 0 for the next one to start; a large number for the last one.
        folder: the checkpoints folder; None: `checkpoints_folder()`.

    Returns:
        The new order.

    Raises:
        RunError: it is not waiting.
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
    """Remove a waiting run from the queue; the run itself is kept.

    Raises:
        RunError: it is not waiting.
    """
    folder = folder or checkpoints_folder()
    with files.lock_folder(folder):
        waiting = _waiting(folder)
        _check_waits(name, waiting)
        status.clear_request(folder / name)
        status.write(folder / name, "stopped", "removed from the queue")
        _write_order(folder, [other for other in waiting if other != name])
    return open_run(name, folder)


def claim(run_folder: Path, limits: Limits | None = None) -> bool:
    """Take a slot to train a run in this process; every worker begins with it.

    Returns:
        False where another process trains the run, or where no slot is free and the run waits.

    Raises:
        UserError: as `submit`.
    """
    folder, limits = run_folder.parent, limits or Limits.from_environment()
    me = processes.identity()
    with files.lock_folder(folder):
        now = status.read(run_folder)
        if now.is_live and now.pid != me[0]:
            return False
        if not now.is_live:  # started by hand, or by a process that was killed meanwhile
            check_startable(open_run(run_folder.name, folder), limits)
            slots = capacity.count_slots(limits)
            if (
                not _fits(run_folder.name, folder, limits)
                if slots is None
                else len(_processes(folder) - {me}) >= slots
            ):
                waiting = _waiting(folder)
                status.write(run_folder, "queued", "waiting for a slot")
                _write_order(
                    folder,
                    [run_folder.name, *(name for name in waiting if name != run_folder.name)],
                )
                return False
        status.write(run_folder, "running", "starting", me)
    return True


def check_startable(run: Run, limits: Limits) -> None:
    """Refuse to train a run that is training, has ended or cannot be resumed.

    Raises:
        RunError: says which.
        LimitError: it is larger than the limits allow, or the disk is full of runs.
    """
    plan(run.config, limits)
    check_disk(run.folder.parent, limits)
    if run.is_live or jobs.is_locked(run.folder / status.WORKER_LOCK):
        raise RunError(f"{run.name} is already training.")
    if run.state == "finished":
        raise RunError(f"{run.name} is finished; fork it to train its weights further.")
    if run.state == "diverged":
        raise RunError(
            f"{run.name} diverged and would do so again; fork it with a lower learning rate."
        )
    if run.epochs and not (run.folder / STATE).is_file():
        raise RunError(
            f"{run.name} cannot be resumed: its {STATE} is missing; fork it from its last weights."
        )


def trains_on_gpu(config: RunConfig) -> bool:
    """Return whether a run with this config trains on an Nvidia GPU, without loading torch."""
    return config.device == "cuda" or (config.device == "auto" and has_gpu())


def start_worker(run_folder: Path) -> processes.ProcessId:
    """Start a worker for a run.

    Raises:
        RunError: as `jobs.start`.
    """
    log = run_folder / status.LOG
    return jobs.start("core.runs.worker", run_folder, log=log, append=True)


def start_group_worker(run_folders: Sequence[Path]) -> processes.ProcessId:
    """Start one worker for several runs.

    Raises:
        RunError: as `jobs.start`.
    """
    log = run_folders[0] / status.LOG
    return jobs.start("core.runs.group_worker", *run_folders, log=log, append=True)


def _start_waiting(folder: Path, limits: Limits) -> list[str]:
    started: list[str] = []
    waiting = _waiting(folder)
    slots = capacity.count_slots(limits)
    free = 0 if slots is None else slots - len(_processes(folder))
    had_waiting = bool(waiting)
    # Strictly in order: a run that needs all cores must not wait for ever behind small ones.
    while waiting and (_fits(waiting[0], folder, limits) if slots is None else free > 0):
        names = _choose_stack(waiting, folder, limits)
        waiting = [name for name in waiting if name not in names]
        free -= 1
        try:
            process = (
                start_worker(folder / names[0])
                if len(names) == 1
                else start_group_worker([folder / name for name in names])
            )
        except RunError as error:
            for name in names:
                status.write(folder / name, "failed", str(error))
        else:
            for name in names:
                status.write(folder / name, "running", "starting", process)
            started += names
    if had_waiting:
        _write_order(folder, waiting)
    return started


def _choose_stack(waiting: Sequence[str], folder: Path, limits: Limits) -> list[str]:
    """Return the next run, and those behind it that one process can train together with it."""
    first = _stack_key(waiting[0], folder)
    if first is None:
        return [waiting[0]]
    alike = [name for name in waiting[1:] if _stack_key(name, folder) == first]
    return [waiting[0], *alike][: max(1, limits.stacked)]


def _stack_key(name: str, folder: Path) -> tuple[object, ...] | None:
    """Return what runs that train together have in common; None for a run that trains alone."""
    try:
        run = open_run(name, folder)
    except RunError:
        return None  # its worker reports it
    config, runtime = run.config, run.runtime
    if not trains_on_gpu(config) or not can_stack(config):
        return None
    if runtime is not None and (runtime.device, runtime.precision) != ("cuda", "fp32"):
        return None
    position: tuple[object, ...] = ()
    if (run.folder / STATE).exists():
        last = run.read_events()[-1:]
        position = tuple((event["epoch"], event["step"]) for event in last)
    return stacking_key(config), position


def _fits(name: str, folder: Path, limits: Limits) -> bool:
    """Whether the cores and the memory hold a run beside those that train."""
    training = [other for other, now in _states(folder).items() if now.is_live and other != name]
    if not training:
        return True
    try:
        need = capacity.need_of(open_run(name, folder))
        others = [capacity.need_of(open_run(other, folder)) for other in training]
    except RunError:
        return False  # one is damaged, so that its need is unknown
    return capacity.has_room(need, others, limits)


def _processes(folder: Path) -> set[tuple[int | None, str | None]]:
    """Return pid and start of each process that trains; one may train several runs."""
    return {(now.pid, now.pid_started) for now in _states(folder).values() if now.is_live}


def _states(folder: Path) -> Mapping[str, status.Status]:
    states = {}
    for path in list_entries(folder):
        if path.is_symlink():
            continue
        try:
            states[check_name(path.name)] = status.read(path)
        except RunError:
            continue  # damaged: neither training nor waiting
    return states


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
        return []  # only the order is lost; which runs wait is in their status
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _write_order(folder: Path, names: list[str]) -> None:
    files.write_json(folder / ORDER_FILE, names)


def _check_waits(name: str, waiting: list[str]) -> None:
    if name not in waiting:
        raise RunError(f"{str(name)[:60]!r} is not waiting in the queue.")
