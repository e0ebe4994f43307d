"""Links with wrong values: the pages of runs open with defaults instead."""

from __future__ import annotations

import pytest

from core.data import dataset
from tests.made import made_run
from tests.opening import open_page

VALUES = {
    "empty": "",
    "unknown": "cake",
    "infinite": "1e999",
    "long": "9" * 400,
    "negative": "-1",
    "nan": "nan",
    "path": "../../etc/passwd",
    "control": "a\x00b\n",
    "digits": "١٢٣",
    "list": "[1, 2]",
}
KEYS = {
    "pages/runs.py": ("find state order apart select curves training", [{"select": "one"}, {}]),
    "pages/mistakes.py": (
        "view run other labelled read image split",
        [{}, {"show": "one run"}, {"show": "two runs"}, {"show": "doubtful labels"}],
    ),
    "pages/draw.py": (
        "view digit network read beside why patch space along nudge_turn nudge_size weights",
        [
            {},
            *({"view": view} for view in ("Reasons", "Nudge", "Nearest", "Own digits")),
            {"digit": "test-3", "view": "Reasons"},
            {"digit": "test-3", "view": "Nudge"},
        ],
    ),
    "pages/experiments.py": (
        "experiment first second repeated times group beside_groups tested begin_with steps swept "
        "aim sweep_runs vary minutes most sweep_holdout sampler pruner sweep slice taken weights",
        [
            {},
            *(
                {"experiment": part}
                for part in ("Compare", "Repeats", "Rate finder", "Sweep", "Exports")
            ),
        ],
    ),
}


@pytest.fixture(autouse=True)
def runs(folder, digits, fresh, idle, monkeypatch):
    """Two runs and a group, and made-up digits in place of MNIST."""
    monkeypatch.setattr(dataset, "load", lambda *args, **kwargs: digits)
    for name in ("one", "two"):
        made_run(folder, name)
    for seed in (1, 2):
        made_run(folder, f"pair-s{seed}", group="pair", seed=seed)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("page", KEYS)
def test_a_page_opens_with_wrong_values(page, value):
    keys, valid = KEYS[page]
    for link in valid:
        app = open_page(page, **(dict.fromkeys(keys.split(), value) | link))
        assert len(app.error) + len(app.warning) <= 3
