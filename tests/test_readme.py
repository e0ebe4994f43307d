"""The READMEs stay true: their commands, files, settings, links and code exist and work."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
import typer

from core.cli import main as cli
from core.data import dataset
from core.experiments.c_headers import read_headers
from core.experiments.measurements import read_measurements
from core.limits import Limits
from core.reports import results
from tests.test_architecture import LAYERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
READMES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")]
    if not path.is_relative_to(ROOT / ".venv")
}
MOST_WORDS = 900
BENCHMARKS = ROOT / "tests" / "benchmarks"


@pytest.mark.parametrize("name", READMES)
def test_every_command_it_names_exists(name):
    commands = {
        command.name or command.callback.__name__ for command in cli.app.registered_commands
    }
    commands |= {
        group.name or group.typer_instance.info.name for group in cli.app.registered_groups
    }
    assert set(re.findall(r"python -m core ([a-z][\w-]*)", READMES[name])) <= commands


@pytest.mark.parametrize("name", READMES)
def test_every_script_and_linked_file_exists(name):
    folder = (ROOT / name).parent
    for script in re.findall(r"python (tests/\S+\.py)", READMES[name]):
        assert (ROOT / script).is_file(), script
    for link in re.findall(r"\]\(([^)#:]+)\)", READMES[name]):
        assert (folder / link).exists(), link


def test_every_file_of_the_layout_exists():
    tree = README.split("## Layout")[1].split("```")[1]
    folder = ""
    for line in tree.strip("\n").splitlines():
        indent, words = re.match(r"( *)(.*)", line).groups()
        names = [word for word in re.split(r"\s{2,}", words)[0].split() if word]
        for name in names:
            path = ROOT / (folder if indent else "") / name
            assert path.exists(), f"{path} is in the README but does not exist"
        if not indent:
            folder = names[0]


def test_every_setting_is_documented_and_every_documented_setting_is_read():
    known = {f"INKLING_{field.name.upper()}" for field in dataclasses.fields(Limits)}
    named = set(re.findall(r"INKLING_[A-Z_]+", " ".join(READMES.values())))
    assert known <= named
    assert named <= known | {
        "INKLING_DATA",
        "INKLING_CHECKPOINTS",
        "INKLING_STORAGE",
        "INKLING_CACHE",
        "INKLING_SHARED",
    }


def test_the_code_in_cores_readme_trains_evaluates_and_predicts(monkeypatch, capsys):
    monkeypatch.setattr(dataset, "load", lambda: dataset.synthetic(train=6_000, test=100))
    code = READMES["core/README.md"].split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    accuracies, predictions = capsys.readouterr().out.strip().splitlines()
    assert len(re.findall(r"\d+\.\d\d %", accuracies)) == 2
    assert re.fullmatch(r"\[\d( \d){4}\] \[\d( \d){4}\]", predictions)


def test_it_names_the_measured_figures_of_the_c_header():
    line = re.search(r"export (\w+) --format c --quantise (\w+) +# (.*)", README)
    (header,) = (each for each in read_headers() if (each.run, each.scheme) == line.groups()[:2])
    assert f"{header.accuracy:.2f} %, {header.weights:,} bytes of weights" in line[3]


def test_the_layers_of_cores_readme_are_those_that_are_tested():
    table = READMES["core/README.md"].split("| packages and modules |")[1].split("\n\n")[0]
    rows = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    assert rows == LAYERS[:-1], "without __main__"


@pytest.mark.parametrize("name", READMES)
def test_every_command_has_valid_options(name):
    for line in re.findall(r"python -m core ([^`\n#]+)", READMES[name]):
        command, arguments = typer.main.get_command(cli.app), shlex.split(line)
        while hasattr(command, "commands") and arguments[0] in command.commands:
            command = command.commands[arguments.pop(0)]
        known = {"--help", *(text for option in command.params for text in option.opts)}
        for option in re.findall(r"(?<=\s)--[\w-]+", f" {' '.join(arguments)}"):
            assert option in known, f"python -m core {line}: {option}"


@pytest.mark.parametrize("name", READMES)
def test_every_benchmark_has_the_options_it_is_given(name):
    shared = (BENCHMARKS / "measuring.py").read_text(encoding="utf-8")
    for script, options in re.findall(r"python tests/benchmarks/(\w+\.py)([^`\n]*)", READMES[name]):
        source = (BENCHMARKS / script).read_text(encoding="utf-8")
        for option in re.findall(r"--[\w-]+", options):
            assert f'"{option}"' in source + shared, f"{script} {option}"


def test_its_two_commands_make_the_environment_they_need():
    commands = [line for line in README.splitlines() if line.startswith("test -d .venv")]
    assert len(commands) == 2
    for command in commands:
        assert "python3 -m venv .venv" in command
        assert "-r requirements.txt" in command
    assert commands[0].endswith("streamlit run streamlit_app.py")
    assert commands[1].endswith("-m pytest -n auto")


@pytest.mark.parametrize("name", results.READMES)
def test_its_tables_are_those_of_the_results_file_and_of_the_shipped_runs(name):
    text = READMES[name]
    assert "<!-- table: " in text
    made = results.fill_tables(text, read_measurements(), ROOT / "checkpoints")
    assert made == text, "run: python tests/benchmarks/recipes.py --table --write"


def test_the_readme_is_short():
    assert len(README.split()) <= MOST_WORDS
