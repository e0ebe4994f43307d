"""Every named architecture: traced shapes and figures equal those of the torch module."""

import json
import re
import subprocess
import sys

import pytest
import torch

from core.config import RunConfig
from core.errors import ArchitectureError, ConfigError
from core.models.architectures import ARCHITECTURES, rows_of
from core.models.shapes import count_parameters, min_batch_size, trace
from tests.networks import build_model

PARAMETERS = {
    "initial": 16_530,
    "original-3762": 3_762,
    "original-3702": 3_702,
    "unshuffle-7786": 7_786,
    "pytorch-example": 1_199_882,
    "keras-style": 34_826,
}
every_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


@every_architecture
def test_trace_equals_the_module(name):
    layers, model = (
        trace(ARCHITECTURES[name].rows),
        build_model(RunConfig(architecture=name)).eval(),
    )
    seen, counted = [], set()

    def note(module, _, output):
        own = set(module.parameters()) - counted  # shared weights count once
        counted.update(own)
        shape = tuple(output.shape[1:])
        seen.append((type(module).__name__, shape, sum(weight.numel() for weight in own)))

    for module in model.layers:
        module.register_forward_hook(note)
    features = model.features(torch.zeros(3, 1, 28, 28))
    assert [tuple(output.shape) for output in features] == [
        (3, *layer.output_shape) for layer in layers
    ]
    assert seen == [
        (shape.type, shape.output_shape, shape.parameters)
        for layer in layers
        for shape in layer.modules
    ]


@every_architecture
def test_receptive_field_equals_what_gradients_reach(name):
    # Compared only where the receptive field lies within the image.
    layers, model = (
        trace(ARCHITECTURES[name].rows),
        build_model(RunConfig(architecture=name)).double().eval(),
    )
    for weight in model.parameters():
        torch.nn.init.uniform_(weight, 0.5, 1.0)
    image = torch.rand(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    for layer, output in zip(layers, model.features(image), strict=True):
        if layer.receptive_field > 14 or any(
            row.row["kind"] == "maxpool" for row in layers[: layer.number]
        ):
            break
        middle = output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum()
        (gradient,) = torch.autograd.grad(middle, image, retain_graph=True)
        assert int((gradient[0, 0].abs().sum(0) > 0).sum()) == layer.receptive_field


@every_architecture
def test_the_output_is_ten_logits_and_every_weight_has_a_gradient(name):
    model = build_model(RunConfig(architecture=name))
    logits = model(torch.randn(4, 1, 28, 28))
    assert logits.shape == (4, 10)
    torch.nn.functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(
        weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters()
    )


@every_architecture
def test_the_parameters_in_names_and_helps_are_correct(name):
    architecture = ARCHITECTURES[name]
    count = count_parameters(trace(architecture.rows))
    assert count == PARAMETERS.get(name, count)
    for figure in re.findall(r"-(\d{4,})$", name) + re.findall(
        r"([\d,]+) parameters", architecture.help
    ):
        assert int(figure.replace(",", "")) == count
    assert architecture.title
    assert architecture.help.endswith(".")
    assert min_batch_size(trace(architecture.rows)) == 1


@every_architecture
def test_rows_survive_json_and_a_config(name):
    rows = rows_of(RunConfig(architecture=name))
    assert json.loads(json.dumps(rows)) == list(rows)
    assert (
        rows_of(RunConfig.from_dict(RunConfig(architecture="mine", layers=rows).to_dict())) == rows
    )


def test_layers_of_the_config_replace_the_named_architecture():
    rows = rows_of(
        RunConfig(architecture="my own", layers=({"kind": "linear", "activation": "none"},))
    )
    assert [row["kind"] for row in rows] == ["linear"]


def test_an_unknown_architecture_and_a_wrong_row_are_named():
    with pytest.raises(
        ConfigError,
        match="unknown architecture 'lenet'; the architectures are initial, original-3762, ",
    ):
        rows_of(RunConfig(architecture="lenet"))
    with pytest.raises(ArchitectureError, match="row 2: unknown kind 'pool'"):
        rows_of(RunConfig(layers=({"kind": "conv"}, {"kind": "pool"})))


def test_the_rows_of_a_config_are_a_copy():
    rows_of(RunConfig(architecture="initial"))[0]["channels"] = 99
    assert rows_of(RunConfig(architecture="initial"))[0]["channels"] == 8


def test_no_torch_is_needed_to_trace_and_summarise():
    code = (
        "import sys, core.models.architectures as a, core.models.summary as s\n"
        "s.summarise(a.ARCHITECTURES['initial'].rows).text(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
