"""The house holds: imports run one way, core knows no streamlit, and what pages load first is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Each layer may import itself and those before it; `data` and `models` stand side by side.
LAYERS = [["errors"], ["config"], ["recipes"], ["data", "models"], ["training", "insight"], ["runs"],
          ["charts"], ["charts_digits", "charts_models", "charts_mistakes", "charts_home", "charts_runs",
                      "charts_experiments", "charts_sweeps"],
          ["charts_draw"], ["experiments"],
          ["cli_answers"], ["cli_config", "cli_watch"], ["cli_experiments"], ["cli_runs", "cli_sweeps"],
          ["cli"], ["__main__"]]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LIGHT = ["core.config", "core.recipes", "core.training.schedules", "core.training.plan", "core.training.results",
         "core.models.architectures", "core.models.summary", "core.data.augmentations", "core.runs.store",
         "core.runs.queue", "core.charts", "core.insight.drawing", "core.insight.predictions", "core.cli",
         "core.experiments.reports", "core.models.drafts", "core.models.row_text", "core.insight.diagrams",
         "core.runs.own_architectures", "core.charts_models", "core.insight.mistakes", "core.runs.tested",
         "core.experiments.story", "core.charts_mistakes", "core.charts_home",
         "core.insight.digits", "core.insight.pictures", "core.data.transform_text", "core.charts_digits",
         "core.charts_draw", "core.insight.cutting", "core.insight.explanations", "core.insight.nearest",
         "core.insight.nudges", "core.runs.own_digits", "core.runs.listing", "core.charts_runs",
         "core.charts_experiments", "core.experiments.comparison", "core.experiments.repeats",
         "core.experiments.exports", "core.experiments.rate_finder", "core.experiments.sweeps",
         "core.experiments.sweep_places", "core.experiments.sweep_space", "core.experiments.sweep_storage",
         "core.experiments.sweep_worker", "core.charts_sweeps",
         "core.experiments.lr_range", "core.experiments.overview", "core.insight.batch"]
HEAVY = {"torch", "numba", "torchvision", "albumentations", "cv2", "scipy", "onnx", "onnxruntime", "vl_convert",
         "optuna"}


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "core" and len(parts) > 1 else None


@pytest.mark.parametrize("path", modules("core"), ids=lambda path: str(path.relative_to(ROOT)))
def test_core_imports_downwards_only(path):
    mine = path.relative_to(ROOT / "core").parts[0].removesuffix(".py")
    if mine == "__init__":
        return
    for name in imported(path):
        assert name.split(".")[0] not in ("streamlit", "pages"), f"{path} imports {name}"
        theirs = layer(name)
        if theirs and theirs != mine:
            assert theirs in RANK, f"{name} stands in no layer: add it to LAYERS"
            assert RANK[theirs] < RANK[mine], f"{path} imports {name}, which stands above or beside it"


def test_packages_hand_on_no_names():
    for path in ROOT.glob("core/**/__init__.py"):
        assert not imported(path), f"{path} imports"


@pytest.mark.parametrize("path", modules("pages"), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_import_pages_only_from_ui(path):
    for name in imported(path):
        if name.startswith("pages."):
            assert name.startswith("pages.ui"), f"{path} imports {name}"


@pytest.mark.parametrize("module", LIGHT)
def test_what_a_first_paint_needs_is_light(module):
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "", f"{module} loads {answer.stdout}"
