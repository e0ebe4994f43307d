"""Train recipes and rungs with several random seeds, and keep their figures.

    python tests/benchmarks/recipes.py final taught --seeds 1 2 3 4 5 --write

The runs are ordinary ones, in a folder of their own; started again, it goes on where it was and
trains only what is missing. A config that recipes and rungs share is trained once. Each run trains
on all 60,000 images; the figure is the accuracy after the last epoch, nothing is chosen. The best
epoch stands beside it, marked as chosen on the test images.

    python tests/benchmarks/recipes.py --table            # what has been trained; trains nothing
    python tests/benchmarks/recipes.py --table --write    # ... into the results file and READMEs
    python tests/benchmarks/recipes.py final --ship       # the first seed as checkpoints/final
    python tests/benchmarks/recipes.py final --table --write --ship --reuse RUNS
                                                          # runs that another machine trained
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from shipping import ship, write_reports  # noqa: E402

from core.errors import UserError  # noqa: E402
from core.experiments.measurements import (  # noqa: E402
    FILE,
    MeasuredRun,
    Measurement,
    Measurements,
    config_key,
    measured_configs,
    read_measurements,
)
from core.limits import Limits  # noqa: E402
from core.recipes import RECIPES  # noqa: E402
from core.reports import results  # noqa: E402
from core.runs import creation, run_names, run_queue, store  # noqa: E402
from core.runs.capacity import count_cpus  # noqa: E402
from core.runs.folders import SHIPPED  # noqa: E402
from core.runs.run import Run  # noqa: E402
from core.training.format_cache import processor_name  # noqa: E402

POLL = 2.0  # seconds
# Not trained unless they are named: they take long, and nothing is compared with them.
SLOW = ("teacher", "pytorch-example", "keras-style")


def main() -> None:
    """Train what is missing; print, ship and write what is asked for."""
    parser = make_parser()
    options = parser.parse_args()
    known = list(measured_configs())
    for name in options.names:
        if name not in known:
            parser.error(f"there is no recipe or rung {name!r}; choose from {', '.join(known)}.")
    if options.at_once:
        os.environ["INKLING_RUNNING"] = str(options.at_once)  # which the runs' workers read too
    names = options.names or [name for name in known if name not in SLOW]
    folders = [folder.resolve() for folder in (options.folder, *options.reuse)]
    folders[0].mkdir(parents=True, exist_ok=True)
    try:
        problems = [] if options.table else train(names, options.seeds, folders, options.threads)
        measured = measure(names, options.seeds, folders)
        print(results.benchmark_table(Measurements(measured), names))
        if options.ship:
            shipped = options.names or [name for name in RECIPES if RECIPES[name].shipped]
            problems += ship_first_seeds(shipped, folders, SHIPPED)
        if options.write:
            write(measured)
    except UserError as error:
        sys.exit(str(error))
    sys.exit("\n".join(problems) or None)


def make_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"recipes and rungs: {', '.join(measured_configs())}; without a name all of them but "
        f"{', '.join(SLOW)}",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-runs", help="of the runs")
    parser.add_argument(
        "--reuse",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="further folders whose finished runs count too, such as checkpoints or one with runs "
        "that were trained on a GPU elsewhere",
    )
    parser.add_argument(
        "--threads", type=int, help="CPU threads of a run; default: as the recipe says, else 1"
    )
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="N",
        help="train N runs side by side; default: as many as the cores hold",
    )
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument(
        "--ship",
        action="store_true",
        help="copy the run of the first seed to checkpoints/NAME, for each recipe that is named or "
        "shipped, and write the reports",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="write the figures into the results file, and its tables into the READMEs",
    )
    return parser


def train(
    names: Sequence[str], seeds: Sequence[int], folders: Sequence[Path], threads: int | None = None
) -> list[str]:
    """Have every run trained that is missing, and wait for them.

    Args:
        names: recipes and rungs.
        seeds: of the runs of each.
        folders: where the runs are; new ones are made in the first.
        threads: of the new runs; None: as the recipe says, else 1.

    Returns:
        A line about each run that did not finish.
    """
    folder, waiting, resumable, problems = folders[0], [], [], []
    # Nobody else waits for this queue, so it may be as long as it needs to be.
    limits = dataclasses.replace(Limits.from_environment(), max_queue=10_000)
    for seed in seeds:  # all names with the first seed before any with the second
        for name in names:
            run = find_run(name, seed, folders) or create_run(name, seed, folder, threads)
            if run.state == "finished" or run.name in waiting:
                continue
            waiting.append(run.name)
            if run.can_resume:
                resumable.append(run.name)
    run_queue.submit_all(resumable, folder, limits=limits)  # at once: a GPU trains alike together
    while waiting:
        run_queue.start_waiting(folder)
        for run in [store.open_run(name, folder) for name in waiting]:
            if run.is_live or run.state == "queued":
                continue
            waiting.remove(run.name)
            accuracy = f", {run.last.val_accuracy:.2f} %" if run.last else ""
            line = f"{run.name}: {run.state}{accuracy} {run.message}".rstrip()
            print(line, file=sys.stderr)
            if run.state != "finished":
                problems.append(line)
        if waiting:
            time.sleep(POLL)
    return problems


def find_run(name: str, seed: int, folders: Sequence[Path]) -> Run | None:
    """The run of a config and seed, whatever it is called; a finished one if there are several.

    Args:
        name: of a recipe or rung.
        seed: of the run.
        folders: the first may hold any run, the others count only with their finished runs.
    """
    key, found = config_key(measured_configs()[name]), []
    for folder in folders:
        for run in store.list_runs(folder):
            if (
                isinstance(run, Run)
                and run.config.seed == seed
                and config_key(run.config) == key
                and run.parent is None
                and (run.state == "finished" or folder == folders[0])
            ):
                found.append(run)
    found.sort(key=lambda run: (run.state != "finished", run.created))
    return found[0] if found else None


def create_run(name: str, seed: int, folder: Path, threads: int | None = None) -> Run:
    """A new run of a config and seed, which is in a group with the other seeds.

    A run of a group takes one thread unless its config says otherwise, and computes in the
    precision of the group's first run.
    """
    config = measured_configs()[name].changed(seed=seed)
    if threads is not None:
        config = config.changed(threads=threads)
    # Runs of the same name with other settings, from before a recipe changed, are another group.
    group = f"{name}-{hashlib.sha256(config_key(config).encode()).hexdigest()[:6]}"
    return creation.create_run(
        config,
        run_names.find_free_name(f"{name}-s{seed}", folder),
        recipe=name if name in RECIPES else None,
        group=group,
        folder=folder,
    )


def measure(
    names: Sequence[str], seeds: Sequence[int], folders: Sequence[Path]
) -> list[Measurement]:
    """The figures of the finished runs of recipes and rungs; those without any are left out.

    The processor of a run from another than the first folder is unknown; a GPU is in the run.
    """
    measured = []
    for name in names:
        runs = [find_run(name, seed, folders) for seed in sorted(set(seeds))]
        finished = tuple(
            MeasuredRun.of(run, machine_of(run, run.folder.parent == folders[0]))
            for run in runs
            if run and run.state == "finished"
        )
        if finished:
            measured.append(Measurement(measured_configs()[name], finished))
    return measured


def machine_of(run: Run, is_from_here: bool) -> str:
    """What a run was trained on: a GPU by its name, else this machine's processor if it was here.

    Empty for a run on another machine's processor, whose name is not kept.
    """
    if run.runtime is not None and run.runtime.device != "cpu":
        return run.runtime.device_name
    return f"{count_cpus()} cores of {processor_name()}" if is_from_here else ""


def ship_first_seeds(names: Sequence[str], folders: Sequence[Path], shipped: Path) -> list[str]:
    """Copy the first seed of each recipe, and write the reports of all shipped runs anew.

    Args:
        names: of recipes; rungs are left out.
        folders: where the runs are.
        shipped: folder of the shipped runs.

    Returns:
        A line about each recipe without a finished run.
    """
    problems = []
    for name in names:
        if name not in RECIPES:
            continue
        run = find_run(name, RECIPES[name].config.seed, folders)
        if run is None or run.state != "finished":
            problems.append(f"{name} is not shipped: its first seed has no finished run.")
        elif run.folder.parent != shipped:
            print(f"shipped {ship(run, name, shipped).folder}", file=sys.stderr)
    write_reports(shipped)
    return problems


def write(measured: Sequence[Measurement]) -> None:
    """Add figures to the results file, and make the READMEs' tables anew.

    Raises:
        RunError: the results file is there, but damaged.
    """
    before = read_measurements(FILE) if FILE.exists() else Measurements()
    measurements = before.updated(measured)
    measurements.write(FILE)
    for path in (FILE, *results.update_readmes(ROOT, measurements)):
        print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
