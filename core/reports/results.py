"""Tables of measured figures in Markdown, and the READMEs that show them.

`python tests/benchmarks/recipes.py --table --write` writes the tables into the READMEs; a test
holds that they are those of the results file and of the shipped runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from core.errors import UserError
from core.experiments.c_headers import read_headers
from core.experiments.measurements import Measurement, Measurements, measured_configs
from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.recipes import RECIPES
from core.runs.store import open_run

NONE = "–"  # not measured
READMES = ("README.md", "checkpoints/README.md")
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def benchmark_table(measurements: Measurements, names: Iterable[str]) -> str:
    """Everything that is measured of recipes and rungs, by name."""
    columns = (
        *("name", "parameters", "epochs", *_FIGURES, "test loss", "training, %"),
        *("best epoch, chosen on the test images, %", "seconds"),
    )
    rows = []
    for name in names:
        config = measured_configs()[name]
        found = measurements.find(config)
        more = (NONE,) * 4
        if found is not None:
            runs = found.runs
            more = (
                f"{sum(run.test_loss for run in runs) / len(runs):.4f}",
                f"{sum(run.train_accuracy for run in runs) / len(runs):.2f}",
                f"{found.best_accuracy.mean:.3f}",
                f"{found.seconds.mean:.0f}",
            )
        rows.append((name, _parameters(name), f"{config.epochs}", *_figures(found), *more))
    return _table(columns, rows)


def results_table(measurements: Measurements) -> str:
    """The recipes' results, for the README: mean and interval.

    Without seconds, since runs of a measurement train side by side and beside other work.
    """
    rows = []
    for name in _published_recipes():
        seeds, mean, _, interval, _ = _figures(measurements.find(RECIPES[name].config))
        rows.append((f"`{name}`", _parameters(name), mean, interval, seeds))
    return _table(("recipe", "parameters", "mean, %", "95 % interval", "seeds"), rows)


def seeds_table(measurements: Measurements) -> str:
    """The recipes' accuracies over their seeds, last and best epoch."""
    rows = []
    for name in _published_recipes():
        found = measurements.find(RECIPES[name].config)
        best = NONE if found is None else f"{found.best_accuracy.mean:.3f}"
        rows.append((f"`{name}`", *_figures(found), best))
    return _table(("recipe", *_FIGURES, "best epoch, %"), rows)


def shipped_table(folder: Path) -> str:
    """The shipped runs in a folder; a run that cannot be read has only dashes."""
    headers = {
        header.run: header
        for header in read_headers()
        if header.scheme == "int8" and not header.four_bit_layers
    }
    rows = []
    for name, recipe in RECIPES.items():
        if not recipe.shipped:
            continue
        config = recipe.config
        teachers = "".join(f" and `{teacher}`" for teacher in config.teachers)
        figures: tuple[str, ...] = (NONE,) * 3
        try:
            run = open_run(name, folder)
        except UserError:
            pass
        else:
            if run.last and run.best and run.runtime:
                accuracies = (run.last.val_accuracy, run.best.val_accuracy)
                figures = (*(f"{each:.2f} %" for each in accuracies), run.runtime.precision)
        header = headers.get(name)
        as_header = f"{header.weights:,} B ({header.accuracy:.2f} %)" if header else NONE
        rows.append(
            (
                *(f"`{name}`", _parameters(name), f"{config.epochs}", *figures),
                *(f"labels{teachers}", as_header),
            )
        )
    columns = ("run", "parameters", "epochs", "last", "best", "precision", "learns from")
    return _table((*columns, "in 8 bits as C"), rows)


def fill_tables(text: str, measurements: Measurements, shipped: Path) -> str:
    """A README's text with all its tables made anew.

    Args:
        text: with a line `<!-- table: NAME -->` before and `<!-- end of table -->` after each.
        measurements: the measured figures.
        shipped: folder of the shipped runs.
    """
    tables: Mapping[str, Callable[[], str]] = {
        "results": lambda: results_table(measurements),
        "seeds": lambda: seeds_table(measurements),
        "shipped": lambda: shipped_table(shipped),
    }
    return _BLOCK.sub(lambda block: f"{block[1]}{tables[block[2]]()}\n{block[3]}", text)


def update_readmes(root: Path, measurements: Measurements) -> list[Path]:
    """Make the tables of the READMEs anew.

    Args:
        root: the project's folder.
        measurements: the measured figures.

    Returns:
        The files that changed.
    """
    changed = []
    for name in READMES:
        path = root / name
        text = path.read_text(encoding="utf-8")
        filled = fill_tables(text, measurements, root / "checkpoints")
        if filled != text:
            path.write_text(filled, encoding="utf-8")
            changed.append(path)
    return changed


_FIGURES = ("seeds", "mean, %", "deviation", "95 % interval", "range")


def _figures(found: Measurement | None) -> tuple[str, str, str, str, str]:
    """The cells of the columns _FIGURES."""
    if found is None:
        return (NONE,) * 5
    accuracy, interval = found.accuracy, found.interval
    return (
        f"{accuracy.count}",
        f"{accuracy.mean:.3f}",
        f"{accuracy.deviation:.3f}" if interval else NONE,
        f"{interval[0]:.2f}–{interval[1]:.2f}" if interval else NONE,
        f"{accuracy.smallest:.2f}–{accuracy.largest:.2f}",
    )


def _published_recipes() -> list[str]:
    """The recipes whose figures the READMEs show: all but the baselines."""
    return [name for name, recipe in RECIPES.items() if recipe.group != "Baselines"]


def _parameters(name: str) -> str:
    return f"{count_parameters(trace(rows_of(measured_configs()[name]))):,}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head, *lines = [f"| {' | '.join(cells)} |" for cells in (columns, *rows)]
    return "\n".join([head, "|---" * len(columns) + "|", *lines])
