"""Runtime: what is stored is read back, old names are understood, and wrong values are refused."""

from __future__ import annotations

import json

import pytest

from core.errors import RunError
from core.runtime import Runtime
from tests.made import RUNTIME

VALUES = RUNTIME.changed(benchmarked={"fp32 contiguous": 1.5}, teacher_precision="bf16").to_dict()


def test_a_runtime_survives_json():
    assert Runtime.from_dict(json.loads(json.dumps(VALUES))).to_dict() == VALUES


def test_old_names_are_read():
    old = {**VALUES, "tried": VALUES["benchmarked"]}
    del old["benchmarked"]
    assert Runtime.from_dict(old).to_dict() == VALUES


@pytest.mark.parametrize(
    ("precision", "layout"), [("fp32", "contiguous"), ("bf16", "channels_last")]
)
def test_runs_from_before_layouts_were_recorded_have_the_layout_of_their_precision(
    precision, layout
):
    old = {**VALUES, "precision": precision}
    del old["layout"]
    assert Runtime.from_dict(old).layout == layout


def test_fields_of_later_versions_are_ignored():
    assert Runtime.from_dict({**VALUES, "later": [1]}).to_dict() == VALUES


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", "tpu"),
        ("device", ["cpu"]),
        ("device", None),
        ("device", {}),
        ("device_name", "x" * 201),
        ("device_name", "\ud800"),
        ("device_name", "\x1b[31m"),
        ("precision", "fp16"),
        ("layout", ""),
        ("benchmarked", {"fp32": float("nan")}),
        ("benchmarked", {"fp32": "1"}),
        ("benchmarked", {str(number): 1.0 for number in range(21)}),
        ("benchmarked", []),
        ("threads", 0),
        ("threads", 10**6),
        ("threads", True),
        ("workers", -1),
        ("teacher_precision", "int8"),
        ("parameters", 1.5),
        ("steps_per_epoch", "x"),
        ("steps_per_epoch", 10**400),
        ("train_images", None),
        ("validated_on", "train"),
        ("torch", 2),
    ],
)
def test_a_wrong_value_is_refused_and_its_field_named(field, value):
    with pytest.raises(RunError, match=field):
        Runtime.from_dict({**VALUES, field: value})


@pytest.mark.parametrize("value", [3, "runtime", [VALUES]])
def test_what_is_no_mapping_is_refused(value):
    with pytest.raises(RunError, match="object"):
        Runtime.from_dict(value)


def test_a_missing_field_is_named():
    with pytest.raises(RunError, match="threads"):
        Runtime.from_dict({name: value for name, value in VALUES.items() if name != "threads"})
