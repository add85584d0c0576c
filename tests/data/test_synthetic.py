"""Made events obey kinematics and the densities that their optimal AUROC is computed from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_files import limit_file_size
from stored_events import assert_same_events, stack_features
from thesis_ml.config import parse_config
from thesis_ml.data.config import DataConfig, ResonanceConfig, SyntheticConfig
from thesis_ml.data.events import Events, take_first
from thesis_ml.data.h5_loader import read_file
from thesis_ml.data.synthetic import (
    MET_RESOLUTION,
    N_BLOCK,
    hash_generator,
    make_events,
    make_splits,
    write_synthetic_file,
)
from thesis_ml.data.synthetic_truth import CLASSES, compute_optimal_auroc, compute_optimal_scores
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.metrics.auroc import measure_auroc

CONFIG = SyntheticConfig(n_train=20_000, n_val=50, n_test=4000)
PARAMETERS = {
    "n_train": 1,
    "n_val": 1,
    "n_test": 1,
    "seed": 1,
    "signal_fraction": 0.1,
    "inject": "dijet_resonance",
    "inject_fraction": 0.3,
    "resonance": ResonanceConfig(mass_gev=300.0),
}


def make_checked(config: SyntheticConfig = CONFIG, split: str = "train") -> Events:
    """Return events that passed the checks."""
    return make_splits(DataConfig(synthetic=config)).splits[split]


@pytest.fixture(scope="module")
def events() -> Events:
    """Twenty thousand events of both classes."""
    return make_checked()


def count(events: Events, *kinds: int) -> np.ndarray:
    """Return how many objects of some ids each event has."""
    return np.bincount(events.token_events[np.isin(events.ids, kinds)], minlength=events.n_events)


def sum_transverse(events: Events) -> np.ndarray:
    """Return the vector sum of MET and all objects, in units of the resolution."""
    pt, phi = events.features["pt"], events.features["phi"]
    sums = [np.bincount(events.token_events, pt * f(phi), minlength=events.n_events) for f in (np.cos, np.sin)]
    met, met_phi = events.met.T
    ht = np.bincount(events.token_events, pt, minlength=events.n_events)
    return (np.array(sums) + met * np.array([np.cos(met_phi), np.sin(met_phi)])) / (MET_RESOLUTION * np.sqrt(ht))


def test_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    first, again, other = (make_events(replace(CONFIG, seed=seed), "val", 50) for seed in (1, 1, 2))

    assert_same_events(first, again)
    assert not np.isin(first.globals["met"], other.globals["met"]).any()


def test_splits_share_no_event() -> None:
    train, val, test = (make_events(CONFIG, split, 500).globals["met"] for split in ("train", "val", "test"))

    assert len(np.unique(np.concatenate([train, val, test]))) == 1500


def test_an_event_does_not_depend_on_how_many_are_asked_for() -> None:
    few, many = (make_events(CONFIG, "train", n_events) for n_events in (100, N_BLOCK + 100))

    assert_same_events(few, take_first(many, 100))


def test_kinematics_are_real(events: Events) -> None:
    energy, pt, eta, phi = stack_features(events).T

    assert (energy >= pt * np.cosh(eta) * (1 - 1e-15)).all()
    assert np.abs(phi).max() <= np.pi
    assert np.abs(events.met[:, 1]).max() <= np.pi
    assert np.abs(eta).max() <= 2.5
    assert pt.min() >= 20 * (1 - 1e-6)


def test_met_balances_the_objects_within_its_resolution(events: Events) -> None:
    pulls = sum_transverse(events)

    assert np.abs(pulls.mean(axis=1)).max() < 5 / np.sqrt(events.n_events)
    assert pulls.std(axis=1) == pytest.approx(1, abs=5 / np.sqrt(2 * events.n_events))


def test_azimuths_have_no_preferred_direction(events: Events) -> None:
    counts, _ = np.histogram(events.features["phi"], bins=20, range=(-np.pi, np.pi))

    assert counts == pytest.approx(counts.mean(), abs=5 * np.sqrt(counts.mean()))


def test_objects_are_stored_by_group_and_falling_pt(events: Events) -> None:
    group = np.array([9, 0, 0, 1, 1, 2, 2, 3])[events.ids]
    order = np.lexsort((-events.features["pt"], group, events.token_events))

    assert np.array_equal(order, np.arange(len(order)))


@pytest.mark.parametrize("label", [0, 1])
def test_multiplicities_follow_the_density_of_the_class(events: Events, label: int) -> None:
    is_class = events.labels == label
    found = {
        "light_shares": count(events, 1)[is_class] - 2,
        "b_shares": count(events, 2)[is_class],
        "lepton_shares": count(events, 3, 4, 5, 6)[is_class],
    }
    for name, counts in found.items():
        shares = getattr(CLASSES[label], name)
        expected = shares * is_class.sum()

        observed = np.bincount(counts, minlength=len(shares))

        assert np.abs(observed - expected).max() < 5 * np.sqrt(expected.max()), name


@pytest.mark.parametrize("label", [0, 1])
def test_jet_spectra_fall_with_the_slope_of_the_class(events: Events, label: int) -> None:
    is_jet = (events.ids <= 2) & (events.labels == label)[events.token_events]
    excess = events.features["pt"][is_jet] - 25
    slope = CLASSES[label].jet_slope_gev

    counts, _ = np.histogram(excess, bins=8, range=(0, 4 * slope))

    assert excess.mean() == pytest.approx(slope, abs=5 * slope / np.sqrt(len(excess)))
    assert (np.diff(counts) < 0).all()


def test_likelihood_ratio_is_normalised(events: Events) -> None:
    """The mean of p1 / p0 over events of p0 is 1, and that of p0 / p1 over events of p1."""
    scores = compute_optimal_scores(events)

    for ratios in (np.exp(scores[events.labels == 0]), np.exp(-scores[events.labels == 1])):
        assert ratios.mean() == pytest.approx(1, abs=5 * ratios.std() / np.sqrt(len(ratios)))


def test_optimal_auroc_is_that_of_the_likelihood_ratio_on_events(events: Events) -> None:
    optimal = compute_optimal_auroc()

    measured = measure_auroc(compute_optimal_scores(events), events.labels)

    assert optimal.error < 1e-5
    assert measured.error < 0.005
    assert measured.value == pytest.approx(optimal.value, abs=4 * measured.error)


def test_optimal_auroc_is_the_one_that_the_reference_states() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/synthetic-events.md").read_text(encoding="utf-8")

    assert f"{compute_optimal_auroc().value:.4f}" in page


@pytest.mark.parametrize("column", ["ht", "lengths"])
def test_no_simple_score_beats_the_likelihood_ratio(events: Events, column: str) -> None:
    ht = np.bincount(events.token_events, events.features["pt"], minlength=events.n_events)
    score = ht if column == "ht" else events.lengths

    assert 0.7 < measure_auroc(score, events.labels).value < compute_optimal_auroc().value - 0.01


def test_signal_fraction_is_that_of_the_events() -> None:
    labels = make_events(replace(CONFIG, signal_fraction=0.2), "train", 10_000).labels

    assert labels.mean() == pytest.approx(0.2, abs=0.02)


def test_resonance_peaks_at_its_mass_in_the_test_split_only() -> None:
    resonance = ResonanceConfig(mass_gev=2000.0, width_gev=40.0)
    config = replace(CONFIG, inject="dijet_resonance", inject_fraction=0.5, resonance=resonance)
    events, plain = make_checked(config, "test"), make_checked(CONFIG, "test")
    is_injected = events.labels == 2

    masses = np.array([mass_of_hardest_light_jets(events, event) for event in np.flatnonzero(is_injected)[:500]])

    low, median, high = np.quantile(masses, [0.25, 0.5, 0.75])
    assert median == pytest.approx(2000, abs=10)
    assert high - low == pytest.approx(40, abs=10)
    assert np.array_equal(events.met[~is_injected], plain.met[~is_injected])
    assert 2 not in make_checked(config, "train").labels
    assert np.abs(sum_transverse(events)).max() < 6


def mass_of_hardest_light_jets(events: Events, event: int) -> float:
    is_light = (events.token_events == event) & (events.ids == 1)
    energy, pt, eta, phi = stack_features(events)[is_light][:2].T
    momentum = np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)]).sum(axis=1)
    return float(np.sqrt(energy.sum() ** 2 - (momentum**2).sum()))


def test_overlay_adds_the_objects_of_a_second_event() -> None:
    events = make_checked(replace(CONFIG, inject="four_top_overlay"), "test")
    is_injected = events.labels == 2
    n_b, n_objects = count(events, 2), events.lengths

    assert is_injected.mean() == pytest.approx(0.1, abs=0.02)
    expected = sum(4 * kind.b_chance for kind in CLASSES)
    assert n_b[is_injected].mean() == pytest.approx(expected, abs=0.3)
    assert 14 < n_objects[is_injected].mean() <= 18
    assert np.abs(sum_transverse(events)).max() < 6


def test_score_of_an_event_beyond_both_classes_is_not_a_number() -> None:
    events = make_checked(replace(CONFIG, inject="four_top_overlay", inject_fraction=1.0), "test")
    scores = compute_optimal_scores(events)

    is_beyond = (count(events, 1) > 9) | (count(events, 2) > 4) | (count(events, 3, 4, 5, 6) > 4)

    assert np.array_equal(np.isnan(scores), is_beyond)
    assert is_beyond.any()


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**63 - 1),
    st.floats(0, 1),
    st.sampled_from(["none", "dijet_resonance", "four_top_overlay"]),
    st.floats(150, 5000),
    st.integers(1, 300),
)
def test_made_events_pass_the_checks_of_the_loader(
    seed: int, fraction: float, inject: Any, mass_gev: float, n_events: int
) -> None:
    resonance = ResonanceConfig(mass_gev=mass_gev, width_gev=mass_gev / 5)
    config = SyntheticConfig(n_events, 1, n_events, seed, fraction, inject, fraction, resonance)

    events = make_checked(config, "test")

    assert events.n_events == n_events
    assert events.lengths.max() <= 18


def test_written_file_reads_back_as_the_same_events(tmp_path: Path) -> None:
    config = SyntheticConfig(n_train=300, n_val=20, n_test=200, inject="four_top_overlay")
    write_synthetic_file(tmp_path / "events.h5", config)

    stored = read_file(tmp_path / "events.h5", DataConfig())

    made = make_splits(DataConfig(synthetic=config))
    assert stored.type_names == made.type_names
    assert stored.label_names == made.label_names
    assert (stored.n_slots, stored.encoding.name) == (made.n_slots, made.encoding.name) == (18, "mev")
    for split, events in made.splits.items():
        assert_same_events(stored.splits[split], events)
    with h5py.File(tmp_path / "events.h5") as file:
        assert file["X_train"].shape == (300, 92)


def test_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no/events\.h5: cannot be written"):
        write_synthetic_file(tmp_path / "no/events.h5", CONFIG)


def test_place_that_a_folder_takes_leaves_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "events.h5" / "inside").mkdir(parents=True)

    with pytest.raises(DataError, match=r"events\.h5: cannot be written"):
        write_synthetic_file(tmp_path / "events.h5", CONFIG)

    assert [path.name for path in tmp_path.iterdir()] == ["events.h5"]


def test_file_that_was_there_survives_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "events.h5").write_bytes(b"older")

    with pytest.raises(DataError, match="File too large"), limit_file_size(100_000):
        write_synthetic_file(tmp_path / "events.h5", CONFIG)

    assert (tmp_path / "events.h5").read_bytes() == b"older"


def test_full_disk_leaves_no_file(tmp_path: Path) -> None:
    message = r"events\.h5: cannot be written \(File too large\); choose another file$"

    with pytest.raises(DataError, match=message), limit_file_size(100_000):
        write_synthetic_file(tmp_path / "events.h5", CONFIG)

    assert not list(tmp_path.iterdir())


def test_other_options_of_data_work_as_for_a_file(tmp_path: Path) -> None:
    config = SyntheticConfig(n_train=300, n_val=40, n_test=200, inject="dijet_resonance")
    options: dict[str, Any] = {
        "n_tokens": 5,
        "limit_events": 100,
        "features": ("pt", "mass", "phi", "eta"),
        "phi": "wrapped",
        "order": "pt",
        "train_classes": (0,),
    }
    write_synthetic_file(tmp_path / "events.h5", config)

    made = load_tokens(DataConfig(synthetic=config, **options))

    read = load_tokens(DataConfig(path=str(tmp_path / "events.h5"), **options))
    assert made.normalizer == read.normalizer
    assert made.dims == read.dims
    for split, events in read.splits().items():
        assert np.array_equal(made.splits()[split].features, events.features)
        assert np.array_equal(made.splits()[split].labels, events.labels)
    assert "events made by the generator" in made.description


@pytest.mark.parametrize("key", PARAMETERS)
def test_fingerprint_depends_on_every_parameter(key: str) -> None:
    assert hash_generator(replace(CONFIG, **{key: PARAMETERS[key]})) != hash_generator(CONFIG)


def test_every_parameter_is_among_those_checked() -> None:
    assert set(PARAMETERS) == set(vars(CONFIG))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("n_train", 0, "between 1 and 10000000"),
        ("n_test", 2.5, "a whole number"),
        ("seed", -1, "at least 0"),
        ("signal_fraction", 1.5, "between 0 and 1"),
        ("signal_fraction", float("nan"), "between 0 and 1"),
        ("inject", "dijet", "dijet_resonance"),
        ("inject_fraction", -0.1, "between 0 and 1"),
        ("resonance", {"mass_gev": 100}, "between 150 and 5000"),
        ("resonance", {"width_gev": 0}, "above 0"),
        ("resonance", {"mass_gev": 500, "width_gev": 101.0}, r"at most mass_gev / 5 \(100\)"),
        ("resonance", {"mass": 500}, "did you mean 'mass_gev'"),
        ("n_events", 5, "unknown key"),
    ],
)
def test_parameters_are_refused_with_their_key(key: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as raised:
        parse_config(DataConfig, {"synthetic": {key: value}}, "data")

    assert str(raised.value).startswith(f"data.synthetic.{key}")


def test_a_path_beside_made_events_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.path: synthetic events come from no file"):
        parse_config(DataConfig, {"synthetic": {}, "path": "events.h5"}, "data")
