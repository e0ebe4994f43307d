"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch

from core.data import dataset
from core.experiments import measurements

# No deadlines, since machines are busy; in CI the same inputs each time, so that a red build is
# never chance. `pytest --hypothesis-profile thorough` tries thousands.
hypothesis.settings.register_profile("quick", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=5_000)
hypothesis.settings.load_profile("quick")

# Networks as small as the tests' gain nothing from more, and where the cores are busy threads wait
# for each other.
torch.set_num_threads(1)

# One run at a time, unless a test says otherwise: whatever the number of cores.
os.environ["INKLING_RUNNING"] = "1"

# Not the user's own cache, which tests must neither read nor change.
os.environ["INKLING_CACHE"] = str(Path(__file__).parents[1] / ".pytest_cache" / "inkling")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty checkpoints folder that the environment names."""
    place = tmp_path / "checkpoints"
    place.mkdir()
    monkeypatch.setenv("INKLING_CHECKPOINTS", str(place))
    return place


@pytest.fixture
def figures(tmp_path, monkeypatch) -> Callable[..., None]:
    """Puts measurements in place of the project's results file, which is missing until then."""
    path = tmp_path / "figures.json"
    monkeypatch.setattr(measurements, "FILE", path)

    def put(*measured: measurements.Measurement) -> None:
        measurements.Measurements(measured).write(path)

    return put


@pytest.fixture(scope="session")
def digits() -> dataset.Mnist:
    """Learnable stand-ins for digits: 600 to train on, 200 to test on."""
    return dataset.synthetic()


@pytest.fixture(scope="session")
def mnist() -> dataset.Mnist:
    """The real MNIST, fetched on first use."""
    return dataset.load()
