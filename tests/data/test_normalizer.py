"""Standardised columns and their inverse."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thesis_ml.data.batch import DataDims, wrap_differences
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events
from thesis_ml.data.flat import FlatMetric
from thesis_ml.data.normalizer import Normalizer, fit_normalizer, wrap_angle
from thesis_ml.errors import DataError

ALL_FEATURES = ("E", "pt", "eta", "phi", "mass")
ENERGY = st.floats(0.02, 2e4)
TOKEN = st.tuples(ENERGY, ENERGY, st.floats(-5, 5), st.floats(-3.14159, 3.14159), st.floats(0, 500))


def make_tokens(n_tokens: int = 500, seed: int = 0) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    columns = [
        generator.lognormal(4.5, 0.8, n_tokens),
        generator.lognormal(4, 0.6, n_tokens),
        generator.normal(0, 1.2, n_tokens),
        generator.uniform(-math.pi, math.pi, n_tokens),
        generator.gamma(2, 6, n_tokens),
    ]
    return torch.from_numpy(np.stack(columns, axis=1))


def make_events(tokens: torch.Tensor, features: tuple[str, ...] = ALL_FEATURES, n_events: int = 100) -> Events:
    """Return events of these tokens, of which the first has all."""
    generator = np.random.default_rng(1)
    met = {"met": generator.exponential(40, n_events), "met_phi": generator.uniform(-3, 3, n_events)}
    lengths = np.array([len(tokens)] + [0] * (n_events - 1))
    columns = dict(zip(features, tokens.numpy().T, strict=True))
    return Events.without_labels(columns, np.ones(len(tokens), dtype=np.int64), lengths, met)


def fit(phi: str = "cos_sin", features: tuple[str, ...] = ALL_FEATURES) -> Normalizer:
    config = DataConfig(features=features, phi=phi, mass="linear")
    return fit_normalizer(make_events(make_tokens()), config, ("jet",))


@pytest.mark.slow
@pytest.mark.parametrize("phi", ["cos_sin", "wrapped"])
@settings(max_examples=60, deadline=None)
@given(tokens=st.lists(TOKEN, min_size=1, max_size=20))
def test_decode_features_inverts_encode_features(phi: str, tokens: list[tuple[float, ...]]) -> None:
    normalizer = fit(phi)
    physical = torch.tensor(tokens, dtype=torch.float64)

    decoded = normalizer.decode_features(normalizer.encode_features(physical, None), None)

    assert decoded.dtype == torch.float32
    # relative to the value for E and pt; where zero is an ordinary value, to the spread of the column
    torch.testing.assert_close(decoded[:, :2].double(), physical[:, :2], rtol=2e-6, atol=0)
    torch.testing.assert_close(decoded[:, 2:4].double(), physical[:, 2:4], rtol=2e-6, atol=1e-6)
    torch.testing.assert_close(decoded[:, 4].double(), physical[:, 4], rtol=2e-6, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(met_gev=st.floats(0.01, 5e3), met_phi=st.floats(-3.14159, 3.14159))
def test_decode_globals_inverts_encode_globals(met_gev: float, met_phi: float) -> None:
    normalizer = fit()
    physical = torch.tensor([[met_gev, met_phi]], dtype=torch.float64)

    decoded = normalizer.decode_globals(normalizer.encode_globals(physical)).double()

    torch.testing.assert_close(decoded, physical, rtol=2e-6, atol=1e-6)


def test_fit_normalizer_gives_mean_0_and_variance_1() -> None:
    encoded = fit().encode_features(make_tokens(), None).double()

    fitted = [0, 1, 2, 5]  # all but cosine and sine of phi
    assert torch.allclose(encoded.mean(0)[fitted], torch.zeros(4, dtype=torch.float64), atol=1e-6)
    assert torch.allclose(encoded.std(0, unbiased=False)[fitted], torch.ones(4, dtype=torch.float64), atol=1e-6)


def test_cosine_and_sine_keep_rotations_isotropic() -> None:
    tokens = make_tokens()
    turned = tokens.clone()
    turned[:, 3] = wrap_angle(turned[:, 3] + 1.0)
    normalizer = fit()
    first, second = (normalizer.encode_features(part, None)[:, 3:5] for part in (tokens, turned))

    torch.testing.assert_close(torch.cdist(first, first), torch.cdist(second, second), rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize(
    ("features", "phi", "columns"),
    [
        (("E", "pt", "eta", "phi"), "cos_sin", ("log_E", "log_pt", "eta", "cos_phi", "sin_phi")),
        (("phi", "mass", "pt"), "cos_sin", ("cos_phi", "sin_phi", "mass", "log_pt")),
        (("eta", "phi"), "wrapped", ("eta", "phi")),
        (("mass",), "wrapped", ("mass",)),
    ],
)
def test_columns_follow_the_features(features: tuple[str, ...], phi: str, columns: tuple[str, ...]) -> None:
    normalizer = fit(phi, features)

    assert normalizer.columns == columns
    assert normalizer.global_columns == ("log_met", "cos_met_phi", "sin_met_phi")
    assert normalizer.decode_features(torch.zeros(3, len(columns)), None).shape == (3, len(features))


def test_missing_energy_of_zero_is_finite() -> None:
    physical = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    normalizer = fit()

    encoded = normalizer.encode_globals(physical)

    assert encoded.isfinite().all()
    assert normalizer.decode_globals(encoded)[0, 0].item() == pytest.approx(0.01, rel=1e-5)


def test_constant_column_gets_scale_1() -> None:
    tokens = torch.tensor([[5.0], [5.0]], dtype=torch.float64)

    normalizer = fit_normalizer(make_events(tokens, ("mass",)), DataConfig(features=("mass",), mass="linear"), ("jet",))

    assert normalizer.feature_statistics[0].scale == 1
    assert normalizer.encode_features(tokens, None).abs().max() == 0


def test_wrapped_phi_differences_are_angles() -> None:
    normalizer = fit("wrapped", ("pt", "phi"))
    dims = DataDims(normalizer, ("jet",), max_tokens=1)
    below, above = torch.tensor([[9.0, math.pi - 0.1]]), torch.tensor([[50.0, -math.pi + 0.1]])

    differences = normalizer.encode_features(above, None) - normalizer.encode_features(below, None)
    wrapped = wrap_differences(differences, dims)

    assert wrapped[0, 1].item() == pytest.approx(0.2 / (math.pi / math.sqrt(3)), rel=1e-4)
    assert wrapped[0, 0] == differences[0, 0]


@pytest.mark.parametrize("angle", [-math.pi, math.pi, 3 * math.pi, -7.0, 0.0, 12.0])
def test_wrap_angle_stays_within_half_a_turn(angle: float) -> None:
    wrapped = wrap_angle(torch.tensor([angle], dtype=torch.float64)).item()

    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(angle))


@pytest.mark.parametrize("phi", ["cos_sin", "wrapped"])
def test_from_state_reads_what_to_state_wrote(phi: str) -> None:
    normalizer = fit(phi)

    assert Normalizer.from_state(json.loads(json.dumps(normalizer.to_state()))) == normalizer


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), None),
        ((), []),
        (("features",), "pt"),
        (("features",), ["pt", "pt"]),
        (("features",), [["pt"]]),
        (("features",), ["pt"]),
        (("columns",), None),
        (("columns",), []),
        (("columns", 0), {"name": "log_E"}),
        (("columns", 0, "name"), ["log_E"]),
        (("columns", 0, "name"), "log_met"),
        (("columns", 0, "mean"), float("nan")),
        (("columns", 0, "mean"), "4"),
        pytest.param(("columns", 0, "mean"), 10**400, id="huge"),
        (("columns", 0, "mean"), 1e5),
        (("columns", 0, "scale"), 0),
        (("columns", 0, "scale"), True),
        (("columns", 3, "scale"), 2.0),
        (("globals",), [1, 2]),
    ],
)
def test_from_state_refuses_what_is_no_normaliser(path: tuple[Any, ...], value: Any) -> None:
    state: Any = {"root": fit().to_state()}
    *parents, last = ("root", *path)
    target = state
    for key in parents:
        target = target[key]
    target[last] = value

    with pytest.raises(DataError, match="normaliser"):
        Normalizer.from_state(state["root"])


NAMES = ("jet", "e-", "mu+", "thing")


def make_massive(n_tokens: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    """Return E, pt, eta, phi of tokens of all types, jets with masses, others with those of their type."""
    generator = np.random.default_rng(2)
    types = generator.integers(0, len(NAMES), n_tokens)
    _, pt, eta, phi, mass = make_tokens(n_tokens).numpy().T
    masses = np.choose(types, [mass, 0.000511, 0.105658, 0.0])
    energy = np.hypot(pt * np.cosh(eta), masses)
    return torch.from_numpy(np.stack([energy, pt, eta, phi], axis=1)), torch.from_numpy(types)


def fit_masses(**options: Any) -> tuple[Normalizer, torch.Tensor, torch.Tensor]:
    physical, types = make_massive()
    events = make_events(physical, ("E", "pt", "eta", "phi"))
    events = replace(events, ids=types.numpy() + 1)
    return fit_normalizer(events, DataConfig(**options), NAMES), physical, types


def test_masses_of_jets_and_of_known_types_are_kept() -> None:
    normalizer, physical, types = fit_masses()

    encoded = normalizer.encode_features(physical, types)
    decoded = normalizer.decode_features(encoded, types).double()

    assert normalizer.columns == ("log_pt", "eta", "cos_phi", "sin_phi", "log1p_mass")
    torch.testing.assert_close(decoded, physical, rtol=2e-6, atol=1e-6)
    assert (encoded[types > 0, 4] == 0).all()
    assert encoded[types == 0, 4].double().std(correction=0) == pytest.approx(1, abs=1e-5)


def test_mass_weight_multiplies_the_column_of_masses() -> None:
    (plain, physical, types), (heavy, _, _) = fit_masses(), fit_masses(mass_weight=3.0)

    first, second = (one.encode_features(physical, types) for one in (plain, heavy))

    torch.testing.assert_close(second[:, 4], 3 * first[:, 4])
    torch.testing.assert_close(heavy.decode_features(second, types).double(), physical, rtol=2e-6, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-6, 6, width=32)] * 5), min_size=1, max_size=20), st.sampled_from([None, 0, 1, 3])
)
def test_no_decoded_energy_is_below_the_momentum(columns: list[tuple[float, ...]], kind: int | None) -> None:
    normalizer, _, _ = fit_masses()
    encoded = torch.tensor(columns, dtype=torch.float32)
    types = None if kind is None else torch.full((len(columns),), kind)

    energy, pt, eta, _ = normalizer.decode_features(encoded, types).double().T

    assert (energy >= pt * torch.cosh(eta) * (1 - 1e-5)).all()


def test_without_types_all_masses_are_zero() -> None:
    normalizer, physical, types = fit_masses()

    energy, pt, eta, _ = normalizer.decode_features(normalizer.encode_features(physical, types), None).double().T

    torch.testing.assert_close(energy, pt * torch.cosh(eta), rtol=1e-6, atol=0)


def test_energy_beside_masses_is_a_column_that_is_not_decoded() -> None:
    normalizer, physical, types = fit_masses(features=("E", "pt", "eta", "phi", "mass"))
    encoded = normalizer.encode_features(physical, types)
    encoded[:, 0] += 1.0

    assert normalizer.features == ("E", "pt", "eta", "phi")
    torch.testing.assert_close(normalizer.decode_features(encoded, types).double(), physical, rtol=2e-6, atol=1e-6)


def test_normaliser_of_masses_is_read_from_its_state_and_checked() -> None:
    normalizer, _, _ = fit_masses()
    state = json.loads(json.dumps(normalizer.to_state()))

    assert Normalizer.from_state(state) == normalizer
    for masses in ([], ["heavy"], [-1.0], [1e9], [True], 3):
        with pytest.raises(DataError, match="type_masses"):
            Normalizer.from_state({**state, "type_masses": masses})
    with pytest.raises(DataError, match="features are"):
        Normalizer.from_state({**state, "features": ["pt", "eta", "phi", "mass"]})


FLAT = {"features": ("E", "pt", "eta", "phi"), "coordinates": "flat"}


def test_flat_coordinates_give_back_what_they_were_given() -> None:
    normalizer, physical, types = fit_masses(**FLAT)

    encoded = normalizer.encode_features(physical, types)
    decoded = normalizer.decode_features(encoded, None).double()

    assert normalizer.columns == ("flat_E", "flat_pt", "flat_eta", "flat_phi")
    torch.testing.assert_close(decoded, physical, rtol=5e-6, atol=2e-6)
    again = Normalizer.from_state(json.loads(json.dumps(normalizer.to_state())))
    torch.testing.assert_close(again.decode_features(encoded, None).double(), decoded, rtol=0, atol=0)


def test_lengths_in_flat_coordinates_are_those_of_standardised_columns() -> None:
    flat, physical, types = fit_masses(**FLAT)
    separate, _, _ = fit_masses(features=FLAT["features"], mass="linear")
    near = physical.clone()
    generator = torch.Generator().manual_seed(0)
    near[:, 1] *= torch.exp(1e-3 * torch.randn(len(near), generator=generator))
    near[:, 2:4] += 1e-3 * torch.randn(len(near), 2, generator=generator)
    excess = physical[:, 0] / (physical[:, 1] * torch.cosh(physical[:, 2]))
    near[:, 0] = near[:, 1] * torch.cosh(near[:, 2]) * excess

    lengths = [
        (one.encode_features(near, types) - one.encode_features(physical, types)).double().square().sum(dim=1)
        for one in (flat, separate)
    ]

    torch.testing.assert_close(lengths[0], lengths[1], rtol=0.02, atol=1e-9)


@pytest.mark.parametrize("scales", [(0.6, 0.9, 1.1), (0.01, 0.01, 3.0), (1.0, 1.0, 1e3)])
def test_arc_lengths_are_inverted_for_extreme_scales_too(scales: tuple[float, float, float]) -> None:
    metric, eta = FlatMetric(*scales), torch.linspace(-8, 8, 101)
    values = {"pt": torch.full((101,), 50.0), "eta": eta, "phi": torch.zeros(101), "E": 60 * torch.cosh(eta)}

    torch.testing.assert_close(metric.unflatten(metric.flatten(values))["eta"], eta, rtol=1e-3, atol=2e-3)


def test_weight_of_the_mass_multiplies_its_flat_coordinate() -> None:
    (plain, physical, types), (heavy, _, _) = fit_masses(**FLAT), fit_masses(**FLAT, mass_weight=3.0)

    first, second = (one.encode_features(physical, types) for one in (plain, heavy))

    torch.testing.assert_close(second[:, 0], 3 * first[:, 0])
    torch.testing.assert_close(second[:, 1:], first[:, 1:])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-6, 6, width=32)] * 4), min_size=1, max_size=20))
def test_no_energy_of_flat_coordinates_is_below_the_momentum(columns: list[tuple[float, ...]]) -> None:
    normalizer, _, _ = fit_masses(**FLAT)

    energy, pt, eta, _ = normalizer.decode_features(torch.tensor(columns), None).double().T

    assert (energy >= pt * torch.cosh(eta) * (1 - 1e-5)).all()


@pytest.mark.parametrize(
    "metric", [None, {"log_pt": 1.0}, {"log_pt": 0.0, "log_e": 1.0, "eta": 1.0}, {"log_pt": 1, "log_e": "x", "eta": 1}]
)
def test_a_metric_that_is_none_is_refused(metric: Any) -> None:
    state = fit_masses(**FLAT)[0].to_state()

    with pytest.raises(DataError, match=r"normaliser: metric"):
        Normalizer.from_state({**state, "metric": metric})
