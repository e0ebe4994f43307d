"""What the app costs beside the arithmetic: starting, memory, a drawn digit, a page, and being watched.

    python tests/benchmarks/costs.py

From the start of a run's process to its first batch; the peak memory of a run with all its processes; a drawn digit
from its strokes to its probabilities; a page in a real browser with and without a run training beside it, in turn; a
click's answer while a run trains; and a run's steps a second with and without a page that watches it, in turn.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from measuring import machine, median, parser, percentile, table, tell  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.recipes import RECIPES, recipe  # noqa: E402
from core.runs import events, store  # noqa: E402

PARTS = ("start", "memory", "digit", "pages", "clicks", "polling")
PAGES = {
    "Home": "",
    "Data": "data",
    "Model": "model",
    "Train": "train",
    "a finished run": "train?run=final",
    "Draw": "draw",
}
WATCHED = "watched"
# what is clicked -> address, and the words of the two buttons that are clicked in turn
CLICKS = {
    "Data: a class": ("data", ("3", "5")),
    "Data: a part": ("data", ("Statistics", "Digits")),
    "Model: the summary's form": ("model", ("torchsummary", "table")),
    "Train: a part of the run": (f"train?run={WATCHED}", ("Batch", "Epochs")),
    "Mistakes: a part": ("mistakes", ("two runs", "one run")),
    "Draw: a view": ("draw?digit=test-2597", ("Reasons", "Layers")),
    "Home to Runs and back": ("", ("Runs", "Home")),
    "Train to Model and back": ("train", ("Model", "Train")),
}
# Clicks and waits until the script has run: seconds. A click that starts nothing within two seconds shows as two.
ANSWERED = """element => new Promise(done => {
  const resting = () => document.querySelector('[data-test-script-state]').dataset.testScriptState === 'notRunning'
  const began = performance.now()
  let started = false
  const look = () => {
    const passed = (performance.now() - began) / 1000
    started = started || !resting() || passed > 2
    started && resting() ? done(passed) : setTimeout(look, 1)
  }
  element.click()
  look()
})"""
PATIENCE = 120.0  # seconds for a run to begin, or a page to answer
DRAWN = (
    "() => document.querySelector('h1') && !document.querySelector('[data-testid=stSkeleton]')"
    " && document.querySelector('[data-test-script-state=notRunning]')"
)


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
            if (ROOT / "checkpoints" / name / "last.pt").is_file():
                shutil.copytree(ROOT / "checkpoints" / name, folder / name)
        if "start" in chosen.parts:
            parts.append(start(chosen.recipes, folder, chosen.rounds))
        if "memory" in chosen.parts:
            parts.append(memory(chosen.recipes, folder, chosen.longest))
        if "digit" in chosen.parts:
            parts.append(digit(folder, chosen.digits))
        if {"pages", "clicks", "polling"} & set(chosen.parts):
            parts += in_a_browser(folder, chosen)
    tell(parts, chosen.output)


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
                peaks = [max(pair) for pair in zip(peaks, weighed(process.pid), strict=True)]
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


def weighed(pid: int) -> tuple[float, float, float]:
    """Resident memory in MB: of a process with its children, of itself, and in proportional shares (0: unknown)."""
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

    from core.drawing.preparation import strokes_to_ink, to_mnist
    from core.insight.predictions import predict
    from core.models.network import build

    sys.path.insert(0, str(ROOT))
    from tests.strokes import DIGITS

    rows = []
    torch.set_num_threads(1)  # as the app does
    shipped = [name for name in RECIPES if (folder / name).is_dir()] or ["final"]
    for name in shipped:
        model = (
            store.load_model(store.open_run(name, folder))
            if (folder / name).is_dir()
            else build(recipe(name).config)
        )
        times = []
        for strokes in itertools.islice(itertools.cycle(DIGITS.values()), count + len(DIGITS)):
            began = time.perf_counter()
            predict(model, to_mnist(strokes_to_ink(strokes))[None])
            times.append(1e3 * (time.perf_counter() - began))
        times = times[len(DIGITS) :]  # the first ones warm up
        rows.append(
            (
                name,
                len(times),
                f"**{median(times):.2f}**",
                f"{percentile(times, 99):.2f}",
                f"{max(times):.2f}",
            )
        )
    return "A drawn digit, from its strokes to its probabilities, in ms:\n\n" + table(
        ("network", "digits", "median", "99th percentile", "longest"), rows
    )


def in_a_browser(folder: Path, chosen: Any) -> list[str]:
    """The parts that need a server and a browser."""
    from playwright.sync_api import Error, sync_playwright
    from serving import chromium, serve

    parts = []
    with serve(folder) as address, sync_playwright() as playwright:
        try:
            browser = chromium(playwright)
        except Error as error:
            return [
                f"No browser to measure pages with; install chromium ({str(error).splitlines()[0][:80]})."
            ]
        if "pages" in chosen.parts:
            parts.append(pages(browser, address, folder, chosen.rounds))
        if "clicks" in chosen.parts:
            parts.append(clicks(browser, address, folder, chosen.rounds))
        if "polling" in chosen.parts:
            parts.append(polling(browser, address, folder, chosen.rounds, chosen.seconds))
        browser.close()
    return parts


def pages(browser: Any, address: str, folder: Path, rounds: int) -> str:
    """The table of pages: opened while nothing trains and while `final` does, in turn."""
    shown = {
        name: path
        for name, path in PAGES.items()
        if "final" not in path or (folder / "final").is_dir()
    }
    for path in shown.values():
        opened(browser, f"{address}/{path}")  # the first visit loads modules
    config = recipe("final").config.changed(epochs=200)
    idle: dict[str, list[float]] = {name: [] for name in shown}
    busy: dict[str, list[float]] = {name: [] for name in shown}
    for number in range(rounds):
        for name, path in shown.items():
            idle[name].append(opened(browser, f"{address}/{path}"))
        with training(config, f"beside-{number}", folder):
            wait_for(folder / f"beside-{number}", "batch")
            for name, path in shown.items():
                busy[name].append(opened(browser, f"{address}/{path}"))
    return "A page, from its address to its last element, in s:\n\n" + table(
        ("page", "nothing trains", "a run trains", "ratio", "slowest with a run"),
        [
            (
                name,
                f"{median(idle[name]):.2f}",
                f"**{median(busy[name]):.2f}**",
                f"{median(b / a for a, b in zip(idle[name], busy[name], strict=True)):.2f}",
                f"{max(busy[name]):.2f}",
            )
            for name in shown
        ],
    )


def opened(browser: Any, address: str) -> float:
    """Seconds until a page in a fresh context is drawn and its script is at rest."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        began = time.perf_counter()
        page.goto(address, wait_until="commit")
        drawn(page)
        return time.perf_counter() - began
    finally:
        context.close()


def drawn(page: Any) -> None:
    """Wait until a page is drawn and its script is at rest.

    Raises:
        SystemExit: it does not come to that.
    """
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(DRAWN, timeout=1e3 * PATIENCE, polling=20)
    except TimeoutError:
        sys.exit(
            f"{page.url} was not drawn in {PATIENCE:.0f} s; is the machine busy, or the page broken?"
        )


def clicks(browser: Any, address: str, folder: Path, rounds: int) -> str:
    """The table of clicks, on pages that are open, while `final` trains."""
    times: dict[str, list[float]] = {name: [] for name in CLICKS}
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    with training(recipe("final").config.changed(epochs=200), WATCHED, folder):
        wait_for(folder / WATCHED, "batch")
        for name, (path, words) in CLICKS.items():
            page.goto(f"{address}/{path}")
            drawn(page)
            for number in range(2 * rounds + 2):
                button = (
                    page.locator("button, [data-testid=stSidebar] a")
                    .filter(has_text=re.compile(rf"{words[number % 2]}\s*$"))
                    .first
                )
                seconds = button.evaluate(ANSWERED)
                drawn(page)
                if (
                    number > 1
                ):  # the first time each is shown, it loads modules and computes what is then kept
                    times[name].append(seconds)
    context.close()
    shutil.rmtree(folder / WATCHED)
    return (
        "A click's answer on an open page while a run trains, to the end of the script, in s:\n\n"
        + table(
            ("click", "median", "slowest"),
            [
                (name, f"**{median(seconds):.2f}**", f"{max(seconds):.2f}")
                for name, seconds in times.items()
            ],
        )
    )


def polling(browser: Any, address: str, folder: Path, rounds: int, seconds: float) -> str:
    """The table of a run's speed: watched by its page and not, in turn."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    speeds: dict[str, list[float]] = {"alone": [], WATCHED: []}
    used: dict[str, list[float]] = {"server": [], "browser": []}
    with training(recipe("final").config.changed(epochs=200), WATCHED, folder):
        wait_for(folder / WATCHED, "batch")
        page.goto(f"{address}/train?run={WATCHED}")
        drawn(page)
        for _ in range(rounds):
            for way, where in (
                ("alone", "about:blank"),
                (WATCHED, f"{address}/train?run={WATCHED}"),
            ):
                page.goto(where)
                time.sleep(2.0)  # opening the page is not watching
                began, before = time.time(), cpu_seconds()
                time.sleep(seconds)
                if way == WATCHED:
                    for who, spent in cpu_seconds().items():
                        used[who].append((spent - before[who]) / seconds)
                speeds[way].append(
                    steps_a_second(events.read(folder / WATCHED / events.NAME), began, time.time())
                )
    context.close()
    ratios = [
        watched / alone for alone, watched in zip(speeds["alone"], speeds[WATCHED], strict=True)
    ]
    return f"A run of `final`, in steps a second, over windows of {seconds:g} s:\n\n" + table(
        (
            "alone",
            "watched by its page",
            "ratio",
            "lowest, highest",
            "cores that the server uses",
            "cores that the browser uses",
        ),
        [
            (
                f"{median(speeds['alone']):.1f}",
                f"{median(speeds[WATCHED]):.1f}",
                f"**{median(ratios):.3f}**",
                f"{min(ratios):.3f}, {max(ratios):.3f}",
                f"{median(used['server']):.2f}",
                f"{median(used['browser']):.2f}",
            )
        ],
    )


def cpu_seconds() -> dict[str, float]:
    """Processor time that the server and the browser of this script have used so far."""
    spent = {"server": 0.0, "browser": 0.0}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            words, times = " ".join(process.cmdline()), process.cpu_times()
            who = (
                "server"
                if "streamlit" in words
                else "browser"
                if "chrom" in process.name().lower()
                else ""
            )
            if who:
                spent[who] += times.user + times.system
    return spent


def steps_a_second(past: Sequence[Mapping[str, Any]], begin: float, end: float) -> float:
    """A run's speed within its epochs between two times; nan where it made no step."""
    told = [event for event in past if event["kind"] == "batch" and begin <= event["time"] <= end]
    pairs = [
        (b["step"] - a["step"], b["time"] - a["time"])
        for a, b in itertools.pairwise(told)
        if a["epoch"] == b["epoch"]
    ]  # between two epochs it validates
    seconds = sum(pair[1] for pair in pairs)
    return sum(pair[0] for pair in pairs) / seconds if seconds else float("nan")


@contextlib.contextmanager
def training(config: RunConfig, name: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A run that trains in a process as the queue starts it, until the context ends."""
    run = store.create(config, name, folder=folder)
    with open(run.folder / "log.txt", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.runs.worker", str(run.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_for(folder: Path, kind: str) -> float:
    """The time, on the performance counter, at which a run's first event of a kind was there.

    Raises:
        SystemExit: it did not come.
    """
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if any(event["kind"] == kind for event in events.read(folder / events.NAME)):
            return time.perf_counter()
        time.sleep(0.005)
    log = folder / "log.txt"
    sys.exit(
        f"{folder.name} did not begin in {PATIENCE:.0f} s:\n{log.read_text()[-1_000:] if log.exists() else ''}"
    )


if __name__ == "__main__":
    main()
