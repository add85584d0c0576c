"""Variables of events agree with loops over their objects."""

import math

import numpy as np
import pytest

from thesis_ml.reports.inference.scoring.event_variables import compute_event_variables

NAMES = ("jet", "b-jet", "e-")
TOKENS = {
    "E": np.array([100.0, 80.0, 30.0, 60.0, 50.0]),
    "pt": np.array([60.0, 70.0, 20.0, 50.0, 40.0]),
    "eta": np.array([0.5, -0.3, 0.1, 0.2, 0.4]),
    "phi": np.array([0.1, 3.0, -2.0, 1.0, -3.1]),
}
TYPES = np.array([0, 1, 2, 0, 0])
LENGTHS = np.array([3, 0, 2])
MET = np.array([[30.0, 0.5], [10.0, 1.0], [0.0, 0.0]])


@pytest.fixture
def variables() -> dict[str, np.ndarray]:
    return compute_event_variables(TOKENS, TYPES, LENGTHS, MET, NAMES)


def add(*objects: int) -> float:
    """Return the mass of the sum of some objects."""
    energy, pt, eta, phi = (TOKENS[name][list(objects)] for name in ("E", "pt", "eta", "phi"))
    x, y, z = (pt * np.cos(phi)).sum(), (pt * np.sin(phi)).sum(), (pt * np.sinh(eta)).sum()
    return math.sqrt(energy.sum() ** 2 - x**2 - y**2 - z**2)


def test_there_are_about_forty(variables: dict[str, np.ndarray]) -> None:
    assert 35 <= len(variables) <= 45
    assert all(values.shape == (3,) for values in variables.values())


def test_sums_and_masses_are_those_of_the_objects(variables: dict[str, np.ndarray]) -> None:
    assert variables["ht"].tolist() == [150.0, 0.0, 90.0]
    assert variables["n_jet"].tolist() == [1.0, 0.0, 2.0]
    assert variables["m_all"][[0, 2]] == pytest.approx([add(0, 1, 2), add(3, 4)], rel=1e-5)
    assert variables["m_jj"][[0, 2]] == pytest.approx([add(1, 0), add(3, 4)], rel=1e-5)
    assert np.isnan(variables["m_jj"][1]) and np.isnan(variables["m_bb"]).all()
    assert variables["pt_1"][[0, 2]].tolist() == [70.0, 50.0] and np.isnan(variables["pt_1"][1])


def test_distances_go_the_short_way_round(variables: dict[str, np.ndarray]) -> None:
    turn = 2 * math.pi - 4.1
    assert variables["delta_r_jj"][2] == pytest.approx(math.hypot(0.2, turn), rel=1e-6)
    assert variables["min_delta_r"][2] == variables["max_delta_r"][2] == pytest.approx(math.hypot(0.2, turn), rel=1e-6)


def test_mismatch_is_zero_where_met_balances_the_objects() -> None:
    phi, pt = TOKENS["phi"], TOKENS["pt"]
    x, y = (np.array([(pt * part)[:3].sum(), 0.0, (pt * part)[3:].sum()]) for part in (np.cos(phi), np.sin(phi)))
    met = np.stack([np.hypot(x, y), np.arctan2(-y, -x)], axis=1)

    found = compute_event_variables(TOKENS, TYPES, LENGTHS, met, NAMES)

    assert found["met_mismatch"] == pytest.approx(np.zeros(3), abs=1e-4)


def test_objects_below_the_mass_shell_are_counted() -> None:
    momentum = TOKENS["pt"] * np.cosh(TOKENS["eta"])
    tokens = {**TOKENS, "E": np.where(np.arange(5) == 1, 0.9 * momentum, 1.1 * momentum)}

    found = compute_event_variables(tokens, TYPES, LENGTHS, MET, NAMES)

    assert found["below_shell"][[0, 2]] == pytest.approx([1 / 3, 0.0])
    assert found["min_e_over_p"][[0, 2]] == pytest.approx([0.9, 1.1], rel=1e-5)
