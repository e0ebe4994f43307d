"""What a report is made of, and how it is written as Markdown. How it becomes a page is in `report_html`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import altair


@dataclass(frozen=True)
class Lines:
    """Numbered sentences; words between two double asterisks are bold."""

    items: Sequence[str]


@dataclass(frozen=True)
class Words:
    """A sentence or two, without a number."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text in even columns: a summary, an epoch table."""

    text: str


@dataclass(frozen=True)
class Chart:
    """A chart, which Markdown leaves out."""

    title: str
    quiet: str
    """An explanation beside the title."""
    chart: altair.LayerChart
    alt: str
    """What it shows, for those who cannot see it."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Images with a line each; in Markdown, the lines."""

    images: npt.NDArray[np.uint8]
    """(N, 28, 28), ink bright."""
    captions: Sequence[str]
    """Short, for below the image."""
    lines: Sequence[str]
    """The same in full."""


Block = Lines | Words | Code | Chart | Digits


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Report:
    """A whole report."""

    title: str
    lead: str
    """What it is about, in a sentence; may be empty."""
    sections: Sequence[Section] = field(default_factory=tuple)


def markdown(report: Report) -> str:
    """The report as Markdown, without its charts."""
    lines = [f"# {report.title}", ""]
    if report.lead:
        lines += [report.lead, ""]
    for section in report.sections:
        parts = [part for block in section.blocks if (part := _written(block))]
        if parts:
            lines += [f"## {section.title}", "\n\n".join(parts), ""]
    return "\n".join(lines)


def _written(block: Block) -> str:
    if isinstance(block, Lines):
        return _numbered(block.items)
    if isinstance(block, Words):
        return block.text
    if isinstance(block, Code):
        return f"```\n{block.text}\n```"
    if isinstance(block, Digits):
        return _numbered(block.lines)
    return ""


def _numbered(items: Sequence[str]) -> str:
    return "\n".join(f"{number}. {item}" for number, item in enumerate(items, 1))
