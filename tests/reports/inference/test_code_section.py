"""Codebooks: what a code decodes to alone is what the model makes of its objects."""

import numpy as np
import pytest
import torch

from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.code_section import CodeUse, decode_codes, tabulate_map, tabulate_types, tabulate_use
from thesis_ml.reports.inference.stream import ModelScorer, PassOptions
from thesis_ml.reports.plots.table import Nothing


@pytest.fixture
def restored(finished_run):
    return restore_model(finished_run.path / "model.pt")


def test_code_decodes_alone_as_within_events(restored) -> None:
    events = load_events(DataConfig(limit_events=100, synthetic=SyntheticConfig())).splits["test"]

    decoded = decode_codes(restored)
    passed = ModelScorer(restored, PassOptions()).run(events)

    codes = passed.codes[:, 0]
    np.testing.assert_allclose(decoded.places[codes], passed.kinematics[:, 1:], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(decoded.types[codes], passed.types)


@pytest.mark.parametrize(("name", "is_drawn"), [("diffusion", True), ("transformer", False), ("gnn", False)])
def test_map_is_drawn_of_every_decoder_that_looks_at_one_object(restored, name: str, is_drawn: bool) -> None:
    latent_dim = restored.model.bottleneck.embed_codes(torch.zeros((1, 1), dtype=torch.long)).shape[1]
    decoder = DECODERS[name](DECODERS[name].Config(), restored.dims, latent_dim)
    restored.model.decoder = decoder.eval()
    restored.config.__dict__["decoder"] = DECODERS[name].Config()

    table = tabulate_map({"vq": [make_use(restored, np.ones((7, 16), dtype=np.int64))]})

    assert isinstance(table, Nothing) != is_drawn


def make_use(restored, counts: np.ndarray) -> CodeUse:
    return CodeUse("vq", restored, [counts], cost=2.0)


def test_use_of_codes_is_counted_by_type(restored) -> None:
    n_types = len(restored.dims.type_names)
    counts = np.zeros((n_types, 16), dtype=np.int64)
    counts[0, :4] = 10
    counts[1, 3:5] = 20
    groups = {"vq": [make_use(restored, counts)]}

    use = dict(zip(tabulate_use(groups).columns, tabulate_use(groups).rows[0], strict=True))
    first, second, *others = tabulate_types(groups).rows

    assert (use["codes"], use["dead codes"], use["-ln p per object [nat]"]) == (16, 11.0, 2.0)
    assert (first[3], first[6], second[3], second[6]) == (4.0, 3.0, 2.0, 2.0)
    assert first[5] == pytest.approx(4.0)
    assert all(row[2] == 0 for row in others)
    assert len(tabulate_map(groups).rows) == 16


def test_code_of_several_quantisers_means_nothing_alone(restored) -> None:
    class Two:
        codebook_sizes = (16, 16)

    restored.config.__dict__["latent_space"] = Two()

    assert decode_codes(restored) is None
    assert isinstance(tabulate_map({"rvq": [make_use(restored, np.ones((7, 16), dtype=np.int64))]}), Nothing)
