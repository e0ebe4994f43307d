"""A run as one C99 header: `int inkling_predict(const unsigned char[784], float[10])`.

Where a C compiler works, the header is compiled and run before it is returned: it must compute what
the run's network does, or for integers exactly what their simulation does. torch is imported when
it is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.labelled_images import LabelledImages
from core.errors import RunError
from core.experiments.settings import describe_setting
from core.exports.export import CHECKED_IMAGES, TOLERANCE, Format
from core.insight.predictions import predict_logits
from core.runs.loading import load_model
from core.runs.run import Run

if TYPE_CHECKING:
    from core.data.dataset import Mnist
    from core.exports.c.header import Header
    from core.models.network import Network
    from core.quantisation.search import Quantised

C_FORMATS: Mapping[str, Format] = {
    "c": Format(
        "C header",
        ".h",
        "text/x-c",
        "The trained network in C99 without dependencies, in floating point.",
    ),
    "c-int8": Format(
        "C header, 8-bit integers",
        "-int8.h",
        "text/x-c",
        "Weights and activations in one byte each, for microcontrollers.",
    ),
    "c-int4": Format(
        "C header, 4-bit weights",
        "-int4.h",
        "text/x-c",
        "Weights in half the bytes; exported on the command line, they are also fine-tuned.",
    ),
}
MAX_PARAMETERS = 300_000
MAX_MULTIPLY_ADDS = 5_000_000  # of one image, for a test on all images to take seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """The size of an exported header, and what was measured by compiling it.

    Args:
        weights: bytes of weights, biases, multipliers and tables.
        memory: bytes of static buffers.
        multiply_adds: for one image.
        code: bytes of instructions, compiled for size; None: not measured.
        processor: that the code is for; empty: not measured.
        correct: test images that the compiled header classifies correctly; None: not measured.
        images: test images that it was measured on.
        seconds: for one image on this machine; None: not measured.
    """

    weights: int
    memory: int
    multiply_adds: int
    code: int | None = None
    processor: str = ""
    correct: int | None = None
    images: int = 0
    seconds: float | None = None

    @property
    def accuracy(self) -> float | None:
        """On the test images, in percent; None: not measured."""
        return None if self.correct is None else 100 * self.correct / self.images

    @property
    def lines(self) -> list[str]:
        """The figures, a line each."""
        missing = "not measured, since no C compiler works here"
        if self.accuracy is None:
            code = accuracy = missing
        else:
            code = "not measured"
            accuracy = (
                f"{self.accuracy:.2f} % on {self.images:,} of MNIST's test images, measured by "
                "compiling and running this code"
            )
        if self.code is not None:
            code = f"{self.code:,} bytes for {self.processor}, compiled for size"
        return [
            f"Weights: {self.weights:,} bytes, with all other constants",
            f"RAM: {self.memory:,} bytes of static buffers",
            f"Code: {code}",
            f"Multiply-adds for one image: {self.multiply_adds:,}",
            f"Accuracy: {accuracy}",
        ]

    @property
    def summary(self) -> str:
        """The figures in sentences."""
        code = f", {self.code:,} of code for {self.processor}" if self.code is not None else ""
        text = f"{self.weights:,} bytes of weights, {self.memory:,} of RAM{code}."
        if self.accuracy is None:
            return f"{text} Not checked, since no C compiler works here."
        return (
            f"{text} Compiled and run here: {self.accuracy:.2f} % of {self.images:,} test images "
            f"correct, {1e6 * (self.seconds or 0):,.0f} µs for one."
        )


@dataclass(frozen=True, slots=True)
class CHeader:
    """An exported header.

    Args:
        name: of the file.
        data: its content.
        figures: sizes and accuracy.
        how: what quantisation did, in a sentence; empty in floating point.
        four_bit_layers: layers with 4-bit weights.
        is_fine_tuned: whether the weights were fine-tuned.
    """

    name: str
    data: bytes
    figures: Figures
    how: str = ""
    four_bit_layers: int = 0
    is_fine_tuned: bool = False

    @property
    def summary(self) -> str:
        """Figures and quantisation in sentences."""
        return f"{self.figures.summary} {self.how}".strip()

    def to_dict(self) -> dict[str, Any]:
        """Figures and quantisation as JSON values."""
        return {
            **asdict(self.figures),
            "accuracy": self.figures.accuracy,
            "quantisation": self.how,
            "four_bit_layers": self.four_bit_layers,
            "is_fine_tuned": self.is_fine_tuned,
        }


def export_c(
    run: Run,
    which: str = "last",
    scheme: str = "",
    max_bytes: int | None = None,
    fine_tunes: bool = False,
    mnist: Mnist | None = None,
    report: Callable[[int, int], None] | None = None,
) -> CHeader:
    """Export a run as a C header.

    Args:
        run: a run with at least one epoch.
        which: "last" or "best" weights.
        scheme: "int8" or "int4" for integers; empty: floating point.
        max_bytes: of all constants, in integers: layers get 4-bit weights until they fit.
        fine_tunes: whether to fine-tune where rounding loses accuracy, which takes minutes.
        mnist: training images to choose scales with, and test images; None: MNIST, downloaded if
            missing.
        report: called with the steps of fine-tuning done and all steps.

    Raises:
        RunError: the run has no weights, its network is too large, or the header cannot be compiled
            or computes something else.
        DataError: the images cannot be loaded.
    """
    from core.compiler import is_available
    from core.data.dataset import load
    from core.exports.c.header import float_header, integer_header
    from core.quantisation.rounding import FloatNetwork

    model = load_model(run, which)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if parameters > MAX_PARAMETERS:
        raise RunError(
            f"the network has {parameters:,} parameters; a C header takes at most "
            f"{MAX_PARAMETERS:,}."
        )
    trained = FloatNetwork.of(
        model.rows, [tensor.detach().numpy() for tensor in model.state_dict().values()]
    )
    mnist = mnist or load()
    quantised = None
    if scheme:
        quantised = _quantise(run, model, trained, mnist, scheme, max_bytes, fine_tunes, report)
    header = integer_header(quantised.network) if quantised else float_header(trained)
    test = mnist.test.to_numpy()
    if is_available():
        figures = _measure(header, model, quantised, test)
    else:
        figures = Figures(header.weights, header.memory, header.multiply_adds)
    how = quantised.summary if quantised else ""
    title = [f"Title: {run.label}"] if run.label != run.name else []
    comment = [
        "A network that reads handwritten digits, exported from Inkling.",
        "",
        f"Run: {run.name}, {which} weights",
        *title,
        f"Network: {describe_setting(run.config, 'architecture')}",
        *([f"Quantisation: {how}"] if how else []),
        *figures.lines,
        "",
        "Include this file and call inkling_predict. It needs no library and allocates nothing.",
    ]
    name = f"{run.name}{C_FORMATS[f'c-{scheme}' if scheme else 'c'].extension}"
    data = header.with_comment(comment).encode()
    if quantised is None:
        return CHeader(name, data, figures)
    four = quantised.network.bits.count(4)
    return CHeader(name, data, figures, how, four, quantised.is_fine_tuned)


def _quantise(
    run: Run,
    model: Network,
    trained: Any,
    mnist: Mnist,
    scheme: str,
    max_bytes: int | None,
    fine_tunes: bool,
    report: Callable[[int, int], None] | None,
) -> Quantised:
    from core.data.augmenter import Augmenter
    from core.data.presets import transforms_of
    from core.quantisation.search import quantise_network

    return quantise_network(
        trained,
        mnist.train.to_numpy(),
        lambda images: predict_logits(model, images),
        scheme,
        max_bytes,
        Augmenter(transforms_of(run.config), run.config.seed) if fine_tunes else None,
        run.config.seed,
        report=report,
    )


def _measure(
    header: Header,
    model: Network,
    quantised: Quantised | None,
    test: LabelledImages[np.ndarray],
) -> Figures:
    """Compile and run a header.

    Raises:
        RunError: it cannot be compiled, or computes something else than the network.
    """
    from core.compiler import CompilerError
    from core.exports.c.measure import CompiledHeader, measure_code

    try:
        compiled = CompiledHeader(header.text)
    except CompilerError as error:
        raise RunError(f"the C header cannot be compiled, so it is discarded: {error}.") from error
    if header.multiply_adds > MAX_MULTIPLY_ADDS:
        test = test[:: max(1, len(test) // CHECKED_IMAGES)]
    checked = test.images[:: max(1, len(test) // CHECKED_IMAGES)]
    logits = compiled.logits(checked)
    expected = quantised.network.logits(checked) if quantised else predict_logits(model, checked)
    limit = 0.0 if quantised else TOLERANCE * max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(logits - expected).max())
    if not difference <= limit:  # also where it is not a number
        raise RunError(
            f"the C header computes something else than the network: a logit differs by "
            f"{difference:.2g}, so it is discarded."
        )
    start = time.perf_counter()
    _, digits = compiled.predict(test.images)
    seconds = (time.perf_counter() - start) / len(test)
    code, processor = measure_code(header.text) or (None, "")
    return Figures(
        header.weights,
        header.memory,
        header.multiply_adds,
        code,
        processor,
        int((digits == test.labels).sum()),
        len(test),
        seconds,
    )
