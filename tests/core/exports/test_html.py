"""The web page of a run: one file that asks for nothing; its network and its drawings are tested in
a browser, in `tests/e2e/test_web_page_in_browser.py`."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch

from core.exports.html import FOLDER, build_page, read_network
from core.models.rows import ACTIVATIONS, KINDS
from core.runs.loading import load_model
from tests.made import made_run
from tests.networks import ODD, OTHER

TITLE = '</script><script>alert("it\'s 7")</script>{{network}}&amp;'


class Reader(HTMLParser):
    """Texts by element, and every attribute."""

    def __init__(self, page: str):
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.attributes: list[tuple[str, str | None]] = []
        self.policy = ""
        self._tag = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self._tag = tag
        self.texts.setdefault(tag, []).append("")
        self.attributes += attributes
        if ("http-equiv", "Content-Security-Policy") in attributes:
            self.policy = dict(attributes)["content"]

    def handle_endtag(self, tag):
        self._tag = ""

    def handle_data(self, text):
        if self._tag:
            self.texts[self._tag][-1] += text


@pytest.mark.parametrize("rows", [ODD, OTHER], ids=["odd", "other"])
def test_the_page_holds_the_networks_numbers(rows, folder):
    run = made_run(folder, "net", layers=list(rows))
    model = load_model(run)
    for module in model.layers:
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -1, 1)
            torch.nn.init.uniform_(module.running_mean, -1, 1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    read = read_network(build_page(run, model))
    images = torch.randn(9, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.allclose(read(images), model(images), atol=1e-5)


def test_the_page_knows_every_kind_of_row_and_activation():
    script = (FOLDER / "network.js").read_text()
    for table, names in (("OPERATIONS", KINDS), ("ACTIVATIONS", ACTIVATIONS)):
        entries = re.search(rf"const {table} = {{(.*?)\n}};", script, re.DOTALL)[1]
        assert set(re.findall(r"^  (\w+):", entries, re.MULTILINE)) == set(names), table


def test_a_page_allows_its_own_script_and_style_alone_and_no_request(folder):
    run = made_run(folder, "net", architecture="original-3762")
    page = build_page(run, load_model(run))
    assert len(page.encode()) < 150_000
    reader = Reader(page)
    rules = dict(rule.strip().split(" ", 1) for rule in reader.policy.split(";"))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        digest = hashlib.sha256(reader.texts[tag][-1].encode()).digest()
        assert rules[rule] == f"'sha256-{base64.b64encode(digest).decode()}'"
    names = {name for name, _ in reader.attributes}
    assert not {"src", "srcset", "action", "style"} & names
    assert not {name for name in names if name.startswith("on")}
    links = [value for name, value in reader.attributes if name == "href"]
    assert [link.split(":")[0] for link in links] == ["data"]
    addresses = set(re.findall(r"https?://[\w./]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}, "a name space, and no address of a request"


@pytest.mark.parametrize("which", ["last", "best"])
def test_a_title_is_only_text_and_the_accuracy_says_of_what(which, folder):
    run = replace(made_run(folder, "net", done=3), title=TITLE)
    reader = Reader(build_page(run, load_model(run, which), which))
    assert reader.texts["h1"] == [TITLE]
    assert reader.texts["title"] == [f"{TITLE} · Inkling"]
    assert len(reader.texts["script"]) == 2
    (lead,) = (text for text in reader.texts["p"] if "parameters" in text)
    assert "7,850 parameters" in lead
    assert "96.00\u00a0% of 10,000 MNIST test images" in lead
    held_out = made_run(folder, "other", done=3, holdout=10_000)
    page = build_page(held_out, load_model(held_out, which), which)
    assert "of 10,000 MNIST validation images" in page
    assert ("chosen" in page.split("<dt>Accuracy")[1][:200]) is (which == "best")


def test_text_that_is_no_page_is_refused():
    with pytest.raises(ValueError, match="does not contain a network"):
        read_network("<p>hello</p>")
