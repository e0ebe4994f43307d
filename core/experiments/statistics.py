"""Confidence intervals of accuracies and of their differences. Must not import torch.

scipy does the work, and is imported where it is needed: it takes a second, which a first paint does
not have. The one exception is Wilson's interval, which the list of runs shows for every run.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Z95 = statistics.NormalDist().inv_cdf(0.975)


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of an accuracy, in percent.

    Args:
        correct: correct predictions, 0 to total.
        total: predictions, at least 1.

    Source: Wilson, J. Am. Stat. Assoc. 22 (1927) 209; equal to scipy's
    `binomtest(correct, total).proportion_ci(method="wilson")`.
    """
    share = correct / total
    scale = 1 + Z95**2 / total
    centre = (share + Z95**2 / (2 * total)) / scale
    half = Z95 * math.sqrt(share * (1 - share) / total + Z95**2 / (4 * total**2)) / scale
    return 100 * max(0.0, centre - half), 100 * min(1.0, centre + half)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Descriptive statistics of a sample."""

    count: int
    mean: float
    deviation: float
    """Sample standard deviation, with n - 1; 0 for one value."""
    smallest: float
    largest: float


def compute_statistics(values: Sequence[float]) -> Statistics:
    """Compute the descriptive statistics of a sample of at least one value."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return Statistics(len(values), statistics.fmean(values), deviation, min(values), max(values))


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of a mean, by Student's t.

    Args:
        values: a sample of at least two.

    Equal to scipy's `ttest_1samp(values, 0).confidence_interval()`, whose module takes a second to
    load, which the first page does not have.
    """
    from scipy.special import stdtrit

    mean, count = statistics.fmean(values), len(values)
    half = float(stdtrit(count - 1, 0.975)) * statistics.stdev(values) / math.sqrt(count)
    return mean - half, mean + half


def paired_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the mean of second - first, by Student's t on the pairs.

    Args:
        first, second: samples of equal length, at least two.
    """
    # Rounded, so that equal differences of percentages are equal as floats too.
    return t_interval([round(b - a, 9) for a, b in zip(first, second, strict=True)])


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of mean(second) - mean(first), by Welch's t (unequal variances).

    Args:
        first, second: samples of at least two each.
    """
    from functools import partial

    from scipy.stats import ttest_ind

    return _interval_of(partial(ttest_ind, equal_var=False), second, first)


def accuracy_difference_interval(
    only_first: int, only_second: int, total: int
) -> tuple[float, float]:
    """95 % confidence interval of the second accuracy minus the first, in percentage points.

    Both networks are tested on the same images. The interval spans two: the exact one given the
    number of images on which just one network is correct, which holds 0 if and only if McNemar's
    exact test finds no difference; and one that also allows for chance in that number.

    Args:
        only_first: images on which only the first is correct.
        only_second: images on which only the second is correct.
        total: all images.

    Source: Clopper and Pearson, Biometrika 26 (1934) 404; Bonett and Price, J. Educ. Behav.
    Stat. 37 (2012) 479.
    """
    from scipy.stats import binomtest

    discordant = only_first + only_second
    low, high = 0.0, 1.0
    if discordant:
        low, high = binomtest(only_second, discordant).proportion_ci(method="exact")
    exact = [(2 * share - 1) * discordant / total for share in (low, high)]
    first, second = (only_first + 1) / (total + 2), (only_second + 1) / (total + 2)
    gain = second - first
    half = Z95 * math.sqrt((first + second - gain * gain) / (total + 2))
    return 100 * float(min(exact[0], gain - half)), 100 * float(max(exact[1], gain + half))


def _interval_of(test: Any, *samples: Any) -> tuple[float, float]:
    with warnings.catch_warnings():
        # Samples without any variance give an interval of length 0, which is right.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = test(*samples).confidence_interval()
    return float(interval.low), float(interval.high)
