"""The summary equals the original's two tables, and torchsummary's of every architecture."""

import json

import pytest
import torch
from torch import nn

from core.config import RunConfig
from core.errors import ArchitectureError
from core.models.architectures import ARCHITECTURES
from core.models.summary import summarise, torchsummary_table
from tests.networks import build_model

INITIAL = """\
----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
            Conv2d-1            [-1, 8, 26, 26]              80
            Conv2d-2            [-1, 8, 24, 24]             584
         MaxPool2d-3            [-1, 8, 12, 12]               0
            Conv2d-4           [-1, 16, 12, 12]             144
            Conv2d-5           [-1, 16, 10, 10]           2,320
            Conv2d-6             [-1, 16, 8, 8]           2,320
         MaxPool2d-7             [-1, 16, 4, 4]               0
            Conv2d-8             [-1, 32, 4, 4]             544
            Conv2d-9             [-1, 32, 2, 2]           9,248
           Conv2d-10             [-1, 10, 1, 1]           1,290
================================================================
Total params: 16,530
Trainable params: 16,530
Non-trainable params: 0
----------------------------------------------------------------
Input size (MB): 0.00
Forward/backward pass size (MB): 0.13
Params size (MB): 0.06
Estimated Total Size (MB): 0.20
----------------------------------------------------------------"""

SEED_3762 = """\
----------------------------------------------------------------
        Layer (type)               Output Shape         Param #
================================================================
            Conv2d-1            [-1, 4, 28, 28]              40
       BatchNorm2d-2            [-1, 4, 28, 28]               8
            Conv2d-3            [-1, 4, 28, 28]             148
       BatchNorm2d-4            [-1, 4, 28, 28]               8
            Conv2d-5            [-1, 4, 28, 28]             148
       BatchNorm2d-6            [-1, 4, 28, 28]               8
         MaxPool2d-7            [-1, 4, 14, 14]               0
           Dropout-8            [-1, 4, 14, 14]               0
            Conv2d-9            [-1, 8, 14, 14]             296
      BatchNorm2d-10            [-1, 8, 14, 14]              16
           Conv2d-11            [-1, 8, 14, 14]             584
      BatchNorm2d-12            [-1, 8, 14, 14]              16
           Conv2d-13            [-1, 8, 14, 14]             584
      BatchNorm2d-14            [-1, 8, 14, 14]              16
        MaxPool2d-15              [-1, 8, 7, 7]               0
          Dropout-16              [-1, 8, 7, 7]               0
           Conv2d-17              [-1, 8, 7, 7]             584
      BatchNorm2d-18              [-1, 8, 7, 7]              16
           Conv2d-19              [-1, 8, 7, 7]             584
      BatchNorm2d-20              [-1, 8, 7, 7]              16
           Conv2d-21              [-1, 8, 7, 7]             584
      BatchNorm2d-22              [-1, 8, 7, 7]              16
AdaptiveAvgPool2d-23              [-1, 8, 1, 1]               0
           Conv2d-24             [-1, 10, 1, 1]              90
================================================================
Total params: 3,762
Trainable params: 3,762
Non-trainable params: 0
----------------------------------------------------------------
Input size (MB): 0.00
Forward/backward pass size (MB): 0.25
Params size (MB): 0.01
Estimated Total Size (MB): 0.27
----------------------------------------------------------------"""


@pytest.mark.parametrize(("name", "expected"), [("initial", INITIAL), ("original-3762", SEED_3762)])
def test_the_tables_of_the_original(name, expected):
    assert torchsummary_table(build_model(RunConfig(architecture=name))) == expected
    assert summarise(ARCHITECTURES[name].rows).text() == expected


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_summary_without_torch_equals_torchsummary(name):
    model = build_model(RunConfig(architecture=name, dropout=0.1))
    summary = summarise(ARCHITECTURES[name].rows)
    if not any(row.shares for row in summary.rows):  # torchsummary counts shared weights twice
        assert summary.text() == torchsummary_table(model)
    assert summary.total_params == sum(weight.numel() for weight in model.parameters())


def test_figures_that_torchsummary_leaves_out():
    summary = summarise(ARCHITECTURES["original-3762"].rows)
    assert (summary.total_params, summary.budget, summary.left) == (3762, 8000, 4238)
    assert summarise(ARCHITECTURES["initial"].rows, budget=16_000).left == -530
    # nine 3x3 convolutions at 28, 14 and 7 pixels, and the 1x1 to the classes
    assert (
        summary.multiply_adds
        == 784 * 9 * (4 + 16 + 16) + 196 * 9 * (32 + 64 + 64) + 49 * 9 * 192 + 80
    )
    fields = {row.name: row.receptive_field for row in summary.layers}
    assert [
        fields[name]
        for name in (
            "Conv2d-1",
            "Conv2d-5",
            "MaxPool2d-7",
            "Conv2d-13",
            "MaxPool2d-15",
            "Conv2d-21",
        )
    ] == [3, 7, 8, 20, 22, 46]
    assert summary.layers[1].multiply_adds == 0
    assert [row.layer for row in summary.layers[5:9]] == [3, 4, 5, 6]
    assert len(summary.rows) == 15


def test_json_form():
    summary = json.loads(json.dumps(summarise(ARCHITECTURES["initial"].rows).to_dict()))
    assert summary["total_params"] == 16_530
    assert summary["layers"][4] == {
        "name": "Conv2d-5",
        "type": "Conv2d",
        "output_shape": [-1, 16, 10, 10],
        "params": 2320,
        "multiply_adds": 230_400,
        "receptive_field": 10,
        "layer": 5,
    }


def test_wrong_rows_have_no_summary():
    with pytest.raises(ArchitectureError, match="row 1: the network ends in"):
        summarise([{"kind": "maxpool"}])


def test_torchsummary_does_not_change_the_module(capsys):
    model = build_model(RunConfig()).double().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    torchsummary_table(model)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert not any(module._forward_hooks for module in model.modules())
    assert capsys.readouterr().out == ""


def test_torchsummary_works_after_a_failed_forward_pass():
    import torchsummary

    broken = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(RuntimeError):
        torchsummary_table(broken)
    assert not any(module._forward_hooks for module in broken.modules())
    assert not hasattr(torchsummary.torchsummary, "print")
    assert torchsummary_table(build_model(RunConfig(architecture="initial"))) == INITIAL
