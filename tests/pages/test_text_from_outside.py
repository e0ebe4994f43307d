"""Text from outside, in runs and links, is shown as text; links with bad values open a page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.words import escape_markdown
from tests.made import made_run
from tests.opening import HOME, open_page, shown

PICTURE = "![p](https://evil.example/p.png)"
HOSTILE = f"{PICTURE} [l](https://evil.example) <img src=https://evil.example> :red[r] $x$ `c`"
# Links, images, HTML, directives and formulas of Markdown, unless their punctuation is escaped.
# Links to the glossary are the app's own.
ACTIVE = re.compile(r"(?<!\\)(\]\((?!glossary#)|!\[|<img|https?:|:red\[|\$x\$)")
BAD_VALUES = {
    "hostile": HOSTILE,
    "empty": "",
    "infinite": "1e999",
    "long number": "9" * 400,
    "not a number": "nan",
    "negative": "-1",
    "long": "x" * 5_000,
}
LINKS = {
    HOME: ["run"],
    "pages/story.py": ["chapter", "step", "slide"],
    "pages/data.py": [
        *("part", "set", "class", "index", "transforms", "subject", "round", "only", "axes"),
        "sample",
    ],
    "pages/model.py": ["net", "beside", "over", "upto", "form"],
    "pages/train.py": [
        *("fork", "start", "recipe", "layers", "transforms", "teacher", "lr", "epochs", "seed"),
        *("architecture", "augmentation", "schedule", "weight_decay", "nesterov", "holdout"),
    ],
}


def markdown(app: AppTest) -> Iterator[str]:
    """All texts on a page that Streamlit renders as Markdown."""
    for element in app.main:
        proto = getattr(element, "proto", None)
        if proto is None or type(proto).__name__ in ("Html", "BidiComponent"):
            continue
        for field in ("body", "label", "text", "help", "delta", "delta_description"):
            value = getattr(proto, field, "")
            if isinstance(value, str):
                yield value
    for toast in app.toast:
        yield toast.value


def check(app: AppTest) -> None:
    """Fail if a page renders Markdown from outside."""
    for text in markdown(app):
        assert not ACTIVE.search(text), text
    for html in app.get("html"):
        assert "<img" not in html.proto.body


def test_escaped_text_has_no_active_markdown():
    assert not ACTIVE.search(escape_markdown(HOSTILE))
    assert shown(escape_markdown(HOSTILE)) == HOSTILE
    assert "\n" not in escape_markdown("one\n\n# two")


@pytest.mark.parametrize("symbol", ["<->", "->", "<-", "--", ">=", "<=", "~="])
def test_symbols_that_streamlit_replaces_are_broken_by_a_word_joiner(symbol):
    for text in (symbol, f"a {symbol} b", f"{symbol} {symbol}"):
        escaped = escape_markdown(text).replace("\\", "")
        assert symbol not in escaped.split()
        assert escaped.replace("\u2060", "") == text


def test_command_options_are_shown_without_a_word_joiner():
    assert "\u2060" not in escape_markdown("use --name")


@pytest.mark.parametrize("page", LINKS)
@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_link_with_bad_values_opens_a_page(page, value, folder):
    check(open_page(page, **dict.fromkeys(LINKS[page], value)))


@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_link_to_a_run_with_bad_values_opens_the_run(value, folder):
    made_run(folder, "mine")
    app = open_page("pages/train.py", run="mine", baseline=value, inside=value)
    check(app)
    assert app.selectbox(key="run").value == "mine"
    check(open_page("pages/train.py", run=value))


@pytest.mark.parametrize("part", ["Statistics", "Map", "Augmentation"])
@pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
def test_a_link_to_a_part_of_data_with_bad_values_opens_it(part, value, folder):
    link = dict.fromkeys(LINKS["pages/data.py"], value) | {"part": part}
    app = open_page("pages/data.py", **link)
    check(app)
    assert app.segmented_control(key="part").value == part


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("run.json", {"recipe": PICTURE}),
        ("run.json", {"notes": HOSTILE, "tags": ["![p](https:"]}),
        ("run.json", {"group": PICTURE}),
        ("run.json", {"parent": {"name": PICTURE, "which": "last", "epoch": 1}}),
        ("run.json", {"config": {"teacher": PICTURE}}),
        ("run.json", {"config": {"architecture": PICTURE}}),
        ("run.json", {"config": {PICTURE: 1}}),
        ("run.json", {"runtime": {"device": PICTURE, "precision": PICTURE}}),
        ("run.json", {PICTURE: PICTURE}),
        ("status.json", {"state": PICTURE}),
        ("status.json", {"state": "failed", "message": HOSTILE}),
    ],
    ids=str,
)
def test_hostile_text_in_a_run_is_shown_as_text_and_the_run_can_be_deleted(file, change, folder):
    made_run(folder, "good")
    run = made_run(folder, "mine", epochs=5, state="stopped")
    path = run.folder / file
    stored = json.loads(path.read_text())
    for name, value in change.items():
        merged = isinstance(value, dict) and isinstance(stored.get(name), dict)
        stored[name] = stored[name] | value if merged else value
    path.write_text(json.dumps(stored))
    check(open_page(HOME))
    app = open_page("pages/train.py", run="mine")
    check(app)
    assert any(button.label == "Delete" for button in app.button)
    check(open_page("pages/train.py", run="good", baseline="mine"))
    check(open_page("pages/train.py", fork="mine"))
