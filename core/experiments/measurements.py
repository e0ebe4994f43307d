"""Measured figures of recipes and rungs over several seeds, read from measurements.json.

Whatever quotes a figure of a recipe reads it here. A figure belongs to a config, not to a name: of
a recipe whose settings have changed since, nothing is measured.
`python tests/benchmarks/recipes.py --write` measures and writes the file. Must not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.errors import RunError, UserError
from core.experiments.repeats import MAY_DIFFER
from core.experiments.statistics import Statistics, compute_statistics, t_interval
from core.json_input import read_json_file
from core.recipes import RECIPES
from core.rungs import rung_configs
from core.runs.file_cache import FileCache, file_signature
from core.runs.run import Run
from core.runtime import Runtime
from core.schema import Field, SchemaError, check_object
from core.training.effects import unused_fields

FILE = Path(__file__).with_name("measurements.json")
FORMAT = 1
COMMAND = "python tests/benchmarks/recipes.py"


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """The figures of one finished run.

    Raises:
        SchemaError: there are more errors or correct images than images.
    """

    seed: int
    errors_by_epoch: tuple[int, ...]
    """Misclassified test images after each epoch."""
    images: int
    """Test images."""
    test_loss: float
    """Mean nll per test image, in nats."""
    train_correct: int
    """Training images classified correctly, each before the step that it is part of."""
    train_images: int
    seconds: float
    """Sum of the epochs: training and validation, without the start of the process."""
    machine: str
    """The processor with its number of cores, or the GPU; empty: unknown."""
    runtime: Runtime

    def __post_init__(self) -> None:
        if max(self.errors_by_epoch) > self.images or self.train_correct > self.train_images:
            raise SchemaError(f"seed {self.seed} counts more images than there are.")

    @property
    def errors(self) -> int:
        """Misclassified test images after the last epoch."""
        return self.errors_by_epoch[-1]

    @property
    def best_errors(self) -> int:
        """The fewest errors after any epoch: chosen on the test images, and so biased downwards."""
        return min(self.errors_by_epoch)

    @property
    def best_epoch(self) -> int:
        """The first epoch with the fewest errors, counted from 1."""
        return self.errors_by_epoch.index(self.best_errors) + 1

    @property
    def accuracy(self) -> float:
        """On the test images after the last epoch, in percent."""
        return 100 * (self.images - self.errors) / self.images

    @property
    def best_accuracy(self) -> float:
        """On the test images after the epoch that is best on them, in percent."""
        return 100 * (self.images - self.best_errors) / self.images

    @property
    def train_accuracy(self) -> float:
        """On the training images in the last epoch, in percent."""
        return 100 * self.train_correct / self.train_images

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON values."""
        values = {field.name: getattr(self, field.name) for field in _RUN}
        runtime = {**self.runtime.to_dict(), "benchmarked": {}}
        return {**values, "runtime": {name: item for name, item in runtime.items() if item}}

    @classmethod
    def of(cls, run: Run, machine: str) -> MeasuredRun:
        """The figures of a finished run that was validated on the test images.

        Raises:
            RunError: it is not finished, or it was validated on other images.
        """
        last, runtime = run.last, run.runtime
        if run.state != "finished" or last is None or runtime is None:
            raise RunError(f"{run.name} is {run.state}; only a finished run can be measured.")
        if run.config.holdout:
            raise RunError(f"{run.name} was validated on held-out images, not on the test images.")
        return cls(
            seed=run.config.seed,
            errors_by_epoch=tuple(row.val_errors for row in run.epochs),
            images=last.val_total,
            test_loss=last.val_loss,
            train_correct=last.train_correct,
            train_images=last.train_total,
            seconds=round(sum(row.seconds for row in run.epochs), 1),
            machine=machine,
            runtime=runtime,
        )


@dataclass(frozen=True)
class Measurement:
    """A config with the figures of its runs, in order of their seeds; at least one."""

    config: RunConfig
    runs: tuple[MeasuredRun, ...]

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        return self.runs[0].runtime.parameters

    @property
    def accuracies(self) -> dict[int, float]:
        """Accuracy on the test images after the last epoch by seed, in percent."""
        return {run.seed: run.accuracy for run in self.runs}

    @property
    def accuracy(self) -> Statistics:
        """Statistics of `accuracies`."""
        return compute_statistics(list(self.accuracies.values()))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval of the mean over seeds, in percent; None for one seed."""
        return t_interval(list(self.accuracies.values())) if len(self.runs) > 1 else None

    @property
    def best_accuracy(self) -> Statistics:
        """Statistics of the accuracies of the best epochs, which were chosen on the test images."""
        return compute_statistics([run.best_accuracy for run in self.runs])

    @property
    def seconds(self) -> Statistics:
        """Statistics of the seconds per run."""
        return compute_statistics([run.seconds for run in self.runs])


class Measurements:
    """All measurements, found by config.

    Args:
        measurements: of different configs.
    """

    def __init__(self, measurements: Iterable[Measurement] = ()):
        self._by_config = {config_key(each.config): each for each in measurements}

    def __len__(self) -> int:
        return len(self._by_config)

    def find(self, config: RunConfig) -> Measurement | None:
        """The measurement of a config, whatever its seed, device and threads; or None."""
        return self._by_config.get(config_key(config))

    def updated(self, new: Iterable[Measurement]) -> Measurements:
        """These measurements and the new ones; of one config and seed, the new figures count.

        Measurements of configs that no recipe and no rung has any more are left out.
        """
        merged = dict(self._by_config)
        for each in new:
            key = config_key(each.config)
            old = merged[key].runs if key in merged else ()
            runs = {run.seed: run for run in (*old, *each.runs)}
            merged[key] = Measurement(each.config, tuple(runs[seed] for seed in sorted(runs)))
        known = {config_key(config) for config in measured_configs().values()}
        return Measurements(each for key, each in merged.items() if key in known)

    def write(self, path: Path = FILE) -> None:
        """Write the file, in the order of recipes and rungs, with one line per run."""
        blocks, written = [], set()
        for name, config in measured_configs().items():
            found, key = self.find(config), config_key(config)
            if found is None or key in written:
                continue
            written.add(key)
            runs = ",\n   ".join(json.dumps(run.to_dict()) for run in found.runs)
            settings = json.dumps({**config.to_dict(), "seed": 1})
            blocks.append(
                f'  {{\n   "name": {json.dumps(name)},\n   "config": {settings},\n'
                f'   "runs": [\n   {runs}\n   ]\n  }}'
            )
        text = f'{{\n "format": {FORMAT},\n "measurements": [\n' + ",\n".join(blocks) + "\n ]\n}\n"
        path.write_text(text, encoding="utf-8")


def measured_configs() -> dict[str, RunConfig]:
    """What is measured: the config of every recipe, then of every rung, by name."""
    return {**{name: recipe.config for name, recipe in RECIPES.items()}, **rung_configs()}


def config_key(config: RunConfig) -> str:
    """A key that is equal for two configs that differ only in seed, device, threads or kept epochs.

    Fields without an effect are ignored.
    """
    ignored = MAY_DIFFER | unused_fields(config).keys()
    values = {name: value for name, value in config.to_dict().items() if name not in ignored}
    return json.dumps(values, sort_keys=True)


def read_measurements(path: Path | None = None) -> Measurements:
    """Read a file, by default FILE; it is read again only when it has changed.

    Raises:
        RunError: it is missing or damaged; the message says how to make it.
    """
    file = path or FILE
    return _cache.get(file, file_signature(file), lambda: _read(file))


def measuring_command(names: Iterable[str]) -> str:
    """The command that measures recipes and rungs, and writes their figures."""
    return f"{COMMAND} {' '.join(names)} --write"


def _read(path: Path) -> Measurements:
    try:
        values = check_object(read_json_file(path, path.name), _FILE, path.name)
        if values["format"] != FORMAT:
            raise SchemaError(
                f"{path.name} has format {values['format']}; this version reads format {FORMAT}."
            )
        measurements = [_to_measurement(each) for each in values["measurements"]]
        read = Measurements(measurements)
        if len(read) < len(measurements):
            raise SchemaError(f"{path.name} has two measurements of one config.")
    except UserError as error:
        raise RunError(
            f"the measured figures of the recipes cannot be read: {error} Restore the file, or "
            f"write it anew with {COMMAND} --write."
        ) from None
    return read


def _to_measurement(values: Mapping[str, Any]) -> Measurement:
    name, runs = values["name"], []
    for number, run in enumerate(values["runs"], 1):
        checked = check_object(run, (*_RUN, _RUNTIME), f"{name}, run {number}")
        checked["errors_by_epoch"] = tuple(checked["errors_by_epoch"])
        runs.append(MeasuredRun(**{**checked, "runtime": Runtime.from_dict(checked["runtime"])}))
    seeds = [run.seed for run in runs]
    if seeds != sorted(set(seeds)):
        raise SchemaError(f"{name} has the seeds {seeds}; each must be there once, in order.")
    return Measurement(RunConfig.from_dict(values["config"]), tuple(runs))


def _count(name: str, low: int = 0) -> Field:
    return Field(name, int, low=low, high=10**9, required=True)


_RUN = (
    _count("seed"),
    Field(
        "errors_by_epoch",
        list,
        min_length=1,
        max_length=100_000,
        items=Field("epoch", int, low=0, high=10**9),
        required=True,
    ),
    _count("images", 1),
    Field("test_loss", float, low=0, high=1e30, required=True),
    _count("train_correct"),
    _count("train_images", 1),
    Field("seconds", float, low=0, high=1e9, required=True),
    Field("machine", str, required=True),
)
_RUNTIME = Field("runtime", dict, required=True)
_MEASUREMENT = (
    Field("name", str, min_length=1, required=True),
    Field("config", dict, required=True),
    Field("runs", list, min_length=1, max_length=1_000, required=True),
)
_FILE = (
    Field("format", int, required=True),
    Field(
        "measurements",
        list,
        max_length=1_000,
        items=Field("measurement", dict, fields=_MEASUREMENT),
        required=True,
    ),
)
_cache: FileCache[Path, Measurements] = FileCache(max_entries=4)
