"""A trained network on one page: all of its numbers, its rows, its score and its settings.

The page is an SVG, from which a PDF of the same size is made. Numbers are as large as the page
allows, and never smaller than they can be read.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from core.config import FIELDS, RunConfig
from core.errors import RunError
from core.experiments.scores import describe_validation_images, score_run
from core.experiments.settings import describe_setting
from core.exports.sheet_blocks import CHARACTER, Block, draw_blocks, flow, list_blocks
from core.insight.learning import describe_epoch
from core.insight.weights import RowWeights, read_weights
from core.models.rows import Row
from core.runs.loading import load_model
from core.runs.run import Run
from core.task import MEAN, STD
from core.training.effects import unused_fields

MAX_PARAMETERS = 10_000
MIME = {"svg": "image/svg+xml", "pdf": "application/pdf"}
# Lengths are in tenths of a millimetre.
# Short and long side, and the smallest font size that is used before larger paper is tried.
PAPERS = {"A4": (2100, 2970, 18.0), "A3": (2970, 4200, 11.0)}
MARGIN, LARGEST = 90, 26.0
_ALWAYS = ("architecture", "augmentation", "schedule", "optimizer", "batch_size", "epochs", "seed")


def draw_sheet(run: Run, which: str | int = "last") -> str:
    """Return a network as an SVG of one page: A4 if its numbers can be read there, else A3.

    Args:
        run: with at least one epoch.
        which: weights, as for `load_model`.

    Raises:
        RunError: the network has too many parameters for one page, or there are no such weights.
        UserError: a weight is not finite.
    """
    if run.parameters > MAX_PARAMETERS:
        raise _too_large(run)
    model = load_model(run, which)
    rows = {row.number: row for row in read_weights(model)}
    for short, long, smallest in PAPERS.values():
        fitting = [
            fitted
            for width, height in ((long, short), (short, long))
            if (fitted := _fit(run, which, model.rows, rows, width, height, smallest))
        ]
        if fitting:
            return max(fitting, key=lambda fitted: fitted.size).draw(run)
    raise _too_large(run)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """The blocks of a page, as large as they fit."""

    width: int
    height: int
    head: list[str]
    top: float
    size: float
    blocks: list[Block]
    places: list[tuple[float, float]]

    def draw(self, run: Run) -> str:
        body = draw_blocks(self.blocks, self.places, self.size, (MARGIN, self.top))
        return _page(self.width, self.height, run, [*self.head, *body])


def _fit(
    run: Run,
    which: str | int,
    all_rows: Sequence[Row],
    rows: Mapping[int, RowWeights],
    width: int,
    height: int,
    smallest: float,
) -> _Fitted | None:
    """Make the numbers as large as the page allows; None where they are smaller than `smallest`."""
    head, tall = _draw_head(run, which, width - 2 * MARGIN)
    top, size = MARGIN + tall, LARGEST
    while size >= smallest:
        room = (width - 2 * MARGIN) / size
        blocks = list_blocks(all_rows, rows, room)
        places, used = flow(blocks, room)
        is_wide_enough = max(block.width for block in blocks) <= room + 1.2
        if is_wide_enough and top + used * size <= height - MARGIN:
            return _Fitted(width, height, head, top, size, blocks, places)
        size *= 0.97
    return None


def sheet_to_pdf(svg: str) -> bytes:
    """Return a page of `draw_sheet` as PDF, in its size."""
    import vl_convert

    data: bytes = vl_convert.svg_to_pdf(_in_points(svg))
    return data


def _in_points(svg: str) -> str:
    """Give a page its size without a unit, which a PDF counts in points."""
    return re.sub(
        r'(width|height)="([\d.]+)mm"',
        lambda found: f'{found[1]}="{float(found[2]) * 72 / 25.4:.3f}"',
        svg,
    )


def paper_of(svg: str) -> str:
    """Return the paper that a page of `draw_sheet` was made for, such as "A4 landscape"."""
    return next(
        f"{name} {'portrait' if width < height else 'landscape'}"
        for name, (short, long, _) in PAPERS.items()
        for width, height in ((short, long), (long, short))
        if f'viewBox="0 0 {width} {height}"' in svg
    )


def _too_large(run: Run) -> RunError:
    return RunError(
        f"{run.name} has {run.parameters:,} parameters, which cannot be read on one page; "
        f"networks of up to about {MAX_PARAMETERS:,} can be printed."
    )


def _draw_head(run: Run, which: str | int, room: float) -> tuple[list[str], float]:
    """The title, the score, the settings and how to read the page; and the height of all."""
    usual, unused = RunConfig(), unused_fields(run.config)
    names = [
        name
        for name in FIELDS
        if name in _ALWAYS
        or (getattr(run.config, name) != getattr(usual, name) and name not in unused)
    ]
    made = ", ".join(
        f"{name.replace('_', ' ')} {describe_setting(run.config, name)}"
        for name in names
        if name not in ("layers", "transforms")
    )
    recipe = f"Recipe {run.recipe}: " if run.recipe else "Settings: "
    how = (
        f"A pixel p from 0 to 255 enters as (p / 255 \u2212 {MEAN}) / {STD}. Each filter has its "
        "kernels in the order of its input channels; above them is what is added to the sum or, "
        "for batch norm, (x \u2212 mean) / \u221a(var + 0.00001) \u00b7 scale + shift. The largest "
        "of the last ten values names the digit. Blue: above zero, orange: below."
    )
    parts = [f'<text class="title" x="{MARGIN}" y="{MARGIN + 48}">{escape(run.label)}</text>']
    y = MARGIN + 92.0
    for text, kind, size in (
        (f"{run.parameters:,} parameters. {_describe_score(run, which)}", "score", 30),
        (recipe + made + ".", "quiet", 22),
        (how, "quiet", 22),
    ):
        for line in textwrap.wrap(text, int(room / (size * CHARACTER))):
            parts.append(f'<text class="{kind}" x="{MARGIN}" y="{y:.0f}">{escape(line)}</text>')
            y += 1.35 * size
    return parts, y - MARGIN - 10


def _describe_score(run: Run, which: str | int) -> str:
    if which == "last":
        score = score_run(run)
        return (
            f"{score.accuracy:.2f} % of the {score.measured_on} correct "
            f"({score.correct:,} of {score.total:,})."
            if score
            else ""
        )
    epoch = run.best.epoch if which == "best" and run.best else which
    if not isinstance(epoch, int) or not epoch:
        return f"As it was {describe_epoch(0)}."
    row = run.epochs[epoch - 1]
    return (
        f"As it was {describe_epoch(epoch)}: {row.val_accuracy:.2f} % of the "
        f"{describe_validation_images(run)} correct ({row.val_correct:,} of {row.val_total:,})."
    )


_STYLE = (
    "text { font-family: sans-serif; fill: #1d1d1b; } "
    ".title { font-size: 56px; font-weight: bold; } .score { font-size: 30px; } "
    ".quiet { font-size: 22px; fill: #55534f; } .row { font-weight: bold; } "
    ".filter { fill: #55534f; }"
)


def _page(width: int, height: int, run: Run, parts: Sequence[str]) -> str:
    title = f"{run.name}: all {run.parameters:,} parameters"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width / 10:g}mm" '
        f'height="{height / 10:g}mm" viewBox="0 0 {width} {height}"><title>{escape(title)}</title>'
        f'<style>{_STYLE}</style><rect width="{width}" height="{height}" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )
