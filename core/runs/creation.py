"""Creating a run's folder; nothing trains until the run is queued.

Must not import torch at module level.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.config import NO_DIGITS, RunConfig
from core.limits import Limits
from core.runs import digit_file, events, files, status, weights
from core.runs.digit_file import RunDigits
from core.runs.disk_limits import check_limits
from core.runs.folders import checkpoints_folder, new_folder
from core.runs.loading import find_teacher
from core.runs.run import FORMAT, Run, check_notes_and_tags
from core.runs.run_names import check_name, check_name_is_free, find_free_name
from core.runs.run_schema import check_owner, check_title
from core.runs.store import open_run
from core.training.plan import plan

START = f"start{weights.SUFFIX}"


def create_run(
    config: RunConfig,
    name: str,
    *,
    recipe: str | None = None,
    parent: Mapping[str, Any] | None = None,
    start: bytes | None = None,
    digits: RunDigits | None = None,
    notes: str = "",
    tags: tuple[str, ...] = (),
    group: str | None = None,
    owner: str | None = None,
    title: str | None = None,
    is_tested: bool = True,
    number_if_taken: bool = False,
    folder: Path | None = None,
    limits: Limits | None = None,
) -> Run:
    """Create a run's folder.

    Args:
        config: what to train.
        name: name of the folder; must be free unless `number_if_taken`.
        recipe: name of the recipe that the config came from.
        parent: of a forked run: `name`, `which` weights and `epoch` of the run it starts from.
        start: contents of a weights file to start from instead of random weights.
        digits: own digits to learn from; None: those of the set that the config names.
        notes, tags: the user's own text.
        group: name shared by runs that differ only in their seed.
        owner: the signed-in person who makes it; None: nobody is signed in.
        title: how pages call it, in any script; None: by its name.
        is_tested: whether a run with a hold-out is evaluated on the test images at its end; the
            runs of a sweep are not, so that nothing is chosen by them.
        number_if_taken: whether a number is added to a name that is taken, for names that nobody
            chose: several people may start a run at the same moment.
        folder: the checkpoints folder; None: `checkpoints_folder()`.
        limits: limits of this machine; None: from the environment.

    Raises:
        RunError: the name, owner or title is invalid, the name is taken, or a teacher or a set of
            digits cannot be used.
        LimitError: the run is larger than the limits allow, or there is no room for another run.
        UserError: the config cannot be trained.
    """
    folder, limits = folder or checkpoints_folder(), limits or Limits.from_environment()
    check_name(name)
    check_notes_and_tags(notes, tags)
    check_owner(owner)
    check_title(title)
    if group is not None:
        check_name(group)
    expected = weights.expected_tensors(plan(config, limits).rows)
    if start is not None:
        weights.check_bytes(start, expected, START)
    for teacher in config.teachers:
        find_teacher(teacher, folder)
    if config.digits == NO_DIGITS:
        digits = None
    elif digits is None:
        digits = digit_file.copy_set(config.digits, folder)
    values = {
        "format": FORMAT,
        "created": status.current_time(),
        "config": config.to_dict(),
        "recipe": recipe,
        "parent": dict(parent) if parent else None,
        "notes": notes,
        "tags": list(tags),
        "group": group,
        "owner": owner,
        "title": title,
        "is_tested": is_tested,
        "runtime": None,
        "test": None,
    }
    with files.lock_folder(folder):
        check_limits(folder, limits)
        if number_if_taken:
            name = find_free_name(name, folder)
        check_name_is_free(folder, name)
        with new_folder(folder, name) as place:
            files.write_json(place / "run.json", values)
            files.write_json(place / "epochs.json", [])
            files.write_bytes(place / events.NAME, b"")
            status.write(place, "stopped", "not started yet")
            if start is not None:
                files.write_bytes(place / START, start)
            if digits is not None:
                digit_file.write_run_digits(place, digits)
    return open_run(name, folder)
