"""The command line as a real process: full disks, closed streams, encodings, Ctrl-C.

Each failure is one sentence on standard error and a nonzero status, without a traceback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.made import made_run

ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.usefixtures("folder"),
    pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell"),
]


def run_shell(command: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a shell command in which `inkling` is the command line."""
    script = f'inkling() {{ "{sys.executable}" -m core "$@"; }}\n{command}'
    return subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", ["--help", "schedule", "schedule --json"])
def test_a_full_disk_is_one_sentence(arguments):
    done = run_shell(f"inkling {arguments} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "Error: No space left on device.\n"


def test_closed_standard_streams_are_no_traceback(folder):
    made_run(folder, "a")
    assert run_shell("inkling schedule >&-").returncode == 0
    assert run_shell("inkling summary unknown 2>&-").returncode == 1
    done = run_shell("inkling delete a <&-")
    assert done.returncode == 1
    assert "nothing was done" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / "a").is_dir()


def test_nothing_is_written_into_files_that_take_the_place_of_closed_streams(folder):
    made_run(folder, "a")
    before = {path: path.read_bytes() for path in (folder / "a").iterdir() if path.is_file()}
    assert run_shell("inkling note a --text new >&- 2>&- <&-").returncode == 0
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"run.json"}


def test_a_terminal_without_unicode_gets_escapes(folder):
    made_run(folder, "a")
    done = run_shell("inkling note a --text 'ü → 5'", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout) == (0, "\\xfc \\u2192 5\n")
    assert run_shell("inkling runs", PYTHONIOENCODING="ascii").returncode == 0


def test_a_reader_that_leaves_is_no_traceback():
    done = run_shell("inkling schedule --epochs 200 | head -1")
    assert done.stdout.startswith("| Epoch")
    assert done.stderr == ""


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_ctrl_c_at_any_time_is_no_traceback(seconds, tmp_path):
    """The interrupt comes after the entry point has started, which it marks by a file."""
    started = tmp_path / "started"
    code = (
        "import pathlib, runpy, sys\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        "sys.argv = ['core', 'summary', 'initial']\n"
        "runpy.run_module('core', run_name='__main__', alter_sys=True)\n"
    )
    # Until Python runs the entry point, an interrupt is Python's own affair.
    code = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n" + code
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.05 + seconds)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert "Traceback" not in error
    assert process.returncode in (130, -signal.SIGINT, 0)


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ("train --name x --detach", {"INKLING_CHECKPOINTS": "FILE"}),
        ("train --name x --detach", {"INKLING_CHECKPOINTS": "FILE/below"}),
        ("evaluate a", {"INKLING_DATA": "FILE"}),
        ("train --detach", {"INKLING_MAX_EPOCHS": "9" * 5_000}),
        ("import-run FILE", {"INKLING_MAX_UPLOAD_MB": "1e999"}),
        ("sweep status --storage postgresql://user:secret@host:port/database", {}),
        ("sweep status x --storage sqlite:////nowhere/at/all.db", {}),
        (f"schedule --seed {'9' * 5_000}", {}),
        (f"summary {'x' * 100_000}", {}),
        ("export a --output ''", {}),
        ("predict a /dev/zero", {}),
        ("import-run /dev/zero", {}),
        ("schedule --layers /dev/zero", {}),
    ],
)
def test_bad_settings_and_arguments_are_one_sentence(command, variables, folder, tmp_path):
    made_run(folder, "a")
    (tmp_path / "file").write_text("not a folder")
    path = str(tmp_path / "file")
    variables = {name: value.replace("FILE", path) for name, value in variables.items()}
    done = run_shell(f"inkling {command.replace('FILE', path)}", **variables)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr
