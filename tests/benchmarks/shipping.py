"""Copy a finished run as the shipped run of its recipe, with a report."""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import RunError
from core.experiments.measurements import config_key
from core.recipes import RECIPES, recipe
from core.reports.report import write_markdown
from core.runs import files, folders, status, store
from core.runs.run import STATE, Run

# What is of no use to anybody else.
_LEFT_OUT = (".*", STATE, status.LOG, "request.json", "rate.json", "report.md")


def ship(run: Run, name: str, shipped: Path) -> Run:
    """Copy a run into the folder of the shipped runs; a run of that name is replaced.

    The copy has the recipe's own config: the number of threads, which a benchmark may have set, is
    that of the recipe again. What the run was trained with stays in its runtime.

    Args:
        run: a finished run of the recipe's config and seed.
        name: of the recipe.
        shipped: folder of the shipped runs.

    Raises:
        RunError: the run is not finished, or not one of that recipe and its seed.
        ConfigError: there is no such recipe.
    """
    config = recipe(name).config
    if run.state != "finished":
        raise RunError(f"{run.name} is {run.state}; only a finished run can be shipped.")
    if config_key(run.config) != config_key(config) or run.config.seed != config.seed:
        raise RunError(f"{run.name} is not a run of the recipe {name} with seed {config.seed}.")
    with files.lock_folder(shipped):
        staged, old = shipped / f".new-{name}", shipped / f".old-{name}"
        for leftover in (staged, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(run.folder, staged, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        store.update_run_json(
            staged,
            config=config.to_dict(),
            recipe=name,
            group=None,
            owner=None,
            notes="",
            tags=[],
        )
        if (shipped / name).exists():
            files.move(shipped / name, old)
        files.move(staged, shipped / name)
        shutil.rmtree(old, ignore_errors=True)
    return store.open_run(name, shipped)


def write_reports(shipped: Path) -> list[Path]:
    """Write the reports of all shipped runs that are there: each may compare itself with another.

    Returns:
        The files.
    """
    present = {path.name for path in folders.list_entries(shipped)}
    paths = []
    for name in RECIPES:
        if name in present:
            path = shipped / name / "report.md"
            path.write_text(write_markdown(store.open_run(name, shipped)), encoding="utf-8")
            paths.append(path)
    return paths
