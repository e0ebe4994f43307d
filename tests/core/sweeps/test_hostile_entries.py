"""Whatever others write into a shared storage, a sweep is shown, or refused in a sentence."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import tracemalloc
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RunError, UserError
from core.sweeps import slots, study
from core.sweeps.slots import DONE, FAILED
from core.sweeps.space import describe_values
from core.sweeps.state import SweepState, state_of
from core.sweeps.sweep import AIMS, Sweep
from tests.core.sweeps.sweeping import made, work

pytestmark = pytest.mark.usefixtures("quick")
SWEEP = made()
BAD_NUMBERS = [-1, 0, 1e30, 10**400, -(10**20), float("nan"), float("inf"), True]
BAD_TEXTS = ["", "x" * 100_000, "\x1b[31mred\x1b[0m", "[/x]", "\ud800", "<b>", "../..", "a\nb\0"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(0, 100),
    st.sampled_from([*BAD_NUMBERS, *BAD_TEXTS, [], {}, [[]], {"a": 1}]),
    st.text(max_size=10),
)
NAMES = ("slot", "place", "outcome", "ended", "accuracy", "parameters", "seconds", "run", "machine")
TRIALS = st.builds(
    SimpleNamespace,
    number=st.integers(0, 20),
    state=st.sampled_from(["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]).map(
        lambda name: SimpleNamespace(name=name)
    ),
    user_attrs=st.dictionaries(st.sampled_from([*NAMES, "reason", "x"]), VALUES, max_size=9),
    params=st.dictionaries(
        st.sampled_from(["max_lr", "ema", "rows.9.channels", "rows.1+2.x", "\x1b["]), VALUES
    ),
    intermediate_values=st.dictionaries(
        st.integers(-5, 5), st.floats(allow_nan=True, allow_infinity=True), max_size=4
    ),
    datetime_start=st.sampled_from([None, datetime.min, datetime(2026, 1, 1), datetime.max]),
    datetime_complete=st.sampled_from([None, datetime.min, datetime(2026, 1, 2), datetime.max]),
)


def check_shown(state: SweepState) -> None:
    """Do what `sweep status` and the page do with a state."""
    json.dumps(state.to_dict(), allow_nan=False).encode()
    assert state.summary.isprintable()
    state.summary.encode()
    for trial in state.trials:
        texts = (trial.title, trial.machine or "", trial.reason, describe_values(trial.params))
        assert all(text.isprintable() and len(text) < 2_000 for text in texts)
        if trial.state == DONE:
            f"{trial.accuracy:.2f} {trial.parameters:,} {trial.seconds:.0f}"


@settings(max_examples=1_000)
@given(trials=st.lists(TRIALS, max_size=5), aim=st.sampled_from(list(AIMS)))
def test_hostile_trials_are_shown(trials, aim):
    sweep = made(aim=aim)
    attempts = [slots.read_attempt(trial) for trial in trials]
    check_shown(state_of(sweep, attempts, False))
    for attempt in attempts:
        slots.is_duplicate(attempts, sweep.slots, attempt.number, attempt.slot)


@settings(max_examples=1_000)
@given(data=st.data())
def test_hostile_descriptions_are_read_or_refused(data):
    values = SWEEP.to_dict()
    target = data.draw(st.sampled_from([values, values["config"], values["space"]]))
    if data.draw(st.booleans()):
        target = data.draw(st.sampled_from(list(values["space"].values())))
    name = data.draw(st.sampled_from([*target, "x", "rows.1.channels", "ema"]))
    target[name] = data.draw(VALUES)
    message = ""
    try:
        sweep = Sweep.from_dict(values)
        sweep.grid()
        check_shown(state_of(sweep, [], False))
    except UserError as error:
        message = str(error)
    assert len(message) < 2_000


def test_an_attempt_keeps_valid_values():
    trial = SimpleNamespace(
        number=3,
        state=SimpleNamespace(name="COMPLETE"),
        user_attrs={"slot": 2, "accuracy": 97.5, "parameters": 7_000, "seconds": 2.5, "run": "a-2"},
        params={"max_lr": 0.1},
        intermediate_values={2: 97.5, 1: 90.0},
        datetime_start=datetime(2026, 1, 1),
        datetime_complete=None,
    )
    attempt = slots.read_attempt(trial)
    assert (attempt.slot, attempt.accuracy, attempt.parameters) == (2, 97.5, 7_000)
    assert (attempt.run, attempt.epochs) == ("a-2", (90.0, 97.5))
    assert attempt.began.tzinfo is UTC


def test_a_result_with_missing_figures_has_failed_and_is_not_the_best():
    study.create(made(runs=2))
    work()
    execute("DELETE FROM trial_user_attributes WHERE key = 'parameters' AND trial_id = 1")
    state = study.read("made")
    assert [trial.state for trial in state.trials] == [FAILED, DONE]
    assert "damaged" in state.trials[0].reason
    assert state.best.slot == 2


def execute(statement: str, *values: object) -> None:
    """Change the default storage behind the back of Optuna."""
    from core.sweeps import storage

    database = sqlite3.connect(storage.storage_url().removeprefix("sqlite:///"))
    with database:
        database.execute(statement, values)
    database.close()


COLUMNS = [
    ("trial_user_attributes", "value_json"),
    ("study_user_attributes", "value_json"),
    ("trial_params", "distribution_json"),
    ("trial_params", "param_value"),
    ("trial_intermediate_values", "intermediate_value"),
    ("trial_values", "value"),
    ("trial_values", "value_type"),
    ("trials", "state"),
    ("trials", "datetime_start"),
    ("trials", "number"),
    ("study_directions", "direction"),
    ("trial_system_attributes", "value_json"),
]
ENTRIES = ["", "x", "null", "[]", "{}", '"\\ud800"', "1e999", "-1", "9" * 400, "[" * 5_000, None]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_hostile_rows_are_shown_or_refused(table, column):
    sample = random.Random(f"{table}.{column}")
    for number in range(2):
        name, messages = f"made-{number}", []
        study.create(made(name, runs=2, pruner="median"))
        work(name)
        for entry in sample.sample(ENTRIES, 4):
            with contextlib.suppress(sqlite3.IntegrityError):
                execute(f"UPDATE {table} SET {column} = ?", entry)
            for action in (show, study.read_importance, work):
                try:
                    action(name)
                except RunError as error:
                    messages.append(str(error))
        assert all(len(message) < 2_000 for message in messages)


def show(name: str) -> None:
    study.list_names()
    check_shown(study.read(name))


@pytest.mark.parametrize("table", ["study_user_attributes", "trial_user_attributes"])
@pytest.mark.parametrize("hidden", [False, True])
def test_texts_of_many_megabytes_are_refused_before_they_are_read(table, hidden):
    study.create(made(runs=2))
    work()
    megabytes = 8
    value = json.dumps("x" * megabytes * 10**6)
    if hidden:  # among the attributes of another program's study or trial
        execute(f"INSERT INTO {table} (key, value_json) VALUES (?, ?)", "other", value)
    else:
        execute(f"UPDATE {table} SET value_json = ?", value)
    tracemalloc.start()
    for action in (study.read, study.stop, lambda name: study.list_names()):
        with pytest.raises(RunError, match=table):
            action("made")
    assert tracemalloc.get_traced_memory()[1] < megabytes * 10**6 / 2
    tracemalloc.stop()
