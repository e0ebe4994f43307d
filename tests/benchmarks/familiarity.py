"""Measure which drawings are said not to look like a digit, by several methods.

    python tests/benchmarks/familiarity.py
    python tests/benchmarks/familiarity.py --write

Draws digits, letters, scribbles, and nearly blank and nearly full pictures by the app's own
rendering and preparation, and prints the share of digits that each method accepts and the share of
everything else that it rejects. The limit of each accepts 96 % of the same 5,000 training digits.
Methods were chosen on one half of letters and hands (--half first), and are reported on the other.
With --write, the app's method is fitted again and core/insight/familiarity.npz replaced; it sees
training digits and random strokes, but no letter. Takes about four minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import machine, parser, report, table
from torch import nn

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from drawn_sets import (  # noqa: E402
    HANDS,
    draw_digits,
    draw_letters,
    draw_nearly_blank,
    draw_nearly_full,
    draw_random_strokes,
    draw_scribbles,
    print_letters,
)

from core.data import dataset  # noqa: E402
from core.insight import familiarity  # noqa: E402
from core.insight.familiarity import (  # noqa: E402
    FILE,
    class_distances,
    combine_scores,
    edge_features,
    measure_strangeness,
    stroke_scores,
)
from core.insight.predictions import predict  # noqa: E402
from core.runs.folders import SHIPPED  # noqa: E402
from core.runs.loading import load_model  # noqa: E402
from core.runs.store import open_run  # noqa: E402

Method = Callable[[np.ndarray], np.ndarray]
AXES, HIDDEN = 20, 64
ACCEPTED = 0.96  # of the training digits that set the limit
KEPT = 5_000  # training digits that set it
REFERENCE = 20_000  # training digits among which the nearest are searched
# The seeds of what the method is fitted to are others than those of what it is measured on.
FIT_SEED = 77
HALVES = {
    "first": ("AFKNPTX", "AFKNTXafknrx", range(0, HANDS, 2), 0),
    "second": ("EHMRVWY", "EHMRWYehmtw", range(1, HANDS, 2), 1),
}


def draw_sets(half: str) -> dict[str, np.ndarray]:
    """The drawings of one half by kind, each (n, 28, 28) uint8."""
    letters, printed, hands, seed = HALVES[half]
    return {
        "drawn digits": draw_digits(hands),
        "letters by hand": draw_letters(letters, hands),
        "printed letters": print_letters(printed, seed),
        "scribbles": draw_scribbles(100, seed),
        "nearly blank": draw_nearly_blank(100, seed),
        "nearly full": draw_nearly_full(60, seed),
    }


def split_training(images: np.ndarray, labels: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """Training digits to fit to, their labels, and those that set the limit."""
    order = np.random.default_rng(0).permutation(len(images))
    return images[order[KEPT:]], labels[order[KEPT:]], images[order[:KEPT]]


def fit_classes(features: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, largest principal axes and variances of the features of each class."""
    parts: dict[str, list[Any]] = {"means": [], "axes": [], "variances": [], "rests": []}
    for digit in range(10):
        members = features[labels == digit]
        variances, axes = np.linalg.eigh(np.cov(members, rowvar=False))
        largest = variances[::-1][:AXES]
        parts["means"].append(members.mean(axis=0))
        parts["axes"].append(axes[:, ::-1][:, :AXES].T)
        # A tenth of the mean is added, since few digits fix the smaller variances.
        parts["variances"].append(largest + 0.1 * largest.mean())
        parts["rests"].append(variances[:-AXES].mean())
    return {name: np.array(values) for name, values in parts.items()}


def fit_network(digits: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    """Train the small network on features of digits and of random strokes."""
    torch.manual_seed(0)
    x = torch.from_numpy(np.concatenate([digits, others]))
    y = torch.cat([torch.zeros(len(digits)), torch.ones(len(others))])
    mean, deviation = x.mean(0), x.std(0) + 1e-2
    net = nn.Sequential(
        nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.2), nn.Linear(HIDDEN, 1)
    )
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    epochs, steps = 10, len(x) // 256
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(x))[: 256 * steps].reshape(steps, 256):
            scores = net((x[batch] - mean) / deviation)[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(scores, y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    first, last = net[0], net[3]
    hidden = first.weight / deviation
    return {
        "hidden": hidden.detach().numpy(),
        "hidden_bias": (first.bias - hidden @ mean).detach().numpy(),
        "output": last.weight[0].detach().numpy(),
    }


def write_fit(images: np.ndarray, labels: np.ndarray, limit_digits: np.ndarray) -> None:
    """Fit the app's method and write its file."""
    others = np.concatenate(
        [
            draw_random_strokes(20_000, FIT_SEED),
            draw_scribbles(2_000, FIT_SEED),
            draw_nearly_blank(500, FIT_SEED),
            draw_nearly_full(500, FIT_SEED),
        ]
    )
    features = edge_features(images)
    fit = fit_classes(features, labels) | fit_network(features, edge_features(others))
    small = {"means", "axes", "hidden"}  # the large arrays
    fit = {name: a.astype(np.float16 if name in small else np.float32) for name, a in fit.items()}
    rounded = {name: array.astype(np.float32) for name, array in fit.items()}
    kept = edge_features(limit_digits)
    distances = class_distances(kept, rounded).min(axis=1)
    scores = stroke_scores(kept, rounded)
    standards = [distances.mean(), distances.std(), scores.mean(), scores.std()]
    rounded["standards"] = fit["standards"] = np.array(standards, np.float32)
    combined = combine_scores(distances, scores, rounded)
    fit["limit"] = np.array(np.quantile(combined, ACCEPTED), np.float32)
    np.savez_compressed(FILE, **fit)
    familiarity._load.cache_clear()


def nearest_method(describe: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> Method:
    """The mean distance to the three nearest of some training digits, after 64 components."""
    features = describe(images)
    mean = features.mean(axis=0)
    axes = np.linalg.eigh(np.cov(features, rowvar=False))[1][:, ::-1][:, :64].astype(np.float32)
    reference = torch.from_numpy((features - mean) @ axes)

    def measure(queries: np.ndarray) -> np.ndarray:
        points = torch.from_numpy((describe(queries) - mean) @ axes)
        return np.concatenate(
            [
                torch.cdist(part, reference).topk(3, largest=False).values.mean(1).numpy()
                for part in points.split(500)
            ]
        )

    return measure


def describe_pixels(images: np.ndarray) -> np.ndarray:
    """Pixels (N, 784) of length 1."""
    pixels = images.reshape(len(images), -1).astype(np.float32)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-6)


def make_methods(images: np.ndarray) -> dict[str, Method]:
    """Methods by name; each gives more the less an image looks like a digit."""
    fit, final = familiarity._load(), load_model(open_run("final", SHIPPED))
    some = images[:REFERENCE]
    return {
        "both scores, the app's": measure_strangeness,
        "distance to the nearest class": lambda x: class_distances(edge_features(x), fit).min(1),
        "network against random strokes": lambda x: stroke_scores(edge_features(x), fit),
        "nearest digits by edges": nearest_method(edge_features, some),
        "nearest digits by pixels": nearest_method(describe_pixels, some),
        "highest probability of `final`": lambda x: -predict(final, x).max(axis=1),
    }


def measure(
    methods: Mapping[str, Method], sets: Mapping[str, np.ndarray], limit_digits: np.ndarray
) -> list[list[str]]:
    """A row per method: accepted digits and rejected others, in percent."""
    rows = []
    for name, method in methods.items():
        limit = np.quantile(method(limit_digits), ACCEPTED)
        accepted = {kind: 100 * (method(images) <= limit).mean() for kind, images in sets.items()}
        shares = [share if "digits" in kind else 100 - share for kind, share in accepted.items()]
        rows.append([name, *(f"{share:.1f}" for share in shares)])
    return rows


def main() -> None:
    """Measure, and fit first where asked to."""
    arguments = parser(__doc__)
    arguments.add_argument("--half", choices=HALVES, default="second", help="letters and hands")
    arguments.add_argument("--write", action="store_true", help="fit and replace the app's file")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    mnist = dataset.load()
    images, labels, limit_digits = split_training(
        mnist.train.images.numpy(), mnist.train.labels.numpy()
    )
    if options.write:
        write_fit(images, labels, limit_digits)
    sets = {"MNIST's test digits": mnist.test.images.numpy(), **draw_sets(options.half)}
    rows = measure(make_methods(images), sets, limit_digits)
    drawings = list(sets["drawn digits"])
    start = time.perf_counter()
    for drawing in drawings:
        measure_strangeness(drawing[None])
    milliseconds = 1000 * (time.perf_counter() - start) / len(drawings)
    counts = ", ".join(f"{len(images):,} {kind}" for kind, images in sets.items())
    report(
        [
            f"{machine()}. {counts}. {milliseconds:.1f} ms a drawing; "
            f"{Path(FILE).name} has {FILE.stat().st_size / 1000:.0f} kB.",
            table(["method", *(f"{kind}, %" for kind in sets)], rows),
        ],
        options.output,
    )


if __name__ == "__main__":
    main()
