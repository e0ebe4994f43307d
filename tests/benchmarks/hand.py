"""Teach a network the handwriting of made-up people, and measure what it gains and forgets.

    python tests/benchmarks/hand.py --runs taught final --hands 5

Each person writes in a style that MNIST hardly has (tests/handwriting.py): 20 digits of each class
are learned, 100 others are kept for testing. Prints the accuracy on these and on MNIST's test
images before and after, how many seconds training took, and how many seconds of computation that
were on all cores together. With --choose, the defaults are compared with other settings without
the test images: `final`, trained without 5,000 training images, is taught each hand and measured on
its test digits and on these 5,000.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from measuring import machine, parser, report, table  # noqa: E402

from core import aliases  # noqa: E402
from core.config import RunConfig  # noqa: E402
from core.data import dataset  # noqa: E402
from core.experiments.statistics import wilson_interval  # noqa: E402
from core.library import digits as library  # noqa: E402
from core.library import teaching  # noqa: E402
from core.recipes import recipe  # noqa: E402
from core.runs import creation, folders, store, worker  # noqa: E402
from core.runs.evaluation import evaluate_run  # noqa: E402
from core.runs.run import Run  # noqa: E402
from core.training.results import TestResult  # noqa: E402
from tests.handwriting import draw_hand  # noqa: E402

LEARNED, KEPT = 20, 100  # digits of each class
TEST_SHARE = KEPT / (LEARNED + KEPT)
HELD_OUT = 5_000
BASE = "final-held-out"
MUON: dict[str, Any] = {"optimizer": "muon", "max_lr": 0.02}
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "rate 0.001": {"max_lr": 0.001},
    "3 epochs": {"epochs": 3},
    "5 % own digits": {"digits_share": 0.05},
    "plain end": {"augment_fraction": 0.8},
    "Muon": MUON,
    "Muon, rate 0.01": {**MUON, "max_lr": 0.01},
    "Muon, rate 0.04": {**MUON, "max_lr": 0.04},
    "Muon, 5 % own digits": {**MUON, "digits_share": 0.05},
    "Muon, 20 % own digits": {**MUON, "digits_share": 0.2},
    "Muon, 3 epochs": {**MUON, "epochs": 3},
    "Muon, 8 epochs": {**MUON, "epochs": 8},
    "Muon, augmentation final": {**MUON, "augmentation": "final"},
    "Muon, no augmentation": {**MUON, "augmentation": "none"},
}


def main() -> None:
    """Measure what was asked for and report."""
    options = parser(__doc__)
    options.add_argument("--runs", nargs="+", default=["taught", "final"])
    options.add_argument("--hands", type=int, default=5, help="people, with the seeds from 1")
    options.add_argument("--choose", action="store_true", help="compare settings instead")
    options.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", dest="changes")
    options.add_argument("--folder", type=Path, help="keeps the runs; default: a temporary one")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = chosen.folder or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["INKLING_CHECKPOINTS"] = str(folder)
        hands = [write_hand(folder, seed) for seed in range(1, chosen.hands + 1)]
        parts = [machine()]
        if chosen.choose:
            parts.append(choose(folder, hands, chosen.variants))
        else:
            changes = parse_changes(chosen.changes)
            parts.append(measure(folder, chosen.runs, hands, changes))
        report(parts, chosen.output)


def parse_changes(texts: list[str]) -> dict[str, Any]:
    """Return settings given as FIELD=VALUE, as numbers where the fields are numbers.

    Raises:
        ConfigError: a field is unknown, or cannot have the value.
    """
    given = dict(text.split("=", 1) for text in texts)
    config = RunConfig.from_strings(given, RunConfig().changed(**teaching.SETTINGS))
    return {name: getattr(config, aliases.FIELDS.get(name, name)) for name in given}


def write_hand(folder: Path, seed: int) -> str:
    """Save the digits of a person as a set, and return its name."""
    name = f"hand-{seed}"
    images, labels = draw_hand(LEARNED + KEPT, seed)
    digits = [
        library.make_digit(image, int(label)) for image, label in zip(images, labels, strict=True)
    ]
    library.add_digits(digits, folder, name=name)
    return name


def measure(folder: Path, names: list[str], hands: list[str], changes: dict[str, Any]) -> str:
    """Teach each run each hand with the default settings; return a table."""
    mnist, rows = dataset.load(), []
    for name in names:
        if not (folder / name).exists():
            shutil.copytree(folders.SHIPPED / name, folder / name)
        costs, own, own_before, test, test_before = [], [], [], [], []
        for hand in hands:
            run, spent = teach(folder, name, hand, changes)
            compared = teaching.compare(run, mnist.test.to_numpy())
            assert compared.own is not None
            assert compared.mnist is not None
            own_before.append(compared.own[0])
            own.append(compared.own[1])
            test_before.append(compared.mnist[0])
            test.append(compared.mnist[1])
            costs.append(spent)
        rows.append(
            (
                f"`{name}`",
                describe(own_before),
                describe(own),
                f"{min(result.accuracy for result in own):.1f} %",
                f"{test_before[0].accuracy:.2f} %",
                f"{statistics.fmean(result.accuracy for result in test):.2f} %",
                f"{min(result.accuracy for result in test):.2f} %",
                *describe_costs(costs),
            )
        )
    titles = ("run", "own before", "own after", "lowest", "MNIST before", "MNIST after", "lowest")
    return table((*titles, "seconds", "of the processor"), rows)


def choose(folder: Path, hands: list[str], variants: list[str]) -> str:
    """Teach with several settings a run that was trained without some images; return a table."""
    if not (folder / BASE).exists():
        config = recipe("final").config.changed(holdout=HELD_OUT)
        creation.create_run(config, BASE, is_tested=False, folder=folder)
        worker.train(folder / BASE)
    base = store.open_run(BASE, folder)
    assert base.last
    rows = [("before", "", f"{base.last.val_accuracy:.2f} %", "", "")]
    for variant in variants:
        own, validation, costs = [], [], []
        for hand in hands:
            run, spent = teach(folder, BASE, hand, VARIANTS[variant])
            own.append(evaluate_run(run, teaching.load_test_digits(run).to_torch()))
            assert run.last
            validation.append(run.last.val_accuracy)
            costs.append(spent)
        mean = statistics.fmean(validation)
        rows.append((variant, describe(own), f"{mean:.2f} %", *describe_costs(costs)))
        print(*rows[-1], flush=True)
    titles = ("settings", "own digits kept", "held-out images", "seconds", "of the processor")
    return table(titles, rows)


def teach(
    folder: Path, name: str, hand: str, changes: dict[str, Any]
) -> tuple[Run, tuple[float, float]]:
    """Train a taught run in this process; return it with the seconds by the clock and computed."""
    values = {"digits_test_share": TEST_SHARE, **changes}
    to = f"{name}-{hand}"
    run = teaching.teach(name, hand, to, values, number_if_taken=True, folder=folder)
    began, used = time.perf_counter(), sum(os.times()[:4])
    state = worker.train(run.folder)
    assert state == "finished", store.open_run(run.name, folder).message
    spent = time.perf_counter() - began, sum(os.times()[:4]) - used
    return store.open_run(run.name, folder), spent


def describe_costs(costs: list[tuple[float, float]]) -> list[str]:
    """The medians of seconds by the clock and of seconds that the processor computed."""
    return [f"{statistics.median(values):.0f}" for values in zip(*costs, strict=True)]


def describe(results: list[TestResult]) -> str:
    """The accuracy over all results together, with its 95 % interval."""
    correct, total = (
        sum(getattr(result, name) for result in results) for name in ("correct", "total")
    )
    low, high = wilson_interval(correct, total)
    return f"{100 * correct / total:.1f} % ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
