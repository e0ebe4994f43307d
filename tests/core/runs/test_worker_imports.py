"""A worker loads only what it needs, since a user waits for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.compiler import is_available
from core.runs import creation

ROOT = Path(__file__).parents[3]
UNNEEDED = {
    "albumentations",
    "altair",
    "numba",
    "onnx",
    "optuna",
    "pandas",
    "scipy",
    "streamlit",
    "sympy",
    "torch._dynamo",
    "torchvision",
}
CODE = f"""import sys
from pathlib import Path
from core.data.augmenter import Augmenter
from core.data.dataset import synthetic
from core.data.presets import transforms_of
from core.runs import store, worker

folder, data = Path(sys.argv[1]), synthetic()
assert worker.train(folder, data) == "finished"
config = store.open_run(folder.name, folder.parent).config
Augmenter(transforms_of(config), 0)(data.train.images.numpy())  # as the augmenting process does
loaded = {UNNEEDED!r} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.skipif(not is_available(), reason="needs a C compiler")
@pytest.mark.parametrize("augmentation", ["none", "gentle"])
def test_training_with_the_compiled_step_loads_nothing_heavy_but_torch(tiny, augmentation):
    config = tiny.changed(augmentation=augmentation, optimizer="sgd", epochs=1)
    run = creation.create_run(config, "light")
    result = subprocess.run(
        [sys.executable, "-c", CODE, str(run.folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-2_000:]
