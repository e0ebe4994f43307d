"""What the machine decides: the fastest format is chosen, and bf16 only where it clearly wins."""

from __future__ import annotations

import pytest
import torch

from core.config import RunConfig
from core.errors import ConfigError
from core.training import runtime
from core.training.plan import plan

SMALL = RunConfig(
    layers=({"kind": "linear", "channels": 10, "activation": "none"},),
    batch_size=8,
    device="cpu",
    threads=1,
)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("times", "best"),
    [
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 3,
                "bf16 contiguous": 5,
                "bf16 channels_last": 6,
            },
            ("fp32", "channels_last"),
        ),
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 5,
                "bf16 contiguous": 3.9,
                "bf16 channels_last": 6,
            },
            ("fp32", "contiguous"),
        ),  # not enough faster for what it rounds
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 5,
                "bf16 contiguous": 3,
                "bf16 channels_last": 2,
            },
            ("bf16", "channels_last"),
        ),
        (
            {
                "fp32 contiguous": 4,
                "fp32 channels_last": 5,
                "fp32 batch_last": 1.5,
                "bf16 contiguous": 3,
                "bf16 channels_last": 2,
            },
            ("fp32", "batch_last"),
        ),
    ],
)
def test_the_fastest_way_is_chosen(times, best, monkeypatch):
    monkeypatch.setattr(
        runtime,
        "step_ms",
        lambda model, batch, device, precision, layout, seconds: times.get(
            f"{precision} {layout}", 9
        ),
    )
    chosen = runtime.choose(SMALL, CPU, 1)
    assert (chosen["precision"], chosen["layout"]) == best
    assert times.items() <= chosen["tried"].items()


def test_trying_takes_a_moment_and_changes_no_setting():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    chosen = runtime.choose(SMALL, CPU, 1, seconds=0.01)
    assert all(ms > 0 for ms in chosen["tried"].values())
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_stated_precision_is_followed_without_trying(monkeypatch):
    monkeypatch.setattr(runtime, "choose", lambda *_: pytest.fail("tried"))
    facts = runtime.facts_for(plan(SMALL.changed(precision="bf16")))
    assert (facts["precision"], facts["layout"]) == ("bf16", "channels_last")
    facts = runtime.facts_for(plan(SMALL.changed(precision="fp32")))
    assert (facts["precision"], facts["layout"]) == ("fp32", "batch_last")
    facts = runtime.facts_for(
        plan(SMALL.changed(architecture="teacher-179018", layers=(), precision="fp32"))
    )
    assert (facts["precision"], facts["layout"]) == (
        "fp32",
        "contiguous",
    )  # too large to gain from our loops


def test_without_the_compiler_our_loops_are_left_out(monkeypatch):
    monkeypatch.setattr(runtime.layers, "available", lambda: False)
    assert runtime.facts_for(plan(SMALL.changed(precision="fp32")))["layout"] == "contiguous"
    assert not any(
        "batch_last" in way for way in runtime.choose(SMALL, CPU, 1, seconds=0.01)["tried"]
    )


@pytest.mark.parametrize(
    ("device", "cores", "threads", "workers"),
    [
        ("cpu", 1, 1, 0),
        ("cpu", 2, 1, 1),
        ("cpu", 16, 1, 1),
        ("cpu", 2, 2, 0),
        ("cpu", 2, 5, 0),
        ("cpu", 3, 2, 1),
        ("cuda", 1, 1, 0),
        ("cuda", 4, 4, 3),
        ("cuda", 64, 1, 8),
    ],
)
def test_cores_that_do_not_train_augment_and_a_gpu_gets_more_of_them(
    device, cores, threads, workers
):
    assert runtime.workers_for(torch.device(device), cores, threads) == workers


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="device mps is not on this machine"):
        runtime.choose_device("mps")


@pytest.mark.parametrize(
    ("fp32", "bf16", "best"), [(4, 3, "bf16"), (4, 3.9, "fp32"), (2, 3, "fp32")]
)
def test_a_teacher_answers_in_the_format_that_is_clearly_faster(fp32, bf16, best, monkeypatch):
    times = {torch.float32: fp32, torch.bfloat16: bf16}
    monkeypatch.setattr(runtime, "timed", lambda device, work, seconds: times[work.func.dtype])
    model = runtime.build(SMALL).train()
    assert runtime.choose_answering(model, CPU) == best
    assert model.training  # the caller's network is left as it is
    assert all(weight.requires_grad for weight in model.parameters())


def test_keeping_memory_asks_only_where_it_can(monkeypatch):
    asked = []
    library = type("Library", (), {"mallopt": lambda self, *values: asked.append(values)})
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: library())
    runtime.keep_memory()
    assert len(asked) == 2
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: object())
    runtime.keep_memory()
