"""Expected events of scores with known answers."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from thesis_ml.reports.inference.sections.anomaly.expected import expect_events
from thesis_ml.reports.inference.sections.anomaly.measure import Column
from thesis_ml.reports.inference.sections.anomaly.problems import Problem


def test_expected_events_are_cross_section_times_luminosity_times_efficiency() -> None:
    """Two backgrounds, one of which no cut keeps: the other one's cross-section alone is left."""
    generator = np.random.default_rng(7)
    labels = np.repeat([0, 1, 2], [20_000, 5_000, 20_000])
    scores = np.concatenate(
        (generator.normal(size=20_000), generator.normal(1.5, 1.0, 5_000), generator.normal(-50, 1.0, 20_000))
    )
    is_signal = labels == 1
    events = np.arange(len(labels))
    problem = Problem("toy", "label", is_signal, None, events, ~is_signal, labels=labels, signal_label=1)

    expected = expect_events(
        problem, Column("vq", "error_mean", (scores,)), {0: 10.0, 1: 0.5, 2: 90.0}, 2.0, np.random.default_rng(8)
    )

    cut = expected[0]
    assert cut.background.value == pytest.approx(0.01 * 100 * 2000, rel=1e-2)
    threshold = norm.isf(0.1)
    assert cut.signal.value == pytest.approx(0.5 * 2000 * norm.sf(threshold - 1.5), rel=0.05)
    assert cut.significance.value == pytest.approx(cut.signal.value / math.sqrt(cut.background.value))
    assert cut.n_background == pytest.approx(2000, rel=0.02)
    assert expected[1].significance.error > 0
