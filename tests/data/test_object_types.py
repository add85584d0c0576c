"""Names of object types tell which are jets and what the others weigh."""

import pytest

from thesis_ml.data.object_types import list_rest_masses, list_unknown

MASSES = {
    "jet": None,
    "b-jet": None,
    "Large-R jet": None,
    "e-": 0.000511,
    "Electron": 0.000511,
    "positron": 0.000511,
    "mu+": 0.105658,
    "muon_minus": 0.105658,
    "tau-": 1.77686,
    "photon": 0.0,
    "gamma": 0.0,
    "dark photon": 0.0,
    "eta": 0.0,
}


@pytest.mark.parametrize(("name", "mass"), MASSES.items())
def test_mass_of_a_type_follows_its_name(name: str, mass: float | None) -> None:
    (found,) = list_rest_masses([name])

    assert found is None if mass is None else found == pytest.approx(mass, rel=1e-4, abs=1e-12)


def test_types_of_unknown_mass_are_listed() -> None:
    assert list_unknown(list(MASSES)) == ["dark photon", "eta"]
