"""One tab of a real browser that opens the app again and again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import MutableMapping
from typing import Any

from serving import PROBES

ANSWER = 60.0  # seconds after which a page counts as not answered
STAY = (3.0, 12.0)  # seconds on a page, and 20 more where it shows a run


async def browse(
    name: str,
    browser: Any,
    address: str,
    seconds: MutableMapping[str, list[float]],
    wrong: list[str],
    end: float,
) -> None:
    """Open settings by link, then a run, until the time is over.

    Args:
        name: of the tab, for what is wrong; its seed is made from it.
        browser: of Playwright's asynchronous API.
        address: of the server.
        seconds: kind of page -> seconds until it could be read; added to.
        wrong: added to.
        end: on the monotonic clock.

    Raises:
        playwright.async_api.Error: a page does not come.
    """
    context = await browser.new_context(base_url=address)
    tab = await context.new_page()
    tab.set_default_timeout(1_000 * ANSWER)
    tab.on("pageerror", lambda error: wrong.append(f"{name}: {error}"))
    tab.on(
        "console",
        lambda message: (
            wrong.append(f"{name}: {message.text}")
            if message.type == "error" and not PROBES.search(message.location.get("url", ""))
            else None
        ),
    )
    chance = random.Random(name)
    seed = str(chance.randint(900_000_000, 999_999_999))
    while time.monotonic() < end:
        started = time.monotonic()
        await tab.goto(f"/train?recipe=final&seed={seed}")
        box = tab.locator('input[aria-label="Random seed"]').first
        await box.wait_for(state="attached")
        seconds["real tab, Train with settings"].append(time.monotonic() - started)
        if (shown := await box.input_value()) != seed:
            wrong.append(f"{name}: the seed shown is {shown}, not {seed}")
        await asyncio.sleep(chance.uniform(*STAY))
        started = time.monotonic()
        await tab.goto("/train?run=first")
        await tab.get_by_text("bold: changed from the recipe").wait_for()
        seconds["real tab, Train with a run"].append(time.monotonic() - started)
        await asyncio.sleep(min(20 + chance.uniform(*STAY), max(0.0, end - time.monotonic())))
        if await tab.locator('[data-testid="stException"]').count():
            wrong.append(f"{name}: an error box")
    await context.close()
