"""What pages cost: opening one, a click on one, and a page that watches a run."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from background_run import PATIENCE, training, wait_for
from measuring import median, table

from core.recipes import recipe
from core.runs import events

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
# Clicks and waits until the script has run: seconds. A click that starts nothing within two seconds
# shows as two.
ANSWERED = """element => new Promise(done => {
  const state = () => document.querySelector('[data-test-script-state]').dataset.testScriptState
  const resting = () => state() === 'notRunning'
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
DRAWN = (
    "() => document.querySelector('h1') && !document.querySelector('[data-testid=stSkeleton]')"
    " && document.querySelector('[data-test-script-state=notRunning]')"
)


def measure_pages(folder: Path, chosen: Any) -> list[str]:
    """The parts that need a server and a browser."""
    from playwright.sync_api import Error, sync_playwright
    from serving import chromium, serve

    parts = []
    with serve(folder) as address, sync_playwright() as playwright:
        try:
            browser = chromium(playwright)
        except Error as error:
            return [
                "No browser to measure pages with; install chromium "
                f"({str(error).splitlines()[0][:80]})."
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
        open_page(browser, f"{address}/{path}")  # the first visit loads modules
    config = recipe("final").config.changed(epochs=200)
    idle: dict[str, list[float]] = {name: [] for name in shown}
    busy: dict[str, list[float]] = {name: [] for name in shown}
    for number in range(rounds):
        for name, path in shown.items():
            idle[name].append(open_page(browser, f"{address}/{path}"))
        with training(config, f"beside-{number}", folder):
            wait_for(folder / f"beside-{number}", "batch")
            for name, path in shown.items():
                busy[name].append(open_page(browser, f"{address}/{path}"))
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


def open_page(browser: Any, address: str) -> float:
    """Seconds until a page in a fresh context is drawn and its script is at rest."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        began = time.perf_counter()
        page.goto(address, wait_until="commit")
        wait_until_drawn(page)
        return time.perf_counter() - began
    finally:
        context.close()


def wait_until_drawn(page: Any) -> None:
    """Wait until a page is drawn and its script is at rest.

    Raises:
        SystemExit: it does not come to that.
    """
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_function(DRAWN, timeout=1e3 * PATIENCE, polling=20)
    except TimeoutError:
        sys.exit(
            f"{page.url} was not drawn within {PATIENCE:.0f} s; is the machine busy, "
            "or the page broken?"
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
            wait_until_drawn(page)
            for number in range(2 * rounds + 2):
                button = (
                    page.locator("button, [data-testid=stSidebar] a")
                    .filter(has_text=re.compile(rf"{words[number % 2]}\s*$"))
                    .first
                )
                seconds = button.evaluate(ANSWERED)
                wait_until_drawn(page)
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
        wait_until_drawn(page)
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
