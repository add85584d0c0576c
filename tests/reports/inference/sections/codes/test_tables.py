"""Codebooks: what a code decodes to alone is what the model makes of its objects."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.tokens import load_events
from thesis_ml.reports.inference.scoring.stream import ModelScorer, PassOptions
from thesis_ml.reports.inference.scoring.tally import CodePlaces
from thesis_ml.reports.inference.sections.codes.figures import draw_map
from thesis_ml.reports.inference.sections.codes.measure import (
    CodeUse,
    decode_codes,
    describe_map,
    describe_use,
    tabulate_map,
    tabulate_types,
    tabulate_use,
)
from thesis_ml.reports.utils.table import MissingFigure


@pytest.fixture
def restored(finished_run):
    return restore_model(finished_run.path / "model.pt")


def test_code_decodes_alone_as_within_events(restored) -> None:
    events = load_events(DataConfig(limit_events=100, synthetic=SyntheticConfig())).splits["test"]

    decoded = decode_codes(restored)
    passed = ModelScorer(restored, PassOptions()).run(events)

    codes = passed.codes[:, 0]
    np.testing.assert_allclose(decoded.mean[codes], passed.kinematics[:, 1:], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(decoded.types[codes], passed.types)


@pytest.mark.parametrize(("name", "place"), [("diffusion", "decoded alone"), ("transformer", "mean"), ("gnn", "mean")])
def test_map_is_of_codes_alone_where_the_decoder_looks_at_one_object(restored, name: str, place: str) -> None:
    latent_dim = restored.model.bottleneck.embed_codes(torch.zeros((1, 1), dtype=torch.long)).shape[1]
    decoder = DECODERS[name](DECODERS[name].Config(), restored.dims, latent_dim)
    restored.model.decoder = decoder.eval()
    restored.config.__dict__["decoder"] = DECODERS[name].Config()
    groups = {"vq": [make_use(restored, np.ones((7, 16), dtype=np.int64), places=[make_places(16)])]}

    table = tabulate_map(groups)

    assert set(table.texts("place")) == {place}
    assert len(describe_map(groups, table)) == (place == "mean")
    assert isinstance(tabulate_map({"vq": [replace(groups["vq"][0], places=None)]}), MissingFigure) == (place == "mean")


def make_places(n_codes: int) -> CodePlaces:
    """Codes at places of their own, the last of which no object chose."""
    mean = np.arange(3.0 * n_codes).reshape(n_codes, 3) / n_codes
    mean[-1] = np.nan
    return CodePlaces(mean, np.arange(n_codes) % 3 - 1)


def make_use(restored, *counts: np.ndarray, places: list[CodePlaces] | None = None) -> CodeUse:
    return CodeUse("vq", restored, counts, cost=2.0, places=places)


def test_use_of_codes_is_counted_by_type(restored) -> None:
    n_types = len(restored.dims.type_names)
    counts = np.zeros((n_types, 16), dtype=np.int64)
    counts[0, :4] = 10
    counts[1, 3:5] = 20
    groups = {"vq": [make_use(restored, counts)]}

    use = dict(zip(tabulate_use(groups).columns, tabulate_use(groups).rows[0], strict=True))
    first, second, *others = tabulate_types(groups).rows

    assert (use["codes"], use["dead codes"], use["-ln p per object [nat]"]) == (16, 11.0, 2.0)
    assert (first[4], first[7], second[4], second[7]) == (4.0, 3.0, 2.0, 2.0)
    assert first[6] == pytest.approx(4.0)
    assert all(row[3] == 0 for row in others)
    assert len(tabulate_map(groups).rows) == 16


@pytest.fixture
def residual(restored):
    """The model, as if it had two quantisers."""

    class Two:
        codebook_sizes = (16, 16)

    restored.config.__dict__["latent_space"] = Two()
    return restored


def test_codes_of_several_quantisers_lie_at_the_mean_of_their_objects(residual) -> None:
    counts = np.ones((7, 16), dtype=np.int64)
    use = make_use(residual, counts, 2 * counts, places=[make_places(16), make_places(16)])

    table = tabulate_map({"rvq": [use]})

    assert decode_codes(residual) is None
    assert [len(part.rows) for part in table.split("quantiser").values()] == [15, 15]
    assert table.rows[1][:6] == ("rvq", 1, 1, 3 / 16, 4 / 16, 5 / 16)
    assert (table.rows[0][6], table.rows[1][6]) == ("", residual.dims.type_names[0])
    assert [row[:2] for row in tabulate_types({"rvq": [use]}).rows[::7]] == [("rvq", 1), ("rvq", 2)]
    assert draw_map(table, {}).axes


def test_dead_codes_are_whole_and_out_of_all_codebooks(residual, restored) -> None:
    one_code, all_codes = np.zeros((7, 16), dtype=np.int64), np.ones((7, 16), dtype=np.int64)
    one_code[0, 3] = 5
    vq, rvq = make_use(restored, one_code), make_use(residual, one_code, all_codes)

    assert describe_use({"vq": [vq], "rvq": [rvq]}) == (
        "Codes in use (perplexity, of 16): vq 1, rvq 8.5; dead codes: vq 15 of 16, rvq 15 of 32.",
    )
    assert describe_use({"vq": [vq]}) == ("Codes in use (perplexity, of 16): vq 1; dead codes, of 16: vq 15.",)
    many = {f"vq {number}": [vq] for number in range(5)} | {"rvq": [rvq]}
    assert "from 1 for vq 0 to 8.5 for rvq; dead codes: from" in describe_use(many)[0]


def test_split_without_objects_says_so_instead_of_nan(restored) -> None:
    groups = {"vq": [make_use(restored, np.zeros((7, 16), dtype=np.int64))]}

    assert describe_use(groups) == ("No object of the split chose a code of vq.",)


def test_map_of_impossible_places_is_drawn(residual) -> None:
    places = CodePlaces(np.array([[0.0, 1e30, 0.0], [-1.0, 0.0, 0.0]]), np.array([-1, -1]))

    table = tabulate_map({"rvq": [make_use(residual, np.ones((7, 2), dtype=np.int64), places=[places])]})

    draw_map(table, {}).canvas.draw()
