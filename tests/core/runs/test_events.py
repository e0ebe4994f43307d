import json
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import MAX_ROWS
from core.runs import events, files
from core.runs.run_schema import clean_text
from core.training.results import EpochResult, StepSizes

ROW = EpochResult(1, 0.1, 1.0, 0.5, 50, 100, 0.5, 5, 10)


def _batch(epoch, step):
    return events.format_event("batch", epoch, step, steps=6, loss=0.5, lr=0.1)


def test_an_unfinished_last_line_is_left_out_until_it_is_whole(tmp_path):
    path = tmp_path / events.NAME
    whole = _batch(1, 2)
    files.append_bytes(path, _batch(1, 1) + whole[:20])
    assert [event["step"] for event in events.read(path)] == [1]
    files.append_bytes(path, whole[20:])
    assert [event["step"] for event in events.read(path)] == [1, 2]


def test_only_what_was_added_is_read(tmp_path, monkeypatch):
    path = tmp_path / events.NAME
    seen = []
    real = events.parse
    monkeypatch.setattr(events, "parse", lambda data: seen.append(len(data)) or real(data))
    for step in range(1, 6):
        files.append_bytes(path, _batch(1, step))
        assert [event["step"] for event in events.read(path)] == list(range(1, step + 1))
    events.read(path)
    assert sum(seen) == path.stat().st_size


def test_a_reader_may_change_its_list(tmp_path):
    path = tmp_path / events.NAME
    files.append_bytes(path, _batch(1, 1))
    events.read(path).clear()
    assert len(events.read(path)) == 1


def test_rewinding_drops_what_will_happen_again_and_readers_notice(tmp_path):
    path = tmp_path / events.NAME
    files.append_bytes(
        path,
        events.format_event("started", 1, 0)
        + _batch(1, 3)
        + _batch(1, 6)
        + events.format_event("epoch", 1, 6, row=ROW.to_dict())
        + _batch(2, 3)
        + _batch(2, 6)
        + b'{"kind": "ba',
    )
    assert len(events.read(path)) == 6
    events.rewind(path, 2, 4, rows=1)
    assert [(event["kind"], event["epoch"], event["step"]) for event in events.read(path)] == [
        ("started", 1, 0),
        ("batch", 1, 3),
        ("batch", 1, 6),
        ("epoch", 1, 6),
        ("batch", 2, 3),
    ]
    events.rewind(path, 1, 6, rows=0)  # all steps of the epoch done, but not yet validated
    assert [event["kind"] for event in events.read(path)] == ["started", "batch", "batch"]
    assert path.read_bytes().endswith(b"}\n")


def test_rewinding_makes_a_missing_file(tmp_path):
    events.rewind(tmp_path / events.NAME, 1, 0, 0)
    assert events.read(tmp_path / events.NAME) == []


def test_the_longest_events_are_read_again(tmp_path):
    path = tmp_path / events.NAME
    sizes = [1.2345678901234567e-100] * MAX_ROWS
    steps = StepSizes(tuple(range(1, MAX_ROWS + 1)), tuple(sizes), tuple(sizes)).to_dict()
    message = clean_text("\U0001f600" * 5_000)
    files.append_bytes(
        path,
        events.format_event("update", 100_000, 10**9, **steps)
        + events.format_event("failed", 100_000, 10**9, message=message),
    )
    update, failed = events.read(path)
    assert update["updates"] == sizes
    assert failed["message"] == message
    assert len(events.rewind(path, 100_000, 10**9, rows=100_000)) == 2


def test_a_missing_file_has_no_events(tmp_path):
    assert events.read(tmp_path / "none.jsonl") == []


def test_what_readers_remember_is_bounded(tmp_path):
    for number in range(40):
        files.append_bytes(tmp_path / f"{number}.jsonl", _batch(1, 1))
        assert len(events.read(tmp_path / f"{number}.jsonl")) == 1
    assert len(events._read) <= events._READ_MOST


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.just([1])
)
almost = st.fixed_dictionaries(
    {"kind": st.sampled_from(["batch", "epoch", 3]), "time": values, "epoch": values},
    optional={"step": values, "steps": values, "loss": values, "lr": values},
)


@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=30) | almost.map(lambda event: json.dumps(event).encode()), max_size=5
    )
)
def test_any_file_can_be_read_and_what_comes_out_is_whole(lines):
    for event in events.parse(b"\n".join(lines)):
        assert isinstance(event["kind"], str)
        assert type(event["epoch"]) is int
        assert type(event["step"]) is int
        assert 0 <= event["time"] < 1e11
        if event["kind"] == "batch":
            assert all(abs(event[name]) < 1e300 for name in ("steps", "loss", "lr"))


def test_the_file_can_be_deleted_while_it_is_read(tmp_path):
    path = tmp_path / events.NAME
    files.append_bytes(path, _batch(1, 1))
    events.read(path)
    os.unlink(path)
    assert events.read(path) == []
