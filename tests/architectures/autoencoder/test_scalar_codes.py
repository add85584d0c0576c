"""Scalar codes of the features themselves: the places are the best, types are kept, other components are refused."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from thesis_ml.architectures.autoencoder.bottlenecks.scalar import ScalarBottleneck
from thesis_ml.architectures.autoencoder.decoders.identity import IdentityDecoder
from thesis_ml.architectures.autoencoder.encoders.identity import IdentityEncoder
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import ConfigError
from thesis_ml.facts.readers import read_scalars
from thesis_ml.tokenizer.load import load_tokenizer
from thesis_ml.training_loops import diffusion_autoencoder, gan_autoencoder
from thesis_ml.training_loops.autoencoder import parse, train
from thesis_ml.utils.lloyd_max import fit_places, round_to_places

COPY = ("phase1/latent_space=scalar", "phase1/encoder=identity", "phase1/decoder=identity")
SMALL = ("data=synthetic", "data.synthetic.n_train=2000", "data.synthetic.n_val=200", "data.synthetic.n_test=1000")


def make_scalar(*levels: int) -> ScalarBottleneck:
    return ScalarBottleneck(ScalarBottleneck.Config(levels=levels))


@pytest.mark.parametrize(
    ("n_places", "error"), [(2, 0.3634), (4, 0.1175), (8, 0.03454), (16, 0.009497), (32, 0.002499)]
)
def test_places_of_a_normal_distribution_reach_the_known_error(n_places: int, error: float) -> None:
    """Max, IRE Trans. Inf. Theory 6 (1960) 7, table I."""
    values = np.random.default_rng(0).normal(size=200_000)

    rounded = round_to_places(values, fit_places(values, n_places))

    assert np.square(values - rounded).mean() == pytest.approx(error, rel=0.02)


def test_few_distinct_values_are_kept_exactly() -> None:
    values = np.array([3.0, 1.0, 1.0, 2.0])

    assert fit_places(values, 5).tolist() == [1, 2, 3, 3, 3]
    assert fit_places(np.zeros(0), 2).tolist() == [0, 0]


def test_each_value_is_rounded_to_the_nearest_place_of_its_column() -> None:
    scalar = make_scalar(3, 1, 8)
    latents = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    scalar.fit(latents)

    found = scalar(latents)

    for column, places in enumerate(scalar.places):
        nearest = (latents[:, column : column + 1] - places).abs().argmin(dim=1)
        assert torch.equal(found.codes[:, column], nearest)
    assert torch.equal(scalar.embed_codes(found.codes), found.values)
    assert found.counts["codes"].clamp(min=0).sum(dim=1).tolist() == [5000] * 3
    assert (found.counts["codes"][1, 1:] == -1).all()


def test_identity_keeps_features_and_types(dims: DataDims, token_batch: TokenBatch) -> None:
    n_latents = dims.n_features + 1
    encoder = IdentityEncoder(IdentityEncoder.Config(), dims, n_latents)
    decoder = IdentityDecoder(IdentityDecoder.Config(), dims, n_latents)

    decoded = decoder(encoder(token_batch), token_batch.lengths)

    assert torch.equal(decoded.features, token_batch.features)
    assert decoded.types is not None and torch.equal(decoded.types, token_batch.types)
    assert torch.nn.functional.cross_entropy(decoded.type_logits, token_batch.types) == 0
    assert decoded.globals.shape == token_batch.globals.shape


def test_a_run_is_as_good_as_the_best_scalar_codes(compose_cfg, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    flat = ("data.features=[E,pt,eta,phi]", "data.coordinates=flat", "phase1.decoder.types_beta=0")
    levels = "phase1.latent_space.levels=[1,64,45,91]"
    train(compose_cfg(*COPY[:3], *SMALL, *flat, levels, "phase1.trainer.epochs=1", "logging.make_plots=false"))

    data = load_tokens(load_tokenizer(tmp_path / "run").restored.data)
    best = [
        np.square(test - round_to_places(test, fit_places(train, n_levels))).mean()
        for train, test, n_levels in zip(
            data.train.features.double().numpy().T, data.test.features.double().numpy().T, (1, 64, 45, 91), strict=True
        )
    ]
    numbers = read_scalars(tmp_path / "run/facts").query("split == 'test'").iloc[0]
    assert numbers.metric_rec_mse <= 1.05 * np.mean(best)
    assert numbers.metric_bits_per_token == pytest.approx(math.log2(64 * 45 * 91))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (COPY[:1], r"phase1\.latent_space: 'scalar' rounds the features themselves"),
        ((*COPY, "phase1.decoder.globals_head=false"), r"'identity' trains nothing but its prediction of MET"),
        ((*COPY, "phase1.decoder.globals_shape_latents=true"), r"which the loss on MET cannot change"),
        (("phase1/latent_space=fsq", *COPY[1:]), r"'fsq' has fixed levels, and nothing learns"),
    ],
)
def test_combinations_without_a_meaning_are_refused(compose_cfg, overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(compose_cfg(*overrides))


def test_a_critic_cannot_better_what_nothing_learns(compose_cfg) -> None:
    with pytest.raises(ConfigError, match="learns no features"):
        gan_autoencoder.parse(compose_cfg("loop=gan_ae", *COPY))


@pytest.mark.parametrize(("kind", "width"), [(IdentityEncoder, 3), (IdentityDecoder, 3)])
def test_latents_of_another_width_are_refused_with_the_columns(dims: DataDims, kind: Any, width: int) -> None:
    with pytest.raises(ConfigError, match=rf"{dims.columns[0]}.*have {width}"):
        kind(kind.Config(), dims, width)


def test_object_types_have_a_place_each_also_where_the_training_lacks_one() -> None:
    scalar = make_scalar(4, 7)
    latents = torch.stack((torch.randn(500), torch.tensor([0.0, 1.0, 3.0, 5.0]).repeat(125)), dim=1)

    scalar.fit(latents)

    assert scalar.places[1].tolist() == list(range(7))


def test_fewer_levels_than_object_types_are_refused() -> None:
    latents = torch.stack((torch.randn(70), torch.arange(7.0).repeat(10)), dim=1)

    with pytest.raises(ConfigError, match=r"levels\[1\]: must be at least 7, the number of object types, got 5"):
        make_scalar(4, 5).fit(latents)


def test_a_denoiser_of_flat_coordinates_is_refused(compose_cfg) -> None:
    flat = ("loop=diffusion_ae", "data.features=[E,pt,eta,phi]", "data.coordinates=flat")

    with pytest.raises(ConfigError, match=r"data\.coordinates: 'flat' has phi as a circle cut open"):
        diffusion_autoencoder.parse(compose_cfg(*flat))
