"""Further columns of objects: read by name, encoded as the file or their values say, reconstructed, and refused."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import thesis_ml
from data_files import random_splits, write_tokens_file
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events
from thesis_ml.data.further import Encoding, choose_encoding
from thesis_ml.data.h5_writer import EventWriter, FileMeaning
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.facts.runs import read_run
from thesis_ml.training_loops.autoencoder import train
from thesis_ml.utils.arrays import NDArray

NAMES = ("jet", "b-jet", "e-", "e+", "mu-", "mu+", "photon")
MOMENTUM = ("pt", "eta", "phi", "mass")
UNITS = {"btag": "1", "charge": "1", "d0": "mm", "sip": "1", "axis": "rad", "hits": "1"}
ENCODINGS: Mapping[str, Encoding] = {
    "btag": "linear",
    "charge": "category",
    "d0": "log1p",
    "sip": "log",
    "axis": "angle",
    "hits": "linear",
}


def draw_columns(events: Events, seed: int) -> dict[str, NDArray[np.float64]]:
    """Return further columns; charges of leptons only, NaN for other objects."""
    generator, n_tokens = np.random.default_rng(seed), events.n_tokens
    is_lepton = np.isin(events.known_ids, (3, 4, 5, 6))
    return {
        "btag": generator.uniform(0, 1, n_tokens),
        "charge": np.where(is_lepton, generator.choice([-1.0, 1.0], n_tokens), math.nan),
        "d0": generator.standard_cauchy(n_tokens),
        "sip": generator.lognormal(size=n_tokens),
        "axis": generator.uniform(-3.1, 3.1, n_tokens),
        "hits": generator.integers(0, 30, n_tokens).astype(np.float64),
    }


def write_file(path: Path, encodings: Mapping[str, str] = ENCODINGS) -> dict[str, Events]:
    """Write random events with further columns, and return them."""
    splits = {}
    meaning = FileMeaning(NAMES, {}, UNITS, encodings, ("up", "n_vertices"))
    with EventWriter(path, "ragged", meaning) as writer:
        for number, (split, events) in enumerate(random_splits(200, min_tokens=1).items()):
            of_events = {"up": np.linspace(0.5, 2, events.n_events), "n_vertices": np.arange(events.n_events) * 1.0}
            features = {**events.features, **draw_columns(events, number)}
            splits[split] = replace(events, features=features, globals={**events.globals, **of_events})
            writer.append(split, splits[split])
    return splits


def load(path: Path, *names: str, **options: object) -> TokenData:
    return load_tokens(DataConfig(path=str(path), features=(*MOMENTUM, *names), **options))  # type: ignore[arg-type]


def decode(data: TokenData, split: str = "train") -> dict[str, NDArray[np.float32]]:
    tokens = data.splits()[split]
    values = data.normalizer.decode_features(tokens.features, tokens.types).numpy()
    return dict(zip(data.normalizer.features, values.T, strict=True))


def test_every_further_column_comes_back_from_its_encoding(tmp_path: Path) -> None:
    splits = write_file(tmp_path / "a.h5")

    data = load(tmp_path / "a.h5", *UNITS)
    found = decode(data)

    assert data.normalizer.features == ("E", "pt", "eta", "phi", *UNITS)
    for name in UNITS:
        true = splits["train"].features[name]
        known = np.isfinite(true)
        np.testing.assert_allclose(found[name][known], true[known], rtol=2e-4, atol=2e-4, err_msg=name)


def test_columns_are_named_by_their_encoding_and_standardised(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5")

    data = load(tmp_path / "a.h5", *UNITS)

    expected = ["btag", "charge=-1", "charge=1", "log1p_d0", "log_sip", "cos_axis", "sin_axis", "hits"]
    assert list(data.dims.columns[5:]) == expected
    for name in ("btag", "log1p_d0", "log_sip", "hits"):
        column = data.train.features[:, data.dims.columns.index(name)]
        assert abs(float(column.mean())) < 1e-4 and abs(float(column.std()) - 1) < 0.01


def test_an_object_without_a_value_has_zeros_and_no_residual(tmp_path: Path) -> None:
    splits = write_file(tmp_path / "a.h5")

    data = load(tmp_path / "a.h5", "charge")

    is_missing = np.isnan(splits["train"].features["charge"])
    assert (data.train.features[torch.from_numpy(is_missing)][:, -2:] == 0).all()
    marked = data.normalizer.mark_missing(data.train.features)[:, -1].numpy()
    assert (marked == is_missing).all() and is_missing.any()


def test_without_further_columns_the_file_gives_the_tensors_of_a_table(tmp_path: Path) -> None:
    splits = write_file(tmp_path / "a.h5")
    write_tokens_file(tmp_path / "b.h5", splits, encoding="gev")

    ragged, table = load(tmp_path / "a.h5"), load(tmp_path / "b.h5")

    assert torch.equal(ragged.train.features, table.train.features)
    assert ragged.normalizer == table.normalizer


@pytest.mark.parametrize(
    ("values", "unit", "encoding"),
    [
        ([-1.0, 1.0, 0.0, 1.0] * 50, "1", "category"),
        (np.linspace(0, 1, 500), "1", "linear"),
        (np.arange(100.0), "1", "linear"),
        (np.random.default_rng(0).standard_cauchy(5000), "mm", "log1p"),
        (np.linspace(-3, 3, 500), "rad", "angle"),
        ([math.nan] * 9, "1", "linear"),
    ],
    ids=["charge", "share", "count", "tail", "angle", "nothing"],
)
def test_values_and_unit_choose_the_encoding_of_a_file_without_one(
    values: NDArray[np.float64], unit: str, encoding: str
) -> None:
    assert choose_encoding(np.asarray(values), unit) == encoding


def test_a_normaliser_comes_back_from_its_state(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5")
    normalizer = load(tmp_path / "a.h5", *UNITS).normalizer

    state = json.loads(json.dumps(normalizer.to_state()))

    assert Normalizer.from_state(state) == normalizer
    assert normalizer.units == {
        "E": "GeV",
        "pt": "GeV",
        "eta": "1",
        "phi": "rad",
        **UNITS,
        "met": "GeV",
        "met_phi": "rad",
    }
    assert normalizer.angles == ("phi", "axis")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: state["columns"][-1].update(name="tan_hits"), "columns are"),
        (lambda state: state["columns"][6].update(name="charge=x"), "expected an encoding of 'charge'"),
        (lambda state: state["units"].pop("btag"), "the unit of 'btag' is None"),
    ],
    ids=["column", "category", "unit"],
)
def test_a_state_of_another_kind_is_refused(change, problem: str, tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5")
    state = json.loads(json.dumps(load(tmp_path / "a.h5", *UNITS).normalizer.to_state()))
    change(state)

    with pytest.raises(DataError, match=problem):
        Normalizer.from_state(state)


@pytest.mark.parametrize(
    ("encodings", "problem"),
    [
        ({"d0": "log"}, "d0: is .* for an object, whose logarithm is not finite; use log1p"),
        ({"d0": "category"}, "d0: has .* different values; a category has at most 20"),
        ({"d0": "angle"}, "d0: has the unit 'mm'; an angle is in rad"),
        ({"d0": "square"}, "attribute encodings has 'square' for 'd0'; expected linear, log"),
    ],
    ids=["log", "category", "angle", "unknown"],
)
def test_an_encoding_that_does_not_fit_is_refused(encodings: Mapping[str, str], problem: str, tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5", encodings)

    with pytest.raises(DataError, match=problem):
        load(tmp_path / "a.h5", "d0")


def test_an_unknown_column_is_refused_with_the_nearest(tmp_path: Path) -> None:
    splits = write_file(tmp_path / "a.h5")
    write_tokens_file(tmp_path / "b.h5", splits, encoding="gev")

    with pytest.raises(DataError, match=r"X_train/objects: has no column 'btga'; it has .*; did you mean 'btag'\?"):
        load(tmp_path / "a.h5", "btga")
    with pytest.raises(DataError, match=r"X_train: has no column 'btag' \(data\.features\): tables hold"):
        load(tmp_path / "b.h5", "btag")
    with pytest.raises(ConfigError, match=r"features: unknown name 'btag'; available: E, eta"):
        DataConfig(features=(*MOMENTUM, "btag"))
    with pytest.raises(ConfigError, match="features: 'log_x' is no name of a column"):
        DataConfig(path="a.h5", features=(*MOMENTUM, "log_x"))


def test_infinity_is_refused_and_nan_only_outside_of_momenta(tmp_path: Path) -> None:
    write_file(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["X_train/objects"][7, 4] = math.inf

    with pytest.raises(DataError, match="row 7: btag is infinite; every value must be finite"):
        load(tmp_path / "a.h5", "btag")


def test_a_column_of_events_can_be_their_weight(tmp_path: Path) -> None:
    splits = write_file(tmp_path / "a.h5")

    data = load(tmp_path / "a.h5", weight="up")

    np.testing.assert_allclose(data.train.weights.numpy(), splits["train"].globals["up"], rtol=1e-6)
    with pytest.raises(DataError, match=r"X_train/globals: has no column 'uq'; it has met, met_phi, up"):
        load(tmp_path / "a.h5", weight="uq")
    with pytest.raises(ConfigError, match=r"weight: must be null without data\.path"):
        DataConfig(weight="up")


def test_a_run_reconstructs_further_columns_and_its_tokenizer_takes_them(tmp_path: Path, compose_cfg) -> None:
    splits = write_file(tmp_path / "a.h5")
    names = ["pt", "eta", "phi", "mass", "btag", "charge", "d0"]
    run_dir = tmp_path / "run"

    cfg = compose_cfg(
        "data=h5_tokens",
        f"data.path={tmp_path / 'a.h5'}",
        f"data.features={json.dumps(names).replace(chr(34), '')}",
        "phase1/latent_space=vq",
        "phase1.loss.weights={btag: 2.0}",
        "phase1.trainer.epochs=2",
    )
    run_dir.mkdir()
    train(cfg)

    run = read_run(run_dir, "run")
    assert run.history.test["width68_btag"] > 0 and math.isfinite(run.history.test["median_charge"])
    assert run.sheet["further"]["d0"] == {"unit": "mm", "columns": ["log1p_d0"], "without_value": 0.0}
    arrays = run.history.arrays
    assert str(arrays["unit_d0"]) == "mm"
    n_known = int(np.isfinite(splits["test"].features["charge"]).sum())
    assert arrays["test_hist_charge_true"].sum() == n_known < splits["test"].n_tokens
    tokenizer = thesis_ml.load_tokenizer(run_dir)
    events = tokenizer.read_events(tmp_path / "a.h5")
    given = {name: splits["test"].features[name] for name in ("E", "pt", "eta", "phi", "btag", "charge", "d0")}
    made = tokenizer.make_events(given, splits["test"].lengths, ids=splits["test"].ids, met=splits["test"].met)
    assert tokenizer.units["d0"] == "mm"
    assert np.array_equal(tokenizer.encode(events).codes, tokenizer.encode(made).codes)
    assert set(tokenizer.decode(tokenizer.encode(events)).features) == set(given)
    with pytest.raises(DataError, match="has no column 'btag'"):
        tokenizer.read_events(write_tokens_file(tmp_path / "b.h5", splits, encoding="gev"))
    del given["btag"]
    with pytest.raises(DataError, match="features: 'btag' is missing; this model sees"):
        tokenizer.encode(
            tokenizer.make_events(given, splits["test"].lengths, ids=splits["test"].ids, met=splits["test"].met)
        )
