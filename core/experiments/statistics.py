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


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean that values are drawn around (Student's t).

    Args:
        values: at least two.

    Source: Student, Biometrika 6 (1908) 1.
    """
    found = spread(values)
    return _around(found.mean, found.deviation / math.sqrt(found.count), found.count - 1)


def paired_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of how much the second values exceed the first, each compared with its own partner.

    Args:
        first, second: equally many, at least two.
    """
    return t_interval([mine - other for other, mine in zip(first, second, strict=True)])


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of how much the mean of the second values exceeds that of the first; spreads may differ.

    Args:
        first, second: at least two values each.

    Source: Welch, Biometrika 34 (1947) 28.
    """
    mine, theirs = spread(second), spread(first)
    parts = [each.deviation**2 / each.count for each in (theirs, mine)]
    error = math.sqrt(sum(parts))
    freedom = 1.0
    if error:
        freedom = sum(parts) ** 2 / sum(
            part**2 / (each.count - 1) for part, each in zip(parts, (theirs, mine), strict=True)
        )
    return _around(mine.mean - theirs.mean, error, freedom)


def gain_interval(only_first: int, only_second: int, total: int) -> tuple[float, float]:
    """The 95 % interval of how much better the second answerer is, in percentage points of the images.

    The wider, at each end, of two: the exact one among the images that the two differ on, which holds 0 whenever
    McNemar's exact test finds no difference; and the one that also allows for how many those happen to be.

    Args:
        only_first: images that only the first names rightly.
        only_second: images that only the second names rightly.
        total: all images.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404; Bonett and Price, J. Educ. Behav. Stat. 37 (2012) 479.
    """
    from scipy.special import betaincinv

    discordant = only_first + only_second
    low = float(betaincinv(only_second, only_first + 1, 0.025)) if only_second else 0.0
    high = float(betaincinv(only_second + 1, only_first, 0.975)) if only_first else 1.0
    exact = [(2 * share - 1) * discordant / total for share in (low, high)]
    first, second = (only_first + 1) / (total + 2), (only_second + 1) / (total + 2)
    gain = second - first
    reach = Z95 * math.sqrt((first + second - gain * gain) / (total + 2))
    return 100 * min(exact[0], gain - reach), 100 * max(exact[1], gain + reach)


def _around(centre: float, error: float, freedom: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    reach = float(stdtrit(freedom, 0.975)) * error
    return centre - reach, centre + reach
