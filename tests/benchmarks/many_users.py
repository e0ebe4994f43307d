"""Open many sessions on one server while two runs train; look for errors, mix-ups and growth.

    python tests/benchmarks/many_users.py --sessions 50 --minutes 10

A session is a websocket that speaks Streamlit's protocol, since a browser for each would measure
the browsers; a few tabs of a real Chromium are among them (`--tabs`). Each session has settings
and names of its own: it opens pages by link, changes a setting, leaves, comes back, watches a run,
polls what a page asks to have polled, and closes the tab. Every message that it receives is
searched for the names of other sessions. Then 200 websockets are opened at once, some of which
send junk, and everything is closed. Prints tables; the exit status is 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import websockets
from app_tab import NotAnsweredError, Page, Tab
from measuring import machine, percentile, table
from playwright.async_api import Error, async_playwright

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from browser_tab import browse  # noqa: E402
from serving import chromium, serve  # noqa: E402

from core.errors import RunError  # noqa: E402
from core.limits import Limits  # noqa: E402
from core.recipes import RECIPES  # noqa: E402
from core.runs import control, creation, run_queue, store  # noqa: E402

RUNS = ("first", "second")
BATCH_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
OTHER_PAGES = ("draw", "model", "data", "runs", "mistakes", "experiments", "story")
STAY = (3.0, 12.0)  # seconds on a page
WARM_UP = 60.0  # seconds before memory is compared
MAX_GROWTH_MB = 200.0  # of the server, after the warm-up
MAX_MEDIAN = 1.5  # seconds to open a page
MAX_QUIET = 60.0  # seconds until a server without tabs is idle
IDLE_SHARE = 0.02  # of one core: a server that is polled by nobody
SOCKETS = 200
NAME = re.compile(rb"somebody(\d{5})")
LOST = (OSError, NotAnsweredError, websockets.WebSocketException)


class Figures:
    """What all sessions saw."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.wrong: list[str] = []
        self.memory: list[tuple[float, float]] = []  # (seconds, MB)
        self.messages = self.sessions = 0
        self.lines: list[str] = []


class Session:
    """One person with settings of their own, from the first page until the tab is closed."""

    def __init__(self, number: int, address: str, figures: Figures):
        self.number, self.address, self.figures = number, address, figures
        self.name, self.seed = f"somebody{number:05}", 100_000_000 + 2 * number
        self.random = random.Random(number)

    async def live(self, end: float) -> None:
        """Click through the pages once, or until the time is over."""
        self.figures.sessions += 1
        try:
            async with Tab(self.address, self._check) as tab:
                async for kind, page in self._walk(tab):
                    self.figures.seconds[kind].append(page.seconds)
                    self.figures.wrong += [f"{self.name}: {kind}: {text}" for text in page.errors]
                    seconds = min(self.random.uniform(*STAY), end - time.monotonic())
                    self.figures.seconds["poll"] += await tab.stay(seconds)
                    if time.monotonic() >= end:
                        return
        except LOST as error:
            self.figures.wrong.append(f"{self.name}: {type(error).__name__}: {error}")

    async def _walk(self, tab: Tab) -> Any:
        """Yield (kind of page, page), and check that each shows what is this session's."""
        batch_size = BATCH_SIZES[self.number % len(BATCH_SIZES)]
        recipe, run = list(RECIPES)[self.number % 2], RUNS[self.number % 2]
        settings = {"recipe": recipe, "batch_size": str(batch_size), "seed": str(self.seed)}
        steps = f"{-(-60_000 // batch_size):,}"

        page = await tab.open("train", {"run": self.name})
        self._expect(page, self.name)
        yield "Train, a run that does not exist", page
        page = await tab.open("")
        self._expect(page, "99.4")
        yield "Home", page
        page = await tab.open("train", settings)
        self._expect(page, steps)
        self._expect_seed(page, self.seed)
        yield "Train, by a link with settings", page
        if {"Random seed"} <= page.numbers.keys() and {"Name"} <= page.texts.keys():
            seed, name = page.numbers["Random seed"][0], page.texts["Name"]
            page = await tab.enter({seed: self.seed + 1}, {name: self.name})
            yield "Train, a setting changed", page
        page = await tab.open(OTHER_PAGES[self.number % len(OTHER_PAGES)])
        yield "another page", page
        page = await tab.open("train")
        self._expect(page, steps)
        self._expect_seed(page, self.seed + 1)
        yield "Train, come back to", page
        page = await tab.open("train", {"run": run})
        self._expect(page, run)
        yield "Train, watching a run", page

    def _check(self, message: bytes) -> None:
        self.figures.messages += 1
        for number in NAME.findall(message):
            if int(number) != self.number:
                self.figures.wrong.append(
                    f"{self.name} was shown what is somebody{number.decode()}'s"
                )

    def _expect(self, page: Page, text: str) -> None:
        if text not in page:
            self.figures.wrong.append(f"{self.name}: a page does not show {text!r}")

    def _expect_seed(self, page: Page, seed: int) -> None:
        shown = page.numbers.get("Random seed", ("", None))[1]
        if shown != seed:
            self.figures.wrong.append(f"{self.name}: the seed shown is {shown}, not {seed}")


async def be_somebody(
    place: int, sessions: int, address: str, figures: Figures, end: float
) -> None:
    """One session after another, as one person after another at the same desk."""
    await asyncio.sleep(place * 0.3)
    for visit in itertools.count():
        if time.monotonic() >= end:
            return
        await Session(place + visit * sessions, address, figures).live(end)


async def weigh(server: psutil.Process, figures: Figures, end: float) -> None:
    """Record the server's memory every five seconds."""
    begun = time.monotonic()
    while time.monotonic() < end:
        figures.memory.append((time.monotonic() - begun, server.memory_info().rss / 1e6))
        await asyncio.sleep(5)


async def flood(address: str, figures: Figures) -> None:
    """Open many websockets at once; a tenth sends junk, the others ask for a page."""
    counts: dict[str, int] = defaultdict(int)

    async def come(number: int) -> None:
        try:
            async with Tab(address) as tab:
                if number % 10 == 0:
                    await tab.send_junk(random.Random(number).randbytes(2_000))
                    await asyncio.sleep(1)
                    counts["sent junk"] += 1
                    return
                figures.wrong += (await tab.open("")).errors
                counts["served"] += 1
        except NotAnsweredError:
            counts["left waiting"] += 1
        except LOST:
            counts["refused"] += 1

    started = time.monotonic()
    await asyncio.gather(*(come(number) for number in range(SOCKETS)))
    outcome = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    figures.lines.append(
        f"{SOCKETS} websockets at once: {outcome}, in {time.monotonic() - started:.0f} s."
    )
    if counts["left waiting"]:
        figures.wrong.append(f"{counts['left waiting']} websockets were neither served nor refused")
    try:
        async with Tab(address) as tab:
            page = await tab.open("train", {"run": RUNS[0]})
            figures.lines.append(f"A page opened afterwards took {page.seconds:.2f} s.")
    except LOST as error:
        figures.wrong.append(f"the server does not answer afterwards: {error}")


def wait_until_idle(server: psutil.Process, figures: Figures) -> None:
    """Measure how long after its last tab was closed the server still works."""
    closed = time.monotonic()
    while (since := time.monotonic() - closed) < MAX_QUIET:
        before = sum(server.cpu_times()[:2])
        time.sleep(3.0)
        if (sum(server.cpu_times()[:2]) - before) / 3.0 < IDLE_SHARE:
            figures.lines.append(
                f"{since:.0f} s after the last tab was closed the server was idle (less than "
                f"{IDLE_SHARE:.0%} of a core over 3 s), while the runs went on."
            )
            return
    figures.wrong.append(f"the server still works {MAX_QUIET:.0f} s after the last tab was closed")


async def crowd(
    address: str, server: psutil.Process, figures: Figures, options: argparse.Namespace
) -> None:
    """Let sessions and tabs loose on a server, and then the websockets."""
    end = time.monotonic() + 60 * options.minutes
    people = [
        be_somebody(place, options.sessions, address, figures, end)
        for place in range(options.sessions)
    ]
    before = sum(server.cpu_times()[:2])
    if options.tabs:
        async with async_playwright() as driver:
            browser = await chromium(driver)
            tabs = [
                browse(f"tab {n}", browser, address, figures.seconds, figures.wrong, end)
                for n in range(options.tabs)
            ]
            try:
                await asyncio.gather(weigh(server, figures, end), *people, *tabs)
            except Error as error:
                figures.wrong.append(f"a real tab: {error.message[:300]}")
            await browser.close()
    else:
        await asyncio.gather(weigh(server, figures, end), *people)
    share = (sum(server.cpu_times()[:2]) - before) / (60 * options.minutes)
    figures.lines.append(f"The server used {share:.0%} of a core.")
    await flood(address, figures)


def find_server() -> psutil.Process:
    """The Streamlit server that this process has started."""
    return next(
        child for child in psutil.Process().children() if "streamlit" in " ".join(child.cmdline())
    )


def stop_runs(folder: Path, figures: Figures) -> None:
    """Check that both runs still train, and stop them."""
    for name in RUNS:
        run = store.open_run(name, folder)
        figures.lines.append(f"Run {name}: {len(run.epochs)} epochs.")
        if not run.is_live:
            figures.wrong.append(f"run {name} is {run.state}: {run.message}")
        try:
            control.stop(name, folder)
        except RunError:
            continue
        control.wait_until_idle(name, folder, seconds=30)


def describe(figures: Figures, options: argparse.Namespace) -> Iterator[str]:
    """Return the paragraphs and tables of the report; more may be found wrong meanwhile."""
    yield (
        f"{options.sessions} sessions at a time ({figures.sessions} altogether) and "
        f"{options.tabs} real tabs for {options.minutes:g} minutes while two runs train; "
        f"{figures.messages:,} messages. {machine()}."
    )
    pages = [
        value
        for kind, values in figures.seconds.items()
        if kind != "poll" and not kind.startswith("real")
        for value in values
    ]
    rows = [("all pages", pages), *sorted(figures.seconds.items())]
    yield table(
        ("what", "count", "median s", "95 % s", "longest s"),
        [
            (
                kind,
                f"{len(values):,}",
                *(f"{percentile(values, share):.2f}" for share in (50, 95, 100)),
            )
            for kind, values in rows
            if values
        ],
    )
    if not pages or statistics.median(pages) >= MAX_MEDIAN:
        figures.wrong.append(f"the median page takes {MAX_MEDIAN} s or more")
    settled = [one for one in figures.memory if one[0] >= min(WARM_UP, 30 * options.minutes)]
    if len(settled) > 1:
        times, weights = zip(*settled, strict=True)
        rate = 60 * statistics.linear_regression(times, weights).slope
        yield (
            f"Memory of the server: {weights[0]:.0f} MB after {times[0]:.0f} s, "
            f"{weights[-1]:.0f} MB at the end, {max(weights):.0f} MB at most; "
            f"{rate:+.1f} MB a minute (least squares)."
        )
        if max(weights) - weights[0] > MAX_GROWTH_MB:
            figures.wrong.append(f"the server grew by more than {MAX_GROWTH_MB:.0f} MB")
    yield "\n".join(figures.lines)
    yield "\n".join([f"wrong: {len(figures.wrong)}", *(f"  {text}" for text in figures.wrong[:20])])


def main() -> None:
    """Serve, train, crowd, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--tabs", type=int, default=2, help="tabs of a real Chromium among them")
    options, figures = parser.parse_args(), Figures()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoints"
        folder.mkdir()
        with serve(folder, INKLING_RUNNING="2") as address:
            for number, name in enumerate(RUNS):
                config = RECIPES["final"].config.changed(seed=number, epochs=100)
                creation.create_run(config, name, recipe="final", folder=folder)
                run_queue.submit(name, folder, limits=Limits(running=2))
            server = find_server()
            try:
                asyncio.run(crowd(address, server, figures, options))
                wait_until_idle(server, figures)
            finally:
                stop_runs(folder, figures)
            log = Path(tempfile.gettempdir()) / f"inkling-server-{address.rpartition(':')[2]}.log"
            text = log.read_text(errors="replace")
            # Streamlit logs a traceback for each message of junk.
            tracebacks = text.count("Traceback (most") - text.count("Error deserializing back")
            if tracebacks:
                figures.wrong.append(f"{tracebacks} tracebacks in {log}")
    print("\n\n".join(describe(figures, options)))
    sys.exit(1 if figures.wrong else 0)


if __name__ == "__main__":
    main()
