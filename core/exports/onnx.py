"""A network as an ONNX model, written by torch's exporter, with normalisation and probabilities.

It uses the exporter based on TorchScript: it takes half a second, while the newer one needs the
package onnxscript and several seconds. onnx is imported when it is used.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from typing import Any

import torch

IMAGES, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
OPSET = 17  # old enough for every runtime in use
_LOCK = threading.Lock()  # the exporter keeps global state


class _WithProbabilities(torch.nn.Module):
    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = self.network(images)
        return logits, logits.softmax(1)


def onnx_model(network: torch.nn.Module, metadata: Mapping[str, Any]) -> bytes:
    """Return the bytes of an .onnx file with the outputs `logits` and `probabilities`.

    Args:
        network: in evaluation mode, `images` (N, 28, 28) uint8 -> logits (N, 10) float32; the file
            takes any N.
        metadata: stored in the file; values other than text are stored as JSON.
    """
    import onnx

    buffer = io.BytesIO()
    names = (IMAGES, LOGITS, PROBABILITIES)
    with _LOCK:
        torch.onnx.export(
            _WithProbabilities(network).eval(),
            (torch.zeros(2, 28, 28, dtype=torch.uint8),),
            buffer,  # type: ignore[arg-type]  # any file does
            dynamo=False,
            opset_version=OPSET,
            input_names=[IMAGES],
            output_names=[LOGITS, PROBABILITIES],
            dynamic_axes={name: {0: "N"} for name in names},
        )
    model = onnx.load_from_string(buffer.getvalue())
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
