"""Time 200 bootstrap resamplings of an AUROC against a loop over scikit-learn's roc_auc_score.

Both draw the same events of a split as large as the sample's test split. Ours sorts the scores once and sums the
counts of each resampling in that order. `--quick` takes 20 resamplings of 500 events.
"""

import sys

import numpy as np
from sklearn.metrics import roc_auc_score

from _timing import Row, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from thesis_ml.metrics.bootstrap import resample_readings
from thesis_ml.metrics.roc import sort_scores

REQUIRED = 15.0
N_EVENTS = 6_900
N_RESAMPLES = 200
N_ROUNDS = 5


def resample_with_sklearn(scores: np.ndarray, labels: np.ndarray, n_resamples: int) -> np.ndarray:
    """Return the AUROC of each resampling, as one would write it by hand."""
    generator = np.random.default_rng(0)
    areas = []
    for _ in range(n_resamples):
        events = generator.integers(0, len(scores), len(scores))
        areas.append(roc_auc_score(labels[events], scores[events]))
    return np.array(areas)


def resample_with_ours(scores: np.ndarray, labels: np.ndarray, n_resamples: int) -> np.ndarray:
    """Return the same areas, the sorting included."""
    ranked = sort_scores(scores, labels)
    generator = np.random.default_rng(0)
    return resample_readings([ranked], lambda roc: (roc.area,), generator=generator, n_resamples=n_resamples)[:, 0, 0]


def main() -> int:
    """Print the table; return 1 when the ratio is below what is required."""
    is_quick = parse_quick(__doc__)
    n_events, n_resamples = (500, 20) if is_quick else (N_EVENTS, N_RESAMPLES)
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, n_events)
    scores = generator.normal(labels * 0.5, 1.0)
    sides = [lambda: resample_with_sklearn(scores, labels, n_resamples)]
    sides.append(lambda: resample_with_ours(scores, labels, n_resamples))
    np.testing.assert_allclose(sides[0](), sides[1](), atol=1e-12)
    clocks = [lambda side=side: time_once(side) for side in sides]
    timing = summarise_rounds(run_rounds(clocks, 1 if is_quick else N_ROUNDS))
    print_header("sklearn", "ours")
    row = Row(f"{n_resamples} resamplings of {n_events} events", timing, timing.ratio, REQUIRED)
    print_row(row)
    return judge([row], is_quick=is_quick)


if __name__ == "__main__":
    sys.exit(main())
