"""Measure what the app costs besides arithmetic: start-up, memory, predictions, pages.

    python tests/benchmarks/costs.py

From the start of a run's process to its first batch; the peak memory of a run with all its
processes; a drawn digit from its strokes to its probabilities, here and in the exported web page; a
page in a real browser with and without a run training beside it, in turn; a click's answer while a
run trains; and a run's steps a second with and without a page that watches it, in turn.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from background_run import training, wait_for  # noqa: E402
from measuring import machine, median, parser, percentile, report, table  # noqa: E402
from page_costs import measure_pages  # noqa: E402

from core.recipes import RECIPES, recipe  # noqa: E402
from core.runs import (  # noqa: E402
    loading,
    store,
)

PARTS = ("start", "memory", "digit", "export", "pages", "clicks", "polling")

DIGIT_COLUMNS = ("network", "digits", "median", "99th percentile", "longest")


def main() -> None:
    """Measure the parts asked for and report."""
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options.add_argument(
        "--recipes", nargs="+", default=["final", "pytorch-example"], help=", ".join(RECIPES)
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--digits", type=int, default=300, help="drawn digits that are predicted")
    options.add_argument(
        "--longest",
        type=float,
        default=180.0,
        help="seconds that a run's memory is watched; its one epoch and validation may end before",
    )
    options.add_argument("--seconds", type=float, default=20.0, help="each window of the polling")
    chosen = options.parse_args()
    parts = [machine()]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoints"
        folder.mkdir()
        for name in RECIPES:
            if (ROOT / "checkpoints" / name / "last.safetensors").is_file():
                shutil.copytree(ROOT / "checkpoints" / name, folder / name)
        if "start" in chosen.parts:
            parts.append(start(chosen.recipes, folder, chosen.rounds))
        if "memory" in chosen.parts:
            parts.append(memory(chosen.recipes, folder, chosen.longest))
        if "digit" in chosen.parts:
            parts.append(digit(folder, chosen.digits))
        if "export" in chosen.parts:
            parts.append(web_page(folder, chosen.digits))
        if {"pages", "clicks", "polling"} & set(chosen.parts):
            parts += measure_pages(folder, chosen)
    report(parts, chosen.output)


def start(recipes: Sequence[str], folder: Path, rounds: int) -> str:
    """The table of starts: from the process to its first events."""
    waits: dict[str, list[tuple[float, float]]] = {name: [] for name in recipes}
    for number, name in itertools.product(range(rounds), recipes):
        run = f"start-{name}-{number}"
        began = time.perf_counter()
        with training(recipe(name).config, run, folder):
            first = [wait_for(folder / run, kind) - began for kind in ("started", "batch")]
        waits[name].append((first[0], first[1]))
    return "From the start of the process:\n\n" + table(
        ("recipe", "s until it is set up", "s until the first batch is done", "slowest"),
        [
            (
                name,
                f"{median(ready for ready, _ in each):.2f}",
                f"**{median(done for _, done in each):.2f}**",
                f"{max(done for _, done in each):.2f}",
            )
            for name, each in waits.items()
        ],
    )


def memory(recipes: Sequence[str], folder: Path, seconds: float) -> str:
    """The table of peak memory, over a run of one epoch."""
    rows = []
    for name in recipes:
        run = f"memory-{name}"
        with training(recipe(name).config.changed(epochs=1), run, folder) as process:
            peaks = [0.0, 0.0, 0.0]
            end = time.monotonic() + seconds
            while time.monotonic() < end and process.poll() is None:
                peaks = [max(pair) for pair in zip(peaks, memory_of(process.pid), strict=True)]
                time.sleep(0.1)
        told = [f"{peak:.0f}" if peak else "not told here" for peak in peaks]
        rows.append((name, f"**{told[0]}**", *told[1:]))
    return f"Peak memory of a run of one epoch, or of its first {seconds:g} s, in MB:\n\n" + table(
        (
            "recipe",
            "resident, all its processes",
            "resident, the one that trains",
            "all, shared pages counted once",
        ),
        rows,
    )


def memory_of(pid: int) -> tuple[float, float, float]:
    """Memory in MB: with its children, by itself, and in proportional shares (0: unknown)."""
    own = psutil.Process(pid)
    resident = [
        each for each in (rss(process) for process in (own, *own.children(recursive=True))) if each
    ]
    return (
        sum(each[0] for each in resident),
        resident[0][0] if resident else 0.0,
        sum(each[1] for each in resident),
    )


def rss(process: psutil.Process) -> tuple[float, float] | None:
    """Resident and proportional memory of one process in MB; None if it is gone."""
    with contextlib.suppress(psutil.Error):
        full = process.memory_full_info()
        return full.rss / 1e6, getattr(full, "pss", 0) / 1e6
    return None


def digit(folder: Path, count: int) -> str:
    """The table of drawn digits: strokes, 28x28, probabilities."""
    import torch

    from core.drawing.preparation import to_mnist
    from core.drawing.strokes import strokes_to_ink
    from core.insight.predictions import predict
    from tests.networks import build_model

    sys.path.insert(0, str(ROOT))
    from tests.strokes import DIGITS

    rows = []
    torch.set_num_threads(1)  # as the app does
    for name in shipped(folder) or ["final"]:
        model = (
            loading.load_model(store.open_run(name, folder))
            if (folder / name).is_dir()
            else build_model(recipe(name).config)
        )
        times = []
        for strokes in itertools.islice(itertools.cycle(DIGITS.values()), count + len(DIGITS)):
            began = time.perf_counter()
            predict(model, to_mnist(strokes_to_ink(strokes))[None])
            times.append(1e3 * (time.perf_counter() - began))
        rows.append(digit_row(name, times[len(DIGITS) :]))  # the first ones warm up
    return "A drawn digit, from its strokes to its probabilities, in ms:\n\n" + table(
        DIGIT_COLUMNS, rows
    )


def web_page(folder: Path, count: int) -> str:
    """The table of drawn digits in the exported web page of each shipped run, in a browser."""
    from playwright.sync_api import sync_playwright
    from serving import chromium

    from core.exports.html import build_page
    from tests.strokes import DIGITS

    script = """([drawings, count]) => Array.from({ length: count }, (_, index) => {
      const began = performance.now();
      inkling.predict(inkling.prepare(drawings[index % drawings.length]));
      return performance.now() - began;
    })"""
    rows = []
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        for name in shipped(folder):
            run = store.open_run(name, folder)
            path = folder.parent / f"{name}.html"
            path.write_text(build_page(run, loading.load_model(run)))
            page = browser.new_page()
            page.goto(path.as_uri())
            times = page.evaluate(script, [list(DIGITS.values()), count + len(DIGITS)])
            rows.append(digit_row(name, times[len(DIGITS) :]))
            page.close()
        browser.close()
    return "A drawn digit in the exported web page, in ms:\n\n" + table(DIGIT_COLUMNS, rows)


def digit_row(name: str, times: Sequence[float]) -> tuple[object, ...]:
    """A line of a table of drawn digits, from times in ms."""
    return (
        name,
        len(times),
        f"**{median(times):.2f}**",
        f"{percentile(times, 99):.2f}",
        f"{max(times):.2f}",
    )


def shipped(folder: Path) -> list[str]:
    """The recipes whose runs are shipped."""
    return [name for name in RECIPES if (folder / name).is_dir()]


if __name__ == "__main__":
    main()
