"""A run as a web page: one file that reads drawings in any browser, without a connection.

The files of the page are in `page/`: `ink.js` prepares a drawing as `core.drawing` does,
`network.js` runs any list of layer rows, `pad.js` is the drawing pad, and `page.js` shows what
comes out. What differs from run to run is text and one JSON object with the rows and numbers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from core.charts.diagrams import name_operation
from core.drawing.preparation import BOX, VISIBLE
from core.drawing.strokes import FRACTIONAL_BITS, INK_SIZE, MIN_EXTENT, STROKE_WIDTH
from core.experiments.scores import TEST_IMAGES, Score, describe_validation_images, score_run
from core.models.network import Network
from core.models.shapes import trace
from core.runs.run import Run
from core.task import MEAN, STD

FOLDER = Path(__file__).with_name("page")
SCRIPTS = ("ink.js", "network.js", "pad.js", "page.js")
_NETWORK = re.compile(r'<script type="application/json" id="network">(.*?)</script>', re.DOTALL)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%232f4bd0'/%3E%3Cpath d='M5 4h6L7.5 12' "
    "fill='none' stroke='white' stroke-width='2' stroke-linecap='round' "
    "stroke-linejoin='round'/%3E%3C/svg%3E"
)


class _Numbers:
    """Tensors one after another as float32; a tensor that several rows share is stored once."""

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[np.float32]] = []
        self._count = 0
        self._places: dict[int, tuple[torch.Tensor, list[int]]] = {}  # by the tensor's id

    def add(self, tensor: torch.Tensor) -> list[int]:
        """Store a tensor and return where it begins and how many numbers it has."""
        if id(tensor) not in self._places:
            array = tensor.detach().numpy().astype("<f4").ravel()
            self._places[id(tensor)] = tensor, [self._count, array.size]
            self._arrays.append(array)
            self._count += array.size
        return self._places[id(tensor)][1]

    def to_base64(self) -> str:
        """All numbers, little-endian."""
        return base64.b64encode(b"".join(array.tobytes() for array in self._arrays)).decode()


def build_page(run: Run, model: Network, which: str = "last") -> str:
    """Return the page of a run.

    Args:
        run: the run; its title or name is the page's heading.
        model: its network, on the CPU in evaluation mode.
        which: "last" or "best", the weights that the network has.
    """
    style = _read("page.css")
    script = '\n"use strict";\n(() => {' + "".join(map(_read, SCRIPTS)) + "})();\n"
    # Only this style and this script take effect, and nothing is requested, whatever a title holds.
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    score = _score(run, which)
    parts = {
        "policy": policy,
        "icon": _ICON,
        "title": escape(run.label),
        "lead": escape(_lead(run, score)),
        "facts": "".join(
            f"\n      <dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
            for name, text in _facts(run, model, which, score).items()
        ),
        "network": _to_script_json(_describe_network(model)),
        "style": style,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def read_network(page: str) -> Network:
    """Return the network of a page, in evaluation mode, with the numbers that the page holds.

    Args:
        page: a page from `build_page`.

    Raises:
        ValueError: the text is not such a page.
    """
    found = _NETWORK.search(page)
    if found is None:
        raise ValueError("the page does not contain a network")
    description = json.loads(found[1])
    numbers = torch.from_numpy(
        np.frombuffer(base64.b64decode(description["weights"]), "<f4").copy()
    )
    # Rows that share weights get copies, since each has a scale and a shift of its own.
    model = Network([_without_sharing(layer["row"]) for layer in description["layers"]])
    for layer, modules in zip(description["layers"], model.row_modules, strict=True):
        tensors = {
            name: numbers[start : start + count]
            for name in ("weight", "scale", "shift")
            if name in layer
            for start, count in [layer[name]]
        }
        _load_layer(modules, tensors)
    return model.eval()


def _without_sharing(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "shared"}


def _load_layer(modules: Sequence[nn.Module], tensors: Mapping[str, torch.Tensor]) -> None:
    """Give a row's modules the page's numbers; batch norm becomes a scale and a shift."""
    with torch.no_grad():
        for module in modules:
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.copy_(tensors["weight"].view_as(module.weight))
                if module.bias is not None:
                    module.bias.copy_(
                        torch.zeros_like(module.bias) if "scale" in tensors else tensors["shift"]
                    )
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(tensors["scale"])
                module.bias.copy_(tensors["shift"])
                assert module.running_var is not None
                module.running_var.fill_(1 - module.eps)


def _describe_network(model: Network) -> dict[str, Any]:
    """The network, and how a drawing becomes its input, as JSON values."""
    numbers = _Numbers()
    layers = []
    for traced, modules in zip(trace(model.rows), model.row_modules, strict=True):
        layer = {
            "title": f"{traced.number} · {name_operation(traced.row)}",
            "row": traced.row,
            "input": list(traced.input_shape),
            "output": list(traced.output_shape),
        }
        tensors = _affine_tensors(modules)
        layers.append(layer | {name: numbers.add(tensor) for name, tensor in tensors.items()})
    return {
        "layers": layers,
        "weights": numbers.to_base64(),
        "mean": MEAN,
        "std": STD,
        "drawing": {
            "size": INK_SIZE,
            "width": STROKE_WIDTH,
            "extent": MIN_EXTENT,
            "bits": FRACTIONAL_BITS,
            "box": BOX,
            "visible": VISIBLE,
        },
    }


def _affine_tensors(modules: Sequence[nn.Module]) -> dict[str, torch.Tensor]:
    """The tensors of a row's modules: output = scale * (weight * input) + shift, per channel.

    The scale is left out where no norm follows, the shift where there is none.
    """
    tensors: dict[str, torch.Tensor] = {}
    for module in modules:
        if isinstance(module, nn.Conv2d | nn.Linear):
            tensors["weight"] = module.weight
            if module.bias is not None:
                tensors["shift"] = module.bias
        elif isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            bias = tensors.get("shift", torch.zeros(())).double()
            scale = module.weight.double() / (module.running_var.double() + module.eps).sqrt()
            tensors["scale"] = scale
            tensors["shift"] = module.bias.double() + (bias - module.running_mean.double()) * scale
    return tensors


def _score(run: Run, which: str) -> Score | None:
    if which == "best" and run.best is not None:
        return Score(run.best.val_correct, run.best.val_total, describe_validation_images(run))
    return score_run(run)


def _images(score: Score) -> str:
    kind = "test" if score.measured_on == TEST_IMAGES else "validation"
    return f"{score.total:,} MNIST {kind} images"


def _lead(run: Run, score: Score | None) -> str:
    size = f"A network with {run.parameters:,} parameters that reads handwritten digits"
    if score is None:
        return f"{size}."
    return f"{size}: {score.accuracy:.2f}\u00a0% of {_images(score)} correctly."


def _facts(run: Run, model: Network, which: str, score: Score | None) -> dict[str, str]:
    facts = {"Run": run.name} if run.label != run.name else {}
    facts["Parameters"] = f"{run.parameters:,}"
    if score is not None:
        low, high = score.interval
        chosen = ", on which these weights were chosen" if which == "best" else ""
        facts["Accuracy"] = (
            f"{score.accuracy:.2f}\u00a0% of {_images(score)}{chosen} "
            f"(95\u00a0% interval: {low:.2f} to {high:.2f}\u00a0%)"
        )
    multiply_adds = sum(layer.multiply_adds for layer in trace(model.rows))
    facts["Multiply-adds per prediction"] = f"{multiply_adds:,}"
    return facts


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """A source expression of a Content-Security-Policy that allows this text alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _to_script_json(value: Any) -> str:
    """JSON that cannot end the script element around it."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
