"""Tables of closure: a copy of the events closes, a smearing does not, and what a model lacks is blank."""

import math

import numpy as np
import pytest

from closures import break_values, copy, measure, turn
from section_contents import read_row
from stored_events import FEATURES, TYPES, make_events, stack_features
from thesis_ml.data.events import Events
from thesis_ml.metrics.uncertain import Measured, Spread
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


def test_a_wrong_scale_is_found_and_a_copy_is_not(groups: Groups) -> None:
    table = tabulate_quantities(groups)

    exact, smeared = (read_row(table, group=group, quantity="ht") for group in groups)
    assert (exact["mean"], exact["resolution"], exact["p"]) == (Measured(0.0, 0.0), Measured(0.0, 0.0), 1.0)
    assert exact["distance"] == 0 < exact["halves of the truth"] == smeared["halves of the truth"]
    assert smeared["p"] == 1 / 200
    assert smeared["distance"] > smeared["distance of swapped pairs"].value
    assert smeared["mean"].is_above(0, n_errors=10)


def test_bias_of_soft_and_hard_objects_stands_beside_that_of_all() -> None:
    def tilt(events: Events) -> ModelOutput:
        kinematics = stack_features(events)
        pt = kinematics[:, 1:2]
        factors = np.select([pt < 40, pt > 250], [1.05, 0.83], 1.0)
        kinematics[:, :2] *= factors
        return ModelOutput({}, kinematics, events.types, events.met)

    row = read_row(tabulate_features({"a": [measure(tilt)]}), group="a", feature="pt")

    assert row["bias"].mean == pytest.approx(0, abs=1e-3)
    assert row["bias below 40 GeV"].mean == pytest.approx(0.05, abs=2e-3)
    assert row["bias above 250 GeV"].mean == pytest.approx(-0.17, abs=2e-3)


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
