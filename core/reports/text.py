"""Text in reports: bold between double asterisks; anything else is shown as it is.

Names, notes and settings come from outside. Whatever they contain, a viewer of the report fetches
no address and runs nothing.
"""

from __future__ import annotations

import re
from html import escape

_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ACTIVE = re.compile(r"[\\`*_\[\]<>|~$&]")  # in Markdown, anywhere
# At the start of a line: headings and their underlines, lists.
_LEADING = re.compile(r"^(\s*\d*)([#=]|[-+.)](?=[\s-]|$))", re.MULTILINE)


def to_markdown(text: str) -> str:
    """Return text as Markdown: bold marks are kept, other markup is escaped."""
    parts = _BOLD.split(text)  # plain, bold, plain, bold, ...
    escaped = [_ACTIVE.sub(r"\\\g<0>", part) for part in parts]
    marked = "".join(f"**{part}**" if index % 2 else part for index, part in enumerate(escaped))
    return _LEADING.sub(r"\1\\\2", marked)


def to_code_block(text: str) -> str:
    """Return text as a Markdown code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def to_html(text: str) -> str:
    """Return text as HTML: bold marks become tags, the rest is escaped."""
    bold = _BOLD.sub(r"<strong>\1</strong>", escape(text))
    return bold.replace(" %", "\u00a0%").replace("\n", "<br>")
