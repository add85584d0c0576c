"""Which differences between groups of models are significant."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from thesis_ml.metrics.uncertain import Measured, Spread

LEVEL = 0.05
"""Family-wise significance level: the chance of at least one false positive among all pairs."""


N_EXPERIMENTS = 4000
"""Drawn for a power, whose error they make 1%."""

NO_TEST = "no test: one seed, or seeds that do not differ"


@dataclass(frozen=True)
class PairTest:
    """The test of a difference in one number between two groups.

    Args:
        quantity: The number.
        first, second: Labels of the groups; the first is the better one.
        difference: How far the second is from the first, at least 0, with its standard error.
        p_seeds: p-value of Welch's test over the seeds; nan where a group has one seed.
        p_events: p-value of the test over the shared events; nan where the number is not one of events.
        least_significant: The smallest difference that these seeds show among all pairs; nan where it is not known.
        power: How often such a difference would be found, were it the true one.
    """

    quantity: str
    first: str
    second: str
    difference: Measured
    p_seeds: float
    p_events: float = math.nan
    least_significant: float = math.nan
    power: float = math.nan

    @property
    def is_significant(self) -> bool:
        """Return whether `p_seeds`, and `p_events` where there is one, are below LEVEL."""
        return self.p_seeds < LEVEL and not self.p_events >= LEVEL

    @property
    def outcome(self) -> str:
        """Return the outcome of the test in words."""
        if math.isnan(self.p_seeds):
            return NO_TEST
        return "significant" if self.is_significant else "not significant"


def compute_welch_p(first: Spread, second: Spread) -> float:
    """Return the two-sided p-value of Welch's t test, which does not assume equal variances.

    Source: B. L. Welch, Biometrika 34 (1947) 28: t = (m1 - m2) / sqrt(s1^2 / n1 + s2^2 / n2).

    Returns:
        nan when a group has fewer than two values, or when no values of either differ: their spread is then not known.
    """
    error, freedom = _combine(first, second)
    if not error > 0:
        return math.nan
    return float(2 * stdtr(freedom, -abs(first.mean - second.mean) / error))


def compute_student_p(differences: Spread) -> float:
    """Return the two-sided p-value of Student's t test that the mean of some differences is zero.

    Returns:
        nan for fewer than two values, or values that do not differ.
    """
    if not differences.sd > 0:
        return math.nan
    return float(2 * stdtr(differences.n - 1, -abs(differences.mean) / differences.sd * math.sqrt(differences.n)))


def find_least_significant(first: Spread, second: Spread, n_pairs: int = 1) -> float:
    """Return the smallest difference of means that Welch's test surely calls different at `LEVEL`.

    Holm's correction divides the level by at most the number of pairs, so that a larger difference is significant
    for any differences of the other pairs.
    """
    error, freedom = _combine(first, second)
    return float(stdtrit(freedom, 1 - LEVEL / n_pairs / 2)) * error if error > 0 else math.nan


def measure_power(first: Spread, second: Spread, difference: float, n_pairs: int = 1) -> float:
    """Return how often Welch's test calls two groups different whose true means differ by so much.

    Their true spreads are taken to be those found; the spreads of other experiments are drawn, because few seeds say
    little of them. The level is divided by the number of pairs, as Holm's correction does for the most significant one.
    """
    error, _ = _combine(first, second)
    if not error > 0 or math.isnan(difference):
        return math.nan
    generator = np.random.default_rng(0)
    drawn = [one.sd**2 / one.n * generator.chisquare(one.n - 1, N_EXPERIMENTS) / (one.n - 1) for one in (first, second)]
    total = drawn[0] + drawn[1]
    shares = [part / total for part in drawn]
    freedom = 1 / sum(share**2 / (one.n - 1) for share, one in zip(shares, (first, second), strict=True))
    bound = stdtrit(freedom, 1 - LEVEL / n_pairs / 2) * np.sqrt(total) / error
    shift = difference / error
    return float(np.mean(ndtr(shift - bound) + ndtr(-shift - bound)))


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


def compare_pairs(
    quantity: str, spreads: Mapping[str, Spread], *, larger_is_better: bool = False
) -> tuple[PairTest, ...]:
    """Return Welch's test of every pair of groups that have a number, corrected by Holm over all pairs.

    Args:
        quantity: Name of the number.
        spreads: Its spread over the seeds of each group.
        larger_is_better: Whether the group with the larger mean stands first in its pair.
    """
    known = {label: one for label, one in spreads.items() if one.n > 0}
    pairs = [
        (one, other) if (known[one].mean <= known[other].mean) != larger_is_better else (other, one)
        for one, other in itertools.combinations(known, 2)
    ]
    p_values = [compute_welch_p(known[first], known[second]) for first, second in pairs]
    n_tested = max(sum(not math.isnan(p_value) for p_value in p_values), 1)
    least = [find_least_significant(known[first], known[second], n_tested) for first, second in pairs]
    return tuple(
        PairTest(
            quantity=quantity,
            first=first,
            second=second,
            difference=Measured(abs(known[second].mean - known[first].mean), _combine(known[first], known[second])[0]),
            p_seeds=p_value,
            least_significant=smallest,
            power=measure_power(known[first], known[second], smallest, n_tested),
        )
        for (first, second), p_value, smallest in zip(pairs, correct_holm(p_values), least, strict=True)
    )


def assign_letters(ranking: Sequence[str], tests: Iterable[PairTest]) -> dict[str, str]:
    """Return the compact letter display of groups: two groups share a letter if they do not differ significantly.

    The best group has the letter a. A pair without a test, which one seed does not allow, counts as not significant.

    Source: H.-P. Piepho, J. Comput. Graph. Stat. 13 (2004) 456, by maximal sets of groups without a significant pair.

    Args:
        ranking: Labels, best first.
        tests: Tests of pairs of them.
    """
    differ = {frozenset((test.first, test.second)) for test in tests if test.is_significant}
    columns: list[set[str]] = [set(ranking)]
    for pair in sorted(differ, key=sorted):
        one, other = sorted(pair)
        split = [part - {label} for part in columns if pair <= part for label in (one, other)]
        columns = [part for part in columns if not pair <= part] + split
        columns = [part for part in columns if not any(part < whole for whole in columns)]
        columns = [part for place, part in enumerate(columns) if part not in columns[:place]]
    columns.sort(key=lambda part: sorted(map(list(ranking).index, part)))
    letters = [_count_in_letters(place) for place in range(len(columns))]
    return {
        label: "".join(letter for letter, part in zip(letters, columns, strict=True) if label in part)
        for label in ranking
    }


def _count_in_letters(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ... for 0, 1, ..."""
    number, rest = divmod(number, 26)
    return (_count_in_letters(number - 1) if number else "") + chr(ord("a") + rest)


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
