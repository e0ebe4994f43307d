"""The Dockerfile's steps, run in a clean folder as far as that is possible without Docker."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = 90


def read_instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: (name, arguments), with continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def is_in_context(path: str) -> bool:
    """Whether .dockerignore, an allow list here, lets a path into the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    return any(fnmatch.fnmatch(path, name) or path.startswith(f"{name}/") for name in allowed)


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A folder that holds what the image's /app would."""
    folder = tmp_path_factory.mktemp("image")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name, arguments in read_instructions():
        if name != "COPY":
            continue
        *sources, _ = shlex.split(arguments)
        for source in sources:
            paths = [path for path in tracked if path == source or path.startswith(f"{source}/")]
            assert paths, f"COPY {source}: nothing of that name is in the repository"
            for path in filter(is_in_context, paths):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, folder / path)
    return folder


def test_it_builds_slim_and_runs_without_root():
    instructions = read_instructions()
    names = [name for name, _ in instructions]
    values = dict(instructions)
    assert names[0] == "FROM"
    assert values["FROM"].endswith("-slim")
    assert values["USER"] == "1000"
    assert names.index("USER") < names.index("CMD")
    assert json.loads(values["VOLUME"]) == ["/app/checkpoints", "/app/data"]
    assert "TORCH_INDEX" in values["ARG"]


def test_the_image_holds_what_the_command_line_needs(image):
    result = subprocess.run(
        [sys.executable, "-m", "core", "runs", "--json"],
        cwd=image,
        env={**os.environ, "INKLING_CHECKPOINTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "final" in result.stdout


def test_the_app_starts_and_is_healthy(image):
    values = dict(read_instructions())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [word.replace("8501", str(port)) for word in json.loads(values["CMD"])]
    command[command.index("0.0.0.0")] = "127.0.0.1"  # nothing is published from a test
    check = json.loads(values["HEALTHCHECK"].split("CMD", 1)[1].replace("8501", str(port)))
    command[0] = check[0] = sys.executable
    server = subprocess.Popen(
        command, cwd=image, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + SECONDS
        healthy = False
        while not healthy and time.monotonic() < end and server.poll() is None:
            healthy = subprocess.run(check, capture_output=True, check=False).returncode == 0
        assert healthy
    finally:
        server.terminate()
        server.wait(10)
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0


def test_the_dev_container_installs_and_starts_the_same():
    config = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert "-r requirements.txt -c constraints.txt" in config["postCreateCommand"]
    assert "streamlit run streamlit_app.py" in config["postAttachCommand"]
