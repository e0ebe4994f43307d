"""Bad input of every sort, thousands of times: each is either taken or answered by the product's own error.

The property tests of single modules stand beside those modules; here is what crosses them.
"""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.config import FIELDS, RunConfig
from core.data import augmentations
from core.drawing import preparation
from core.drawing import strokes as drawn
from core.errors import UserError
from core.limits import Limits
from core.training import schedules
from core.training.plan import plan
from core.training.results import EpochResult

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def valid(name: str) -> st.SearchStrategy:
    spec = FIELDS[name]
    if spec.choices:
        return st.sampled_from(spec.choices)
    if spec.type is bool:
        return st.booleans()
    if spec.type is int:
        return st.integers(int(spec.low), int(spec.high))
    if spec.type is float:
        return st.floats(spec.low, spec.high)
    return st.just(spec.default)


fields = st.fixed_dictionaries({}, optional={name: valid(name) for name in FIELDS})


def taken(function, *arguments):
    """What a function makes of its input, or None where it refused it in words."""
    try:
        return function(*arguments)
    except UserError as error:
        words = str(error)
    assert 0 < len(words) < 1_500
    return None


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.text(max_size=30), max_size=6))
def test_any_link_makes_a_config_or_a_sentence(values):
    taken(RunConfig.from_strings, values)


@given(
    fields,
    st.dictionaries(
        st.sampled_from(["architecture", "augmentation", "layers", "transforms", "epochs"]),
        junk,
        max_size=2,
    ),
)
def test_any_config_can_be_planned_or_is_refused(values, spoilt):
    prepared = taken(lambda: plan(RunConfig.from_dict({**values, **spoilt}), Limits()))
    if prepared:
        assert prepared.parameters > 0
        assert (
            RunConfig.from_dict(json.loads(json.dumps(prepared.config.to_dict())))
            == prepared.config
        )


@given(fields, st.integers(1, 60_000), st.data())
def test_every_valid_config_has_a_rate_at_every_step(values, steps, data):
    config = taken(RunConfig.from_dict, values)
    if config:
        step = data.draw(st.integers(0, config.epochs * steps - 1))
        rate = schedules.rate(config, step, steps)
        assert math.isfinite(rate)
        assert 0 <= rate <= max(config.lr, config.max_lr) * (1 + 1e-9)
        assert 0 <= schedules.momentum(config, step, steps) < 1


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kind", "shift", "p", "scale", "border", "alpha", "area", "x"]),
            st.sampled_from(list(augmentations.KINDS)) | junk,
            max_size=5,
        ),
        max_size=4,
    )
)
def test_any_transforms_are_completed_or_refused(rows):
    completed = taken(augmentations.check, rows)
    if completed:
        assert augmentations.check(completed) == completed


points = st.lists(st.floats(-3, 3) | st.just(math.nan), min_size=1, max_size=3)


@given(junk | st.lists(st.lists(points, max_size=5), max_size=4))
def test_any_strokes_are_drawn_or_refused(strokes):
    image = taken(lambda: preparation.to_mnist(drawn.strokes_to_ink(strokes)))
    if image is not None:
        assert (image.shape, image.dtype) == ((28, 28), np.uint8)


@given(junk)
def test_any_epoch_row_is_read_or_refused(values):
    taken(EpochResult.from_dict, values)
