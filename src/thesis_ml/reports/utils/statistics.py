"""Means over seeds, and which differences between groups are real."""

import itertools
import math
from collections.abc import Mapping, Sequence

from scipy.special import stdtr, stdtrit

from thesis_ml.reports.comparison import PairTest, Spread

LEVEL = 0.05
"""Chance to call one of all pairs different though none is."""


def spread(values: Sequence[float]) -> Spread:
    """Return mean, sample standard deviation and number of the values that are numbers."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Spread(math.nan, math.nan, 0)
    mean = math.fsum(known) / len(known)
    if len(known) == 1:
        return Spread(mean, math.nan, 1)
    return Spread(mean, math.sqrt(math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)), len(known))


def welch_p_value(first: Spread, second: Spread) -> float:
    """Return the two-sided p-value that two means are equal, without taking their spreads for equal.

    Source: B. L. Welch, Biometrika 34 (1947) 28: t = (m1 - m2) / sqrt(s1^2 / n1 + s2^2 / n2).

    Returns:
        nan when a group has fewer than two values.
    """
    error, freedom = _combine(first, second)
    if math.isnan(error):
        return math.nan
    difference = abs(first.mean - second.mean)
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * stdtr(freedom, -difference / error))


def find_resolvable(first: Spread, second: Spread, n_pairs: int = 1) -> float:
    """Return the smallest difference of means that Welch's test surely calls different at `LEVEL`.

    Holm's correction divides the level by at most the number of pairs, so that a pair which differs by more is
    resolved whatever the others do.
    """
    error, freedom = _combine(first, second)
    return error if not error > 0 else float(stdtrit(freedom, 1 - LEVEL / n_pairs / 2)) * error


def find_critical_difference(n: int, n_pairs: int = 1) -> float:
    """Return that difference in standard deviations, for two groups of n values and equal spread: 2.27 at n = 3."""
    unit = Spread(0.0, 1.0, n)
    return find_resolvable(unit, unit, n_pairs) if n >= 2 else math.nan


def correct_holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number; nan stays and does not count.

    Source: S. Holm, Scand. J. Stat. 6 (1979) 65: the k-th smallest of m, times m - k + 1, and never falling.
    """
    order = sorted((p_value, place) for place, p_value in enumerate(p_values) if not math.isnan(p_value))
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p_value, place) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_value))
        corrected[place] = largest
    return corrected


def check_pairs(spreads: Mapping[str, Spread]) -> tuple[PairTest, ...]:
    """Return the test of every pair of groups that have the number, the smaller mean first in each."""
    known = {label: one for label, one in spreads.items() if one.n > 0}
    pairs = [
        (first, second) if known[first].mean <= known[second].mean else (second, first)
        for first, second in itertools.combinations(known, 2)
    ]
    p_values = [welch_p_value(known[first], known[second]) for first, second in pairs]
    n_tested = max(sum(not math.isnan(p_value) for p_value in p_values), 1)
    return tuple(
        PairTest(
            first=first,
            second=second,
            ratio=_divide(known[second].mean, known[first].mean),
            p_value=p_value,
            is_resolved=p_value < LEVEL,
            resolvable=find_resolvable(known[first], known[second], n_tested),
        )
        for (first, second), p_value in zip(pairs, correct_holm(p_values), strict=True)
    )


def _combine(first: Spread, second: Spread) -> tuple[float, float]:
    """Return the standard error of the difference of two means, and its degrees of freedom."""
    if first.n < 2 or second.n < 2:
        return math.nan, math.nan
    parts = [one.sd**2 / one.n for one in (first, second)]
    total = sum(parts)
    if total == 0:
        return 0.0, math.nan
    # Relative parts, because squares of small variances are below the smallest number.
    shares = [part / total for part in parts]
    return math.sqrt(total), 1 / sum(share**2 / (one.n - 1) for share, one in zip(shares, (first, second), strict=True))


def _divide(value: float, by: float) -> float:
    return value / by if by else math.nan
