"""How runs are described in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from core.config import RunConfig
from core.training.results import TestResult
from pages.ui import words
from tests.made import made_run

ROOT = Path(__file__).parents[2]
PAGES = [
    "streamlit_app.py",
    *sorted(f"pages/{path.name}" for path in (ROOT / "pages").glob("*.py")),
]
SETTINGS = [name for name in RunConfig().to_dict() if name not in ("layers", "transforms")]


def test_an_accuracy_comes_with_its_interval(folder):
    run = made_run(folder, "mine", done=2)
    assert "93.52 to 94.45" in words.describe_interval(run)
    assert "10,000 test images" in words.describe_interval(run)
    assert words.describe_interval(made_run(folder, "new", done=0, state="stopped")) == ""
    assert words.describe_test(run) == ""
    held = made_run(folder, "held", holdout=10_000)
    assert "10,000 validation" in words.describe_interval(held)
    told = words.describe_test(dataclasses.replace(held, test=TestResult(0.02, 9_938, 10_000)))
    assert "99.38\u00a0%" in told
    assert "99.21 to 99.52" in told
