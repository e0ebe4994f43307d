"""Take screenshots of every page: `python tests/e2e/screenshots.py [FOLDER] [CHECKPOINTS]`.

Each page is taken in light and dark, at laptop and phone width. FOLDER is where they are written
(default tests/e2e/screenshots/), CHECKPOINTS the folder of runs to show.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from drawing import answer, draw
from playwright.sync_api import expect, sync_playwright
from serving import ROOT, chromium, serve
from waiting import settle

THEMES = ("light", "dark")
SIZES = {"laptop": (1280, 800), "phone": (390, 844)}
PAGES = {
    "home": "",
    "story": "story",
    "data": "data",
    "statistics": "data?part=Statistics",
    "map": "data?part=Map",
    "augmentation": "data?part=Augmentation",
    "model": "model",
    "train": "train",
    "run": "train?run=final",
    "runs": "runs?select=final",
    "compared": "runs?select=initial&select=intermediate&select=final",
    "mistakes": "mistakes?labelled=4&read=9",
    "two-runs": "mistakes?show=two+runs",
    "experiments": "experiments",
    "repeats": "experiments?experiment=Repeats",
    "rates": "experiments?experiment=Rate+finder",
    "sweep": "experiments?experiment=Sweep",
    "exports": "experiments?experiment=Exports",
    "draw": "draw",
    "layers": "draw?view=Layers",
    "reasons": "draw?view=Reasons",
    "nudge": "draw?view=Nudge",
    "misread": "draw?digit=test-2597&view=Reasons",
    "nearest": "draw?digit=test-2597&view=Nearest",
    "glossary": "glossary",
    "board": "board",
    "weights": "weights",
}
DRAWN = ("draw", "layers", "reasons", "nudge")

THREE = [
    [
        (0.3, 0.28),
        (0.42, 0.2),
        (0.58, 0.2),
        (0.68, 0.31),
        (0.62, 0.44),
        (0.46, 0.49),
        (0.63, 0.53),
        (0.7, 0.66),
        (0.6, 0.79),
        (0.42, 0.8),
        (0.3, 0.71),
    ]
]


def main(folder: Path, checkpoints: Path) -> None:
    """Walk through the pages and save a picture of each."""
    folder.mkdir(parents=True, exist_ok=True)
    with serve(checkpoints) as address, sync_playwright() as playwright:
        browser = chromium(playwright)
        for theme in THEMES:
            for size, (width, height) in SIZES.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=theme,
                    has_touch=size == "phone",
                    reduced_motion="reduce",
                )
                page = context.new_page()
                for name, path in PAGES.items():
                    page.goto(f"{address}/{path}")
                    settle(page)
                    if name in DRAWN:
                        draw(page, THREE)
                        expect(answer(page)).to_have_text("3", timeout=60_000)
                        settle(page)
                    fit(page, width, height)
                    page.screenshot(path=folder / f"{name}-{theme}-{size}.png")
                    page.set_viewport_size({"width": width, "height": height})
                context.close()
        browser.close()


def fit(page: Any, width: int, height: int) -> None:
    """Make the window as tall as the page, so that all of it is in the picture."""
    needed = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": max(height, min(needed, 4_000))})
    page.wait_for_timeout(400)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "e2e" / "screenshots",
        Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "checkpoints",
    )
