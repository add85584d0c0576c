"""Baselines: variables counted by hand, and what is rare in background scores high."""

from dataclasses import replace

import numpy as np
import pytest

from stored_events import TYPES, make_events
from thesis_ml.data.events import Events, keep_events, keep_tokens, order_tokens
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer, compute_baselines, summarise_events


def make_event(**changes: float) -> Events:
    """Return one event of a massless jet and a massless b-jet, back to back, without MET."""
    features = {
        "E": np.array([60.0, 50.0]),
        "pt": np.array([60.0, 50.0]),
        "eta": np.zeros(2),
        "phi": np.array([0.0, np.pi]),
    }
    met = {"met": np.array([changes.get("met", 10.0)]), "met_phi": np.array([changes.get("met_phi", np.pi)])}
    features["E"][0] = changes.get("energy", 60.0)
    return Events.without_labels(features, np.array([1, 2]), np.array([2]), met)


def test_variables_are_those_counted_by_hand() -> None:
    found = {name: values.item() for name, values in compute_baselines(make_event(), TYPES).items()}

    assert found == pytest.approx(
        {
            **{"multiplicity": 2, "ht": 110, "ht_miss": 10, "leading_pt": 60, "met": 10, "met_mismatch": 0},
            **{"mean_ln_e_over_p": 0, "min_e_over_p": 1, "m_jj_max": np.sqrt(4 * 60 * 50), "b_jets": 1},
        },
        abs=1e-9,
    )


@pytest.mark.parametrize(
    ("change", "name", "expected"),
    [
        ({"met_phi": 0.0}, "met_mismatch", 20.0),
        ({"met": 0.0}, "met_mismatch", 10.0),
        ({"energy": 54.0}, "min_e_over_p", 0.9),
        ({"energy": 66.0}, "mean_ln_e_over_p", np.log(1.1) / 2),
    ],
)
def test_a_defect_moves_the_variable_that_is_made_for_it(change: dict[str, float], name: str, expected: float) -> None:
    assert compute_baselines(make_event(**change), TYPES)[name].item() == pytest.approx(expected)


def test_largest_mass_is_not_that_of_the_hardest_jets() -> None:
    features = {
        "E": np.array([100.0, 90.0, 30.0]) * np.cosh([0.0, 0.1, 2.5]),
        "pt": np.array([100.0, 90.0, 30.0]),
        "eta": np.array([0.0, 0.1, 2.5]),
        "phi": np.array([0.0, 0.2, np.pi]),
    }
    met = {"met": np.zeros(1), "met_phi": np.zeros(1)}
    event = Events.without_labels(features, np.ones(3, dtype=np.int64), np.array([3]), met)

    largest = compute_baselines(event, TYPES)["m_jj_max"].item()

    assert largest == pytest.approx(np.sqrt(2 * 100 * 30 * (np.cosh(2.5) - np.cos(np.pi))))


def test_scores_do_not_depend_on_the_order_and_the_company_of_events() -> None:
    events = make_events()
    scorer = BaselineScorer(make_events(2000, seed=3), TYPES)
    order = np.lexsort((events.features["pt"], events.token_events))
    is_kept = np.arange(events.n_events) % 3 == 0

    together, sorted_, alone = (
        scorer.run(some).scores for some in (events, order_tokens(events, order), keep_events(events, is_kept))
    )

    for name, values in together.items():
        np.testing.assert_allclose(sorted_[name], values, rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(alone[name], values[is_kept], rtol=1e-9, err_msg=name)
        assert np.isfinite(values).all(), name
    variables = compute_baselines(events, TYPES)
    assert (summarise_events(events, variables, 3)[:, -3:].sum(axis=1) == events.lengths).all()


def test_events_that_background_does_not_have_score_high() -> None:
    background, events = make_events(2000, seed=3), make_events(1000)
    scorer = BaselineScorer(background, TYPES)
    hard = events.with_features(**{name: 10 * events.features[name] for name in ("E", "pt")})

    ordinary, odd = scorer.run(events).scores, scorer.run(hard).scores

    for name in ("upper_tails", "upper_tails_with_counts", "summary_mahalanobis", "isolation_forest"):
        assert np.median(odd[name]) > np.quantile(ordinary[name], 0.84), name


def test_a_rare_type_scores_high_and_an_event_without_objects_nothing() -> None:
    background, events = make_events(2000, seed=3), make_events(50)
    is_jet = background.ids == 1
    scorer = BaselineScorer(keep_tokens(background, is_jet | (np.arange(background.n_tokens) % 50 == 0)), TYPES)

    jets, muons = (scorer.run(replace(events, ids=np.full(events.n_tokens, number))).scores for number in (1, 3))

    assert (muons["type_likelihood"] >= jets["type_likelihood"]).all()
    assert (jets["type_likelihood"][events.lengths == 0] == 0).all()
