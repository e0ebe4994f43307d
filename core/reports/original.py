"""The original's own figures, beside what the same set-ups reach here.

Sources: the original's tables ("Create an MNIST network from scratch", 2023), and for Intermediate,
where it repeats Initial's table by mistake, the log of its own run (parrotletml/era_session_seven).
"""

from __future__ import annotations

from dataclasses import dataclass

from core.experiments.measurements import Measurement
from core.experiments.statistics import compute_statistics


@dataclass(frozen=True, slots=True)
class PrintedRun:
    """One run of the original, with the figures that it printed."""

    stated: float
    """The accuracy that its text states for the set-up, in percent."""
    accuracies: tuple[float, ...]
    """On the test images after each epoch, in percent."""
    train_accuracy: float
    """In the last epoch, in percent."""
    test_loss: float
    """After the last epoch: mean nll per image, in nats."""

    @property
    def last(self) -> float:
        """Accuracy after the last epoch, in percent."""
        return self.accuracies[-1]

    @property
    def best_epoch(self) -> int:
        """The first epoch with the highest accuracy on the test images, counted from 1."""
        return self.accuracies.index(max(self.accuracies)) + 1


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


# By the recipe that repeats the set-up exactly.
PRINTED: dict[str, PrintedRun] = {
    "initial-published": PrintedRun(
        99.15,
        _numbers(
            "96.23 97.96 98.10 98.52 98.66 98.68 98.98 98.80 "
            "99.12 98.94 99.09 99.00 99.20 99.13 99.15"
        ),
        99.91,
        0.0328,
    ),
    "intermediate-published": PrintedRun(
        99.19,
        _numbers(
            "97.80 98.09 98.37 98.54 98.66 98.93 99.17 98.96 "
            "98.86 98.83 98.87 99.16 99.07 99.00 99.19"
        ),
        98.89,
        0.0229,
    ),
    "final-published": PrintedRun(
        99.43,
        _numbers(
            "97.60 97.97 98.49 98.58 98.98 99.09 99.35 99.36 "
            "99.35 99.37 99.43 99.41 99.38 99.36 99.35"
        ),
        98.94,
        0.0184,
    ),
}


def explain_difference(printed: PrintedRun, measured: Measurement) -> str:
    """Say in one sentence why the figure that the original states differs from the mean here."""
    mean, count, best = measured.accuracy.mean, len(measured.runs), measured.best_accuracy
    epochs, seeds = len(printed.accuracies), f"{count} seed{'' if count == 1 else 's'}"
    here = f"with its settings {mean:.3f} % is the mean of {seeds} after the last epoch"
    if printed.stated > printed.last:
        return (
            f"The original's {printed.stated:.2f} % is the best of {epochs} epochs on the test "
            f"images, in one run whose last epoch has {printed.last:.2f} %; here {here}, and the "
            f"best epochs of the same runs, chosen in the same way, have {best.mean:.2f} % on "
            "average."
        )
    accuracy = measured.accuracy
    if accuracy.smallest <= printed.last <= accuracy.largest:
        place = "lies within"
    else:
        place = "lies above" if printed.last > accuracy.largest else "lies below"
    return (
        f"The original's {printed.stated:.2f} % is the last epoch of one run; here {here}, and the "
        f"original's run {place} the range of these runs, {accuracy.smallest:.2f} to "
        f"{accuracy.largest:.2f} %."
    )


def mean_accuracies(measured: Measurement) -> list[tuple[float, float, float]]:
    """Mean, smallest and largest accuracy over seeds after each epoch, in percent."""
    rows = []
    for errors in zip(*(run.errors_by_epoch for run in measured.runs), strict=True):
        accuracies = [
            100 * (run.images - count) / run.images
            for run, count in zip(measured.runs, errors, strict=True)
        ]
        figures = compute_statistics(accuracies)
        rows.append((figures.mean, figures.smallest, figures.largest))
    return rows
