"""Property tests of the command line: arguments, options and INKLING_* variables.

Any input ends in a result or in one sentence. Each example is one command, run in this process.
"""

from __future__ import annotations

import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command

from core.cli import main as cli
from core.config import FIELDS
from tests.made import made_run

VARIABLES = (
    "INKLING_CHECKPOINTS",
    "INKLING_DATA",
    "INKLING_MAX_BATCH_SIZE",
    "INKLING_MAX_EPOCHS",
    "INKLING_MAX_PARAMETERS",
    "INKLING_MAX_RUNS",
    "INKLING_MAX_UPLOAD_MB",
    "INKLING_STORAGE",
)
# Commands that neither train nor ask, with the number of arguments that they take.
COMMANDS = {
    "schedule": 0,
    "summary": 1,
    "runs": 0,
    "queue": 0,
    "note": 1,
    "bin": 0,
    "rename": 2,
    "restore": 1,
    "import-run": 1,
    "export-run": 1,
    "compare": 2,
    "stop": 1,
    "pause": 1,
    "sweep status": 0,
    "digits import": 2,
    "digits list": 0,
    "digits export": 1,
    "digits compare": 1,
}
OPTIONS = {
    "schedule": [
        f"--{name.replace('_', '-')}" for name, field in FIELDS.items() if field.type is not bool
    ],
    "summary": ["--budget"],
    "queue": ["--drop"],
    "note": ["--text", "--tags"],
    "restore": ["--name"],
    "import-run": ["--name"],
    "export-run": ["--output"],
    "digits import": ["--writer"],
    "digits export": ["--output"],
    "sweep status": ["--storage"],
}
# What the system can pass as an argument: any characters except the null character.
arguments = st.text(st.characters(exclude_characters="\0", exclude_categories=()), max_size=30)
numbers = (st.integers() | st.floats()).map(str) | st.sampled_from(
    ["9" * 400, "9" * 5_000, "1e999", "-0", "0x10", "1_000", "٣", "nan", "inf", "1e-400"]
)
paths = st.sampled_from(["/dev/zero", "/dev/null", ".", "/", "missing/file", "x" * 5_000, "a/../b"])
names = st.sampled_from(["a", "b", "--", "-", "--help", "--json", "a" * 100])
rows = st.sampled_from(["[]", "[" * 900, '[{"kind": 1}]', '[{"kind": "conv"}]', "{}", "[1e999]"])
values = arguments | numbers | paths | names | rows


@st.composite
def command_lines(draw) -> list[str]:
    command = draw(st.sampled_from(list(COMMANDS)))
    line = [*command.split(), *(draw(values) for _ in range(COMMANDS[command]))]
    for option in draw(st.lists(st.sampled_from(OPTIONS.get(command, ["--json"])), max_size=3)):
        line += [option] if option == "--json" else [option, draw(values)]
    return line


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    made_run(folder, "a")
    return folder


@pytest.fixture(scope="module")
def command():
    """The command line, whose options are built once instead of for each example."""
    return get_command(cli.app)


@pytest.fixture
def place(checkpoints, command, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "app", command)
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(checkpoints))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)


def check(line: list[str], capsys) -> None:
    """Run a command, and check that it ends in a result or in one sentence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["core", *line])
        with pytest.raises(SystemExit) as end:
            cli.main()
    captured = capsys.readouterr()
    assert end.value.code in (0, 1, 2)
    errors = [text for text in captured.err.splitlines() if not text.startswith("Warning: ")]
    if end.value.code:
        assert len(errors) == 1
        assert errors[0].startswith("Error: ")
        assert len(errors[0]) < 2_100
    assert not set(captured.out + captured.err) & set("\x1b\x07\x9b\x00\u202e")


in_one_place = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_place
@given(command_lines())
def test_any_command_line_ends_in_a_result_or_one_sentence(place, capsys, line):
    check(line, capsys)


@in_one_place
@given(st.lists(values, max_size=4))
def test_any_arguments_end_in_a_result_or_one_sentence(place, capsys, line):
    check(["schedule", *line], capsys)


@in_one_place
@given(
    st.dictionaries(
        st.sampled_from(VARIABLES), values.filter(lambda text: "\0" not in text), max_size=3
    ),
    st.sampled_from([["runs"], ["schedule"], ["queue"], ["import-run", "x"], ["sweep", "status"]]),
)
def test_any_variables_end_in_a_result_or_one_sentence(place, capsys, variables, line):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            try:
                patch.setenv(name, value)
            except (UnicodeEncodeError, ValueError):  # the system cannot pass it
                continue
        check(line, capsys)
