"""Tables of scores with known answers: the matrix, the best scores, each problem, null tests and expected events."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from scored_splits import add_signal_file, make_split, replace_scores, solve
from section_contents import list_rows, read_row
from thesis_ml.metrics.bootstrap import Estimate
from thesis_ml.metrics.significance import NO_TEST
from thesis_ml.reports.inference.config import Rates
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores
from thesis_ml.reports.inference.sections.anomaly import build_panels
from thesis_ml.reports.inference.sections.anomaly.measure import Measurement
from thesis_ml.reports.inference.sections.anomaly.problems import list_problems
from thesis_ml.reports.inference.sections.anomaly.result import ProblemResult
from thesis_ml.reports.inference.sections.anomaly.tables import (
    NULL_NAMES,
    tabulate_best,
    tabulate_correlations,
    tabulate_expected,
    tabulate_matrix,
    tabulate_nulls,
    tabulate_pairs,
    tabulate_problem,
)

TTH = "ttH against the rest"
MIDDLE = "lost_object 0.2"


def test_matrix_has_the_auroc_of_every_score_at_the_middle_strength() -> None:
    result = solve(make_split(3000))

    table = tabulate_matrix(result)

    problems = [row[0] for row in table.rows if row[0] not in NULL_NAMES.values()]
    assert problems == [TTH, MIDDLE]
    assert table.columns[1:4] == tuple(f"{BASELINE}: {name}" for name in ("multiplicity", "ht", "b_jets"))
    assert set(table.columns[4:]) == {f"{g}: {s}" for g in ("vq", "none") for s in ("error_mean", "error_sum")}
    for solved, row in zip([one for one in result.solved if one.problem.is_reference], list_rows(table), strict=False):
        for one in solved.measurements:
            cell = row[f"{one.group}: {one.score.removeprefix('low ')}"]
            assert (cell.value, cell.error) == (one.auroc.value, one.auroc.error)


def test_matrix_opens_the_panel_of_each_problem() -> None:
    result = solve(make_split(600))

    table = tabulate_matrix(result)

    panels = {panel.name: panel for panel in build_panels(result)}
    assert table.links == {TTH: "problem_ttH", MIDDLE: "problem_lost_object"}
    assert set(table.links.values()) == set(panels)
    assert [one.title for one in panels["problem_ttH"].tables] == [TTH]
    assert table.is_heat_map and table.n_keys == 1


def test_matrix_ends_with_the_null_tests_of_every_score() -> None:
    scored = make_split(1200, n_seeds=3)
    table = dict(scored.table)
    for name in ("vq, seed 0", "vq, seed 1", "vq, seed 2"):
        clean = table[name, "clean"]["error_mean"]
        table[name, "phi_rotation"] = {**table[name, "phi_rotation"], "error_mean": clean + 0.5}

    rows = list_rows(tabulate_matrix(solve(replace(scored, table=table))))

    key = "signal or corruption"
    assert [row[key] for row in rows[-4:]] == list(NULL_NAMES.values())
    turned, mirrored, _, held_out = rows[-4:]
    assert turned["vq: error_mean"].is_above(0.5, n_errors=3)
    assert (
        turned["none: error_mean"].value == mirrored["vq: error_mean"].value == turned["baseline: b_jets"].value == 0.5
    )
    assert held_out["vq: error_mean"].value == pytest.approx(0.5, abs=0.06)
    assert held_out["vq: error_sum"] is None


def test_matrix_has_no_reflection_of_events_that_are_not_symmetric() -> None:
    rows = list_rows(tabulate_matrix(solve(make_split(600, is_symmetric=False))))

    assert NULL_NAMES["eta_reflection"] not in {row["signal or corruption"] for row in rows}


def test_best_score_stands_beside_the_best_baseline() -> None:
    row = read_row(tabulate_best(solve(make_split(3000)).solved), problem=TTH)

    assert "error_mean of" in row["best score"] and row["best baseline"] == "ht"
    assert row["AUROC"].value == pytest.approx(norm.cdf(1 / math.sqrt(2)), abs=0.04)
    difference = row["AUROC"].value - row["AUROC of the baseline"].value
    assert row["difference to the baseline"].value == pytest.approx(difference)


def test_best_score_without_multiplicity_is_no_sum() -> None:
    scored = replace_scores(make_split(3000, groups=("vq",)), "vq, seed 0", {})
    table = {**scored.table}
    table["vq, seed 0", "clean"] = {
        **table["vq, seed 0", "clean"],
        "error_sum": 3.0 * scored.labels + np.random.default_rng(1).normal(size=3000),
    }

    row = read_row(tabulate_best(solve(replace(scored, table=table)).solved), problem=TTH)

    assert (row["best score"], row["best score without multiplicity"]) == ("error_sum of vq", "error_mean of vq")
    assert row["AUROC"].value > 0.95 and row["AUROC without multiplicity"].value == pytest.approx(0.5, abs=0.05)


def test_signal_that_no_score_separates_has_an_auroc_of_one_half() -> None:
    scored = replace_scores(make_split(3000, groups=("vq",)), "vq, seed 0", {})

    row = read_row(tabulate_best(solve(scored).solved), problem=TTH)

    assert abs(row["AUROC"].value - 0.5) < 4 * row["AUROC"].error
    assert not row["difference to the baseline"].is_above(0, n_errors=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("of_model", "of_baseline", "sign"), [(2.0, 0.0, 1), (2.0, 4.0, -1), (0.0, 2.0, -1), (0.0, 0.0, 0)]
)
def test_difference_to_the_baseline_says_which_separates_a_corruption_better(
    of_model: float, of_baseline: float, sign: int
) -> None:
    scored = make_split(6000, groups=("vq",))
    scored = replace_scores(scored, "vq, seed 0", {MIDDLE: of_model})
    scored = replace_scores(scored, BASELINE, {MIDDLE: of_baseline})

    row = read_row(tabulate_best(solve(scored).solved), problem=MIDDLE)

    difference = row["difference to the baseline"]
    assert abs(difference.value) > 3 * difference.error if sign else abs(difference.value) < 4 * difference.error
    assert sign * difference.value >= 0
    assert (row["AUROC"].value > 0.9) == (of_model > 0)


def shift_scores(shift: float, n_events: int = 6000) -> EventScores:
    """Three scores of a model, all of which a signal shifts alike, beside baselines that separate nothing."""
    scored = make_split(n_events, groups=("vq",))
    generator = np.random.default_rng(7)
    table = dict(scored.table)
    table["vq, seed 0", "clean"] = {
        name: generator.normal(size=n_events) + shift * scored.labels
        for name in ("error_mean", "error_max", "code_mean")
    }
    table[BASELINE, "clean"] = {name: generator.normal(size=n_events) for name in ("multiplicity", "ht")}
    return replace(scored, table=table, variants=[])


@pytest.mark.parametrize(("shift", "auroc"), [(-9.0, 0.0), (-0.17, norm.cdf(-0.17 / math.sqrt(2))), (0.0, 0.5)])
def test_scores_that_are_lower_for_signal_are_not_turned(shift: float, auroc: float) -> None:
    row = read_row(tabulate_matrix(solve(shift_scores(shift))), **{"signal or corruption": TTH})

    for score in ("error_mean", "error_max", "code_mean"):
        assert row[f"vq: {score}"].value == pytest.approx(auroc, abs=0.03)
        is_low = 0.5 - row[f"vq: {score}"].value > 3 * row[f"vq: {score}"].error
        assert is_low == (shift < 0)


def test_scores_that_are_lower_after_a_corruption_are_not_turned() -> None:
    scored = make_split(6000, groups=("vq",))
    scored = replace_scores(scored, "vq, seed 0", {MIDDLE: -3.0})
    result = solve(replace_scores(scored, BASELINE, {}))

    row = read_row(tabulate_matrix(result), **{"signal or corruption": MIDDLE})
    best = read_row(tabulate_best(result.solved), problem=MIDDLE)

    assert row["vq: error_mean"].value < 0.05 and best["AUROC"].value < 0.05
    assert best["difference to the baseline"].value < -0.4


def make_solved(model: float, baseline: float, error: float = 0.002, difference_error: float = 0.004) -> ProblemResult:
    """A problem of one score and one baseline with these AUROCs."""
    problem = next(one for one in list_problems(make_split(30)) if one.kind == "label")
    noise = np.random.default_rng(0).normal(size=200)
    noise = (noise - noise.mean()) / noise.std(ddof=1) * difference_error
    measured = [
        Measurement(
            group, "ht", Estimate(value, error, value, value), (value,), (), (), np.zeros((1, 0)), np.zeros(0), areas
        )
        for group, value, areas in (("vq", model, noise), (BASELINE, baseline, 0 * noise))
    ]
    return ProblemResult(problem, measured, ())


@pytest.mark.parametrize(
    ("model", "baseline", "sign"),
    [
        (0.5202, 0.5194, 0),
        (0.5194, 0.5202, 0),
        (0.56, 0.5194, 1),
        (0.56, 0.503, 1),
        (0.516, 0.5, 1),
        (0.5, 0.516, -1),
        (0.503, 0.5, 0),
        (0.3, 0.5, -1),
    ],
)
def test_difference_has_the_error_of_the_shared_events(model: float, baseline: float, sign: int) -> None:
    row = read_row(tabulate_best([make_solved(model, baseline)]), problem=TTH)

    difference = row["difference to the baseline"]
    assert difference.value == pytest.approx(model - baseline)
    assert difference.error == pytest.approx(0.004, rel=0.2)
    assert (difference.is_above(0, 3) - (difference.value < -3 * difference.error)) == sign


@pytest.mark.parametrize("value", [0.47, 0.55])
def test_auroc_is_shown_with_an_error_that_leaves_it_open(value: float) -> None:
    row = read_row(tabulate_best([make_solved(value, 0.5, error=0.03)]), problem=TTH)

    assert str(row["AUROC"]) == f"{value:.3f} ± 0.030"
    assert not abs(row["AUROC"].value - 0.5) > 3 * row["AUROC"].error


def test_signal_file_is_a_problem_of_its_own() -> None:
    result = solve(add_signal_file(make_split(), ("tttt",)))

    row = read_row(tabulate_best(result.solved), problem="inference.signal_file against background")

    assert row["AUROC"].value > 0.6
    assert "inference.signal_file against background" in tabulate_matrix(result).links


def test_events_that_a_corruption_empties_are_counted() -> None:
    scored = make_split(1200)

    rows = list_rows(tabulate_best(solve(scored).solved))

    emptied = int(((np.arange(1200) % 10 == 0) & (scored.labels == 0)).sum())
    assert [row["events without objects after it"] for row in rows] == [None, emptied, emptied, emptied]


def test_sums_and_scores_that_are_correlated_with_the_multiplicity_are_marked() -> None:
    result = solve(make_split())

    rows = list_rows(tabulate_problem(result.solved[0], result))

    remarks = {(row["group"], row["score"]): row["remark"] for row in rows}
    assert remarks["vq", "error_sum"] == "contains the multiplicity; correlated with H_T or multiplicity"
    assert remarks["vq", "error_mean"] == ""
    assert [row["group"] for row in rows[-3:]] == [BASELINE] * 3
    correlation = read_row(tabulate_correlations(result.correlations), group="vq", score="error_sum")
    assert correlation["with multiplicity"] > 0.9 and correlation["remark"] == "strong"
    assert read_row(tabulate_correlations(result.correlations), group="vq", score="error_mean")["remark"] == ""


def test_baseline_that_is_lower_for_signal_is_marked() -> None:
    scored = make_split(2400)
    table = {
        key: {name: -values if name == "ht" else values for name, values in scores.items()}
        for key, scores in scored.table.items()
    }
    result = solve(replace(scored, table=table))

    row = read_row(tabulate_problem(result.solved[0], result), group=BASELINE, score="low ht")

    assert row["remark"] == "cut from above"
    assert read_row(tabulate_matrix(result), **{"signal or corruption": TTH})["baseline: ht"] == row["AUROC"]


def test_fewer_than_ten_background_events_are_no_number() -> None:
    result = solve(make_split())

    row = list_rows(tabulate_problem(result.solved[0], result))[0]

    assert (row["eps_S at eps_B 0.01"], row["n at eps_B 0.01"]) == (None, 8)
    assert (row["gain at eps_B 0.0001"], row["n at eps_B 0.0001"]) == (None, 0)
    assert row["1/eps_B at eps_S 0.3"].error > 0 and row["n at eps_S 0.3"] >= 10


def test_seeds_are_one_row_with_their_spread() -> None:
    result = solve(make_split(1200, n_seeds=3))

    row = read_row(tabulate_problem(result.solved[0], result), group="vq", score="error_mean")

    assert row["seeds"] == 3 and row["sd over seeds"] > 0
    assert row["AUROC"].value == pytest.approx(np.mean(result.solved[0].measurements[0].by_seed))


@pytest.mark.parametrize(("n_seeds", "outcomes"), [(1, {NO_TEST}), (3, {"significant", "not significant"})])
def test_pairs_of_groups_have_an_outcome_that_needs_several_seeds(n_seeds: int, outcomes: set[str]) -> None:
    rows = list_rows(tabulate_pairs(solve(make_split(600, n_seeds=n_seeds)).solved))

    assert {row["problem"] for row in rows} == {TTH, MIDDLE}
    assert {row["outcome"] for row in rows} <= outcomes
    assert all({row["better"], row["worse"]} == {"vq", "none"} and row["difference"].error > 0 for row in rows)


def test_failed_null_test_is_the_first_row() -> None:
    scored = make_split()
    table = dict(scored.table)
    table["vq, seed 0", "phi_rotation"] = {name: values + 0.5 for name, values in table["vq, seed 0", "clean"].items()}

    rows = list_rows(tabulate_nulls(solve(replace(scored, table=table))))

    assert (rows[0]["outcome"], rows[0]["model"], rows[0]["test"]) == (
        "FAILED",
        "vq, seed 0",
        NULL_NAMES["phi_rotation"],
    )
    assert rows[0]["AUROC"].value > 0.6 and rows[-1]["outcome"] == "passed"
    assert {row["allowed"] for row in rows} == {"exactly 0.5", "0.5 ± 3 standard errors"}


def test_expected_events_need_the_cross_sections_of_all_labels() -> None:
    both = solve(make_split(rates=Rates({"ttbar": 10.0, "1": 0.1}, 3.0)))
    one = solve(make_split(rates=Rates({"ttH": 0.1}, 3.0)))

    table = tabulate_expected(both.solved, 3.0)

    cut, *_, uncut = [row for row in list_rows(table) if (row["group"], row["score"]) == ("vq", "error_mean")]
    assert (cut["eps_B"], cut["signal"], cut["n"]) == (0.01, None, 8)
    assert (uncut["eps_B"], uncut["n"]) == (1.0, 800)
    assert (uncut["signal"].value, uncut["background"].value) == pytest.approx((300.0, 30000.0))
    assert uncut["S/sqrt(B)"].value == pytest.approx(300 / math.sqrt(30000))
    assert uncut["background"].error == 0
    assert tabulate_expected(one.solved, 3.0).rows == ()
