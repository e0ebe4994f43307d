"""How sure an accuracy is: intervals for one run, mean and spread for several. No torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point


def wilson(correct: int, total: int, z: float = Z95) -> tuple[float, float]:
    """The 95 % interval of a share, in percent.

    Args:
        correct: right answers, 0 to total.
        total: answers, at least 1.
        z: the normal quantile of the level.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209.
    """
    share = correct / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / scale
    return 100 * max(0.0, centre - reach), 100 * min(1.0, centre + reach)


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation (n - 1; 0 for one value), smallest and largest of some values."""

    count: int
    mean: float
    deviation: float
    smallest: float
    largest: float


def spread(values: Sequence[float]) -> Spread:
    """How values lie.

    Args:
        values: at least one.
    """
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return Spread(len(values), statistics.fmean(values), deviation, min(values), max(values))
