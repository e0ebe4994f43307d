"""Property tests: any input is either accepted or refused with a UserError.

Property tests of single modules are beside those modules; these cross several.
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
any_json = st.recursive(
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


def accepted(function, *arguments):
    """Return the result of a function, or None if it raised a UserError."""
    try:
        return function(*arguments)
    except UserError as error:
        message = str(error)
    assert 0 < len(message) < 1_500
    return None


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.text(max_size=30), max_size=6))
def test_any_link_gives_a_config_or_an_error(values):
    accepted(RunConfig.from_strings, values)


@given(
    fields,
    st.dictionaries(
        st.sampled_from(["architecture", "augmentation", "layers", "transforms", "epochs"]),
        any_json,
        max_size=2,
    ),
)
def test_any_config_can_be_planned_or_is_refused(values, invalid):
    planned = accepted(lambda: plan(RunConfig.from_dict({**values, **invalid}), Limits()))
    if planned:
        assert planned.parameters > 0
        assert (
            RunConfig.from_dict(json.loads(json.dumps(planned.config.to_dict()))) == planned.config
        )


@given(fields, st.integers(1, 60_000), st.data())
def test_every_valid_config_has_a_rate_at_every_step(values, steps, data):
    config = accepted(RunConfig.from_dict, values)
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
            st.sampled_from(list(augmentations.KINDS)) | any_json,
            max_size=5,
        ),
        max_size=4,
    )
)
def test_any_transforms_are_completed_or_refused(rows):
    completed = accepted(augmentations.check, rows)
    if completed:
        assert augmentations.check(completed) == completed


points = st.lists(st.floats(-3, 3) | st.just(math.nan), min_size=1, max_size=3)


@given(any_json | st.lists(st.lists(points, max_size=5), max_size=4))
def test_any_strokes_are_drawn_or_refused(strokes):
    image = accepted(lambda: preparation.to_mnist(drawn.strokes_to_ink(strokes)))
    if image is not None:
        assert (image.shape, image.dtype) == ((28, 28), np.uint8)


@given(any_json)
def test_any_epoch_row_is_read_or_refused(values):
    accepted(EpochResult.from_dict, values)
