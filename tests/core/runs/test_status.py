"""The status of a run: dead processes and pending requests show."""

import os

import pytest

from core.runs import creation, files, processes, status, store


def test_a_dead_process_is_noticed_and_its_log_quoted(trained):
    run = trained("a")
    (run.folder / "log.txt").write_text("starting\nRuntimeError: the roof is on fire\n")
    status.write(run.folder, "running", "", (os.getpid(), 1.0))
    run = store.open_run("a")
    assert (run.state, run.is_live) == ("crashed", False)
    assert run.message.endswith("RuntimeError: the roof is on fire")
    assert run.read_log_tail().splitlines()[0] == "starting"
    (run.folder / "log.txt").unlink()
    assert "logged nothing" in store.open_run("a").message


@pytest.mark.parametrize(
    ("action", "state", "message"),
    [
        ("pause", "pausing", ""),
        ("stop", "running", "stopping"),
        ("pause-after-epoch", "running", "will pause at the end of the epoch"),
        ("dance", "running", ""),
    ],
)
def test_a_pending_request_shows_in_the_state(tiny, action, state, message):
    run = creation.create_run(tiny, "a")
    status.write(run.folder, "running", "", processes.identity())
    status.write_request(run.folder, action)
    run = store.open_run("a")
    assert (run.state, run.message) == (state, message)


@pytest.mark.parametrize(
    ("pid", "started"),
    [
        (1, "9" * 400),
        (1, 10**400),
        (10**400, "1"),
        (-1, "1"),
        (0, ""),
        (True, "1"),
        (1.5, "1"),
        ([1], "1"),
        ("1", "1"),
        (None, None),
        (1, {"a": 1}),
        (1, "nan"),
        (1, "\ud800"),
    ],
)
def test_a_process_that_cannot_exist_is_dead(tiny, pid, started):
    run = creation.create_run(tiny, "a")
    values = {**files.read_json(run.folder / "status.json"), "state": "running"}
    text = files.json.dumps({**values, "pid": pid, "pid_started": started})
    (run.folder / "status.json").write_text(text)
    assert store.open_run("a").state == "crashed"


@pytest.mark.parametrize("message", ["\x1b[31mred", "two\nlines", "\ud800", "x" * 10_000])
def test_a_message_is_stored_and_shown_as_plain_text(tiny, message):
    run = creation.create_run(tiny, "a")
    status.write(run.folder, "failed", message)
    stored = store.open_run("a").message
    stored.encode()
    assert stored.isprintable()
    assert len(stored) <= 2_000
    values = {**files.read_json(run.folder / "status.json"), "message": message}
    (run.folder / "status.json").write_text(files.json.dumps(values))
    assert store.open_run("a").message == stored
