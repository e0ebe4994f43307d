"""Train variants of recipes, validate on 10,000 training images, print search.md's table.

    python tests/benchmarks/search.py teacher tiny best           # those named; none named: all
    python tests/benchmarks/search.py --table                     # only prints what has been tried

The variants are ordinary runs in a folder of their own, with 50,000 images to learn from; a teacher
is trained on the same 50,000, so that it has not seen the held-out ones either. Started again, it
trains only what is missing. The table shows validation accuracy and loss after the last epoch, by
which recipes were chosen, and no test result.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.config import RunConfig  # noqa: E402
from core.data.presets import with_whole_shifts  # noqa: E402
from core.errors import RunError  # noqa: E402
from core.models.architectures import rows_of, separable_network  # noqa: E402
from core.models.summary import summarise  # noqa: E402
from core.runs import (  # noqa: E402
    creation,
    run_queue,
    store,
)

POLL = 2.0
BASE = RunConfig(
    schedule="triangle",
    lr=0.02,
    max_lr=0.2,
    warmup=0.15,
    nesterov=True,
    batch_size=128,
    ema_decay=0.998,
    initialisation="he",
    augmentation="stretch",
    augment_fraction=0.87,
    precision="bf16",
    holdout=10_000,
)
TEACHER = BASE.changed(architecture="teacher-179018", dropout=0.2)
TAUGHT = BASE.changed(teacher="teacher", teacher_share=0.9, temperature=2.0)
SMALL = TAUGHT.changed(batch_size=64)
THREE = "teacher+teacher-2+teacher-3"
QUICK = BASE.changed(
    architecture="unshuffle-vote-7786",
    max_lr=0.3,
    lr=0.03,
    epochs=12,
    augment_fraction=0.84,
    augmentation="final-moves",
)


def small(stem: int, early: tuple[int, ...], late: tuple[int, ...], **more: Any) -> RunConfig:
    """A distilled network of these channels."""
    return SMALL.changed(layers=separable_network(stem, early, late), **more)


VARIANTS: dict[str, tuple[str, RunConfig]] = {
    "teacher": ("the teacher: pixels folded into channels, 64 and 96 channels, batch 128", TEACHER),
    "teacher-2": ("the teacher with seed 2", TEACHER.changed(seed=2)),
    "teacher-3": ("the teacher with seed 3", TEACHER.changed(seed=3)),
    "tiny-three": (
        "six separable convolutions of 16 channels, three teachers together",
        SMALL.changed(architecture="tiny-2650", teacher=THREE),
    ),
    "tiny-three-4": (
        "the same at temperature 4",
        SMALL.changed(architecture="tiny-2650", teacher=THREE, temperature=4.0),
    ),
    "tiny": ("the same, one teacher at temperature 2", SMALL.changed(architecture="tiny-2650")),
    "tiny-cycle": (
        "the same with the original's custom one-cycle, 0.1 to 0.2",
        SMALL.changed(architecture="tiny-2650", schedule="original-one-cycle", lr=0.1),
    ),
    "tiny-2416": (
        "six separable convolutions, the early ones with 14 channels",
        small(8, (14, 14, 14), (16, 16, 16)),
    ),
    "tiny-wider": (
        "six separable convolutions of 18 and 20 channels",
        small(8, (18, 18, 18), (20, 20, 20)),
    ),
    "tiny-deeper": (
        "Tiny: eight separable convolutions of 16 channels",
        small(8, (16,) * 4, (16,) * 4),
    ),
    "tiny-2900": ("eight separable convolutions of 14 channels", small(8, (14,) * 4, (14,) * 4)),
    "sprint": ("Sprint's network, batch 128, 12 epochs, affine only", QUICK),
    "sprint-stretch": ("the same, stretched", QUICK.changed(augmentation="stretch")),
    "sprint-cycle": (
        "the same, with the original's custom one-cycle, 0.15 to 0.3",
        QUICK.changed(augmentation="stretch", schedule="original-one-cycle", lr=0.15),
    ),
    "sprint-15": (
        "Sprint's network, batch 128, 15 epochs, stretched",
        QUICK.changed(augmentation="stretch", epochs=15, augment_fraction=0.87),
    ),
    "best": (
        "six separable convolutions of 26 and 34 channels, batch 128, stretched",
        TAUGHT.changed(architecture="wide-7124"),
    ),
    "best-moves": (
        "the same, affine only",
        TAUGHT.changed(architecture="wide-7124", augmentation="final-moves"),
    ),
    "best-64": ("the same, stretched, at batch 64", SMALL.changed(architecture="wide-7124")),
    "best-cycle": (
        "the same with the original's custom one-cycle, 0.1 to 0.2",
        SMALL.changed(architecture="wide-7124", schedule="original-one-cycle", lr=0.1),
    ),
    "best-deeper": (
        "eight separable convolutions of 24 and 28 channels (Best has 24 and 29)",
        TAUGHT.changed(layers=separable_network(12, (24,) * 4, (28,) * 4)),
    ),
    "final": (
        "the original's network, triangle, batch 64",
        SMALL.changed(architecture="original-3762"),
    ),
    "final-moves": (
        "the original's network, triangle to 0.1, batch 32, affine only",
        SMALL.changed(
            architecture="original-3762",
            batch_size=32,
            max_lr=0.1,
            lr=0.01,
            ema_decay=0.999,
            augmentation="final-moves",
        ),
    ),
    "final-cycle": (
        "the original's network, custom one-cycle 0.1 to 0.2, batch 64",
        SMALL.changed(architecture="original-3762", schedule="original-one-cycle", lr=0.1),
    ),
    "final-cycle-low": (
        "the original's rates, batch 64",
        SMALL.changed(
            architecture="original-3762", schedule="original-one-cycle", lr=0.05, max_lr=0.1
        ),
    ),
    "final-cycle-32": (
        "the original's rates, batch 32",
        SMALL.changed(
            architecture="original-3762",
            schedule="original-one-cycle",
            lr=0.05,
            max_lr=0.1,
            batch_size=32,
            ema_decay=0.999,
        ),
    ),
    "final-muon": (
        "Final: the original's rates, batch 64, Muon instead of SGD",
        SMALL.changed(
            architecture="original-3762",
            schedule="original-one-cycle",
            lr=0.05,
            max_lr=0.1,
            optimizer="muon",
            precision="fp32",
        ),
    ),
    "final-muon-2": (
        "the same with seed 2",
        SMALL.changed(
            architecture="original-3762",
            schedule="original-one-cycle",
            lr=0.05,
            max_lr=0.1,
            optimizer="muon",
            precision="fp32",
            seed=2,
        ),
    ),
}
# They were tried before affine transforms could shift by fractions of a pixel.
VARIANTS = {name: (words, with_whole_shifts(config)) for name, (words, config) in VARIANTS.items()}


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", default=[], help=", ".join(VARIANTS))
    parser.add_argument("--folder", type=Path, default=ROOT / "bench-runs" / "search")
    parser.add_argument("--table", action="store_true", help="train nothing")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in [] if options.table else options.variants or VARIANTS:
        train(name, folder)
    print(
        "| variant | parameters | epochs | validation accuracy | validation loss |\n"
        "|---|---|---|---|---|"
    )
    for name, (words, config) in VARIANTS.items():
        print(line(name, words, config, folder), end="")


def train(name: str, folder: Path) -> None:
    """Train a variant, and wait for it, unless it is finished."""
    config = VARIANTS[name][1]
    try:
        run = store.open_run(name, folder)
    except RunError:
        run = creation.create_run(config, name, folder=folder)
    if run.config != config:
        sys.exit(f"{name} in {folder} was made by another version of the variant; delete it first.")
    if run.state not in ("finished", "queued") and not run.is_live:
        run = run_queue.submit(name, folder)
    while run.is_live or run.state == "queued":
        time.sleep(POLL)
        run_queue.start_waiting(folder)
        run = store.open_run(name, folder)
    last = run.last
    print(
        f"{name}: {run.state}"
        + (f", {last.val_accuracy:.2f} %, {last.val_loss:.4f}" if last else ""),
        file=sys.stderr,
        flush=True,
    )


def line(name: str, words: str, config: RunConfig, folder: Path) -> str:
    """A line of the table; nothing where the variant has not been tried to its end."""
    try:
        run: Any = store.open_run(name, folder)
    except RunError:
        return ""
    if run.state != "finished":
        return ""
    parameters = summarise(rows_of(config)).total_params
    return (
        f"| {words} | {parameters:,} | {config.epochs} | {run.last.val_accuracy:.2f} % | "
        f"{run.last.val_loss:.4f} |\n"
    )


if __name__ == "__main__":
    main()
