"""The README stays true: its commands, files and settings exist."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from core.cli import main as cli
from core.config import Limits
from core.data import dataset

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_command_it_names_exists():
    names = {command.name or command.callback.__name__ for command in cli.app.registered_commands}
    names |= {group.name or group.typer_instance.info.name for group in cli.app.registered_groups}
    named = set(re.findall(r"python -m core ([\w-]+)", README))
    assert named
    assert named <= names


def test_every_file_of_its_tree_exists():
    tree = README.split("## How it is built")[1].split("```")[1]
    folder = ""
    for line in tree.strip().splitlines():
        indent, name = re.match(r"( *)(\S+)", line).groups()
        folder = name if not indent else folder
        path = ROOT / (name if not indent else folder + name)
        assert path.exists(), f"{path} is in the README but not there"


def test_every_script_it_names_exists():
    for script in re.findall(r"python (tests/\S+\.py)", README):
        assert (ROOT / script).is_file(), script


def test_every_setting_it_names_is_read():
    known = {f"INKLING_{field.name.upper()}" for field in dataclasses.fields(Limits)}
    named = set(re.findall(r"INKLING_[A-Z_]+", README))
    assert known <= named, "a limit that nobody is told of"
    assert named <= known | {"INKLING_DATA", "INKLING_CHECKPOINTS", "INKLING_STORAGE"}


def test_its_lines_in_python_train_evaluate_and_predict(monkeypatch, capsys):
    monkeypatch.setattr(dataset, "load", lambda: dataset.synthetic(train=6_000, test=100))
    code = README.split("## In Python")[1].split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line]) == 10
    exec(compile(code, "README.md", "exec"), {})
    told, read = capsys.readouterr().out.strip().splitlines()
    assert re.fullmatch(
        r"\d+\.\d\d % of 5,000 held-out images, \d+\.\d\d % of the test images", told
    )
    assert re.fullmatch(r"\[\d( \d){4}\] \[\d( \d){4}\]", read)


def test_its_two_commands_make_the_environment_they_need():
    commands = [line for line in README.splitlines() if line.startswith("test -d .venv")]
    assert len(commands) == 2
    for command in commands:
        assert "python3 -m venv .venv" in command
        assert "-r requirements.txt" in command
    assert commands[0].endswith("streamlit run streamlit_app.py")
    assert commands[1].endswith("pytest")
