"""Training, reports, exports, predictions and the app connect to nobody and report no usage."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from raw_client import Client
from serving import serve

from tests.made import made_run

ROOT = Path(__file__).parents[2]

HOOK = """
import os, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = arguments[:2]
    else:
        return
    if isinstance(address, tuple) and address[0] not in ("localhost", "127.0.0.1", "::1", None):
        with open(os.environ["CONNECTIONS"], "a") as file:
            print(event, address, file=file)

sys.addaudithook(refuse)
"""
EVERYTHING = """
import sys
from pathlib import Path
from PIL import Image
from core.config import RunConfig
from core.data import dataset
from core.runs import creation, worker

digits = dataset.synthetic()
dataset.load = lambda *arguments, **settings: digits
dataset.fetch = lambda *arguments, **settings: None
config = RunConfig(
    architecture="linear-7850", augmentation="elastic", epochs=1, batch_size=100, threads=1
)
run = creation.create_run(config, "mine")
assert worker.train(run.folder, digits) == "finished"
Image.fromarray(digits.test.images[0].numpy()).save("digit.png")

from core.cli.main import app
for command in (
    "runs",
    "report mine",
    "report mine --output report.html",
    "export mine --format onnx --output mine.onnx",
    "export mine --format torch --output mine.pt2",
    "export mine --format script --output mine.py",
    "predict mine digit.png",
):
    app(command.split(), standalone_mode=False)
"""


def make_environment(folder: Path) -> dict[str, str]:
    """Variables under which every process notes its connections in a file, with a new home."""
    site, home = folder / "site", folder / "home"
    for place in (site, home):
        place.mkdir()
    (site / "sitecustomize.py").write_text(HOOK)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "NO_ALBUMENTATIONS_UPDATE")
    }
    return environment | {
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "CONNECTIONS": str(folder / "connections"),
        "HOME": str(home),
        "INKLING_CHECKPOINTS": str(folder / "checkpoints"),
        "INKLING_DATA": str(folder / "data"),
    }


def test_everything_from_training_to_prediction_stays_offline(tmp_path):
    work, connections = tmp_path / "work", tmp_path / "connections"
    work.mkdir()
    (work / "everything.py").write_text(EVERYTHING)
    environment = make_environment(tmp_path)
    done = subprocess.run(
        [sys.executable, "everything.py"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    assert not connections.exists(), connections.read_text()
    assert {"mine.onnx", "mine.pt2", "mine.py", "report.html"} <= {p.name for p in work.iterdir()}
    # onnxruntime's native code is out of the hook's sight, but keeps a device id and a database.
    home = Path(environment["HOME"])
    assert not [path for path in home.rglob("*") if "onnxruntime" in str(path)]


def test_the_app_and_its_pages_stay_offline(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    made_run(folder, "mine", done=2)
    environment = make_environment(tmp_path)
    # The data folder is empty, so a page that shows digits offers the download, and must not begin.
    with serve(folder, **environment) as address, Client(address) as client:
        for page in ("", "story", "data", "model", "train", "runs", "experiments", "draw"):
            client.rerun(page, "run=mine" if page == "train" else "")
            assert client.title.endswith("Inkling")
        time.sleep(1)  # what the server does in the background
    connections = tmp_path / "connections"
    assert not connections.exists(), connections.read_text()


def test_the_hook_sees_connections(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    code = (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    )
    connections = tmp_path / "connections"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "CONNECTIONS": str(connections)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60)
    assert "192.0.2.1" in connections.read_text()
