"""Tables of closure: a copy of the events closes, a smearing does not, and what a model lacks is blank."""

import math
from dataclasses import replace

import numpy as np
import pytest

from closures import break_values, copy, measure, turn
from section_contents import read_row
from stored_events import FEATURES, TYPES, make_events, stack_features
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.metrics.wasserstein import Closure
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.sections.closure.measure import ModelClosure
from thesis_ml.reports.inference.sections.closure.tables import (
    ENERGIES,
    tabulate_checks,
    tabulate_confusion,
    tabulate_counts,
    tabulate_features,
    tabulate_quantities,
    tabulate_residuals,
)
from thesis_ml.reports.utils.table import format_value

Groups = dict[str, list[ModelClosure]]


def test_a_wrong_scale_has_a_significant_excess_and_a_copy_has_none(groups: Groups) -> None:
    table = tabulate_quantities(groups)

    exact, smeared = (read_row(table, group=group, quantity="ht") for group in groups)
    assert (exact["bias"].mean, exact["resolution"].mean, exact["significant"]) == (0.0, 0.0, "no")
    assert exact["distance"] == exact["floor"] == smeared["floor"]
    assert exact["excess"] == Measured(0.0, 0.0)
    assert smeared["significant"] == "yes" and smeared["excess"].is_above(0, n_errors=3)
    assert smeared["excess"].value == pytest.approx(smeared["distance"] - smeared["floor"])


def give_distance(model: ModelClosure, name: str, distance: float, error: float) -> ModelClosure:
    """Return the model with another distance of a quantity above a floor of 5.67."""
    changed = replace(model.paired[name], closure=Closure(distance, 5.67, error))
    return replace(model, paired={**model.paired, name: changed})


def test_larger_error_makes_an_excess_not_significant_but_no_smaller(groups: Groups) -> None:
    """What was measured of two models: the worse one was called closing, for its larger error."""
    exact = groups["exact"][0]
    both = {
        "none": [give_distance(exact, "m_jj", 7.19, 0.46)],
        "vq": [give_distance(exact, "m_jj", 8.80, 1.29)],
    }

    sure, unsure = (read_row(tabulate_quantities(both), group=group, quantity="m_jj") for group in both)

    assert (str(sure["excess"]), sure["significant"]) == ("1.52 ± 0.46", "yes")
    assert (str(unsure["excess"]), unsure["significant"]) == ("3.1 ± 1.3", "no")


def test_every_group_and_quantity_has_its_own_excess(groups: Groups) -> None:
    exact = groups["exact"][0]
    many = {f"a, {number}": [give_distance(exact, "ht", 5.67 + number, 0.2)] for number in range(6)}

    rows = [read_row(tabulate_quantities(many), group=label, quantity="ht") for label in many]

    assert [row["excess"].value for row in rows] == pytest.approx(range(6))
    assert [row["significant"] for row in rows] == ["no"] + ["yes"] * 5


def test_quantity_without_an_error_is_neither_significant_nor_not(groups: Groups) -> None:
    model = give_distance(groups["exact"][0], "ht", 9.0, math.nan)

    assert read_row(tabulate_quantities({"a": [model]}), group="a", quantity="ht")["significant"] == ""


def test_quantity_that_no_event_has_is_blank() -> None:
    empty = {"none": [measure(copy, events=make_events(0))]}

    table = tabulate_quantities(empty)

    assert [row[1] for row in table.rows] == list(ENERGIES)
    assert {format_value(cell) for row in table.rows for cell in row[2:-1]} == {""}
    assert {row[-1] for row in table.rows} == {0}
    assert tabulate_features(empty).rows == ()


def test_residuals_counts_and_checks_of_known_changes(groups: Groups) -> None:
    features, counts, checks = tabulate_features(groups), tabulate_counts(groups), tabulate_checks(groups)

    pt = read_row(features, group="smeared", feature="pt")
    assert (pt["response"].mean, pt["resolution"].mean) == pytest.approx((1.1, 0.15), rel=0.05)
    assert np.isnan(pt["resolution"].sd) and pt["unit"] == "relative"
    assert read_row(features, group="smeared", feature="phi")["response"] is None
    jets = read_row(counts, group="exact", type=TYPES[0])
    assert (jets["equal"].mean, jets["true"]) == (1.0, jets["predicted"].mean)
    check = read_row(checks, group="smeared")
    assert (check["type accuracy"].mean, check["MET bias"].mean) == pytest.approx((1.0, 5.0))
    exact = read_row(checks, group="exact")
    assert check["share with E < p"].mean == pytest.approx(exact["share with E < p"].mean, abs=0.01)
    assert exact["share with E < p (true)"] == exact["share with E < p"].mean
    assert (exact["jet mass resolution"].mean, check["jet mass resolution"].mean) == pytest.approx((0, 0.15), abs=0.01)
    assert exact["MET resolution"].mean == 0 < exact["MET of a constant"]
    assert exact["H_T^miss phi resolution"].mean == pytest.approx(0, abs=1e-9)


def test_resolution_of_the_azimuth_is_that_around_the_circle() -> None:
    row = read_row(tabulate_checks({"a": [measure(turn)]}), group="a")

    assert row["H_T^miss phi resolution"].mean == pytest.approx(0, abs=1e-9)


def test_seeds_of_a_group_are_mean_and_standard_deviation(groups: Groups) -> None:
    three = {"both": [*groups["exact"], *groups["smeared"], *groups["smeared"]]}

    width = read_row(tabulate_features(three), group="both", feature="pt")["resolution"]

    smeared = groups["smeared"][0].counted.residuals["all", "pt"].width68
    exact = groups["exact"][0].counted.residuals["all", "pt"].width68
    assert width == Spread.of([exact, smeared, smeared])


def test_residuals_are_listed_by_type_label_and_pt(groups: Groups) -> None:
    table = tabulate_residuals(groups)

    for objects in ("type jet", "label 0", "pt 40-60"):
        row = read_row(table, group="smeared", objects=objects, feature="pt")
        assert row["resolution"].mean == pytest.approx(0.15, rel=0.1)


def test_confusion_has_shares_of_each_true_type(groups: Groups) -> None:
    table = tabulate_confusion(groups, TYPES)

    for row in table.rows:
        assert sum(row[3:]) == pytest.approx(1.0)


def test_model_without_energies_types_and_globals_has_residuals_only() -> None:
    groups = {"few": [measure(lambda events: ModelOutput({}, stack_features(events)[:, 1:3]), ("pt", "eta"))]}

    for tabulate in (tabulate_quantities, tabulate_counts):
        assert tabulate(groups).rows == ()
    assert tabulate_confusion(groups, TYPES).rows == ()
    assert len(tabulate_features(groups).rows) == 2
    blank = read_row(tabulate_checks(groups), group="few")
    assert blank["share with E < p (true)"] is None and math.isnan(blank["jet mass resolution"].mean)


@pytest.mark.parametrize("n_wrong", [6, 4000])
def test_tables_survive_any_value(groups: Groups, n_wrong: int) -> None:
    mixed = {"exact": groups["exact"], "broken": [break_values(groups["smeared"][0], n_wrong)]}

    table = tabulate_quantities(mixed)

    assert [row[:2] for row in table.rows] == [(group, name) for group in mixed for name in ENERGIES]
    assert len(tabulate_checks(mixed).rows) == len(mixed)
    assert set(FEATURES) <= {row[1] for row in tabulate_features(mixed).rows}
