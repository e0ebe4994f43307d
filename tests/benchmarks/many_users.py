"""Open many sessions on one server while two runs train, and look for errors and growth.

    python tests/benchmarks/many_users.py --sessions 20 --minutes 10

Each session is a raw websocket that speaks Streamlit's protocol: it opens pages, polls what a page
asks it to poll, and checks that what comes back is its own. Prints a table of figures, and ends
with status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "e2e")]

from serving import serve  # noqa: E402

from core.limits import Limits  # noqa: E402
from core.recipes import RECIPES  # noqa: E402
from core.runs import (  # noqa: E402
    creation,
    run_queue,
    store,
)

RUNS = ("first", "second")
BATCH_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
STAY = (3.0, 12.0)  # seconds on a page
ANSWER = 60.0  # seconds after which a page counts as not answered
WARM_UP = 60.0  # seconds before the memory is first weighed
BOUND_MB = 200  # growth in that the server is allowed, from the first weighing to the last


class Figures:
    """What all sessions saw."""

    def __init__(self) -> None:
        self.pages: list[float] = []
        self.polls: list[float] = []
        self.wrong: list[str] = []
        self.memory: list[tuple[float, float]] = []


class Session:
    """One person: opens pages, stays a while, and is polled as a browser would be."""

    def __init__(self, number: int, address: str, figures: Figures, end: float):
        self.number, self.figures, self.end = number, figures, end
        self.url = address.replace("http", "ws") + "/_stcore/stream"
        self.random = random.Random(number)
        self.polled: dict[str, tuple[float, float]] = {}  # fragment -> (interval, when next)

    async def live(self) -> None:
        """Click through the pages until the time is over."""
        async with websockets.connect(
            self.url, subprotocols=["streamlit"], max_size=None
        ) as self.socket:
            for page, query, expected in self.walk():
                if time.monotonic() >= self.end:
                    return
                await self.open(page, query, expected)
                await self.stay(self.random.uniform(*STAY))

    def walk(self) -> Iterator[tuple[str, dict[str, str], str]]:
        """Pages with their links, and a text that only this session's page can hold."""
        mine = BATCH_SIZES[self.number % len(BATCH_SIZES)]
        run, recipe = RUNS[self.number % 2], list(RECIPES)[self.number % 2]
        for _ in itertools.count():
            yield "", {}, "99.4"
            yield "train", {"recipe": recipe, "batch_size": str(mine)}, f"{-(-60_000 // mine):,}"
            yield "train", {"run": run}, run
            yield "draw", {}, "Draw"

    async def open(self, page: str, query: dict[str, str], expected: str) -> None:
        """Ask for a page and check what comes."""
        self.polled.clear()
        message = BackMsg()
        message.rerun_script.query_string = urllib.parse.urlencode(query)
        message.rerun_script.page_name = page
        started = time.monotonic()
        seen = await self.ask(message, f"{page or 'home'} {query}")
        self.figures.pages.append(time.monotonic() - started)
        if seen is not None and expected not in seen:
            self.figures.wrong.append(
                f"session {self.number}: {page} {query} does not show {expected!r}"
            )

    async def stay(self, seconds: float) -> None:
        """Answer the page's wish to be polled."""
        leave = min(self.end, time.monotonic() + seconds)
        while (now := time.monotonic()) < leave:
            due = [(when, name) for name, (_, when) in self.polled.items() if when <= now]
            if not due:
                await asyncio.sleep(0.05)
                continue
            _, name = min(due)
            message = BackMsg()
            message.rerun_script.fragment_id = name
            message.rerun_script.is_auto_rerun = True
            started = time.monotonic()
            await self.ask(message, "poll")
            self.figures.polls.append(time.monotonic() - started)
            if name in self.polled:
                interval = self.polled[name][0]
                self.polled[name] = (interval, time.monotonic() + interval)

    async def ask(self, message: BackMsg, what: str) -> str | None:
        """Send a message and read until the script has run; None if it was not answered."""
        await self.socket.send(message.SerializeToString())
        parts: list[str] = []
        try:
            async with asyncio.timeout(ANSWER):
                while True:
                    answer = ForwardMsg()
                    answer.ParseFromString(await self.socket.recv())
                    kind = answer.WhichOneof("type")
                    if kind == "delta":
                        parts.append(str(answer.delta))
                        if answer.delta.new_element.WhichOneof("type") == "exception":
                            error = answer.delta.new_element.exception
                            self.figures.wrong.append(
                                f"session {self.number}: {what}: {error.type}: {error.message}"
                            )
                    elif kind == "auto_rerun":
                        interval = answer.auto_rerun.interval
                        self.polled[answer.auto_rerun.fragment_id] = (
                            interval,
                            time.monotonic() + interval,
                        )
                    elif kind == "page_not_found":
                        self.figures.wrong.append(f"session {self.number}: {what}: page not found")
                    elif (
                        kind == "script_finished"
                        and answer.script_finished != answer.FINISHED_EARLY_FOR_RERUN
                    ):
                        return "\n".join(parts)
        except TimeoutError:
            self.figures.wrong.append(f"session {self.number}: {what}: no answer in {ANSWER:.0f} s")
            return None


async def weigh(server: psutil.Process, figures: Figures, end: float) -> None:
    """Record the server's memory every five seconds."""
    begun = time.monotonic()
    while time.monotonic() < end:
        figures.memory.append((time.monotonic() - begun, server.memory_info().rss / 1e6))
        await asyncio.sleep(5)


async def crowd(address: str, sessions: int, seconds: float) -> Figures:
    """Let sessions loose on a server, one after another within the first seconds."""
    figures, end = Figures(), time.monotonic() + seconds
    server = next(
        child for child in psutil.Process().children() if "streamlit" in " ".join(child.cmdline())
    )

    async def come(number: int) -> None:
        await asyncio.sleep(number * 0.3)
        try:
            await Session(number, address, figures, end).live()
        except (OSError, websockets.WebSocketException) as error:
            figures.wrong.append(f"session {number}: {type(error).__name__}: {error}")

    await asyncio.gather(weigh(server, figures, end), *(come(number) for number in range(sessions)))
    return figures


def main() -> None:
    """Serve, train, crowd, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoints"
        folder.mkdir()
        with serve(folder, INKLING_RUNNING="2") as address:
            for number, name in enumerate(RUNS):
                creation.create_run(
                    RECIPES["final"].config.changed(seed=number, epochs=100),
                    name,
                    recipe="final",
                    folder=folder,
                )
                run_queue.submit(name, folder, limits=Limits(running=2))
            figures = asyncio.run(crowd(address, options.sessions, 60 * options.minutes))
            for name in RUNS:
                run = store.open_run(name, folder)
                if not run.is_live:
                    figures.wrong.append(f"run {name} is {run.state}: {run.message}")
                for child in psutil.process_iter():
                    if str(run.folder) in " ".join(_words(child)):
                        child.kill()
        report(figures, options)
    sys.exit(1 if figures.wrong else 0)


def report(figures: Figures, options: Any) -> None:
    """Print the table."""
    settled = [
        weight for when, weight in figures.memory if when >= min(WARM_UP, 30 * options.minutes)
    ]
    growth = settled[-1] - settled[0] if settled else 0.0
    if growth > BOUND_MB:
        figures.wrong.append(f"the server grew by {growth:.0f} MB; at most {BOUND_MB} are allowed")
    print(f"{options.sessions} sessions, {options.minutes:g} minutes, two runs training")
    print("| what | count | median s | 95 % s | longest s |\n|---|---|---|---|---|")
    for name, values in (("pages opened", figures.pages), ("polls", figures.polls)):
        if len(values) > 1:
            print(
                f"| {name} | {len(values):,} | {statistics.median(values):.2f} | "
                f"{statistics.quantiles(values, n=20)[-1]:.2f} | {max(values):.2f} |"
            )
    if settled:
        print(
            f"\nserver: {settled[0]:.0f} MB after the first minute, "
            f"{settled[-1]:.0f} MB at the end, "
            f"{max(settled):.0f} MB at most"
        )
    print(f"wrong: {len(figures.wrong)}")
    for words in figures.wrong[:20]:
        print(f"  {words}")


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
