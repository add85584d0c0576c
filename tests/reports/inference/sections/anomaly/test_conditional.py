"""Scores in bins of multiplicity and H_T: what only counts objects is gone, and what sees more is kept."""

from dataclasses import replace

import numpy as np
import pytest

from scored_splits import make_split
from section_contents import list_rows
from thesis_ml.metrics.auroc import compute_auroc
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly.conditional import (
    FEWEST_IN_BIN,
    bin_events,
    rank_in_bins,
    tabulate_conditional,
    tabulate_leakage,
)
from thesis_ml.reports.inference.sections.anomaly.result import solve_problems

GENERATOR = np.random.default_rng(0)
N_EVENTS = 6000
IS_SIGNAL = np.arange(N_EVENTS) % 3 == 0
MULTIPLICITY = GENERATOR.poisson(5 + 2 * IS_SIGNAL).astype(np.float64)
HT = 60 * MULTIPLICITY * GENERATOR.lognormal(0, 0.3, N_EVENTS)


def test_every_bin_holds_enough_background() -> None:
    bins = bin_events(MULTIPLICITY, HT, ~IS_SIGNAL)

    assert np.bincount(bins[~IS_SIGNAL]).min() >= 0.9 * FEWEST_IN_BIN
    assert len(np.unique(bins)) > 20


def test_a_score_that_counts_objects_separates_nothing_in_bins_and_another_does() -> None:
    bins = bin_events(MULTIPLICITY, HT, ~IS_SIGNAL)
    counting, seeing = HT + MULTIPLICITY, GENERATOR.normal(size=N_EVENTS) + IS_SIGNAL + 3 * MULTIPLICITY

    assert compute_auroc(counting, IS_SIGNAL) > 0.65
    assert compute_auroc(rank_in_bins(counting, bins, ~IS_SIGNAL), IS_SIGNAL) == pytest.approx(0.5, abs=0.03)
    assert compute_auroc(rank_in_bins(seeing, bins, ~IS_SIGNAL), IS_SIGNAL) > 0.65


def make_scored() -> EventScores:
    """Return scores of which one is H_T with some noise."""
    scored = make_split(6000, groups=("vq",))
    ht = scored.table[BASELINE, "clean"]["ht"]
    table = dict(scored.table)
    noise = GENERATOR.normal(size=len(ht))
    table["vq, seed 0", "clean"] = {**table["vq, seed 0", "clean"], "error_mean": ht + 0.1 * ht.std() * noise}
    return replace(scored, table=table)


def test_what_scores_tell_of_ht_is_found_and_is_left_out_in_bins() -> None:
    scored = make_scored()

    (leak,) = list_rows(tabulate_leakage(scored))
    rows = list_rows(tabulate_conditional(solve_problems(scored, 10).solved, scored))

    assert leak["H_T"].mean > 0.9
    assert rows and all(abs(row["correlation with H_T"]) < 0.35 for row in rows if row["score"] == "error_mean")
