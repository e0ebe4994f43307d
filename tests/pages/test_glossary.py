"""The glossary: every term has its entry and its picture, and every link leads to a page."""

from __future__ import annotations

import re

import pytest

from core.charts.glossary import PICTURES
from pages.ui.glossary.entries import ENTRIES
from pages.ui.terms import TERMS, explain
from tests.opening import ROOT, open_page
from tests.pages.reading import components


def test_every_term_has_an_entry_and_a_picture():
    assert set(ENTRIES) == set(PICTURES)
    app = open_page("pages/glossary.py")
    assert [heading.value.lower() for heading in app.header] == list(ENTRIES)
    drawings = components(app, "drawing")
    assert [drawing["alt"] for drawing in drawings] == [each.picture for each in ENTRIES.values()]
    assert all(drawing["svg"].startswith("<svg") for drawing in drawings)


def test_help_links_to_headings_of_the_glossary():
    links = [link for name in TERMS for link in re.findall(r"\(glossary#([\w-]+)\)", explain(name))]
    assert len(links) > 8
    assert set(links) <= {term.replace(" ", "-") for term in ENTRIES}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_a_link_opens_a_page_as_it_says(entry, folder):
    assert (ROOT / "pages" / f"{entry.page}.py").is_file()
    app = open_page(f"pages/{entry.page}.py", **entry.query)
    assert app.title[0].value
    assert not app.error
