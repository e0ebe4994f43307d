"""Fake runs for page and browser tests: complete folders with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.experiments.measurements import MeasuredRun, Measurement, measured_configs
from core.models.architectures import rows_of
from core.models.shapes import count_parameters, trace
from core.runs import creation, epoch_weights, events, files, status, store
from core.runs.run import Run
from core.runs.weights import save_tensors, to_bytes
from core.runtime import Runtime
from core.training import schedules
from core.training.results import EpochResult

STEPS = 20
RUNTIME = Runtime(
    device="cpu",
    precision="fp32",
    layout="contiguous",
    threads=1,
    parameters=7_850,
    steps_per_epoch=STEPS,
    train_images=60_000,
    val_images=10_000,
    validated_on="test",
)


def damaged_run(folder: Path, name: str) -> Path:
    """Make a run whose run.json cannot be read, and return its folder."""
    place = folder / name
    place.mkdir()
    (place / "run.json").write_text("{")
    return place


def made_run(
    folder: Path,
    name: str,
    done: int = 3,
    state: str = "finished",
    message: str = "",
    recipe: str | None = None,
    group: str | None = None,
    kept: bool = False,
    parent: dict[str, Any] | None = None,
    **config: Any,
) -> Run:
    """A run with so many epochs done, as its worker would have left it.

    Args:
        folder: the checkpoints folder.
        name: of the run.
        done: epochs done.
        state: that it is in; one that is live would be seen as crashed, since nobody trains it.
        message: of its state.
        recipe: that it came from.
        group: whose repeat it is.
        kept: whether it has weights of every epoch, each with other random weights.
        parent: the weights that it started from, as run.json names them.
        config: fields that differ from a quick little run.
    """
    from tests.networks import build_model

    values = {"architecture": "linear-7850", "epochs": max(done, 1), "batch_size": 3_000, **config}
    run = creation.create_run(
        RunConfig.from_dict(values),
        name,
        recipe=recipe,
        group=group,
        parent=parent,
        folder=folder,
    )
    rows = [
        EpochResult(
            epoch,
            schedules.rate(run.config, (epoch - 1) * STEPS, STEPS),
            2.0,
            0.9 / epoch,
            60_000 - 9_000 // epoch,
            60_000,
            0.8 / epoch,
            10_000 - 1_200 // epoch,
            10_000,
        )
        for epoch in range(1, done + 1)
    ]
    lines = [events.format_event("started", 1, 0)]
    for row in rows:
        lines += [
            events.format_event(
                "batch", row.epoch, step, steps=5, loss=1 / (row.epoch + step / STEPS), lr=row.lr
            )
            for step in range(5, STEPS + 1, 5)
        ]
        lines.append(events.format_event("epoch", row.epoch, STEPS, row=row.to_dict()))
    files.write_bytes(run.folder / events.NAME, b"".join(lines))
    if rows:
        weights = build_model(run.config).state_dict()
        for which in ("last", "best"):
            save_tensors(run.folder / f"{which}.safetensors", weights)
        for epoch in range(done + 1) if kept else ():
            if epoch < done:
                weights_then = build_model(run.config.changed(seed=100 + epoch)).state_dict()
            else:
                weights_then = weights
            epoch_weights.write(run.folder, epoch, to_bytes(weights_then))
    files.write_json(run.folder / "epochs.json", [row.to_dict() for row in rows])
    store.update_run_json(
        run.folder,
        runtime=RUNTIME.to_dict(),
    )
    status.write(run.folder, state, message)
    return store.open_run(name, folder)


def measured(name: str, *accuracies: float, best: float | None = None) -> Measurement:
    """Figures of a recipe or rung, as if it had been trained with the seeds from 1.

    Args:
        name: of the recipe or rung.
        accuracies: on 10,000 test images after the last epoch, of each seed in percent.
        best: accuracy after an epoch in the middle; None: the last epoch is the best.
    """
    config = measured_configs()[name]
    runtime = RUNTIME.changed(parameters=count_parameters(trace(rows_of(config))))
    runs = []
    for seed, accuracy in enumerate(accuracies, 1):
        errors = round(100 * (100 - accuracy))
        by_epoch = [errors + 10 * (config.epochs - epoch) for epoch in range(1, config.epochs + 1)]
        if best is not None:
            by_epoch[config.epochs // 2] = round(100 * (100 - best))
        runs.append(
            MeasuredRun(
                seed=seed,
                errors_by_epoch=tuple(by_epoch),
                images=10_000,
                test_loss=0.02,
                train_correct=59_400,
                train_images=60_000,
                seconds=30.0 + seed,
                machine="2 cores of a test",
                runtime=runtime,
            )
        )
    return Measurement(config, tuple(runs))
