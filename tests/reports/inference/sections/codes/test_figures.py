"""The map of the codes, and their use by rank."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from code_uses import make_places, make_use
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.reports.inference.scoring.places import CodePlaces
from thesis_ml.reports.inference.sections.codes.figures import draw_map, tabulate_map, tabulate_ranks
from thesis_ml.reports.utils.table import MissingFigure


@pytest.mark.parametrize(("name", "place"), [("diffusion", "decoded alone"), ("transformer", "mean"), ("gnn", "mean")])
def test_map_is_of_codes_alone_where_the_decoder_looks_at_one_object(
    restored: RestoredModel, name: str, place: str
) -> None:
    latent_dim = restored.model.bottleneck.embed_codes(torch.zeros((1, 1), dtype=torch.long)).shape[1]
    decoder = DECODERS[name](DECODERS[name].Config(), restored.dims, latent_dim)
    restored.model.decoder = decoder.eval()
    restored.config.__dict__["decoder"] = DECODERS[name].Config()
    groups = {"vq": [make_use(restored, np.ones((7, 16), dtype=np.int64), places=[make_places(16)])]}

    table = tabulate_map(groups)

    assert set(table.texts("place")) == {place}
    assert isinstance(tabulate_map({"vq": [replace(groups["vq"][0], places=None)]}), MissingFigure) == (place == "mean")


def test_map_has_every_code_of_a_decoder_that_looks_at_one_object(restored: RestoredModel) -> None:
    assert len(tabulate_map({"vq": [make_use(restored, np.ones((7, 16), dtype=np.int64))]}).rows) == 16


def test_codes_of_several_quantisers_lie_at_the_mean_of_their_objects(residual: RestoredModel) -> None:
    counts = np.ones((7, 16), dtype=np.int64)
    use = make_use(residual, counts, 2 * counts, places=[make_places(16), make_places(16)])

    table = tabulate_map({"rvq": [use]})

    assert [len(part.rows) for part in table.split("quantiser").values()] == [15, 15]
    assert table.rows[1][:6] == ("rvq", 1, 1, 3 / 16, 4 / 16, 5 / 16)
    assert (table.rows[0][6], table.rows[1][6]) == ("", residual.dims.type_names[0])
    assert draw_map(table, {}).axes


def test_map_of_impossible_places_is_drawn(residual: RestoredModel) -> None:
    places = CodePlaces(np.array([[0.0, 1e30, 0.0], [-1.0, 0.0, 0.0]]), np.array([-1, -1]))

    table = tabulate_map({"rvq": [make_use(residual, np.ones((7, 2), dtype=np.int64), places=[places])]})

    draw_map(table, {}).canvas.draw()


def test_shares_are_ordered_by_use_and_averaged_over_seeds(restored: RestoredModel) -> None:
    first, second = np.zeros((7, 3), dtype=np.int64), np.zeros((7, 3), dtype=np.int64)
    first[0], second[0] = (1, 3, 0), (2, 2, 4)

    table = tabulate_ranks({"vq": [make_use(restored, first), make_use(restored, second)]})

    assert table.column("rank") == [1, 2, 3]
    assert table.column("share") == [0.625, 0.25, 0.125]
