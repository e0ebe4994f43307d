"""Text from outside stays text in every report: no link, no picture, no script."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.reports import blocks, html
from core.reports.blocks import Code, NumberedList, Paragraph, Report, Section
from core.reports.report import build_report
from core.reports.text import to_markdown
from tests.core.reports.examples import row, run_of

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=https://example.org/x.png onerror=alert(1)>",
    "![x](https://example.org/x.png)",
    "[x](javascript:alert(1))",
    "[x]: https://example.org\n\n![x]",
    "<https://example.org>",
    "```\n<img src=x>\n```",
    "````\n![x](y)",
    "**![x](y)**",
    "**<b>** *<i>* ****",
    "\\![x](y) \\<img src=x>",
    "# heading\n===\n- list\n1. list\n---",
    "$\\href{https://example.org}{x}$",
    "&lt;img src=x&gt; &#60;script&#62;",
    "|a|b|\n|-|-|\n|![x](y)|<b>|",
    "\"'><svg onload=alert(1)>",
)
PLAIN = {"h1", "h2", "ol", "li", "p", "strong", "pre", "code", "br", "hr"}


class Tags(HTMLParser):
    """The elements of a page, its attributes and its text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def render(markdown: str) -> Tags:
    return Tags(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))


texts = st.lists(st.sampled_from([*HOSTILE, "\n", " ", "a"]) | st.text(max_size=5), max_size=6).map(
    "".join
)


@given(texts)
def test_any_text_stays_text_in_both_formats(text):
    report = Report(
        text.replace("\n", " "),
        text,
        [
            Section(
                text.replace("\n", " "), [NumberedList([text, text]), Paragraph(text), Code(text)]
            )
        ],
    )
    assert render(blocks.write_markdown(report)).tags <= PLAIN
    page = Tags(html.write_html(report))
    assert page.tags <= PLAIN | {
        "html", "head", "meta", "title", "style", "body", "main", "section", "footer"
    }  # fmt: skip
    assert not {name for name in page.attributes if name.startswith("on") or name == "href"}


@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
        lambda text: "**" not in text
    )
)
@example("a_b*c`d<e>[f](g)")
def test_text_without_bold_marks_is_shown_as_it_is(text):
    assert render(to_markdown(text)).text.strip() == text


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_of_a_run_stay_text(text):
    line = text.replace("\n", " ")[:60]
    layers = [{"kind": "linear", "channels": 10, "activation": "none"}]
    run = run_of("final", [row(1, 59_000, 9_940)], architecture=line, layers=layers)
    run = dataclasses.replace(run, notes=text, recipe=line)
    report = build_report(dataclasses.replace(run, name=line))
    assert render(blocks.write_markdown(report)).tags <= PLAIN
    assert "script" not in Tags(html.write_html(report)).tags
