"""The rungs lead from `final-published` to `final` and on to `taught`."""

from __future__ import annotations

import pytest

from core.config import FIELDS, RunConfig
from core.errors import ConfigError
from core.recipes import RECIPES
from core.rungs import RUNGS, START, rung_config, rung_configs
from core.runs.run_names import check_name
from core.training.effects import unused_fields
from core.training.plan import plan

BEFORE_TEACHER = [name for name, config in rung_configs().items() if not config.teachers]


def differing(one: RunConfig, other: RunConfig) -> set[str]:
    """The fields in which two configs differ, without those that have no effect in either."""
    unused = unused_fields(one).keys() & unused_fields(other).keys()
    return one.differences(other).keys() - unused


def test_one_rung_before_the_teacher_trains_as_final_does():
    same = [
        name for name in BEFORE_TEACHER if not differing(rung_config(name), RECIPES["final"].config)
    ]
    assert len(same) == 1
    assert list(RUNGS)[: len(BEFORE_TEACHER)] == BEFORE_TEACHER


def test_the_last_rung_trains_as_taught_does():
    assert differing(rung_config(list(RUNGS)[-1]), RECIPES["taught"].config) == set()


@pytest.mark.parametrize("name", RUNGS)
def test_each_rung_changes_what_it_says_and_can_be_trained(name):
    rung, names = RUNGS[name], [START, *RUNGS]
    configs = {START: RECIPES[START].config, **rung_configs()}
    before = configs[names[names.index(name) - 1]]
    assert set(rung.changes) <= set(FIELDS)
    assert differing(configs[name], before)
    assert differing(configs[name], before) <= set(rung.changes)
    assert plan(configs[name]).parameters == plan(RECIPES["final"].config).parameters


@pytest.mark.parametrize("name", RUNGS)
def test_each_has_a_name_for_its_runs_and_words(name):
    assert name not in RECIPES
    check_name(f"{name}-s1")
    assert RUNGS[name].title
    assert RUNGS[name].summary.endswith(".")


def test_an_unknown_rung_is_refused_by_name():
    with pytest.raises(ConfigError, match="'ladder'"):
        rung_config("ladder")
