"""Closure in words and tables: what is exact closes, what is smeared does not, and what is missing is left out."""

from collections.abc import Callable

import numpy as np
import pytest

from stored_events import TYPES, make_events
from thesis_ml.data.events import StoredEvents
from thesis_ml.reports.inference.closure import ClosureTally
from thesis_ml.reports.inference.closure_figures import list_figures
from thesis_ml.reports.inference.closure_measures import (
    ModelClosure,
    compare_pairs,
    measure_distance,
    measure_model,
)
from thesis_ml.reports.inference.closure_section import (
    ENERGIES,
    FLOOR_ERRORS,
    tabulate_checks,
    tabulate_confusion,
    tabulate_counts,
    tabulate_features,
    tabulate_quantities,
)
from thesis_ml.reports.inference.stream import Passed
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.plots.table import Nothing, Table

FEATURES = ("E", "pt", "eta", "phi")
Change = Callable[[StoredEvents], Passed]


def copy(events: StoredEvents) -> Passed:
    return Passed({}, events.kinematics, events.ids - 1, events.met)


def smear(events: StoredEvents) -> Passed:
    factors = np.random.default_rng(3).normal(1.1, 0.15, (len(events.ids), 1))
    kinematics = np.concatenate((events.kinematics[:, :2] * factors, events.kinematics[:, 2:]), axis=1)
    return Passed({}, kinematics, events.ids - 1, events.met + np.array([5.0, 0.0]))


def measure(change: Change, features: tuple[str, ...] = FEATURES) -> ModelClosure:
    events = make_events(4000)
    tally = ClosureTally(features, TYPES, [0], [])
    tally.add(events, change(events))
    return measure_model(tally.summarise(), seed=0)


@pytest.fixture(scope="module")
def groups() -> dict[str, list[ModelClosure]]:
    return {"exact": [measure(copy)], "smeared": [measure(smear)]}


def read(table, **values) -> dict:
    """Return the one row of a table that has these values."""
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    (found,) = [row for row in rows if all(row[name] == value for name, value in values.items())]
    return found


def test_a_copy_closes_and_a_wrong_scale_does_not(groups) -> None:
    table = tabulate_quantities(groups)

    exact, smeared = (read(table, group=group, quantity="ht") for group in groups)
    assert (exact["median"], exact["width68"], exact["closes"]) == (0.0, 0.0, "yes")
    assert exact["distance"] == exact["floor"] == smeared["floor"]
    assert smeared["closes"] == "no"
    assert smeared["distance"] > exact["distance"] + 3 * smeared["error"]


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_draws_of_one_law_close(rho: float) -> None:
    n_events, excesses = 1000, []
    for seed in range(30):
        first, second = np.random.default_rng(seed).normal(size=(2, n_events))
        second = rho * first + np.sqrt(1 - rho**2) * second
        distance, floor, error = measure_distance([compare_pairs(np.exp(second / 2), np.exp(first / 2), seed=0)])
        excesses.append((distance - floor) / error)

    assert max(excesses) < FLOOR_ERRORS
    assert 0.3 < np.std(excesses) < 1


def test_a_scale_that_is_a_tenth_off_does_not_close_on_the_size_of_the_sample() -> None:
    generator = np.random.default_rng(0)
    true = 500 * np.exp(0.4 * generator.normal(size=6900))

    distance, floor, error = measure_distance([compare_pairs(1.1 * true, true, seed=0)])

    assert distance - floor > FLOOR_ERRORS * error


def test_residuals_counts_and_checks_of_known_changes(groups) -> None:
    features, counts, checks = tabulate_features(groups), tabulate_counts(groups), tabulate_checks(groups)

    pt = read(features, group="smeared", feature="pt")
    assert (pt["response"], pt["width68"]) == pytest.approx((1.1, 0.15), rel=0.05)
    assert np.isnan(pt["width68_sd"])
    assert read(features, group="smeared", feature="phi")["response"] is None
    jets = read(counts, group="exact", type=TYPES[0])
    assert (jets["equal"], jets["true"]) == (1.0, jets["predicted"])
    check = read(checks, group="smeared")
    assert (check["type accuracy"], check["MET median"]) == pytest.approx((1.0, 5.0))
    assert check["share with E < p"] == pytest.approx(read(checks, group="exact")["share with E < p"], abs=0.01)


def test_confusion_has_shares_of_each_true_type(groups) -> None:
    table = tabulate_confusion(groups, TYPES)

    for row in table.rows:
        assert sum(row[3:]) == pytest.approx(1.0)


def test_quantity_that_no_event_has_is_not_a_number() -> None:
    paired = compare_pairs(np.full(10, np.nan), np.arange(10.0), seed=0)

    assert paired.n_events == 0
    assert np.isnan([paired.median, paired.width68, paired.same, paired.closure.distance]).all()


def test_model_without_energies_types_and_globals_has_residuals_only() -> None:
    groups = {"few": [measure(lambda events: Passed({}, events.kinematics[:, 1:3]), ("pt", "eta"))]}

    assert [len(table(groups).rows) for table in (tabulate_quantities, tabulate_counts)] == [0, 0]
    assert len(tabulate_features(groups).rows) == 2
    drawn = {figure.name: figure.table for figure in list_figures(groups, ENERGIES, TYPES)}
    assert isinstance(drawn["closure_quantities"], Nothing)
    assert isinstance(drawn["closure_resolution"], Table)


def test_every_figure_is_drawn_with_many_groups(groups) -> None:
    many = {f"group $_{number}" * 4: groups["smeared"] for number in range(14)}
    styles = {label: choose_style(number) for number, label in enumerate(many)}

    for figure in list_figures(many, ENERGIES, TYPES):
        drawn = figure.draw(figure.table, styles)
        drawn.canvas.draw()
        assert drawn.axes
