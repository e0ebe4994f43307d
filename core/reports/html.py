"""A report as one HTML file that needs nothing else: charts as SVG, digits as pixels, light or dark as the reader's."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.charts.sprites import singles
from core.reports.blocks import Block, Chart, Code, Digits, Lines, Report, Words

if TYPE_CHECKING:
    import altair

WIDTH = 760  # pixels of a chart without its axes
INK, PAPER = (29, 29, 27), (255, 255, 255)
# Lines and letters take the colour of the text around them, so that one picture serves light and dark.
_CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "domainColor": "currentColor",
        "tickColor": "currentColor",
        "titleFontWeight": 400,
    },
    "legend": {"labelColor": "currentColor", "titleColor": "currentColor"},
}


def html(report: Report) -> str:
    """The report as one file."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    body = [f"<h1>{escape(report.title)}</h1>"]
    if report.lead:
        body.append(f'<p class="lead">{_marked(report.lead)}</p>')
    for section in report.sections:
        if section.blocks:
            body += [
                f"<section><h2>{escape(section.title)}</h2>",
                *map(_written, section.blocks),
                "</section>",
            ]
    body.append(
        "<footer>Written by Inkling from the run itself; every sentence is computed.</footer>"
    )
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # Whatever a name or a note holds, nothing in here is fetched or run.
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
            "style-src 'unsafe-inline'\">",
            f"<title>{escape(report.title)} · Inkling</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body><main>",
            *body,
            "</main></body>",
            "</html>",
            "",
        ]
    )


def svg(chart: altair.LayerChart) -> str:
    """A chart as SVG, to stand in a page."""
    import vl_convert

    spec = chart.properties(width=WIDTH).to_dict()
    for axis in _axes(spec):  # what the app's own charts say of their grid is meant for its theme
        axis.pop("gridOpacity", None)
    drawn: str = vl_convert.vegalite_to_svg(spec, config=_CONFIG)
    # Its size follows the page.
    return re.sub(r'(<svg[^>]*?) width="[\d.]+" height="[\d.]+"', r"\1", drawn, count=1)


def _written(block: Block) -> str:
    if isinstance(block, Lines):
        return f"<ol>{''.join(f'<li>{_marked(item)}</li>' for item in block.items)}</ol>"
    if isinstance(block, Words):
        return f"<p>{_marked(block.text)}</p>"
    if isinstance(block, Code):
        return f'<pre tabindex="0">{escape(block.text)}</pre>'
    if isinstance(block, Digits):
        pictures = singles(block.images, INK, PAPER) if len(block.images) else []
        items = [
            f'<li><img src="{picture}" alt="{escape(line)}" width="84" height="84">{_marked(caption)}</li>'
            for picture, caption, line in zip(pictures, block.captions, block.lines, strict=True)
        ]
        return f'<ul class="digits">{"".join(items)}</ul>'
    return _figure(block)


def _figure(block: Chart) -> str:
    drawn = svg(block.chart).replace(
        "<svg ", f'<svg role="img" aria-label="{escape(block.alt)}" ', 1
    )
    quiet = f" <span>{escape(block.quiet)}</span>" if block.quiet else ""
    return f"<figure><figcaption>{escape(block.title)}{quiet}</figcaption>{drawn}</figure>"


def _marked(text: str) -> str:
    bold = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(text))
    return bold.replace(" %", "\u00a0%").replace("\n", "<br>")


def _axes(value: Any) -> list[dict[str, Any]]:
    """The descriptions of axes anywhere in a chart's."""
    if isinstance(value, list):
        return [axis for each in value for axis in _axes(each)]
    if not isinstance(value, dict):
        return []
    own = [value["axis"]] if isinstance(value.get("axis"), dict) else []
    return own + [axis for key, each in value.items() if key != "axis" for axis in _axes(each)]
