"""Event quantities of events that one can add up by hand."""

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike

from thesis_ml.metrics.event_quantities import (
    FOUR_MOMENTUM,
    compute_ht,
    compute_ht_miss,
    compute_pair_mass,
    find_leading_pt,
    share_below_mass_shell,
)

Tokens = dict[str, np.ndarray]
LENGTHS = np.array([2, 0, 3, 1])


def make_token(pt: float, eta: float = 0.0, phi: float = 0.0, mass: float = 0.0) -> list[float]:
    return [math.hypot(pt * math.cosh(eta), mass), pt, eta, phi]


def name_columns(tokens: ArrayLike) -> Tokens:
    return dict(zip(FOUR_MOMENTUM, np.array(tokens).T, strict=True))


@pytest.fixture
def tokens() -> Tokens:
    """Two jets back to back, nothing, three tokens in a cross, and one token alone."""
    return name_columns(
        [
            make_token(500.0, 0.0, 0.5),
            make_token(500.0, 0.0, 0.5 - math.pi),
            make_token(30.0, 1.0, 0.0),
            make_token(40.0, -1.0, math.pi / 2),
            make_token(10.0, 0.0, math.pi),
            make_token(25.0, 2.0, 3.0),
        ]
    )


def test_ht_and_leading_pt(tokens: Tokens) -> None:
    assert compute_ht(tokens, LENGTHS).tolist() == [1000, 0, 80, 25]
    assert find_leading_pt(tokens, LENGTHS).tolist() == [500, 0, 40, 25]


def test_ht_miss_balances_the_tokens(tokens: Tokens) -> None:
    missing = compute_ht_miss(tokens, LENGTHS)

    assert missing[:, 0] == pytest.approx([0, 0, math.hypot(20, 40), 25], abs=1e-9)
    assert missing[2, 1] == pytest.approx(math.atan2(-40, -20))
    assert missing[3, 1] == pytest.approx(3.0 - math.pi)


def test_pair_mass_of_two_jets_back_to_back_is_their_energy(tokens: Tokens) -> None:
    masses = compute_pair_mass(tokens, LENGTHS, np.ones(LENGTHS.sum(), dtype=bool))

    assert masses[0] == pytest.approx(1000)
    assert masses[2] == pytest.approx(math.sqrt(2 * 30 * 40 * (math.cosh(2.0) - 0)))
    assert np.isnan(masses[[1, 3]]).all()


def test_pair_mass_looks_at_candidates_only(tokens: Tokens) -> None:
    is_candidate = np.array([True, False, True, False, True, True])

    masses = compute_pair_mass(tokens, LENGTHS, is_candidate)

    assert np.isnan(masses[0])
    assert masses[2] == pytest.approx(math.sqrt(2 * 30 * 10 * (math.cosh(1.0) + 1)))


def test_order_of_tokens_changes_nothing(tokens: Tokens) -> None:
    swapped = {name: values[[1, 0, 4, 2, 3, 5]] for name, values in tokens.items()}
    everything = np.ones(LENGTHS.sum(), dtype=bool)

    for compute in (compute_ht, find_leading_pt):
        np.testing.assert_allclose(compute(swapped, LENGTHS), compute(tokens, LENGTHS))
    np.testing.assert_allclose(
        compute_pair_mass(swapped, LENGTHS, everything), compute_pair_mass(tokens, LENGTHS, everything)
    )


def test_share_below_mass_shell(tokens: Tokens) -> None:
    light = {**tokens, "E": 0.9 * tokens["E"]}

    assert share_below_mass_shell(tokens) == 0
    assert share_below_mass_shell({name: np.append(values, light[name]) for name, values in tokens.items()}) == 0.5
    assert math.isnan(share_below_mass_shell(name_columns(np.zeros((0, 4)))))
