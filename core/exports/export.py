"""A trained run as a file for elsewhere: ONNX, a `torch.export` program, or a Python script that trains it anew.

Each is checked before it is handed out: loaded again and asked about real test images, where it must answer as the
run's own network does. torch, onnx and onnxruntime are imported when they are used.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.data.labelled_images import LabelledImages
from core.errors import RunError, listed
from core.experiments.scores import score_run
from core.exports import onnx as onnx_graph
from core.exports import script
from core.models.architectures import rows_of
from core.runs.loading import load_model
from core.runs.run import Run

if TYPE_CHECKING:
    from core.models.network import Network

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
Answer = Callable[[Images], Floats]  # (N, 28, 28) uint8 -> logits (N, 10)

CHECKED = 1_000  # test images, taken evenly from the 10,000
TOLERANCE = 1e-3  # of a logit; float32 arithmetic in another order differs by about 1e-5
PARTS = (1, 7, 992)  # sizes of the batches that a file is asked in: it must take any
TIMED = 200  # images asked one by one to tell the time of one


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of export."""

    title: str
    ending: str
    mime: str
    help: str


FORMATS: Mapping[str, Format] = {
    "onnx": Format(
        "ONNX",
        ".onnx",
        "application/octet-stream",
        "The trained network for any runtime. Takes grey values as they are, for any number of images.",
    ),
    "torch": Format(
        "PyTorch program",
        ".pt2",
        "application/octet-stream",
        "The trained network as torch.export writes it: runs without any code of this app.",
    ),
    "script": Format(
        "Python script",
        ".py",
        "text/x-python",
        "Network, data, augmentation, schedule and training loop in one file that trains it anew.",
    ),
}


@dataclass(frozen=True, slots=True)
class Check:
    """How an export did when it was loaded again and asked about test images."""

    images: int
    agreeing: int
    """Images that it names as the run's network does."""
    difference: float
    """The largest difference of a logit."""
    seconds: float
    """For one image by itself, the median."""

    @property
    def words(self) -> str:
        """The check, as a sentence."""
        return (
            f"Loaded again, it names {self.agreeing:,} of {self.images:,} test images as the run does; "
            f"no logit differs by more than {self.difference:.1g}. One image takes {1e3 * self.seconds:.2g} ms."
        )

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON values."""
        return {
            "images": self.images,
            "agreeing": self.agreeing,
            "difference": self.difference,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was checked."""

    name: str
    data: bytes
    check: Check


def export(
    run: Run, format: str, which: str = "last", test: LabelledImages | None = None
) -> Export:
    """Make the file and check it.

    Args:
        run: with at least one epoch.
        format: "onnx", "torch" or "script".
        which: "last" or "best" weights; for the script only those that it is checked with.
        test: images (N, 28, 28) uint8 and labels (N,); None: MNIST's, which are fetched if they are not here.

    Raises:
        RunError: there is no such format, the run has no weights, or the file does not answer as the run does.
        DataError: the test images cannot be had.
    """
    if format not in FORMATS:
        raise RunError(f"there is no format {str(format)[:40]!r}; choose {listed(FORMATS)}.")
    model = load_model(run, which)
    data = _MAKERS[format](run, model, which)
    ending = FORMATS[format].ending
    return Export(f"{run.name}{ending}", data, check(data, format, model, test))


def check(data: bytes, format: str, model: Network, test: LabelledImages | None = None) -> Check:
    """Load a file and compare it with the network that it was made of.

    Args:
        data: the file.
        format: its kind.
        model: on the CPU, in evaluation mode.
        test: as for `export`.

    Raises:
        RunError: it cannot be loaded, or answers otherwise; the sentence says how far off it is.
        DataError: the test images cannot be had.
    """
    images = _some(test)
    expected = _asked(model, images)
    parts = np.split(images, np.cumsum(PARTS[:-1])) if len(images) > sum(PARTS[:-1]) else [images]
    try:
        answer = _LOADERS[format](data, model)
        found = np.concatenate([answer(part) for part in parts])
    except Exception as error:  # each of the three libraries has errors of its own
        raise RunError(
            f"the {FORMATS[format].title} file cannot be loaded again ({type(error).__name__}); it is not "
            "handed out."
        ) from error
    off = np.abs(found - expected)
    difference = float(off.max()) if np.isfinite(off).all() else float("inf")
    agreeing = int((found.argmax(axis=1) == expected.argmax(axis=1)).sum())
    if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise RunError(
            f"the {FORMATS[format].title} file answers otherwise than the run: {len(images) - agreeing} of "
            f"{len(images):,} test images get another digit, and a logit differs by {difference:.2g}. "
            "It is not handed out."
        )
    return Check(len(images), agreeing, difference, _time_of_one(answer, images))


def _onnx(run: Run, model: Network, which: str) -> bytes:
    from core.data.batches import MEAN, STD

    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return onnx_graph.model(rows_of(run.config), weights, MEAN, STD, _about(run, which))


def _torch(run: Run, model: Network, which: str) -> bytes:
    import json

    import torch

    program = torch.export.export(
        _whole(model),
        (torch.zeros(2, 28, 28, dtype=torch.uint8),),
        dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}},
    )
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"about.json": json.dumps(_about(run, which))})
    return buffer.getvalue()


def _script(run: Run, model: Network, which: str) -> bytes:
    return script.source(run).encode()


def _about(run: Run, which: str) -> dict[str, Any]:
    found = score_run(run)
    return {
        "name": run.name,
        "weights": which,
        "architecture": run.config.architecture,
        "input": "images: (N, 28, 28) uint8, 0 is paper and 255 is ink; normalisation is inside",
        "output": "logits (N, 10), one for each digit from 0 to 9",
        "accuracy": f"{found.accuracy:.2f} % of the {found.measured_on} after the last epoch"
        if found
        else "",
        "config": run.config.to_dict(),
    }


def _whole(model: Network) -> Any:
    """The network with normalisation in front, from bytes to logits."""
    import torch

    from core.data.batches import MEAN, STD

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            x = images.unsqueeze(1).to(torch.float32)  # (N, 1, 28, 28)
            return self.network(x * (1 / (255 * STD)) - MEAN / STD)  # (N, 10)

    return Whole().eval()


def _load_onnx(data: bytes, model: Network) -> Answer:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = (
        1  # a run may be training beside it
    )
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(
        session.run([onnx_graph.LOGITS], {onnx_graph.IMAGES: images})[0], np.float32
    )


def _load_torch(data: bytes, model: Network) -> Answer:
    import torch

    module = torch.export.load(io.BytesIO(data)).module()
    return lambda images: np.asarray(module(torch.from_numpy(images)).detach().numpy(), np.float32)


def _load_script(data: bytes, model: Network) -> Answer:
    """The script's own network and normalisation, with the run's weights; its training is not started."""
    import torch

    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(data, "script.py", "exec"), names)
    network = names["Network"]()
    own = network.state_dict()
    network.load_state_dict(dict(zip(own, model.state_dict().values(), strict=True)))
    network.eval()

    def answer(images: Images) -> Floats:
        with torch.inference_mode():
            return np.asarray(
                network(names["normalise"](torch.from_numpy(images))).numpy(), np.float32
            )

    return answer


_MAKERS: Mapping[str, Callable[[Run, Network, str], bytes]] = {
    "onnx": _onnx,
    "torch": _torch,
    "script": _script,
}
_LOADERS: Mapping[str, Callable[[bytes, Network], Answer]] = {
    "onnx": _load_onnx,
    "torch": _load_torch,
    "script": _load_script,
}


def _some(test: LabelledImages | None) -> Images:
    """Test images from all over the set: its first half is easier than its second."""
    if test is None:
        from core.data.dataset import load

        images = load().test.images.numpy()
    else:
        images = test.images
    return np.ascontiguousarray(images[:: max(1, len(images) // CHECKED)][:CHECKED])


def _asked(model: Network, images: Images) -> Floats:
    import torch

    from core.data.batches import normalise

    with torch.inference_mode():
        return np.asarray(model(normalise(torch.from_numpy(images), "cpu")).numpy(), np.float32)


def _time_of_one(answer: Answer, images: Images) -> float:
    times = []
    for image in images[:TIMED]:
        begun = time.perf_counter()
        answer(image[None])
        times.append(time.perf_counter() - begun)
    return float(np.median(times))
