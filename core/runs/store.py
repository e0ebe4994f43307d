"""Runs as folders of checkpoints/: making, opening, listing and renaming them. No torch at import.

checkpoints/NAME/ holds run.json (config, parent, notes, facts), status.json (who trains it, how it ended),
epochs.json (the epoch table), events.jsonl, last.pt and best.pt (weights), state.pt (to resume; gone when finished),
start.pt (weights that a forked run begins with), request.json (what is asked of the worker) and log.txt.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config import Limits, RunConfig
from core.errors import LimitError, RunError
from core.runs import events, files, processes, status, weights
from core.runs.run import FORMAT, Damaged, Run, read
from core.training.plan import plan

if TYPE_CHECKING:
    from torch.nn import Module

    from core.models.network import Network

MAX_NOTES = 10_000
MAX_TAGS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
SHIPPED = processes.ROOT / "checkpoints"
_RESERVED = re.compile(
    r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?"
)  # what Windows takes for devices


def checkpoints_folder() -> Path:
    """Where runs live: $INKLING_CHECKPOINTS, or checkpoints/ of the project."""
    return Path(os.environ.get("INKLING_CHECKPOINTS") or SHIPPED).resolve()


def check_name(name: str) -> str:
    """The name, if a run may have it.

    Raises:
        RunError: it could reach elsewhere, or some system could not store it.
    """
    if (
        not isinstance(name, str)
        or not _NAME.fullmatch(name)
        or name.endswith(".")
        or _RESERVED.fullmatch(name)
    ):
        raise RunError(
            f"{str(name)[:60]!r} cannot be a run's name; take up to 60 letters, digits, dots, dashes and "
            "underscores, with a letter or digit first."
        )
    return name


def free_name(wanted: str, folder: Path | None = None) -> str:
    """A name that no run has yet: the wanted one as far as it can be had, or with a number behind it."""
    taken = {path.name.lower() for path in entries(folder or checkpoints_folder())}
    base = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-._")[:54].rstrip(".")
    if not base or _RESERVED.fullmatch(base):
        base = "run"
    number, name = 1, base
    while name.lower() in taken:
        number += 1
        name = f"{base}-{number}"
    return check_name(name)


def create(
    config: RunConfig,
    name: str,
    *,
    recipe: str | None = None,
    parent: Mapping[str, Any] | None = None,
    start: bytes | None = None,
    notes: str = "",
    tags: tuple[str, ...] = (),
    group: str | None = None,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Run:
    """Make a run's folder; nothing trains until the run is submitted to the queue.

    Args:
        config: what to train.
        name: of the folder; must be free.
        recipe: the recipe it came from.
        parent: of a forked run: `name`, `which`, `epoch`.
        start: a file of weights, as `Run.weights_path` names them, to begin with instead of random ones.
        notes, tags: the user's own words.
        group: the name that runs share which differ only in their seed.
        folder: the checkpoints folder; None: this machine's.
        limits: what the machine lends; None: from the environment.

    Raises:
        RunError: the name cannot be had.
        UserError: the config makes no run, or a larger one than the machine lends.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    check_name(name)
    check_words(notes, tags)
    if group is not None:
        check_name(group)
    rows = plan(config, limits).rows
    for teacher in config.teachers:
        _teacher(teacher, folder)
    values = {
        "format": FORMAT,
        "created": status.now(),
        "config": config.to_dict(),
        "recipe": recipe,
        "parent": dict(parent) if parent else None,
        "notes": notes,
        "tags": list(tags),
        "group": group,
        "facts": {},
        "test": None,
    }
    with files.locked(folder):
        check_room(folder, limits)
        check_free(folder, name)
        with new_folder(folder, name) as place:
            files.write_json(place / "run.json", values)
            files.write_json(place / "epochs.json", [])
            files.write_bytes(place / events.NAME, b"")
            status.write(place, "stopped", "not started yet")
            if start is not None:
                files.write_bytes(place / "start.pt", start)
                weights.check(place / "start.pt", weights.expected(rows))
    return open_run(name, folder)


def open_run(name: str, folder: Path | None = None) -> Run:
    """The run of that name.

    Raises:
        RunError: there is none, or its folder is damaged.
    """
    folder = folder or checkpoints_folder()
    path = folder / check_name(name)
    if not path.exists():
        raise RunError(f"there is no run {name!r}.")
    try:
        return read(path)
    except RunError as error:
        raise RunError(f"run {name!r} is damaged: {error}") from None


def list_runs(folder: Path | None = None) -> list[Run | Damaged]:
    """Every run, newest first, then what is damaged; one damaged folder never hides the others."""
    runs: list[Run] = []
    damaged: list[Damaged] = []
    for path in entries(folder or checkpoints_folder()):
        try:
            check_name(path.name)
            runs.append(read(path))
        except RunError as error:
            if path.exists() or path.is_symlink():  # else it was deleted meanwhile
                damaged.append(Damaged(path.name, path, str(error)))
    runs.sort(key=lambda run: (run.created, run.name), reverse=True)
    return [*runs, *damaged]


def load_model(run: Run, which: str = "last") -> Network:
    """The trained network of a run, on the CPU and in evaluation mode.

    Args:
        run: the run.
        which: "last" or "best" weights.

    Raises:
        RunError: there are none yet, or the file does not fit.
    """
    from core.models.network import build, load_weights

    model = build(run.config)
    load_weights(model, weights.load_tensors(run.weights_path(which)))
    return model.eval()


def load_teacher(config: RunConfig, folder: Path | None = None) -> Module | None:
    """The network, or the ensemble of several, that a config names as its teacher.

    Args:
        config: the run that learns.
        folder: where the teachers are looked for, before the shipped runs.

    Raises:
        RunError: it is named, but there is no such run, or it has no weights yet.
    """
    models = [
        load_model(_teacher(name, folder or checkpoints_folder())) for name in config.teachers
    ]
    if len(models) < 2:
        return models[0] if models else None
    from core.training.distillation import Ensemble

    return Ensemble(models)


def _teacher(name: str, folder: Path) -> Run:
    check_name(name)
    for place in (folder, SHIPPED):
        if (place / name).is_dir():
            run = open_run(name, place)
            run.weights_path("last")  # says so where there are none yet
            return run
    raise RunError(f"the teacher {name} is no run here; train it first, or set teacher to none.")


def rename(name: str, to: str, folder: Path | None = None) -> Run:
    """Give a run another name; runs forked from it follow.

    Raises:
        RunError: it is training or queued, or the name cannot be had.
    """
    folder = folder or checkpoints_folder()
    with files.locked(folder):
        run = open_run(name, folder)
        if run.is_live or run.state == "queued":
            raise RunError(f"{name} is {run.state}; stop it before giving it another name.")
        check_free(folder, check_name(to))
        run.folder.rename(folder / to)
        for child in list_runs(folder):
            if isinstance(child, Run) and child.parent is not None and child.parent["name"] == name:
                change(child.folder, parent={**child.parent, "name": to})
    return open_run(to, folder)


def annotate(
    name: str,
    *,
    notes: str | None = None,
    tags: tuple[str, ...] | None = None,
    folder: Path | None = None,
) -> Run:
    """Change a run's notes or tags, also while it trains.

    Raises:
        RunError: there is no such run, or the words are too long.
    """
    folder = folder or checkpoints_folder()
    with files.locked(folder):
        run = open_run(name, folder)
        notes, tags = run.notes if notes is None else notes, run.tags if tags is None else tags
        check_words(notes, tags)
        change(run.folder, notes=notes, tags=list(tags))
    return open_run(name, folder)


def change(run_folder: Path, **values: Any) -> None:
    """Change values of run.json; the caller holds the lock, since pages and workers both do this."""
    files.write_json(
        run_folder / "run.json", {**files.read_json(run_folder / "run.json"), **values}
    )


def entries(folder: Path) -> list[Path]:
    """What stands for a run in a checkpoints folder: everything without a dot in front."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def check_free(folder: Path, name: str) -> None:
    """Refuse a name that is taken; upper and lower case are one, as on many systems.

    Raises:
        RunError: there is such a run.
    """
    if name.lower() in {path.name.lower() for path in entries(folder)}:
        raise RunError(
            f"there is already a run {name!r}; choose another name, such as {free_name(name, folder)!r}."
        )


def check_room(folder: Path, limits: Limits) -> None:
    """Refuse another run where the machine lends no more room.

    Raises:
        LimitError: too many runs, or too much disk in use.
    """
    count, used = len(entries(folder)), disk_used(folder)
    if count >= limits.max_runs:
        raise LimitError(
            f"{count:,} runs are kept already; delete some, or raise INKLING_MAX_RUNS."
        )
    if used >= limits.max_disk_mb * 1_000_000:
        raise LimitError(
            f"the runs take {used / 1e6:,.0f} MB of the {limits.max_disk_mb:,} MB that this machine lends "
            "them; delete some and empty the bin, or raise INKLING_MAX_DISK_MB."
        )


def disk_used(folder: Path) -> int:
    """Bytes that a folder's files take, the bin included; links are not followed."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total


@contextlib.contextmanager
def new_folder(folder: Path, name: str) -> Iterator[Path]:
    """A hidden folder to fill, which appears under its name when all went well; the caller holds the lock."""
    for left in folder.glob(
        ".new-*"
    ):  # by a maker that was killed: only one can be at it under the lock
        shutil.rmtree(left, ignore_errors=True)
    place = folder / f".new-{name}"
    place.mkdir()
    try:
        yield place
        place.rename(folder / name)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def check_words(notes: Any, tags: tuple[Any, ...]) -> None:
    """Refuse notes and tags that are none.

    Raises:
        RunError: too long, too many, or no text.
    """
    if not isinstance(notes, str) or len(notes) > MAX_NOTES:
        raise RunError(f"notes take up to {MAX_NOTES:,} characters.")
    if len(tags) > MAX_TAGS or not all(isinstance(tag, str) and 0 < len(tag) <= 40 for tag in tags):
        raise RunError(f"a run takes up to {MAX_TAGS} tags of 1 to 40 characters.")
