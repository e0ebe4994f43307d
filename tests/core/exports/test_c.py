"""C headers: they compute what the network does, without a warning, whatever rows it has."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
import torch

from core import compiler
from core.compiler import CompilerError, is_available
from core.data import dataset
from core.data.batches import normalise
from core.errors import RunError
from core.exports.c import export as c_export
from core.exports.c import header as c_header
from core.exports.c.export import export_c
from core.exports.c.header import Header, comment_text, float_header, integer_header
from core.exports.c.measure import CompiledHeader, executable_bytes, measure_code
from core.exports.c.memory import plan_memory
from core.models.architectures import ARCHITECTURES
from core.models.network import Network
from core.quantisation.rounding import FloatNetwork, quantise
from core.runs import store
from tests.core.cli_runner import run_json, run_refused
from tests.made import made_run
from tests.networks import ODD, OTHER

needs_compiler = pytest.mark.skipif(not is_available(), reason="no C compiler works here")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-c")
SHARED = {"kind": "conv", "channels": 4, "padding": 1, "norm": "batch", "bias": False}
NETWORKS = {
    "odd": ODD,
    "other": OTHER,
    # The logits are an average, and weights are shared.
    "average": (
        SHARED,
        SHARED,
        {**SHARED, "shared": True},
        {"kind": "conv", "channels": 10, "kernel": 3, "stride": 3},
        {"kind": "global_avgpool"},
        {"kind": "dropout"},
    ),
    # The image itself is added, and the logits have a table.
    "table": (
        {"kind": "dropout"},
        {"kind": "add", "from": 1},
        {"kind": "maxpool"},
        {"kind": "linear", "activation": "silu"},
    ),
}


def make_network(rows) -> tuple[Network, FloatNetwork]:
    torch.manual_seed(1)
    model = Network(rows).eval()
    for buffer in model.buffers():  # running statistics unlike those of a new network
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    state = [tensor.detach().numpy() for tensor in model.state_dict().values()]
    return model, FloatNetwork.of(model.rows, state)


def compile_strictly(folder, text: str) -> None:
    """Compile a header as C99 with all warnings as errors, if the system has a compiler."""
    command = shutil.which("cc") or shutil.which("gcc")
    if command is None:
        return
    (folder / "header.h").write_text(text, encoding="utf-8")
    (folder / "use.c").write_text('#include "header.h"\n#include "header.h"\nextern int x;\n')
    done = subprocess.run(
        [command, *STRICT, "use.c", "-o", "use.o"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@needs_compiler
@pytest.mark.parametrize("name", NETWORKS)
def test_a_header_computes_what_the_network_does(name, digits, tmp_path):
    model, network = make_network(NETWORKS[name])
    images = digits.test.images
    with torch.inference_mode():
        expected = model(normalise(images, "cpu")).softmax(1).numpy()
    header = float_header(network)
    probabilities, predicted = CompiledHeader(header.text).predict(images.numpy())
    assert np.abs(probabilities - expected).max() < 1e-4
    assert (predicted == probabilities.argmax(1)).all()
    compile_strictly(tmp_path, header.text)
    for bits in (8, 4):
        integers = quantise(network, digits.train.images.numpy(), lambda op: bits)  # noqa: B023
        header = integer_header(integers)
        logits = CompiledHeader(header.text).logits(images.numpy())
        assert (logits == integers.logits(images.numpy())).all()
        assert header.weights == integers.constant_bytes
        compile_strictly(tmp_path, header.text)


def test_weights_take_the_bytes_that_are_reported(digits):
    _, network = make_network(ARCHITECTURES["original-3762"].rows)
    assert float_header(network).weights == 4 * (3_762 - 120)  # norms are folded into convolutions
    eight, four = (
        quantise(network, digits.train.images.numpy()[:50], lambda op: bits)  # noqa: B023
        for bits in (8, 4)
    )
    # 3,572 weights, a bias of two bytes and a multiplier of one byte for each of 70 channels
    assert eight.constant_bytes == 3_572 + 70 * 3
    assert four.constant_bytes == 3_572 // 2 + 70 * 3
    # Two buffers of 4x28x28 bytes, and a line of sums.
    assert integer_header(eight).memory == 2 * 4 * 28 * 28 + 28 * 4


def test_arrays_that_are_needed_at_once_do_not_overlap():
    _, network = make_network(ARCHITECTURES["residual-7850"].rows)
    ops = network.operations
    sizes = {op.number: int(np.prod(op.output_shape)) for op in ops}
    starts, total = plan_memory(ops, sizes)
    live: dict[int, int] = {}
    for op in ops:
        sources = [op.source, op.added] if op.kind == "add" else [op.source]
        live |= dict.fromkeys(sources, op.number)
    for a in sizes:
        for b in range(a + 1, live.get(a, a) + 1):
            if b in sizes:
                apart = starts[a] + sizes[a] <= starts[b] or starts[b] + sizes[b] <= starts[a]
                assert apart, (a, b)
    assert total == 3 * 14 * 14 * 14  # a block's input, output and what lies between


@pytest.mark.parametrize(
    "title", ["*/ int x; /*", "??/\n/ ??' \\", "a\\", "é 中 \u202e", "*\\\n/ #error"]
)
def test_a_title_cannot_leave_its_comment(title, tmp_path):
    text = comment_text(title)
    assert not set(text) & set("*/\\?\n\u202e")
    _, network = make_network(NETWORKS["table"])
    whole = float_header(network).with_comment(["before", title, "after"])
    assert whole.index("*/") > whole.index("after")
    compile_strictly(tmp_path, whole)


@needs_compiler
def test_a_header_says_what_was_measured(folder, digits, monkeypatch):
    run = made_run(folder, "net")
    store.update_run_json(run.folder, title="Mine */")
    run = store.open_run("net")
    made = export_c(run, scheme="int8", mnist=digits)
    text, figures = made.data.decode(), made.figures
    assert made.name == "net-int8.h"
    assert "Title: Mine __" in text
    assert f"Weights: {figures.weights:,} bytes" in text
    assert f"{figures.accuracy:.2f} % on 200" in text
    assert figures.multiply_adds == 7_840
    assert 100 < figures.code < 5_000
    assert made.to_dict()["quantisation"].startswith("8-bit weights, rounded")

    monkeypatch.setattr(c_export, "TOLERANCE", -1.0)
    with pytest.raises(RunError, match="computes something else than the network"):
        export_c(run, mnist=digits)

    monkeypatch.setattr(c_header, "float_header", lambda network: Header("int broken(", 4, 4, 1))
    with pytest.raises(RunError, match=r"the C header cannot be compiled.*error"):
        export_c(run, mnist=digits)

    def missing():
        raise CompilerError("none")

    monkeypatch.setattr(compiler, "find_compiler", missing)
    made = export_c(run, mnist=digits)
    assert "Accuracy: not measured" in made.data.decode()
    assert made.figures.accuracy is None
    assert "Not checked" in made.summary


def test_large_networks_are_refused(folder, digits):
    with pytest.raises(RunError, match="has 1,199,882 parameters; a C header takes at most"):
        export_c(made_run(folder, "big", architecture="pytorch-example"), mnist=digits)


def test_the_size_of_code_is_read_from_an_object_file():
    assert executable_bytes(b"no object file") == 0
    measured = measure_code(float_header(make_network(NETWORKS["table"])[1]).text)
    if measured is not None:
        assert 100 < measured[0] < 5_000


@needs_compiler
def test_the_command_writes_a_header(core, folder, tmp_path, digits, monkeypatch):
    made_run(folder, "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.cli.watch.fetch_data", lambda quiet: None)
    monkeypatch.setattr(dataset, "load", lambda *arguments: digits)
    answer = run_json(core, "export", "run", "--format", "c", "--quantise", "int4")
    assert answer["file"] == "run-int4.h"
    assert answer["figures"]["images"] == 200
    assert (tmp_path / "run-int4.h").read_text().startswith("/*\n")
    assert "bytes of weights" in core("export", "run", "--format", "c", "--output", "a.h")[1]
    for options, message in (
        (("--quantise", "int8"), "--quantise is for --format c, not for onnx"),
        (("--format", "c", "--quantise", "int2"), "unknown scheme 'int2'; choose int8 or int4"),
        (("--format", "c", "--bytes", "9"), "--bytes is for --format c with --quantise"),
    ):
        assert message in run_refused(core, "export", "run", *options)
