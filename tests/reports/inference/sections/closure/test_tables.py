"""Closure in words and tables: what is exact closes, what is smeared does not, and what is missing is left out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from stored_events import FEATURES, TYPES, make_events, stack_features
from thesis_ml.data.events import Events
from thesis_ml.reports.inference.scoring.stream import ModelOutput
from thesis_ml.reports.inference.scoring.tally import ClosureTally
from thesis_ml.reports.inference.sections.closure.figures import list_figures
from thesis_ml.reports.inference.sections.closure.measure import (
    RESOLVED_ERRORS,
    Distance,
    ModelClosure,
    compare_pairs,
    measure_distance,
    measure_model,
)
from thesis_ml.reports.inference.sections.closure.tables import (
    ENERGIES,
    describe_quantities,
    find_worst,
    measure_distances,
    tabulate_checks,
    tabulate_confusion,
    tabulate_counts,
    tabulate_features,
    tabulate_quantities,
)
from thesis_ml.reports.plots.style import choose_style
from thesis_ml.reports.utils.table import MissingFigure, Table

Change = Callable[[Events], ModelOutput]


def copy(events: Events) -> ModelOutput:
    return ModelOutput({}, stack_features(events), events.types, events.met)


def smear(events: Events) -> ModelOutput:
    factors = np.random.default_rng(3).normal(1.1, 0.15, (events.n_tokens, 1))
    kinematics = np.concatenate((stack_features(events)[:, :2] * factors, stack_features(events)[:, 2:]), axis=1)
    return ModelOutput({}, kinematics, events.types, events.met + np.array([5.0, 0.0]))


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


def test_a_wrong_scale_is_resolved_and_a_copy_is_not(groups) -> None:
    table = tabulate_quantities(groups)

    exact, smeared = (read(table, group=group, quantity="ht") for group in groups)
    assert (exact["median"], exact["width68"], exact["resolved"]) == (0.0, 0.0, "no")
    assert exact["distance"] == exact["floor"] == smeared["floor"]
    assert (exact["excess"], exact["error"], smeared["resolved"]) == (0.0, 0.0, "yes")
    assert smeared["distance"] > exact["distance"] + 3 * smeared["error"]


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_draws_of_one_law_are_not_resolved(rho: float) -> None:
    n_events, excesses = 1000, []
    for seed in range(30):
        first, second = np.random.default_rng(seed).normal(size=(2, n_events))
        second = rho * first + np.sqrt(1 - rho**2) * second
        distance, floor, error = measure_distance([compare_pairs(np.exp(second / 2), np.exp(first / 2), seed=0)])
        excesses.append((distance - floor) / error)

    assert max(excesses) < RESOLVED_ERRORS
    assert 0.3 < np.std(excesses) < 1


def test_a_scale_that_is_a_tenth_off_is_resolved_on_the_size_of_the_sample() -> None:
    generator = np.random.default_rng(0)
    true = 500 * np.exp(0.4 * generator.normal(size=6900))

    assert measure_distance([compare_pairs(1.1 * true, true, seed=0)]).is_resolved


def test_larger_error_makes_nothing_close() -> None:
    """What was measured of two models: the worse one was called closing, for its larger error."""
    sure, unsure = Distance(7.19, 5.67, 0.46), Distance(8.80, 5.67, 1.29)

    (sentence,) = describe_quantities({"m_jj": {"none": sure, "vq": unsure}}).values()

    assert sure.is_resolved and not unsure.is_resolved
    assert sentence == (
        "m_jj: Wasserstein-1 to the truth [GeV], above a floor of 5.67: none 1.52 ± 0.46, vq 3.1 ± 1.3; "
        "resolved, above 3 errors: none."
    )


def test_worst_quantity_is_said_and_of_many_groups_the_ends() -> None:
    ht = {f"a, {number}": Distance(6.4 + number, 6.4, 0.2) for number in range(6)}
    distances = {"ht": ht, "ht_miss": {"vq": Distance(21.8, 1.5, 0.3)}, "m_bb": {"vq": Distance(90.0, 50.0, 20.0)}}

    sentences = describe_quantities(distances)

    assert find_worst(distances) == "ht_miss"
    assert sentences["ht_miss"].startswith("H_T^miss (the furthest off): Wasserstein-1")
    assert "from 0.00 ± 0.20 for a, 0 to 5.00 ± 0.20 for a, 5; resolved, above 3 errors: 5 of 6" in sentences["ht"]
    assert "vq 40 ± 20; not resolved, within 3 errors" in sentences["m_bb"]


def test_quantity_that_no_event_has_is_not_said() -> None:
    empty = make_events(0)
    tally = ClosureTally(FEATURES, TYPES, [0], [])
    tally.add(empty, copy(empty))

    assert measure_distances({"none": [measure_model(tally.summarise(), seed=0)]}) == {}


def test_azimuth_of_the_missing_momentum_is_compared_around_the_circle() -> None:
    def turn(events: Events) -> ModelOutput:
        phi = (stack_features(events)[:, 3:] + 0.2 + np.pi) % (2 * np.pi) - np.pi
        return ModelOutput({}, np.concatenate((stack_features(events)[:, :3], phi), axis=1), events.types, events.met)

    model = measure(turn)

    assert model.met["ht_miss_phi"].median == pytest.approx(0.2)
    assert model.met["ht_miss_phi"].width68 == pytest.approx(0, abs=1e-9)
    assert model.met["ht_miss_phi"].n_tokens == (model.counted.true["ht_miss"] > 0).sum() < 4000
    assert read(tabulate_checks({"a": [model]}), group="a")["H_T^miss phi width68"] == pytest.approx(0, abs=1e-9)


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
    groups = {"few": [measure(lambda events: ModelOutput({}, stack_features(events)[:, 1:3]), ("pt", "eta"))]}

    assert [len(table(groups).rows) for table in (tabulate_quantities, tabulate_counts)] == [0, 0]
    assert len(tabulate_features(groups).rows) == 2
    drawn = {figure.name: figure.table for figure in list_figures(groups, ENERGIES, TYPES)}
    assert isinstance(drawn["closure_quantities"], MissingFigure)
    assert isinstance(drawn["closure_resolution"], Table)


def test_every_figure_is_drawn_with_many_groups(groups) -> None:
    many = {f"group $_{number}" * 4: groups["smeared"] for number in range(14)}
    styles = {label: choose_style(number) for number, label in enumerate(many)}

    for figure in list_figures(many, ENERGIES, TYPES):
        drawn = figure.draw(figure.table, styles)
        drawn.canvas.draw()
        assert drawn.axes


@pytest.mark.parametrize("n_wrong", [6, 4000])
def test_figures_and_tables_survive_any_value(groups, n_wrong: int) -> None:
    counted = groups["smeared"][0].counted
    wrong = np.resize([np.nan, np.inf, -np.inf, 1e30, -1e38, 0.0], 4000)
    is_wrong = np.arange(4000) < n_wrong
    changed = {name: np.where(is_wrong, wrong, values) for name, values in counted.reconstructed.items()}
    predicted = np.where(is_wrong[:, None], wrong[:, None], counted.met[1])
    with np.errstate(invalid="ignore"):
        broken = measure_model(replace(counted, reconstructed=changed, met=(counted.met[0], predicted)), seed=0)
    mixed = {"exact": groups["exact"], "broken": [broken]}

    for figure in list_figures(mixed, ENERGIES, TYPES):
        figure.draw(figure.table, {label: choose_style(0) for label in mixed}).canvas.draw()
    assert len(tabulate_quantities(mixed).rows) == 2 * len(ENERGIES)
    assert set(describe_quantities(measure_distances(mixed))) == set(ENERGIES)
