"""Text from outside cannot control the terminal, and files are not overwritten by accident."""

from __future__ import annotations

import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from core.cli import output
from core.cli.output import plain
from core.errors import UserError
from core.runs import files, store
from tests.core.cli_runner import run_json, run_refused
from tests.made import made_run

HOSTILE = "\x1b[31mred\x1b]0;title\x07 [/x] [bold]b[/] \u202ereversed \x9b1m \r\b"


@given(st.text(max_size=60))
def test_printed_text_holds_no_control_characters(text):
    for character in plain(text):
        assert character in "\n\t" or unicodedata.category(character)[0] != "C"
    plain(text).encode()


def test_ordinary_text_is_printed_as_it_is():
    text = "Größe: 3\u00a0% → 5, [bold] is no markup\n\tnext line"
    assert plain(text) == text


def test_stored_text_is_escaped_wherever_it_is_printed(core, folder):
    made_run(folder, "a")
    (folder / "\x1b[31mred[x]").mkdir()
    (folder / "\x1b[31mred[x]" / "run.json").write_text("{")
    values = files.read_json(folder / "a" / "run.json")
    files.write_json(folder / "a" / "run.json", {**values, "notes": HOSTILE, "tags": ["[/x]\x1b"]})
    for arguments in (("runs",), ("note", "a"), ("report", "a"), ("compare", "a", HOSTILE)):
        _, text, error = core(*arguments)
        assert not set(text + error) & set("\x1b\x07\x9b\x08\r\u202e"), arguments
    assert "red[x]" in core("runs")[1]


def test_markup_is_printed_as_text(capsys):
    output.print_table(("Title",), [("[bold]b[/] [/x]",)], left=())
    output.print_message("[bold]b[/] [/x]")
    assert capsys.readouterr().out.splitlines()[1].strip() == "[bold]b[/] [/x]"


def test_a_table_keeps_rows_on_one_line_in_a_file(core, folder):
    made_run(folder, "a")
    (folder / "b").mkdir()
    (folder / "b" / "run.json").mkdir()
    lines = core("runs")[1].splitlines()
    assert len(lines) == 3
    assert "not a regular file" in next(line for line in lines if line.startswith("b "))


@pytest.mark.parametrize("width", [20, 40, 60, 78, 80, 200])
def test_a_narrow_terminal_breaks_no_figure(capsys, monkeypatch, width):
    monkeypatch.setattr(output, "out", Console(width=width, force_terminal=True, no_color=True))
    name, figures = "a-name-that-is-longer-than-most", ("15/15", "16,530", "99.21 %", "validation")
    titles = ("Run", "Epochs", "Parameters", "Last accuracy", "Measured on", "Best accuracy")
    output.print_table(titles, [(name, *figures, "99.46 %")], left=("Run",))
    text = capsys.readouterr().out
    assert all(figure in text for figure in (*figures, "99.46 %"))
    first = "".join(line[: max(1, line.find(" "))] for line in text.splitlines()[1:])
    assert name in text or name in first.replace(" ", "")
    if width >= 78:
        assert max(map(len, re.sub(r"\x1b\[\d*m", "", text).splitlines())) <= width


@pytest.mark.parametrize(
    "arguments",
    [("report", "a", "--output", "old.md"), ("export-run", "a", "--output", "old.zip")],
    ids=["report", "export-run"],
)
def test_an_existing_file_is_replaced_only_with_force(
    core, folder, tmp_path, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    made_run(folder, "a")
    path = tmp_path / arguments[-1]
    path.write_text("old")
    assert "--force" in run_refused(core, *arguments)
    assert path.read_text() == "old"
    run_json(core, *arguments, "--force")
    assert path.read_bytes() != b"old"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "name of a file"),
        ("folder", "not a regular file"),
        ("missing/file", "no folder"),
        pytest.param(
            os.devnull,
            "not a regular file",
            marks=pytest.mark.skipif(os.name == "nt", reason="not a path on Windows"),
        ),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_only_regular_files_are_written(path, reason, force, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=reason):
        output.write_output(output.Path(path), b"data", force)


def test_a_run_whose_file_is_a_device_or_a_pipe_is_damaged(core, folder):
    for name in ("device", "pipe"):
        (folder / name).mkdir()
    (folder / "device" / "run.json").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe" / "run.json")
    assert {run["state"] for run in run_json(core, "runs")} == {"damaged"}
    assert len(store.list_runs()) == 2
