"""Null tests find a score that changes under a symmetry or knows its training events; rounding is no change."""

from dataclasses import replace

import numpy as np
import pytest

from scored_splits import make_split
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly.null_tests import (
    HELD_OUT,
    NullCheck,
    check_held_out,
    check_nulls,
    ignore_rounding,
    measure_null,
)


def change(scored: EventScores, null: str, score: str, values: np.ndarray) -> EventScores:
    table = dict(scored.table)
    table["vq, seed 0", null] = {**table["vq, seed 0", null], score: values}
    return replace(scored, table=table)


def find(checks: list[NullCheck], null: str, score: str = "error_mean") -> NullCheck:
    return next(check for check in checks if (check.null, check.scorer, check.score) == (null, "vq, seed 0", score))


def test_scores_that_do_not_change_pass_all_null_tests() -> None:
    checks = check_nulls(make_split())

    assert {check.null for check in checks} == {"phi_rotation", "eta_reflection", "token_order"}
    assert len(checks) == 3 * (2 * 2 + 3)
    models = [check for check in checks if check.scorer != BASELINE]
    assert all(check.holds and check.auroc.value == 0.5 for check in models)


def test_a_score_that_sees_the_angle_fails() -> None:
    scored = make_split()
    clean = scored.table["vq, seed 0", "clean"]["error_mean"]

    check = find(check_nulls(change(scored, "phi_rotation", "error_mean", clean + 0.3)), "phi_rotation")

    assert not check.holds
    assert check.auroc.value - 0.5 > 3 * check.auroc.error > 0


def test_another_draw_of_the_same_score_is_within_its_error() -> None:
    outcomes = []
    for seed in range(60):
        shared, first, second = np.random.default_rng(seed).normal(size=(3, 400))
        outcomes.append(measure_null(shared + first, shared + second))

    pulls = [(auroc.value - 0.5) / auroc.error for auroc in outcomes]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)


def test_a_model_that_cannot_see_the_order_may_not_move_a_single_event() -> None:
    scored = make_split()
    changed = scored.table["vq, seed 0", "clean"]["error_mean"].copy()
    changed[7] += 1.0

    loose = find(check_nulls(change(scored, "phi_rotation", "error_mean", changed)), "phi_rotation")
    exact = find(check_nulls(change(scored, "token_order", "error_mean", changed)), "token_order")

    assert loose.holds
    assert not exact.holds and exact.tolerance == 1e-6


def test_rounding_is_no_difference_and_more_is_one() -> None:
    clean = np.array([1.0, 2.0, 1e-9, 100.0])

    np.testing.assert_array_equal(ignore_rounding(clean, clean * (1 + 1e-6)), clean)
    np.testing.assert_array_equal(ignore_rounding(clean, clean * 1.01), [1.01, 2.02, 1e-9, 101.0])


def test_reflection_is_no_null_of_a_file_that_is_not_symmetric() -> None:
    checks = check_nulls(make_split(is_symmetric=False))

    assert {check.null for check in checks} == {"phi_rotation", "token_order"}


def test_a_model_that_knows_its_training_events_is_found() -> None:
    scored = make_split(9000, groups=("vq",))
    scored.training["vq, seed 0"]["error_mean"] = np.random.default_rng(1).normal(-0.2, 1.0, 4000)

    check = find(check_held_out(scored), HELD_OUT)

    assert not check.holds and check.tolerance == 0.02
    assert check.auroc.value == pytest.approx(0.556, abs=0.02)


def test_a_split_too_small_to_resolve_the_tolerance_is_judged_by_its_error() -> None:
    check = find(check_held_out(make_split(300)), HELD_OUT)

    assert check.tolerance == pytest.approx(3 * check.auroc.error)
    assert check.tolerance > 0.02


def test_too_few_events_are_checked_for_what_cannot_change_alone() -> None:
    """All of two events that move alike give an AUROC of 0.75 without an error."""
    scored = make_split(2)
    clean = scored.table["vq, seed 0", "clean"]["error_mean"]

    checks = check_nulls(change(scored, "phi_rotation", "error_mean", clean + 1e-3))

    assert {check.rule for check in checks} == {"exactly 0.5"}
    assert all(check.holds for check in checks)
    assert check_held_out(make_split(24)) == []
