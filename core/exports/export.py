"""A trained run as a file: a web page, ONNX, `torch.export`, or a Python script.

Every file is checked before it is returned: it is loaded again and must predict test images as the
run's network does. Of a web page, the rows and numbers are loaded with PyTorch; its script is not
run. torch, onnx and onnxruntime are imported when they are used.
"""

from __future__ import annotations

import io
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.data.labelled_images import LabelledImages
from core.errors import RunError, listed
from core.experiments.scores import score_run
from core.experiments.settings import describe_setting
from core.insight.predictions import predict_logits
from core.runs.loading import load_model
from core.runs.run import Run
from core.task import MEAN, STD

if TYPE_CHECKING:
    import torch

    from core.models.network import Network

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Predictor = Callable[[Images], Floats]  # (N, 28, 28) uint8 -> logits (N, 10)

CHECKED_IMAGES = 1_000  # spread evenly over the 10,000 test images
TOLERANCE = 1e-3  # of a logit; float32 arithmetic in another order differs by about 1e-5
BATCH_SIZES = (1, 7, 992)  # a file must take batches of any size
TIMED_IMAGES = 200


@dataclass(frozen=True, slots=True)
class Format:
    """An export format."""

    title: str
    extension: str
    mime: str
    help: str


FORMATS: Mapping[str, Format] = {
    "html": Format(
        "Web page",
        ".html",
        "text/html",
        "Draw and see the network at work in any browser, also on a phone and without a "
        "connection; one file.",
    ),
    "onnx": Format(
        "ONNX",
        ".onnx",
        "application/octet-stream",
        "The trained network for any ONNX runtime; takes images without normalisation.",
    ),
    "torch": Format(
        "PyTorch program",
        ".pt2",
        "application/octet-stream",
        "The trained network from torch.export: runs with PyTorch alone.",
    ),
    "script": Format(
        "Python script",
        ".py",
        "text/x-python",
        "Network, data, augmentation, schedule and training loop in one file.",
    ),
}


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison of an exported file with the run's network on test images."""

    images: int
    agreeing: int
    """Images with the same predicted digit."""
    difference: float
    """Largest absolute difference of a logit."""
    seconds: float | None
    """Median time for a single image; None for a web page, whose time is the browser's."""

    @property
    def summary(self) -> str:
        """The check as a sentence."""
        time = "" if self.seconds is None else f" One image takes {1e3 * self.seconds:.2g} ms."
        return (
            f"Checked: {self.agreeing:,} of {self.images:,} test images get the same prediction; "
            f"logits differ by at most {self.difference:.1g}.{time}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Export:
    """An exported file that passed its check."""

    name: str
    data: bytes
    check: Check

    @property
    def summary(self) -> str:
        """The check as a sentence."""
        return self.check.summary


def export(
    run: Run, format: str, which: str = "last", test: LabelledImages | None = None
) -> Export:
    """Export a run and check the file.

    Args:
        run: a run with at least one epoch.
        format: one of FORMATS.
        which: "last" or "best" weights; a script is only checked with them.
        test: images (N, 28, 28) uint8 and labels (N,); None: MNIST's, downloaded if missing.

    Raises:
        RunError: the format is unknown, the run has no weights, or the file predicts differently.
        DataError: the test images cannot be loaded.
    """
    if format not in FORMATS:
        raise RunError(f"unknown format {str(format)[:40]!r}; the formats are {listed(FORMATS)}.")
    model = load_model(run, which)
    data = _WRITERS[format](run, model, which)
    name = f"{run.name}{FORMATS[format].extension}"
    return Export(name, data, check_file(data, format, model, test))


def check_file(
    data: bytes, format: str, model: Network, test: LabelledImages | None = None
) -> Check:
    """Load an exported file and compare its predictions with those of the network.

    Args:
        data: the file's content.
        format: its format, as for `export`.
        model: the network, on the CPU in evaluation mode.
        test: as for `export`.

    Raises:
        RunError: the file cannot be loaded, or predicts differently.
        DataError: the test images cannot be loaded.
    """
    images = _test_images(test)
    expected = predict_logits(model, images)
    parts = np.split(images, np.cumsum(BATCH_SIZES[:-1]))
    title = FORMATS[format].title
    try:
        predict = _LOADERS[format](data, model)
        logits = np.concatenate([predict(part) for part in parts if len(part)])
    except Exception as error:  # torch, onnxruntime and Python each have their own
        raise RunError(
            f"the {title} file cannot be loaded again ({type(error).__name__}), so it is discarded."
        ) from error
    difference = float(np.abs(logits - expected).max())
    agreeing = int((logits.argmax(axis=1) == expected.argmax(axis=1)).sum())
    limit = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    if not difference <= limit:  # also where it is not a number
        raise RunError(
            f"the {title} file predicts differently from the run: {len(images) - agreeing} of "
            f"{len(images):,} test images get another digit, and a logit differs by "
            f"{difference:.2g}, so it is discarded."
        )
    seconds = None if format == "html" else _seconds_per_image(predict, images)
    return Check(len(images), agreeing, difference, seconds)


def _write_html(run: Run, model: Network, which: str) -> bytes:
    from core.exports import html  # imports torch

    return html.build_page(run, model, which).encode()


def _write_onnx(run: Run, model: Network, which: str) -> bytes:
    from core.exports.onnx import onnx_model

    return onnx_model(_from_bytes(model), _metadata(run, which))


def _write_torch(run: Run, model: Network, which: str) -> bytes:
    import torch

    program = torch.export.export(
        _from_bytes(model),
        (torch.zeros(2, 28, 28, dtype=torch.uint8),),
        dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}},
    )
    buffer = io.BytesIO()
    metadata = {"about.json": json.dumps(_metadata(run, which))}
    torch.export.save(program, buffer, extra_files=metadata)
    return buffer.getvalue()


def _write_script(run: Run, model: Network, which: str) -> bytes:
    from core.exports import script  # imports torch

    return script.build_script(run).encode()


def _metadata(run: Run, which: str) -> dict[str, Any]:
    result = score_run(run)
    accuracy = f"{result.accuracy:.2f} % on the {result.measured_on}" if result else ""
    return {
        "name": run.name,
        "weights": which,
        "architecture": describe_setting(run.config, "architecture"),
        "input": "images: (N, 28, 28) uint8, ink 255 on 0, not normalised",
        "output": "logits (N, 10) of the digits 0 to 9",
        "accuracy": f"{accuracy} after the last epoch" if accuracy else "",
        "config": run.config.to_dict(),
    }


def _from_bytes(model: Network) -> torch.nn.Module:
    """The network with normalisation in front: (N, 28, 28) uint8 -> logits (N, 10)."""
    import torch

    class FromBytes(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            x = images.unsqueeze(1).to(torch.float32)  # (N, 1, 28, 28)
            logits: torch.Tensor = self.network(x * (1 / (255 * STD)) - MEAN / STD)  # (N, 10)
            return logits

    return FromBytes().eval()


def _load_html(data: bytes, model: Network) -> Predictor:
    """Load the page's rows and numbers with PyTorch; its script is not run."""
    from core.exports import html

    network = html.read_network(data.decode())
    return lambda images: predict_logits(network, images)


def _load_onnx(data: bytes, model: Network) -> Predictor:
    import onnxruntime

    from core.exports.onnx import IMAGES, LOGITS

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a run may be training
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run([LOGITS], {IMAGES: images})[0], np.float32)


def _load_torch(data: bytes, model: Network) -> Predictor:
    import torch

    module = torch.export.load(io.BytesIO(data)).module()
    return lambda images: np.asarray(module(torch.from_numpy(images)).detach().numpy(), np.float32)


def _load_script(data: bytes, model: Network) -> Predictor:
    """Load the script's network and normalisation, without training, and the run's weights."""
    import torch

    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(data, "script.py", "exec"), names)
    network = names["Network"](names["layers"]())
    state = zip(network.state_dict(), model.state_dict().values(), strict=True)
    network.load_state_dict(dict(state))
    network.eval()

    def predict(images: Images) -> Floats:
        with torch.inference_mode():
            x = names["normalise"](torch.from_numpy(images), "cpu")
            return np.asarray(network(x).numpy(), np.float32)

    return predict


_WRITERS: Mapping[str, Callable[[Run, Network, str], bytes]] = {
    "html": _write_html,
    "onnx": _write_onnx,
    "torch": _write_torch,
    "script": _write_script,
}
_LOADERS: Mapping[str, Callable[[bytes, Network], Predictor]] = {
    "html": _load_html,
    "onnx": _load_onnx,
    "torch": _load_torch,
    "script": _load_script,
}


def _test_images(test: LabelledImages | None) -> Images:
    """Images spread over the whole test set, whose first half is easier than the second."""
    if test is None:
        from core.data.dataset import load

        images = load().test.images.numpy()
    else:
        images = test.images
    return np.ascontiguousarray(images[:: max(1, len(images) // CHECKED_IMAGES)][:CHECKED_IMAGES])


def _seconds_per_image(predict: Predictor, images: Images) -> float:
    times = []
    for image in images[:TIMED_IMAGES]:
        start = time.perf_counter()
        predict(image[None])
        times.append(time.perf_counter() - start)
    return statistics.median(times)
