"""Train recipes with several random seeds and print the README's table of results.

    python tests/benchmarks/recipes.py --seeds 1 2 3 --folder bench-runs

The runs are ordinary ones, in a folder of their own; started again, it goes on where it was and
trains only what is missing. Each trains on all 60,000 images; the figure is the accuracy after the
last epoch, nothing is chosen.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.errors import RunError  # noqa: E402
from core.experiments.statistics import compute_statistics  # noqa: E402
from core.models.architectures import rows_of  # noqa: E402
from core.models.summary import summarise  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.runs import (  # noqa: E402
    creation,
    run_queue,
    store,
)
from core.runs.run import Run  # noqa: E402

POLL = 2.0


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "recipes", nargs="*", default=["initial", "intermediate", "final"], help=", ".join(RECIPES)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-runs")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)

    runs = {name: [start(name, seed, folder) for seed in options.seeds] for name in options.recipes}
    waiting = {name for names in runs.values() for name in names}
    while waiting:
        run_queue.start_waiting(folder)
        for name in sorted(waiting):
            run = store.open_run(name, folder)
            if not run.is_live and run.state != "queued":
                waiting.discard(name)
                last = run.last
                print(
                    f"{name}: {run.state}" + (f", {last.val_accuracy:.2f} %" if last else ""),
                    file=sys.stderr,
                )
        time.sleep(POLL)
    print(
        "| recipe | parameters | epochs | seeds | mean | deviation | smallest | largest "
        "| seconds per run |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, names in runs.items():
        print(row(name, [store.open_run(each, folder) for each in names]))


def start(name: str, seed: int, folder: Path) -> str:
    """Have the run of a recipe and a seed under way, if it isn't done yet."""
    run_name = f"{name}-{seed}"
    try:
        run = store.open_run(run_name, folder)
    except RunError:
        run = creation.create_run(
            recipe(name).config.changed(seed=seed), run_name, recipe=name, folder=folder
        )
    if run.config != recipe(name).config.changed(seed=seed):
        sys.exit(
            f"{run_name} in {folder} was made by another version of the recipe; delete it first."
        )
    if run.state not in ("finished", "queued") and not run.is_live:
        run_queue.submit(run_name, folder)
    return run_name


def row(name: str, runs: list[Run]) -> str:
    """A line of the table."""
    config = recipe(name).config
    finals = [run.last for run in runs if run.state == "finished"]
    rows = [each for each in finals if each is not None]
    if not rows:
        return f"| {name} | no run finished |"
    accuracy = compute_statistics([each.val_accuracy for each in rows])
    seconds = compute_statistics(
        [sum(each.seconds for each in run.epochs) for run in runs if run.state == "finished"]
    )
    parameters = summarise(rows_of(config)).total_params
    return (
        f"| {name} | {parameters:,} | {config.epochs} | {accuracy.count} | {accuracy.mean:.3f} % | "
        f"{accuracy.deviation:.3f} | {accuracy.smallest:.2f} | {accuracy.largest:.2f} "
        f"| {seconds.mean:.0f} |"
    )


if __name__ == "__main__":
    main()
