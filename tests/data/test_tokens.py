"""From a file and its options to standardised splits and their data sheet."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from data_files import random_events, random_splits, sample_splits, write_tokens_file
from stored_events import stack_features
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import join_events
from thesis_ml.data.tokens import TokenData, load_tokens
from thesis_ml.errors import DataError


def load(path: Path, **options: Any) -> TokenData:
    return load_tokens(DataConfig(path=str(path), **options))


@pytest.fixture(scope="module")
def sample() -> TokenData:
    return load_tokens(DataConfig())


def test_sample_is_what_its_description_says(sample: TokenData) -> None:
    assert [split.n_events for split in sample.splits().values()] == [32200, 6900, 6900]
    assert sample.sheet["splits"]["train"]["classes"] == {"0": 21000, "1": 11200}
    assert sample.sheet["encoding"] == "mev"
    assert sample.dims.columns == ("log_pt", "eta", "cos_phi", "sin_phi", "log1p_mass")
    assert sample.dims.type_names[:2] == ("jet", "b-jet")
    assert "the sample that comes with thesis-ml" in sample.description.splitlines()[0]


def test_sheet_is_plain_json(sample: TokenData) -> None:
    shares = sample.sheet["splits"]["val"]["type_shares"]

    assert json.loads(json.dumps(sample.sheet, allow_nan=False)) == sample.sheet
    assert sum(shares.values()) == pytest.approx(1)
    assert sample.sheet["duplicates"] == {"train-val": 0, "train-test": 0, "val-test": 0}
    assert len(sample.fingerprint) == 16


def test_padding_changes_nothing(tmp_path: Path) -> None:
    splits = sample_splits()
    narrow = load(write_tokens_file(tmp_path / "narrow.h5", splits, n_slots=18))
    wide = load(write_tokens_file(tmp_path / "wide.h5", splits, n_slots=30))

    assert narrow.normalizer == wide.normalizer
    assert narrow.dims == wide.dims
    for split in narrow.splits():
        assert torch.equal(narrow.splits()[split].features, wide.splits()[split].features)
        assert torch.equal(narrow.splits()[split].offsets, wide.splits()[split].offsets)


def test_normaliser_sees_the_training_split_only(tmp_path: Path) -> None:
    splits = random_splits()
    changed = {**splits, "val": random_events(20, seed=99), "test": random_events(20, seed=98)}

    first = load(write_tokens_file(tmp_path / "first.h5", splits))
    second = load(write_tokens_file(tmp_path / "second.h5", changed))

    assert first.normalizer == second.normalizer


@pytest.mark.parametrize("order", ["as_stored", "pt"])
def test_n_tokens_keeps_the_first_after_the_order(tmp_path: Path, order: str) -> None:
    splits = random_splits(max_tokens=9)
    path = write_tokens_file(tmp_path / "events.h5", splits)

    data = load(path, order=order, n_tokens=1, features=("pt",))

    pt_gev = np.split(splits["train"].features["pt"], np.cumsum(splits["train"].lengths)[:-1])
    expected = [event.max() if order == "pt" else event[0] for event in pt_gev if len(event)]
    found = data.normalizer.decode_features(data.train.features, data.train.types)[:, 0].numpy()
    assert found == pytest.approx(expected, rel=3e-6)
    assert data.dims.max_tokens == 1


def test_order_pt_sorts_whole_tokens_within_their_event(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "events.h5")
    stored, ordered = load(path, features=("pt", "eta")), load(path, features=("pt", "eta"), order="pt")

    for first, last in zip(ordered.val.offsets[:-1].tolist(), ordered.val.offsets[1:].tolist(), strict=True):
        before, after = stored.val.features[first:last], ordered.val.features[first:last]
        order = before[:, 0].argsort(descending=True)
        assert torch.equal(before[order], after)
        assert torch.equal(stored.val.types[first:last][order], ordered.val.types[first:last])


def test_limit_events_keeps_the_first_of_each_split(tmp_path: Path) -> None:
    splits = random_splits(60)

    data = load(write_tokens_file(tmp_path / "events.h5", splits), limit_events=15)

    assert [split.n_events for split in data.splits().values()] == [15, 15, 15]
    assert data.train.lengths.tolist() == splits["train"].lengths[:15].tolist()
    assert data.train.labels.tolist() == splits["train"].labels[:15].tolist()


def test_limit_events_beyond_the_file_keeps_all(tmp_path: Path) -> None:
    assert load(write_tokens_file(tmp_path / "events.h5"), limit_events=10_000).train.n_events == 60


def test_train_classes_restrict_train_and_val_but_not_test(tmp_path: Path) -> None:
    splits = random_splits()

    data = load(write_tokens_file(tmp_path / "events.h5", splits), train_classes=(1,))

    assert set(data.train.labels.tolist()) == set(data.val.labels.tolist()) == {1}
    assert data.test.n_events == splits["test"].n_events
    assert data.train.index.tolist() == np.flatnonzero(splits["train"].labels == 1).tolist()


def test_train_classes_are_what_the_normaliser_is_fitted_on(tmp_path: Path) -> None:
    splits = random_splits()
    background = splits["train"]
    signal = random_events(30, seed=50)
    harder = {name: signal.features[name] * 9 for name in ("E", "pt")}
    signal = replace(signal.with_features(**harder), labels=signal.labels * 0 + 5)
    mixed = {name: join_events([events, signal]) for name, events in splits.items()}

    alone = load(write_tokens_file(tmp_path / "alone.h5", {**splits, "train": background}))
    restricted = load(write_tokens_file(tmp_path / "mixed.h5", mixed), train_classes=(0, 1))

    assert restricted.normalizer == alone.normalizer


@pytest.mark.parametrize(("prefix", "problem"), [("Y", "class 7; .* classes \\[0, 1\\]"), (None, "no labels")])
def test_train_classes_that_do_not_exist_are_refused(tmp_path: Path, prefix: str | None, problem: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", label_prefix=prefix)

    with pytest.raises(DataError, match=f"events.h5: X_train: .*{problem}"):
        load(path, train_classes=(7,))


def test_events_without_tokens_are_kept_and_counted(tmp_path: Path) -> None:
    splits = random_splits(max_tokens=2)

    data = load(write_tokens_file(tmp_path / "events.h5", splits))

    n_empty = int((splits["train"].lengths == 0).sum())
    assert n_empty > 0
    assert data.sheet["splits"]["train"]["n_events_without_tokens"] == n_empty
    assert f"{n_empty} events without objects" in data.description
    assert data.train.n_events == 60


def test_weights_are_said_to_enter_no_loss_where_there_are_any(tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "events.h5", random_splits(min_tokens=1))
    plain = load(path).description
    with h5py.File(path, "a") as file:
        file["W_train"] = np.linspace(0.5, 2, 60)

    assert "event weights enter" not in plain
    assert load(path).description.endswith("event weights enter scores such as the AUROC, but no loss")


@pytest.mark.parametrize("attributes", [None, {}])
def test_training_split_without_any_token_is_refused(tmp_path: Path, attributes: dict[str, str] | None) -> None:
    splits = {**random_splits(), "train": random_events(5, seed=0, max_tokens=0)}

    with pytest.raises(DataError, match=r"X_train: .*no (event has an )?object"):
        load(write_tokens_file(tmp_path / "events.h5", splits, attributes=attributes))


def test_a_split_other_than_train_may_have_no_tokens(tmp_path: Path) -> None:
    splits = {**random_splits(), "val": random_events(5, seed=0, max_tokens=0)}

    assert load(write_tokens_file(tmp_path / "events.h5", splits)).val.n_tokens == 0


def test_duplicates_between_splits_are_counted(tmp_path: Path) -> None:
    splits = random_splits(min_tokens=1)
    first = sample_splits(4)["train"]
    leaking = {name: join_events([events, first]) if name != "val" else events for name, events in splits.items()}

    data = load(write_tokens_file(tmp_path / "events.h5", leaking))

    assert data.sheet["duplicates"] == {"train-val": 0, "train-test": 4, "val-test": 0}
    assert "train-test 4" in data.description


def test_physical_tokens_are_those_of_the_file(tmp_path: Path) -> None:
    splits = sample_splits()
    path = write_tokens_file(tmp_path / "events.h5", splits)
    data = load(path, features=("phi", "E", "mass", "eta", "pt"), mass="linear")

    decoded = data.normalizer.decode_features(data.test.features, data.test.types)
    phi, energy, mass, eta, pt = decoded.double().numpy().T

    expected = stack_features(splits["test"])
    assert np.stack([energy, pt, eta, phi], axis=1) == pytest.approx(expected, rel=3e-6, abs=2e-6)
    mass2 = expected[:, 0] ** 2 - (expected[:, 1] * np.cosh(expected[:, 2])) ** 2
    is_jet = data.test.types.numpy() < 2
    assert mass[is_jet] == pytest.approx(np.sqrt(np.maximum(mass2, 0))[is_jet], abs=0.05)


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    first = load(write_tokens_file(tmp_path / "first.h5"))
    copy = tmp_path / "copy.h5"
    copy.write_bytes((tmp_path / "first.h5").read_bytes())

    assert load(copy).fingerprint == first.fingerprint
    assert load(write_tokens_file(tmp_path / "b.h5", random_splits(seed=1))).fingerprint != first.fingerprint
