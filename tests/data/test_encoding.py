"""The unit of a file's energies: declared, asked for, or read off the values."""

from pathlib import Path

import pytest
import torch

from data_files import random_splits, sample_splits, write_tokens_file
from thesis_ml.data.config import DataConfig
from thesis_ml.data.h5_loader import read_file
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import DataError


@pytest.mark.parametrize("encoding", ["gev", "ln_mev"])
def test_load_tokens_gives_the_same_columns_whatever_the_unit(tmp_path: Path, encoding: str) -> None:
    splits = sample_splits()
    in_mev = load_tokens(DataConfig(path=str(write_tokens_file(tmp_path / "mev.h5", splits))), 8)

    path = write_tokens_file(tmp_path / "other.h5", splits, encoding=encoding)
    other = load_tokens(DataConfig(path=str(path)), 8)

    for split, expected in in_mev.splits().items():
        torch.testing.assert_close(other.splits()[split].features, expected.features, rtol=0, atol=1e-5)
        torch.testing.assert_close(other.splits()[split].globals, expected.globals, rtol=0, atol=1e-5)


@pytest.mark.parametrize("encoding", ["mev", "gev", "ln_mev"])
def test_auto_reads_the_unit_off_the_values_and_says_so(tmp_path: Path, encoding: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", encoding=encoding, attributes={})

    decided = read_file(path, DataConfig()).encoding

    assert decided.name == encoding
    assert decided.decided_by.startswith("the values: ")


@pytest.mark.parametrize("unit", ["ln_MeV", "ln(MeV)", "LN MeV", "ln(E/MeV)"])
def test_attributes_may_spell_the_logarithm_as_they_like(tmp_path: Path, unit: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", encoding="ln_mev", attributes={"energy_unit": unit})

    assert read_file(path, DataConfig()).encoding.name == "ln_mev"


def test_attribute_units_alone_declares_the_unit(tmp_path: Path) -> None:
    attributes = {"units": '{"E": "GeV", "pT": "GeV", "MET": "GeV", "phi": "rad"}'}
    path = write_tokens_file(tmp_path / "events.h5", encoding="gev", attributes=attributes)

    assert read_file(path, DataConfig()).encoding.name == "gev"


@pytest.mark.parametrize("asked", ["gev", "ln_mev"])
def test_config_that_contradicts_the_attributes_is_refused(tmp_path: Path, asked: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", encoding="mev")

    with pytest.raises(DataError, match=r"events\.h5: data\.encoding is .* but attribute energy_unit says 'mev'"):
        read_file(path, DataConfig(encoding=asked))


@pytest.mark.parametrize("stored", ["mev", "gev", "ln_mev"])
@pytest.mark.parametrize("asked", ["mev", "gev", "ln_mev"])
def test_config_that_contradicts_the_values_is_refused(tmp_path: Path, stored: str, asked: str) -> None:
    path = write_tokens_file(tmp_path / "events.h5", random_splits(), encoding=stored, attributes={})
    config = DataConfig(encoding=asked)

    if stored == asked:
        assert read_file(path, config).encoding.decided_by == "data.encoding"
        return
    with pytest.raises(DataError, match=f"X_train: the values are not {asked}, which was taken from data.encoding"):
        read_file(path, config)
