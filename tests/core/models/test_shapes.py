"""Shapes: figures computed by hand, rows that do not fit, and random rows against torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ArchitectureError
from core.models.network import Network
from core.models.rows import KINDS
from core.models.shapes import count_parameters, min_batch_size, trace

CONV = {"kind": "conv", "channels": 8, "padding": 1}
NORMED = {**CONV, "bias": False, "norm": "batch"}
POOL = {"kind": "maxpool"}
SCORES = {"kind": "linear", "activation": "none"}


def test_figures_computed_by_hand():
    layers = trace(
        [
            {"kind": "space_to_depth"},
            NORMED,
            {**CONV, "groups": 4, "stride": 2},
            POOL,
            {"kind": "add", "from": 4},
            {"kind": "dropout"},
            {"kind": "avgpool", "kernel": 3, "stride": 1},
            {"kind": "global_avgpool"},
            SCORES,
        ]
    )
    assert [layer.output_shape for layer in layers] == [
        (4, 14, 14),
        (8, 14, 14),
        (8, 7, 7),
        (8, 3, 3),
        (8, 3, 3),
        (8, 3, 3),
        (8, 1, 1),
        (8, 1, 1),
        (10,),
    ]
    assert [layer.parameters for layer in layers] == [
        0,
        4 * 8 * 9 + 16,
        8 * 2 * 9 + 8,
        0,
        0,
        0,
        0,
        0,
        90,
    ]
    assert [layer.multiply_adds for layer in layers] == [0, 288 * 196, 144 * 49, 0, 0, 0, 0, 0, 80]
    # side, then jump: 2,2; +2*2; +2*2 and jump 4; +1*4 and jump 8; the same; the same; +2*8
    assert [(layer.receptive_field, layer.jump) for layer in layers] == [
        (2, 2),
        (6, 2),
        (10, 4),
        (14, 8),
        (14, 8),
        (14, 8),
        (30, 8),
        (30, 8),
        (30, 8),
    ]
    assert count_parameters(layers) == 304 + 152 + 90
    assert [[module.type for module in layer.modules] for layer in layers[:5]] == [
        ["PixelUnshuffle"],
        ["Conv2d", "BatchNorm2d"],
        ["Conv2d"],
        ["MaxPool2d"],
        [],
    ]


def test_a_shared_convolution_has_no_weights_of_its_own():
    again = {**NORMED, "shared": True}
    layers = trace([NORMED, NORMED, again, POOL, {**again, "activation": "silu"}, SCORES])
    assert [layer.shares for layer in layers] == [0, 0, 2, 0, 2, 0]
    assert [layer.parameters for layer in layers[:5]] == [72 + 16, 576 + 16, 16, 0, 16]
    assert [layer.multiply_adds for layer in layers[1:5]] == [576 * 784, 576 * 784, 0, 576 * 196]


def test_the_receptive_field_of_a_linear_layer_is_the_whole_image():
    assert trace([SCORES])[0].receptive_field == 28
    assert trace([{"kind": "linear", "channels": 5}, SCORES])[1].receptive_field == 28


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        (
            [POOL, {"kind": "conv", "kernel": 15}, SCORES],
            2,
            "a kernel of 15x15 is larger than its input of 14x14",
        ),
        (
            [POOL, {"kind": "conv", "kernel": 17, "padding": 1}, SCORES],
            2,
            "than its input of 16x16 with its padding",
        ),
        (
            [POOL, POOL, POOL, POOL, POOL, SCORES],
            5,
            "a kernel of 2x2 is larger than its input of 1x1",
        ),
        ([{**CONV, "groups": 2}, SCORES], 1, "1 input channels cannot be divided into 2 groups"),
        (
            [CONV, {"kind": "conv", "channels": 9, "groups": 2}, SCORES],
            2,
            "9 output channels cannot be divided into 2 groups",
        ),
        (
            [POOL, POOL, {"kind": "space_to_depth"}, SCORES],
            3,
            "an input of 7x7 cannot be divided into blocks of 2x2",
        ),
        (
            [CONV, {"kind": "add", "from": 2}, SCORES],
            2,
            "it adds row 2, but only earlier rows can be added",
        ),
        (
            [NORMED, {**NORMED, "shared": True}, SCORES],
            2,
            "it shares an earlier convolution's weights, but no earlier one has 8 input channels",
        ),
        ([{"kind": "add"}, SCORES], 1, "it adds row 1, but only earlier rows can be added"),
        (
            [CONV, POOL, {"kind": "add", "from": 1}, SCORES],
            3,
            "it adds the output of row 1, 8 channels of 28x28, to 8 channels of 14x14",
        ),
        ([SCORES, POOL], 2, "maxpool needs an image as its input, not 10 values"),
        ([SCORES, {"kind": "global_avgpool"}], 2, "global_avgpool needs an image"),
        (
            [CONV, POOL],
            2,
            "the network ends in 8 channels of 14x14, but",
        ),
        ([{"kind": "linear", "channels": 9}], 1, "the network ends in 9 values, but"),
        ([{"kind": "dropout"}], 1, "the network ends in 1 channel of 28x28, but"),
        (
            [CONV, {"kind": "conv", "channels": 0}],
            2,
            "channels is 0, but it must be between 1 and 1024",
        ),
        (
            [{"kind": "linear", "channels": 4096}, {"kind": "linear", "channels": 4096}, SCORES],
            3,
            "the network has 20,037,642 parameters; at most 20,000,000 are allowed",
        ),
        (
            [{"kind": "conv", "padding": 14, "channels": 1, "kernel": 1}] * 40,
            24,
            "values for one image; at most",
        ),
        (
            [{**CONV, "channels": 1024}, {**CONV, "channels": 1024}, SCORES],
            2,
            "multiply-adds for one image; at most",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_by_number(rows, row, words):
    with pytest.raises(ArchitectureError) as caught:
        trace(rows)
    assert caught.value.row == row
    assert str(caught.value).startswith(f"row {row}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "a network needs at least one row"),
        ("conv", "a network must be a list of rows, not 'conv'"),
        (None, "a network must be a list of rows, not None"),
        ([POOL] * 201, "the network has 201 rows; at most 200"),
    ],
)
def test_what_is_no_list_of_rows_is_refused(rows, words):
    with pytest.raises(ArchitectureError, match=words) as caught:
        trace(rows)
    assert caught.value.row is None


def test_an_input_need_not_be_square():
    assert trace([CONV, POOL, SCORES], (3, 28, 4))[1].output_shape == (8, 14, 2)
    with pytest.raises(
        ArchitectureError, match="row 1: a kernel of 5x5 is larger than its input of 28x4"
    ):
        trace([{"kind": "conv", "kernel": 5}, SCORES], (3, 28, 4))


def test_a_batch_norm_after_global_pooling_needs_two_images():
    lonely = [CONV, {"kind": "global_avgpool"}, {**NORMED, "kernel": 1, "padding": 0}, SCORES]
    assert min_batch_size(trace(lonely)) == 2
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        Network(lonely)(torch.zeros(1, 1, 28, 28))
    assert min_batch_size(trace([NORMED, SCORES])) == 1
    Network([NORMED, SCORES])(torch.zeros(1, 1, 28, 28))


def _values(parameter):
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.type is bool:
        return st.booleans()
    if parameter.type is float:
        return st.floats(0, 0.9)
    return st.integers(int(parameter.low), min(int(parameter.high), 4)) | st.sampled_from(
        (1, 2, 3, 8)
    )


def _row(kind):
    values = {parameter.name: _values(parameter) for parameter in kind.parameters}
    return st.fixed_dictionaries({"kind": st.just(kind.name)}, optional=values)


ROWS = st.lists(st.one_of([_row(kind) for kind in KINDS.values()]), max_size=12)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(
    sorted({parameter.name for kind in KINDS.values() for parameter in kind.parameters})
)


@settings(max_examples=60, deadline=None)
@given(candidates=ROWS)
def test_random_rows_run_as_traced_or_are_refused_by_number(candidates):
    rows: list = []
    for row in candidates:
        try:
            trace([*rows, row, SCORES])
        except ArchitectureError as error:
            refused = error.row
        else:
            refused = None
            rows.append(row)
        assert refused in (None, len(rows) + 1)
    layers = trace([*rows, SCORES])
    model = Network([*rows, SCORES])
    images = torch.zeros(2, 1, 28, 28)
    assert [tuple(output.shape[1:]) for output in model.eval().features(images)] == [
        layer.output_shape for layer in layers
    ]
    assert sum(weight.numel() for weight in model.parameters()) == count_parameters(layers)
    model.train()(images).sum().backward()  # in-place activations may spoil no gradient


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(
        st.dictionaries(NAMES, JUNK, max_size=3).flatmap(
            lambda values: st.sampled_from(list(KINDS)).map(lambda kind: {"kind": kind, **values})
        )
        | JUNK,
        max_size=4,
    )
)
def test_junk_is_refused(rows):
    with pytest.raises(ArchitectureError) as caught:  # if nothing else is wrong, then the last row
        trace([*rows, {"kind": "linear", "channels": 9}])
    assert len(str(caught.value)) < 300
