"""Receptive fields, checked against the gradients of real networks."""

import pytest
import torch

from core.models.architectures import ARCHITECTURES
from core.models.network import Network
from core.models.receptive_field import ReceptiveField, central_receptive_field, receptive_fields
from core.models.shapes import trace

ROWS = [
    {"kind": "conv", "kernel": 5, "padding": 1, "stride": 2},
    {"kind": "maxpool", "kernel": 3, "stride": 2},
    {"kind": "conv", "padding": 2},
    {"kind": "avgpool"},
    {"kind": "linear", "activation": "none"},
]


def gradient_square(rows, number: int, row: int, column: int) -> tuple[int, int, int, int]:
    """The square around all pixels that an output value has a gradient to."""
    torch.manual_seed(0)
    model = Network(rows).double().eval()
    image = torch.rand(1, 1, 28, 28, dtype=torch.double, requires_grad=True)
    output = model.features(image)[number - 1]
    (output[0, :, row, column] if output.dim() == 4 else output[0]).sum().backward()
    touched = image.grad[0, 0].abs() > 0
    ys, xs = (touched.any(dim).nonzero().flatten() for dim in (1, 0))
    return int(xs[0]), int(xs[-1]) + 1, int(ys[0]), int(ys[-1]) + 1


def linearise(rows):
    """The rows with average pooling and no activations, so that every pixel has a gradient."""
    return [
        {
            **row,
            **({"kind": "avgpool"} if row["kind"] == "maxpool" else {}),
            **({"activation": "none"} if "activation" in row else {}),
        }
        for row in (layer.row for layer in trace(rows))
    ]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        *(
            ARCHITECTURES[name].rows
            for name in (
                "initial",
                "original-3762",
                "unshuffle-7786",
                "residual-7850",
                "keras-style",
            )
        ),
    ],
)
def test_a_receptive_field_covers_the_pixels_that_have_a_gradient(rows):
    layers = trace(rows)
    for number in range(1, len(layers) + 1):
        fields = receptive_fields(layers, number)
        middle = (len(fields) // 2, len(fields[0]) // 2)
        for row, column in {(0, 0), middle}:
            field = fields[row][column]
            inside = (
                max(0, field.left),
                min(28, field.left + field.side),
                max(0, field.top),
                min(28, field.top + field.side),
            )
            assert gradient_square(linearise(rows), number, row, column) == inside, (
                number,
                row,
                column,
            )


def test_a_receptive_field_may_exceed_the_image():
    layers = trace(ARCHITECTURES["original-3762"].rows)
    assert central_receptive_field(layers, 1) == ReceptiveField(13, 13, 3)
    assert not central_receptive_field(layers, 1).exceeds_image
    assert receptive_fields(layers, 1)[0][0] == ReceptiveField(-1, -1, 3)
    assert receptive_fields(layers, 1)[0][0].exceeds_image
    assert central_receptive_field(layers, 15).side == 70
    assert central_receptive_field(layers, 15).exceeds_image


def test_rows_without_an_image_have_one_receptive_field():
    layers = trace([{"kind": "linear", "channels": 30}, {"kind": "linear"}])
    assert receptive_fields(layers, 2) == [[ReceptiveField(0, 0, 28)]]
