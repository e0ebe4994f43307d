"""The parts of a report, and how they are written as Markdown; `html` writes them as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from core.reports.text import to_code_block, to_markdown

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True)
class NumberedList:
    """Numbered sentences; text between double asterisks is bold."""

    items: Sequence[str]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; text between double asterisks is bold."""

    text: str


@dataclass(frozen=True)
class Code:
    """Preformatted text, such as a model summary or an epoch table."""

    text: str


@dataclass(frozen=True)
class Chart:
    """A chart, which Markdown leaves out."""

    title: str
    note: str
    """Explanation beside the title."""
    chart: altair.LayerChart
    alt: str
    """Description for readers who cannot see the chart."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images with a description each; Markdown has only the descriptions."""

    images: npt.NDArray[np.uint8]
    """(N, 28, 28), ink 255 on 0."""
    captions: Sequence[str]
    """Short text below each image."""
    descriptions: Sequence[str]
    """The same in full."""


Block = NumberedList | Paragraph | Code | Chart | Digits


@dataclass(frozen=True)
class Section:
    """A heading with the blocks below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A whole report."""

    title: str
    summary: str
    """One sentence, or empty."""
    sections: Sequence[Section] = field(default_factory=tuple)


def write_markdown(report: Report) -> str:
    """Return the report as Markdown, without its charts."""
    lines = [f"# {to_markdown(report.title)}", ""]
    if report.summary:
        lines += [to_markdown(report.summary), ""]
    for section in report.sections:
        parts = [part for block in section.blocks if (part := _write(block))]
        if parts:
            lines += [f"## {to_markdown(section.title)}", "\n\n".join(parts), ""]
    return "\n".join(lines)


def _write(block: Block) -> str:
    if isinstance(block, NumberedList):
        return _number(block.items)
    if isinstance(block, Paragraph):
        return to_markdown(block.text)
    if isinstance(block, Code):
        return to_code_block(block.text)
    if isinstance(block, Digits):
        return _number(block.descriptions)
    return ""


def _number(items: Sequence[str]) -> str:
    return "\n".join(f"{number}. {to_markdown(item)}" for number, item in enumerate(items, 1))
