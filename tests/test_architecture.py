"""Imports run one way, core does not import Streamlit, and a first paint loads little."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A package or module of core may import itself and those of earlier lines.
LAYERS = [
    ["aliases", "errors", "regular_files", "task", "user_cache", "wording"],
    ["compiler", "schema"],
    ["config", "drawing", "json_input", "limits", "runtime"],
    ["data", "models", "recipes"],
    ["compiled", "rungs"],
    ["insight", "quantisation", "training"],
    ["charts", "runs"],
    ["experiments", "library"],
    ["exports", "reports", "sweeps"],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# The modules that may load heavy libraries when they are imported; a page imports them only where
# it needs them.
MAY_BE_HEAVY = {
    "core.exports.html",
    "core.exports.onnx",
    "core.exports.script",
    "core.exports.template",
    "core.models.network",
    "core.models.layers",
    "core.models.stacked.network",
    "core.models.stacked.conv_kernels",
    "core.models.stacked.matrix_kernels",
    "core.models.stacked.norm_kernels",
    "core.models.stacked.pool_kernels",
    "core.models.stacked.side_stream",
    "core.training.stacked.flat_tensors",
    "core.training.stacked.flat_network",
    "core.training.stacked.loss_kernel",
    "core.training.stacked.update_kernels",
    "core.training.triton_step",
    "core.training.stacked.results",
    "core.training.stacked.training",
    "core.training.stacked.augmentation",
    "core.training.stacked.batches",
    "core.training.stacked.muon",
    "core.training.stacked.optimizers",
    "core.training.stacked.step",
    "core.training.stacked.graph",
    "core.training.stacked.rates",
    "core.training.stacked.snapshot",
    "core.training.trainer",
    "core.training.optimizers",
    "core.training.evaluation",
    "core.training.muon",
    "core.training.loss",
    "core.training.precision",
    "core.training.random_state",
    "core.training.distillation",
    "core.training.format_benchmarks",
    "core.training.layouts",
    "core.training.light_optimizers",
    "core.training.compiled_step",
    "core.training.runtime",
    "core.training.step",
    "core.training.step_sizes",
    "core.training.cuda_graphs",
    "core.data.dataset",
    "core.data.qmnist",
    "core.data.test_sets",
    "core.data.device_augmenter",
    "core.data.batches",
    "core.data.workers",
    "core.data.own_digits",
    "core.data.affine",
    "core.quantisation.fine_tuning",
    "core.quantisation.search",
    "core.runs.worker",
    "core.runs.group_worker",
    "core.runs.recorder",
}
HEAVY = {
    "torch",
    "torchvision",
    "albumentations",
    "cv2",
    "scipy",
    "onnx",
    "onnxruntime",
    "vl_convert",
    "optuna",
}


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
            assert RANK[theirs] < RANK[mine], (
                f"{path} imports {name}, which stands above or beside it"
            )


def test_packages_reexport_nothing():
    for path in ROOT.glob("core/**/__init__.py"):
        assert not {name for name in imported(path) if name.startswith("core")}, path


@pytest.mark.parametrize("path", modules("pages"), ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_import_pages_only_from_ui(path):
    for name in imported(path):
        if name.startswith("pages."):
            assert name.startswith("pages.ui"), f"{path} imports {name}"


def test_what_a_first_paint_needs_is_light():
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in modules("core")
    }
    assert names >= MAY_BE_HEAVY, "a module of that name is gone"
    light = sorted(names - MAY_BE_HEAVY - {"core.__main__"})
    code = f"""import importlib, sys
for name in {light!r}:
    importlib.import_module(name)
    heavy = {HEAVY!r} & set(sys.modules)
    assert not heavy, f"{{name}} loads {{heavy}}"
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
