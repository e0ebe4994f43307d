"""The status of a run: dead processes and pending requests show."""

import os

import pytest

from core.runs import (
    creation,
    processes,
    status,
    store,
)


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
