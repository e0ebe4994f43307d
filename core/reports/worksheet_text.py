"""Worksheets as a page to print, and as plain text."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from core.reports.worksheets import Worksheet


def to_html(worksheet: Worksheet) -> str:
    """Return a worksheet as one HTML file: an A4 page of questions, then one with the answers."""
    style = Path(__file__).with_name("worksheet.css").read_text(encoding="utf-8")
    title = escape(worksheet.title)
    questions = "".join(
        f"<li><p>{_spaced(question.text)}</p></li>" for question in worksheet.questions
    )
    answers = "".join(
        f"<li><strong>{_spaced(question.answer)}</strong>"
        + (f" <span>{_spaced(question.working)}</span>" if question.working else "")
        + "</li>"
        for question in worksheet.questions
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title} · Inkling worksheet</title>
<style>
{style}</style>
</head>
<body>
<main>
<section class="page questions">
<header><h1>{title}</h1><p>Name</p><p>Date</p></header>
<ol>{questions}</ol>
<footer>Inkling</footer>
</section>
<section class="page answers">
<h2>Answers: {title}</h2>
<ol>{answers}</ol>
<footer>For the teacher. Computed by Inkling from its networks, runs and measurements.</footer>
</section>
</main>
</body>
</html>
"""


def to_text(worksheet: Worksheet) -> str:
    """Return a worksheet as plain text: questions, then answers."""
    lines = [worksheet.title, ""]
    lines += [f"{at}. {each.text}" for at, each in enumerate(worksheet.questions, 1)]
    lines += ["", "Answers", ""]
    for at, each in enumerate(worksheet.questions, 1):
        working = f" ({each.working})" if each.working else ""
        lines.append(f"{at}. {each.answer}{working}")
    return "\n".join(lines)


def _spaced(text: str) -> str:
    """The text as HTML, with minus signs, and without a line break before a unit or a factor."""
    text = re.sub(r"(?<!\w)-(?=\d)", "\u2212", escape(text, quote=False))
    return text.replace(" %", "\u00a0%").replace(" × ", "\u00a0×\u00a0")
