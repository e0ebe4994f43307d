"""The Weights page in a browser: a weight by keyboard, its filter's numbers, and rewinding."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from waiting import visit


def test_a_weight_is_named_its_filter_is_listed_and_the_run_is_rewound(tab):
    visit(tab, "/weights?run=final")
    picture = tab.get_by_role("img", name=re.compile("^1 · conv.* 36 weights"))
    picture.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        picture.press(key)
    value = tab.locator(".kernels .value").first
    expect(value).to_contain_text("Filter 1, line 2, column 2")
    number = re.search(r"column 2: (\S+)\.", value.inner_text())[1]

    picture.press("Enter")
    table = tab.get_by_role("table", name="Weights of filter 1")
    cell = table.locator("tbody td").nth(4)  # in the middle of the kernel
    expect(cell).to_have_text(number)

    tab.get_by_label("Epoch of the weights").press("Home")
    expect(tab.get_by_text("Before training", exact=True)).to_be_visible()
    expect(cell).not_to_have_text(number)
    tab.get_by_role("button", name="Play the epochs").click()
    expect(tab.get_by_label("Epoch of the weights")).not_to_have_value("0")
