"""Text from outside on the pages of runs: stored values and links are shown as text."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data import dataset
from core.runs import files, status
from pages.ui.words import escape_markdown
from tests.made import made_run
from tests.opening import open_page

MARKUP = "![x](//evil.example/a) :red[b] <img src=x> `c`"  # at most 60 characters
FOLDER = "![x](evil) :red[b]"
RUNS, EXPERIMENTS, MISTAKES, DRAW = (
    f"pages/{name}.py" for name in ("runs", "experiments", "mistakes", "draw")
)
LINKS = [
    (RUNS, {"select": "mine"}),
    (RUNS, {"select": f"{MARKUP} (group)"}),
    (RUNS, {"select": MARKUP, "find": MARKUP, "state": MARKUP, "order": MARKUP}),
    *(
        (EXPERIMENTS, {"experiment": part, key: value})
        for part, keys in {
            "Compare": ("first", "second"),
            "Repeats": ("group", "repeated"),
            "Rate finder": ("tested", "begin_with"),
            "Sweep": ("sweep", "vary", "swept", "aim"),
            "Exports": ("taken", "weights"),
            MARKUP: ("first",),
        }.items()
        for key in keys
        for value in (MARKUP, FOLDER)
    ),
    *((MISTAKES, {"run": name, "show": MARKUP}) for name in ("mine", "broken", FOLDER, MARKUP)),
    (MISTAKES, {"show": "two runs", "other": MARKUP, "split": MARKUP}),
    (
        DRAW,
        {"digit": MARKUP, "network": MARKUP, "view": MARKUP, "beside": MARKUP, "reading": MARKUP},
    ),
]


@pytest.fixture(autouse=True)
def hostile(folder, digits, fresh, idle, monkeypatch) -> Path:
    """Runs with markup in every stored text, and damaged folders with markup in their names."""
    monkeypatch.setattr(dataset, "load", lambda *args, **kwargs: digits)
    for name in ("mine", "other", "third"):
        run = made_run(folder, name, seed=len(name))
        stored = files.read_json(run.folder / "run.json")
        stored |= {
            "recipe": MARKUP,
            "notes": MARKUP,
            "tags": [MARKUP[:30]],
            "parent": {"name": MARKUP, "which": "last", "epoch": 1},
        }
        if name != "mine":
            stored["group"] = MARKUP
        files.write_json(run.folder / "run.json", stored)
        status.write(run.folder, "failed" if name == "mine" else "finished", MARKUP)
    (folder / FOLDER).mkdir()
    files.write_json(folder / FOLDER / "run.json", {})
    broken = folder / "broken"
    shutil.copytree(folder / "mine", broken)
    stored = files.read_json(broken / "run.json")
    files.write_json(broken / "run.json", {**stored, MARKUP: MARKUP, "recipe": [MARKUP]})
    return folder


def markdown_of(app: AppTest) -> list[str]:
    """Every text on the page that Streamlit renders as Markdown."""
    elements = [
        *app.markdown, *app.caption, *app.title, *app.header, *app.error, *app.warning,
        *app.info, *app.toast, *app.metric,
    ]  # fmt: skip
    texts = [element.value for element in elements]
    for widget in (*app.metric, *app.button, *app.selectbox, *app.multiselect, *app.toggle):
        texts += [widget.label, getattr(widget, "help", "") or ""]
    for link in app.get("page_link"):
        texts += [link.proto.label, link.proto.help]
    return texts


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_text_from_outside_is_not_markdown(page, link):
    app = open_page(page, **link)
    for text in markdown_of(app):
        for part in ("![x](", ":red[b]", "<img src=x>", "`c`"):
            assert part not in text
    html = "".join(element.proto.body for element in app.main.get("html"))
    assert "<img" not in html


def test_stored_text_is_shown(folder):
    app = open_page(RUNS, select="mine")
    shown = "\n".join(markdown_of(app))
    assert escape_markdown(MARKUP) in shown, "recipe and parent"
    assert any(escape_markdown(MARKUP) in error.value for error in app.error), "message"
    assert any(escape_markdown(FOLDER) in text for text in markdown_of(app))
