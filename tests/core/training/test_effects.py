"""A field counts as unused exactly where changing it changes nothing."""

from __future__ import annotations

import pytest

from core.config import FIELDS, OPTIMIZERS, SCHEDULES, RunConfig
from core.recipes import RECIPES
from core.training import schedules
from core.training.effects import Cause, unused_fields

SCHEDULE_VALUES = {
    "lr": (0.01, 0.02),
    "max_lr": (0.05, 0.06),
    "warmup": (0.3, 0.5),
    "anneal": ("linear", "cos"),
    "gamma": (0.7, 0.9),
    "momentum_cycle": (False, True),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", SCHEDULE_VALUES)
def test_a_field_is_unused_if_it_does_not_change_the_schedule(schedule, name):
    def course(value):
        config = RunConfig(schedule=schedule, epochs=4, **{name: value})
        return [
            (schedules.rate(config, step, 5), schedules.momentum(config, step, 5))
            for step in range(20)
        ]

    same = len({tuple(course(value)) for value in SCHEDULE_VALUES[name]}) == 1
    assert same == (name in unused_fields(RunConfig(schedule=schedule)))


@pytest.mark.parametrize(
    ("values", "unused"),
    [
        ({"schedule": "one-cycle"}, {"lr": Cause("schedule", "max_lr")}),
        ({"schedule": "cosine"}, {"max_lr": Cause("schedule", "lr")}),
        ({"teacher": "none"}, dict.fromkeys(["teacher_share", "temperature"], Cause("teacher"))),
        ({"teacher": "best", "teacher_share": 0}, {"temperature": Cause("teacher_share")}),
        ({"teacher": "best", "teacher_share": 1}, {"label_smoothing": Cause("teacher_share")}),
        ({"holdout": 0}, {"holdout_seed": Cause("holdout")}),
        ({"optimizer": "adam"}, {"nesterov": Cause("optimizer")}),
        ({"optimizer": "adadelta"}, {"momentum": Cause("optimizer")}),
        ({"momentum": 0}, {"nesterov": Cause("momentum")}),
        ({"momentum_cycle": True}, {"momentum": Cause("momentum_cycle")}),
        ({"augmentation": "none"}, {"augment_fraction": Cause("augmentation")}),
        ({"transforms": [{"kind": "blur"}]}, {"augmentation": Cause("transforms")}),
        ({"architecture": "tiny-2650"}, {"dropout": Cause("architecture")}),
        (
            {"layers": [{"kind": "dropout", "p": 0.5}, {"kind": "linear"}]},
            {"architecture": Cause("layers"), "dropout": Cause("layers")},
        ),
    ],
)
def test_the_cause_is_named(values, unused):
    assert unused_fields(RunConfig(**values)).items() >= unused.items()


@pytest.mark.parametrize(
    ("values", "used"),
    [
        ({"teacher": "best"}, {"teacher_share", "temperature", "label_smoothing"}),
        ({"holdout": 100}, {"holdout_seed"}),
        ({"augmentation": "final"}, {"augment_fraction", "augmentation"}),
        ({"transforms": [{"kind": "blur"}]}, {"augment_fraction"}),
        ({"architecture": "original-3762"}, {"dropout", "architecture"}),
        ({"schedule": "cosine", "momentum_cycle": True}, {"momentum", "nesterov"}),
        ({"optimizer": "muon"}, {"momentum", "weight_decay"}),
        ({"architecture": "unknown", "augmentation": "unknown"}, {"dropout", "augment_fraction"}),
    ],
)
def test_fields_that_count_are_not_unused(values, used):
    assert not used & set(unused_fields(RunConfig(**values)))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_only_fields_are_named(name, optimizer):
    unused = unused_fields(RECIPES[name].config.changed(optimizer=optimizer))
    names = set(unused) | {cause.field for cause in unused.values()}
    assert names | {cause.instead for cause in unused.values()} - {""} <= set(FIELDS) | {""}
