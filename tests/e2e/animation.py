"""Make the README's animation of the real app: `python tests/e2e/animation.py [FILE]`.

A short run of Sprint is started on the Train page and watched to its end; then two digits are drawn
for it to read. FILE is an animated WebP (default tests/e2e/pictures/inkling.webp).
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from drawing import answer, draw  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import expect, sync_playwright  # noqa: E402
from serving import LAPTOP, chromium, serve  # noqa: E402
from waiting import settle  # noqa: E402

from core.runs.store import open_run  # noqa: E402
from tests.strokes import DIGITS  # noqa: E402

NAME = "my-first-run"
WIDTH = 800  # pixels of the animation
TRAINING_FRAMES = 24
FRAME, HOLD = 160, 1_500  # milliseconds of a frame, and of one to look at


def main(file: Path) -> None:
    """Record the frames and write the animation."""
    with tempfile.TemporaryDirectory() as place:
        checkpoints = Path(place) / "checkpoints"
        shutil.copytree(ROOT / "checkpoints", checkpoints)
        with serve(checkpoints) as address, sync_playwright() as playwright:
            browser = chromium(playwright)
            page = browser.new_context(viewport=LAPTOP, color_scheme="light").new_page()
            frames = [*train(page, address, checkpoints), *draw_digits(page, address)]
            browser.close()
    save(file, frames)
    print(f"{file}: {len(frames)} frames, {file.stat().st_size / 1e6:.2f} MB")


def train(page: Any, address: str, checkpoints: Path) -> list[tuple[bytes, int]]:
    """Frames of a run, from its start to its end."""
    page.goto(f"{address}/train?recipe=sprint&epochs=3&augmentation=none")
    settle(page)
    page.get_by_placeholder("my-sprint").fill(NAME)
    page.keyboard.press("Enter")
    settle(page)
    frames = [(page.screenshot(), HOLD)]
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_label("Show", exact=True)).to_have_value(NAME)
    running = []
    while open_run(NAME, checkpoints).state in ("queued", "running"):
        page.wait_for_timeout(500)
        running.append(page.screenshot())
    thinned = running[:: max(1, len(running) // TRAINING_FRAMES)]
    page.wait_for_timeout(3_000)
    return [*frames, *((frame, FRAME) for frame in thinned), (page.screenshot(), HOLD)]


def draw_digits(page: Any, address: str) -> list[tuple[bytes, int]]:
    """Frames of digits that are drawn, stroke by stroke, and read by the run."""
    frames = []
    for digit in (3, 5):
        page.goto(f"{address}/draw?network={NAME}")
        settle(page)
        points = [point for stroke in DIGITS[digit] for point in stroke]
        step = max(2, len(points) // 3)
        for end in range(step, len(points), step):
            page.reload()
            settle(page)
            draw(page, first_points(DIGITS[digit], end))
            page.wait_for_timeout(400)
            frames.append((page.screenshot(), FRAME))
        page.reload()
        settle(page)
        draw(page, DIGITS[digit])
        expect(answer(page)).to_have_text(str(digit), timeout=60_000)
        settle(page)
        frames.append((page.screenshot(), HOLD))
    return frames


def first_points(strokes: Any, count: int) -> list[list[list[float]]]:
    """The strokes up to a number of points; strokes of fewer than two points are left out."""
    kept = []
    for stroke in strokes:
        kept.append(list(stroke[:count]))
        count -= len(kept[-1])
    return [stroke for stroke in kept if len(stroke) > 1]


def save(file: Path, frames: list[tuple[bytes, int]]) -> None:
    """Write an animated WebP; identical frames after one another become one."""
    images: list[Image.Image] = []
    times: list[int] = []
    for data, time in frames:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        image = image.resize((WIDTH, WIDTH * image.height // image.width), Image.Resampling.LANCZOS)
        if images and image.tobytes() == images[-1].tobytes():
            times[-1] += time
        else:
            images.append(image)
            times.append(time)
    file.parent.mkdir(parents=True, exist_ok=True)
    images[0].save(
        file, save_all=True, append_images=images[1:], duration=times, loop=0, quality=70, method=2
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests/e2e/pictures/inkling.webp")
