"""What sweeps may vary: ranges, choices, and the widths of rows."""

from __future__ import annotations

import random

import pytest

from core.config import RunConfig
from core.errors import ConfigError
from core.models.architectures import ARCHITECTURES, rows_of
from core.sweeps import space as search_space
from core.sweeps.dimension import Dimension
from core.sweeps.widths import width_groups, width_names
from core.training.plan import plan

BASE = RunConfig(architecture="wide-7124", holdout=5_000)


@pytest.mark.parametrize(
    ("name", "text", "dimension"),
    [
        ("max_lr", "0.02..0.2:log", Dimension(0.02, 0.2, log=True)),
        ("batch_size", "32..128..32", Dimension(32, 128, 32)),
        ("epochs", "5..15", Dimension(5, 15)),
        ("dropout", "0..0.2..0.05", Dimension(0.0, 0.2, 0.05)),
        ("augmentation", "none, final-moves", Dimension(choices=("none", "final-moves"))),
        (
            "architecture",
            "original-3762,tiny-2650",
            Dimension(choices=("original-3762", "tiny-2650")),
        ),
        ("nesterov", "true,false", Dimension(choices=(True, False))),
        ("rows.1.channels", "8..24..4", Dimension(8, 24, 4)),
        ("rows.1+4.activation", "relu,silu", Dimension(choices=("relu", "silu"))),
    ],
)
def test_a_typed_dimension_is_read_and_written_again(name, text, dimension):
    values = search_space.parse_dimension(name, text, BASE)
    assert search_space.read_space({name: values}, BASE) == {name: dimension}
    again = search_space.parse_dimension(name, dimension.text, BASE)
    assert search_space.read_space({name: again}, BASE) == {name: dimension}
    assert search_space.read_space({name: dimension.to_dict()}, BASE) == {name: dimension}


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "at least one"),
        ([], "at least one"),
        ({"speed": {"low": 0, "high": 1}}, "cannot vary 'speed'"),
        ({"seed": {"low": 1, "high": 9}}, "seed: the best of several seeds is luck"),
        ({"holdout": {"choices": [0, 5_000]}}, "holdout"),
        ({"layers": {"choices": [1]}}, "rows.2.channels"),
        ({"max_lr": 0.1}, "low and high"),
        ({"max_lr": {"low": 0.1}}, "low and high"),
        ({"max_lr": {"low": 0.2, "high": 0.1}}, "the lower one"),
        ({"max_lr": {"low": 0.1, "high": 20}}, "0 and 10"),
        ({"max_lr": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"max_lr": {"low": 0.1, "high": 1, "log": "yes"}}, "log must be true or false"),
        ({"epochs": {"low": 1, "high": 5, "step": 0.5}}, "in steps of 0.5"),
        ({"epochs": {"choices": []}}, "1 to 50"),
        ({"epochs": {"low": 1, "high": 5, "step": 9}}, "in steps of 9"),
        ({"epochs": {"choices": [3, 3]}}, "twice"),
        ({"epochs": {"choices": [3], "low": 1}}, "without a range"),
        ({"architecture": {"choices": ["original-3762", "huge"]}}, "unknown architecture 'huge'"),
        ({"augmentation": {"choices": ["wild"]}}, "'wild'"),
        ({"augmentation": {"low": 1, "high": 2}}, "takes choices"),
        ({"rows.99.channels": {"low": 1, "high": 2}}, "no row 99"),
        ({"rows.2.channels": {"low": 1, "high": 2}}, "maxpool"),
        ({"rows.1.colour": {"choices": [1]}}, "takes channels"),
        ({"rows.1.channels": {"low": 0, "high": 2}}, "between 1"),
        (
            {"rows.1.channels": {"low": 4, "high": 8}, "architecture": {"choices": ["initial"]}},
            "not both",
        ),
    ],
)
def test_an_invalid_space_is_refused_by_name(space, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        search_space.read_space(space, BASE)


@pytest.mark.parametrize("text", ["0.1..0.2..0.3..0.4", "a..b", "0.1.."])
def test_an_invalid_range_is_refused(text):
    with pytest.raises(ConfigError):
        search_space.read_space(
            {"max_lr": search_space.parse_dimension("max_lr", text, BASE)}, BASE
        )


@pytest.mark.parametrize("text", ["0.1..0.2..2e-9", "0.1..10..1e-300", "1..10..5e-324"])
def test_the_steps_of_a_range_are_counted_before_they_are_listed(text):
    values = search_space.parse_dimension("max_lr", text, BASE)
    with pytest.raises(ConfigError, match=r"max_lr has .* values"):
        search_space.read_space({"max_lr": values}, BASE)


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Dimension(8, 24, 4), [8, 12, 16, 20, 24]),
        (Dimension(1, 4), [1, 2, 3, 4]),
        (Dimension(0.0, 0.3, 0.1), [0.0, 0.1, 0.2, 0.3]),
        (Dimension(choices=("a", "b")), ["a", "b"]),
        (Dimension(0.1, 0.2), None),
        (Dimension(1, 8, log=True), None),
    ],
)
def test_the_values_of_a_dimension_are_counted(dimension, values):
    assert dimension.count() == (values and len(values))
    if values:
        listed = [dimension.value_at(index) for index in range(len(values))]
        assert listed == (pytest.approx(values) if values[0] != "a" else values)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_any_widths_of_a_named_network_are_valid(architecture):
    base = RunConfig(architecture=architecture)
    names = width_names(rows_of(base))
    drawn = random.Random(1)
    for _ in range(10):
        widths = {name: drawn.randint(3, 40) for name in names}
        plan(search_space.apply_values(base, widths))
    same = {
        name: rows_of(base)[int(name.split(".")[1].split("+")[0]) - 1]["channels"] for name in names
    }
    assert rows_of(search_space.apply_values(base, same)) == rows_of(base)


def test_depthwise_rows_follow_and_sums_tie():
    wide = search_space.apply_values(BASE, {"rows.1.channels": 17})
    assert [(row["channels"], row["groups"]) for row in wide.layers if row["kind"] == "conv"][
        :3
    ] == [(17, 1), (17, 17), (26, 1)]
    assert width_groups(rows_of(RunConfig(architecture="residual-7850"))) == [
        (2, 4, 8),
        (3,),
        (7,),
    ]


def test_rows_that_share_weights_have_one_width():
    conv = {"kind": "conv", "padding": 1, "channels": 6}
    depthwise = {**conv, "groups": 6}
    pointwise = {**conv, "kernel": 1, "padding": 0}
    scores = {"kind": "conv", "channels": 10, "kernel": 28}
    shared = ({**depthwise, "shared": True}, {**pointwise, "shared": True})
    base = RunConfig(layers=(conv, depthwise, pointwise, *shared, scores))
    assert width_groups(rows_of(base)) == [(1, 3, 5)]
    wide = search_space.apply_values(base, {"rows.1+3+5.channels": 9})
    assert [row["channels"] for row in wide.layers] == [9, 9, 9, 9, 9, 10]


def test_a_named_architecture_replaces_rows():
    base = RunConfig(layers=rows_of(BASE), transforms=({"name": "Rotate"},))
    changed = search_space.apply_values(
        base, {"architecture": "initial", "augmentation": "none", "max_lr": 0.0123456789}
    )
    assert (changed.layers, changed.transforms, changed.max_lr) == ((), (), 0.0123456789)


@pytest.mark.parametrize("text", ["yes", "True", "0", ""])
def test_a_boolean_of_a_row_is_true_or_false(text):
    assert search_space.parse_dimension("rows.1.bias", "true,false", BASE) == {
        "choices": [True, False]
    }
    with pytest.raises(ConfigError, match="must be true or false"):
        search_space.parse_dimension("rows.1.bias", text, BASE)


@pytest.mark.parametrize("name", ["max_lr", "rows.2.p"])
def test_drawn_floats_are_rounded_and_typed_choices_are_exact(name):
    rows = [dict(row) for row in rows_of(BASE)]
    base = RunConfig(layers=[rows[0], {"kind": "dropout", "p": 0.1}, *rows[1:]])
    space = search_space.parse_space({name: "0.12345,0.2"}, base)
    assert space[name].choices == (0.12345, 0.2)
    assert space[name].round(0.12345) == 0.12345
    config = search_space.apply_values(base, {name: 0.12345})
    assert 0.12345 in (config.max_lr, config.layers[1]["p"])
    assert search_space.describe_values({name: 0.12345}) == f"{name} 0.12345"

    drawn = search_space.parse_space({name: "0.12345..0.2"}, base)[name]
    assert drawn.text == "0.12345..0.2"
    assert drawn.round(0.1567891) == 0.1568
    assert drawn.round(0.123451) == 0.1235
    assert Dimension(0.12346, 0.2).round(0.123461) == 0.1235
    assert Dimension(0.12342, 0.2).round(0.123421) == 0.12342, "within the range"
    assert Dimension(0.1, 0.4, 0.1).round(0.30000000000000004) == 0.3


@pytest.mark.parametrize("order", [1, -1])
def test_a_width_is_varied_once(order):
    name = width_names(rows_of(BASE))[0]
    texts = dict([("widths", "4..8"), (name, "4..16")][::order])
    with pytest.raises(ConfigError, match="varied twice"):
        search_space.parse_space(texts, BASE)


def test_values_are_described_in_short():
    assert search_space.describe_values(
        {"rows.1.channels": 8, "rows.4+6.channels": 16, "max_lr": 0.123456, "nesterov": True}
    ) == ("widths 8-16, max_lr 0.123456, nesterov True")
    assert search_space.describe_values({"rows.1.channels": 8}) == "rows.1.channels 8"


def test_a_space_is_described_in_short():
    space = search_space.parse_space({"widths": "8..24", "max_lr": "0.02..0.2:log"}, BASE)
    assert search_space.describe_space(space) == "widths 8..24, max_lr 0.02..0.2:log"
    one = search_space.parse_space({"rows.1.channels": "8..24", "nesterov": "true,false"}, BASE)
    assert search_space.describe_space(one) == "rows.1.channels 8..24, nesterov true,false"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("rows.2.channels", "channels of row 2"),
        ("rows.2+5.channels", "channels of rows 2 and 5"),
        ("max_lr", "max_lr"),
    ],
)
def test_a_parameter_has_a_title(name, title):
    assert search_space.parameter_title(name) == title
