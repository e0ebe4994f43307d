"""Training, reports, exports and predictions open no connection and report no usage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def test_everything_from_training_to_prediction_stays_offline(tmp_path):
    site, home, work = (tmp_path / name for name in ("site", "home", "work"))
    for folder in (site, home, work):
        folder.mkdir()
    (site / "sitecustomize.py").write_text(HOOK)
    (work / "everything.py").write_text(EVERYTHING)
    root = Path(__file__).parents[2]
    connections = tmp_path / "connections"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY", "NO_ALBUMENTATIONS_UPDATE")
    }
    environment |= {
        "PYTHONPATH": f"{site}{os.pathsep}{root}",
        "CONNECTIONS": str(connections),
        "HOME": str(home),
        "INKLING_CHECKPOINTS": str(tmp_path / "checkpoints"),
        "INKLING_DATA": str(tmp_path / "data"),
    }
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
    assert not [path for path in home.rglob("*") if "onnxruntime" in str(path)]


def test_the_hook_sees_connections(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    code = (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    )
    connections = tmp_path / "connections"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "CONNECTIONS": str(connections)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60)
    assert "192.0.2.1" in connections.read_text()
