"""Recipes: configs with a name, a goal and a result, from the seed's three set-ups onwards."""

from __future__ import annotations

from dataclasses import dataclass

from core.config import RunConfig
from core.errors import ConfigError, listed


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named set-up: what it is for, in the seed's form (targets before, results after)."""

    title: str
    summary: str
    targets: tuple[str, ...]
    config: RunConfig
    shipped: bool = True
    """Whether a run of it, with the recipe's name, comes with the app."""


_ORIGINAL = RunConfig(initialisation="xavier", momentum=0.9, dropout=0.01)

# The record recipes share what a search on held-out training images settled (tests/benchmarks/search.py).
_RECORD = RunConfig(
    initialisation="he",
    schedule="triangle",
    lr=0.02,
    max_lr=0.2,
    warmup=0.15,
    nesterov=True,
    batch_size=64,
    ema_decay=0.998,
    augmentation="stretch",
    augment_fraction=0.87,
)
_TAUGHT = _RECORD.changed(teacher="teacher", teacher_share=0.9, temperature=2.0)

RECIPES: dict[str, Recipe] = {
    "initial": Recipe(
        "Initial",
        "A first network that works, larger than it needs to be.",
        (
            "A basic network that trains on MNIST",
            "Transformations through Albumentations",
            "Look at its outputs",
        ),
        _ORIGINAL.changed(
            architecture="initial", schedule="one-cycle", lr=0.01, max_lr=0.01, augmentation="none"
        ),
    ),
    "intermediate": Recipe(
        "Intermediate",
        "The same goal with fewer than a quarter of the parameters.",
        ("A network below 8,000 parameters", "Look at its outputs"),
        # The network underfits at this low rate; more momentum lengthens the steps without changing the seed's rates.
        _ORIGINAL.changed(
            architecture="original-3762",
            schedule="one-cycle",
            lr=0.01,
            max_lr=0.01,
            augmentation="none",
            momentum=0.98,
            dropout=0.0,
        ),
    ),
    "final": Recipe(
        "Final",
        "Augmentation, a teacher, Muon and a custom one-cycle take the small network above 99.4 %.",
        (
            "Above 99.4 % on the test images in 15 epochs",
            "A custom one-cycle schedule",
            "Augmentation as regularisation",
            "A teacher's answers besides the labels",
        ),
        # The network is full, and what it lacks is to be trained well: orthogonal steps did more for it on held-out
        # images than anything else.
        _TAUGHT.changed(
            architecture="original-3762",
            schedule="original-one-cycle",
            lr=0.05,
            max_lr=0.1,
            optimizer="muon",
        ),
    ),
    "sprint": Recipe(
        "Sprint",
        "About 99.4 % in less than a minute on two cores: folded pixels, 16 channels, no teacher.",
        ("99.4 % with fewer than 8,000 parameters", "The least time on two CPU cores"),
        # Large batches occupy two threads, and both of them train: nobody is left to augment ahead, which costs less.
        # Warm-up, momentum, decay and average are where a sweep on held-out images led.
        _RECORD.changed(
            architecture="unshuffle-vote-7786",
            lr=0.05,
            max_lr=0.48,
            warmup=0.3,
            momentum=0.93,
            weight_decay=5e-4,
            batch_size=256,
            ema_decay=0.99,
            threads=2,
        ),
    ),
    "tiny": Recipe(
        "Tiny",
        "About 99.4 % with 3,514 parameters: separable convolutions and a teacher's answers.",
        ("99.4 % with fewer than 3,762 parameters", "15 epochs at most"),
        _TAUGHT.changed(architecture="tiny-3514"),
    ),
    "best": Recipe(
        "Best",
        "The most that fewer than 8,000 parameters can do in 15 epochs.",
        ("As far above 99.4 % as possible with fewer than 8,000 parameters", "15 epochs at most"),
        _TAUGHT.changed(architecture="deep-7846", batch_size=128),
    ),
    "teacher": Recipe(
        "Teacher",
        "Large and quick to ask: the small networks learn from its answers.",
        ("Know more than a network below 8,000 parameters can", "Be cheap to ask on a CPU"),
        _RECORD.changed(architecture="teacher-179018", dropout=0.2, batch_size=128),
    ),
    # What a beginner would pick instead, to measure the others against.
    "pytorch-example": Recipe(
        "PyTorch's example",
        "The network and loop of PyTorch's own MNIST example: large, and without tricks.",
        ("What a beginner finds first, to measure the others against",),
        RunConfig(
            architecture="pytorch-example",
            optimizer="adadelta",
            schedule="exponential",
            lr=1.0,
            gamma=0.7,
            batch_size=64,
            epochs=14,
        ),
        shipped=False,
    ),
    "keras-style": Recipe(
        "Keras's example",
        "A plain small convolutional network with Adam at one rate, as in Keras's examples.",
        ("What a beginner finds next, to measure the others against",),
        RunConfig(
            architecture="keras-style",
            initialisation="xavier",
            optimizer="adam",
            schedule="constant",
            lr=0.001,
            batch_size=128,
            epochs=15,
        ),
        shipped=False,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        ConfigError: there is none; the sentence lists those there are.
    """
    if name not in RECIPES:
        raise ConfigError(f"there is no recipe {name[:40]!r}; choose {listed(RECIPES)}.")
    return RECIPES[name]
