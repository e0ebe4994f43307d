"""One epoch of `final` at batch 32, here and in the usual way, measured alternately.

    python tests/benchmarks/epoch.py --share 0.2 --rounds 3

The usual way: torchvision's MNIST through PIL, Albumentations for every image, normalised there, a
DataLoader with its best number of workers and of threads, and a plain loop that reads the loss at
every step. Both train the same network on the same augmentations in the same precision with plain
SGD, without averaging weights; the app too has its better number of threads. Both keep the memory
that a step frees, since the app asks for it in this process. With a share below
1 only so much of the epoch is done: the time to the first batch counts once, the rest is scaled to
    the whole epoch.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from measuring import alternate, machine, median, parser, report, table  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from core.config import RunConfig  # noqa: E402
from core.data import dataset  # noqa: E402
from core.data.augmentations import KINDS  # noqa: E402
from core.data.presets import transforms_of  # noqa: E402
from core.recipes import RECIPES  # noqa: E402
from core.task import MEAN, STD  # noqa: E402
from core.training import schedules  # noqa: E402
from core.training.evaluation import evaluate  # noqa: E402
from core.training.format_benchmarks import benchmark_formats  # noqa: E402
from core.training.plan import plan  # noqa: E402
from core.training.precision import DTYPES  # noqa: E402
from core.training.runtime import resolve_runtime  # noqa: E402
from core.training.trainer import Training  # noqa: E402
from tests.networks import build_model  # noqa: E402

WORKERS = (0, 1, 2)
THREADS = sorted({1, os.cpu_count() or 1})
PILOT = 0.3  # of the share, to find the best number of workers and threads
LIMIT = 20.0  # seconds after which a trial is scaled from what it has done by then


def main() -> None:
    """Find the usual way's best settings, measure both alternately, and report."""
    options = parser(__doc__)
    options.add_argument(
        "--share", type=float, default=1.0, help="of the epoch that is done, above 0 to 1"
    )
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--precisions", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    options.add_argument(
        "--images", type=int, default=60_000, help="to train on; fewer: a smaller dataset"
    )
    chosen = options.parse_args()
    data = first_images(dataset.load(), chosen.images)
    # Settings that the usual loop does not have are left out on both sides.
    base = RECIPES["final"].config.changed(
        batch_size=32,
        epochs=1,
        holdout=0,
        augmentation="stretch-whole",
        teacher="none",
        ema_decay=0.0,
        optimizer="sgd",
        nesterov=False,
    )
    where, rows, tried = machine(), [], []
    with tempfile.TemporaryDirectory() as folder:
        root = torchvision_root(Path(folder))
        for precision in chosen.precisions:
            config = base.changed(precision=precision)
            way = functools.partial(seeds, config, root, chosen.images)
            pilots = {
                settings: way(PILOT * chosen.share, *settings, limit=LIMIT)[0]
                for settings in itertools.product(WORKERS, THREADS)
            }
            best = min(pilots, key=pilots.__getitem__)
            tried += [
                (precision, *settings, f"{seconds:.1f}") for settings, seconds in pilots.items()
            ]
            checks: dict[str, list[float]] = {"app": [], "seed": []}
            own = {
                threads: app(config.changed(threads=threads), data, PILOT * chosen.share)[0]
                for threads in THREADS
            }
            tried += [
                (precision, "the app", threads, f"{seconds:.1f}")
                for threads, seconds in own.items()
            ]
            app_way = functools.partial(
                app, config.changed(threads=min(own, key=own.__getitem__)), data, chosen.share
            )
            figures = alternate(
                {
                    "app": noting(checks["app"], app_way),
                    "seed": noting(checks["seed"], functools.partial(way, chosen.share, *best)),
                },
                chosen.rounds,
            )
            rows.append(row(precision, figures, checks, "{} workers, {} threads".format(*best)))
    report(
        [
            f"{where}; {chosen.share:g} of an epoch of {chosen.images:,} images, "
            f"{chosen.rounds} rounds, medians",
            table(
                (
                    "precision",
                    "usual way s",
                    "app s",
                    "ratio",
                    "lowest, highest",
                    "validation: usual s",
                    "app s",
                    "ratio of both together",
                    "usual way with",
                ),
                rows,
            ),
            "Both with other settings, in a trial of "
            f"{PILOT * chosen.share:.3g} of an epoch, in seconds an epoch:",
            table(("precision", "workers", "threads", "s"), tried),
        ],
        chosen.output,
    )


def row(
    precision: str, figures: dict[str, list[float]], checks: dict[str, list[float]], settings: str
) -> list[str]:
    """A line of the table; ratios are of neighbours in time."""
    ratios = [seed / app for seed, app in zip(figures["seed"], figures["app"], strict=True)]
    both = [
        (seed + seed_check) / (app + app_check)
        for seed, seed_check, app, app_check in zip(
            figures["seed"], checks["seed"], figures["app"], checks["app"], strict=True
        )
    ]
    return [
        precision,
        f"{median(figures['seed']):.1f}",
        f"{median(figures['app']):.1f}",
        f"**{median(ratios):.2f}**",
        f"{min(ratios):.2f}, {max(ratios):.2f}",
        f"{median(checks['seed']):.1f}",
        f"{median(checks['app']):.1f}",
        f"{median(both):.2f}",
        settings,
    ]


def noting(checks: list[float], measure: Callable[[], tuple[float, float]]) -> Callable[[], float]:
    """A measurement of training alone that keeps the seconds of validation aside."""

    def measured() -> float:
        training, validation = measure()
        checks.append(validation)
        return training

    return measured


def app(config: RunConfig, data: dataset.Mnist, share: float) -> tuple[float, float]:
    """Seconds of an epoch's training and of its validation in this app."""
    training = Training(
        config,
        data,
        runtime=resolve_runtime(plan(config), data).changed(layout=best_layout(config, data)),
    )
    results = training.run()
    seconds = timed(results, training.steps, share)
    results.close()
    part = max(1, round(share * len(data.test.images)))
    began = time.perf_counter()
    evaluate(
        training.model,
        data.test.images[:part],
        data.test.labels[:part],
        training.device,
        training.dtype,
    )
    return seconds, (time.perf_counter() - began) * len(data.test.images) / part


def best_layout(config: RunConfig, data: dataset.Mnist) -> str:
    """The memory layout that a run with precision "auto" would choose within this precision."""
    run_plan = plan(config)
    runtime = resolve_runtime(run_plan, data)
    times = benchmark_formats(run_plan, torch.device(runtime.device), runtime.threads)
    return min(
        (name for name in times if name.startswith(config.precision)), key=times.__getitem__
    ).split()[1]


def seeds(
    config: RunConfig,
    root: Path,
    images: int,
    share: float,
    workers: int,
    threads: int,
    limit: float = math.inf,
) -> tuple[float, float]:
    """Seconds of an epoch's training and of its validation in the usual way."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        train, test = (loader(config, root, which, images, workers) for which in (True, False))
        model = build_model(config).to(device)
        steps = len(train)
        seconds = timed(loop(config, model, train, device), steps, share, limit)
        part = max(1, round(share * len(test)))
        began = time.perf_counter()
        validate(model, itertools.islice(test, part), device, DTYPES[config.precision])
        return seconds, (time.perf_counter() - began) * len(test) / part
    finally:
        torch.set_num_threads(before)


def loop(
    config: RunConfig, model: torch.nn.Module, batches: Any, device: torch.device
) -> Iterator[float]:
    """The training loop that everybody writes first."""
    dtype = DTYPES[config.precision]
    lr = schedules.rate(config, 0, len(batches))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=config.momentum)
    correct = 0
    model.train()
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(images)
        loss = F.nll_loss(F.log_softmax(logits.float(), dim=1), labels)
        loss.backward()
        optimizer.step()
        correct += logits.argmax(dim=1).eq(labels).sum().item()
        yield loss.item()


@torch.no_grad()
def validate(
    model: torch.nn.Module, batches: Any, device: torch.device, dtype: torch.dtype
) -> float:
    """Mean loss over a loader, as everybody writes it first."""
    model.eval()
    loss, count = 0.0, 0
    for images, labels in batches:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(images.to(device))
        loss += F.cross_entropy(logits.float(), labels.to(device), reduction="sum").item()
        count += len(labels)
    return loss / count


def timed(results: Any, steps: int, share: float, limit: float = math.inf) -> float:
    """Seconds for a number of results: the first as measured, the others scaled."""
    counted = min(steps, max(2, round(share * steps)))
    began = time.perf_counter()
    next(results)
    first = time.perf_counter() - began
    for done in range(2, counted + 1):
        next(results)
        if time.perf_counter() - began > limit:
            counted = done
            break
    return scaled(first, time.perf_counter() - began, counted, steps)


def scaled(first: float, seconds: float, counted: int, steps: int) -> float:
    """Seconds for `steps` where `counted` took `seconds`, of which the first one `first`."""
    return seconds if counted == steps else first + (seconds - first) / (counted - 1) * (steps - 1)


def loader(config: RunConfig, root: Path, train: bool, images: int, workers: int) -> Any:
    """The usual way to batches, on torchvision's dataset."""
    import albumentations as A
    import cv2
    import torchvision
    from albumentations.pytorch import ToTensorV2

    moves = (
        [KINDS[each["kind"]].build(A, cv2, each) for each in transforms_of(config)] if train else []
    )
    compose = A.Compose([*moves, A.Normalize(mean=(MEAN,), std=(STD,)), ToTensorV2()])
    digits: Any = torchvision.datasets.MNIST(str(root), train=train, transform=Transform(compose))
    if train and images < len(digits):
        digits = torch.utils.data.Subset(digits, range(images))
    return DataLoader(
        digits,
        batch_size=config.batch_size,
        shuffle=train,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


class Transform:
    """Albumentations where torchvision expects a function of a PIL image."""

    def __init__(self, compose: Any):
        self.compose = compose

    def __call__(self, picture: Any) -> torch.Tensor:
        """(1, 28, 28) float32."""
        return self.compose(image=np.array(picture))["image"]


def torchvision_root(folder: Path) -> Path:
    """A folder in which torchvision finds our copies of its files."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in dataset.FILES:
        shutil.copy(dataset.data_folder() / name, raw / name)
    return folder


def first_images(data: dataset.Mnist, images: int) -> dataset.Mnist:
    """The dataset with only the first training images."""
    return dataset.Mnist(data.train[:images], data.test)


if __name__ == "__main__":
    main()
