"""The whole model: the result for an event depends on that event alone, and on types through latents alone."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import Autoencoder, Quantiser
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.autoencoder.losses.sinkhorn import SinkhornLoss
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.errors import ConfigError
from token_batches import draw_batch, find_tokens, permute_tokens, reverse_within_events, take_event

SHARE_OF_THE_LARGEST = 0.6
READ_OUT_BETA = 1e-4
N_STEPS = 50


@pytest.fixture(params=sorted(BOTTLENECKS))
def model(request: pytest.FixtureRequest, dims: DataDims, token_batch: TokenBatch) -> Autoencoder:
    """A small model in evaluation mode; its codes, if any, lie on latents of the batch."""
    torch.manual_seed(0)
    keys: dict[str, dict[str, object]] = {
        "fsq": {"levels": [5, 4, 3, 3]},
        "scalar": {"levels": [5, 4, 3, 3]},
        "vq": {"latent_dim": 4, "codebook_size": 8},
        "rvq": {"latent_dim": 4, "codebook_size": 8, "n_quantizers": 3},
    }
    groups = {
        "encoder": {"name": "mlp", "enc_hidden": [16]},
        "decoder": {"name": "mlp", "dec_hidden": [16]},
        "latent_space": {"name": request.param, **keys.get(request.param, {"latent_dim": 4})},
        "loss": {"name": "mse"},
    }
    model = build_model(parse_model(groups, "phase1"), dims)
    model(token_batch)
    return model.eval()


@pytest.mark.parametrize("event", range(5))
def test_model_ignores_batch_mates(model: Autoencoder, token_batch: TokenBatch, event: int) -> None:
    together, tokens = model(token_batch), find_tokens(token_batch, event)

    alone = model(take_event(token_batch, event))

    torch.testing.assert_close(alone.features, together.features[tokens], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.type_logits, together.type_logits[tokens], rtol=0, atol=1e-5)
    torch.testing.assert_close(alone.globals[0], together.globals[event], rtol=0, atol=1e-5)


def test_model_follows_the_order_of_tokens(model: Autoencoder, token_batch: TokenBatch) -> None:
    order = reverse_within_events(token_batch)
    stored, reversed_ = model(token_batch), model(permute_tokens(token_batch, order))

    torch.testing.assert_close(reversed_.features, stored.features[order], rtol=0, atol=1e-5)
    torch.testing.assert_close(reversed_.globals, stored.globals, rtol=0, atol=1e-5)


def test_model_takes_a_batch_without_any_token(model: Autoencoder, token_batch: TokenBatch) -> None:
    output = model.train()(take_event(token_batch, 1))

    assert output.features.shape == (0, token_batch.features.shape[1])
    assert output.globals.isfinite().all()


def test_model_in_evaluation_changes_nothing(model: Autoencoder, token_batch: TokenBatch) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}

    model(token_batch)

    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_model_does_not_see_labels_weights_or_index(model: Autoencoder, token_batch: TokenBatch) -> None:
    other = token_batch._replace(
        labels=token_batch.labels + 1, weights=token_batch.weights * 2, index=-token_batch.index
    )

    assert torch.equal(model(other).features, model(token_batch).features)


def test_reconstruct_of_a_model_that_does_not_sample_draws_no_random_number(
    model: Autoencoder, token_batch: TokenBatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()

    output = model.reconstruct(token_batch, generator)

    assert torch.equal(output.features, model(token_batch).features)
    assert torch.equal(generator.get_state(), state)


def test_model_names_the_weights_of_the_terms_that_its_bottleneck_adds(
    model: Autoencoder, token_batch: TokenBatch
) -> None:
    assert set(model.loss_weights) == set(model(token_batch).latent.losses)


def test_model_says_how_many_codes_each_of_its_quantisers_has(model: Autoencoder, token_batch: TokenBatch) -> None:
    latent = model(token_batch).latent

    n_quantisers = 0 if latent.codes is None else latent.codes.shape[1]
    assert len(model.codebook_sizes) == n_quantisers
    assert ("codes" in latent.counts) == (n_quantisers > 0)
    for quantiser, n_codes in enumerate(model.codebook_sizes):
        assert latent.codes[:, quantiser].max() < n_codes


def test_model_with_codes_embeds_them_as_its_bottleneck_does(model: Autoencoder, token_batch: TokenBatch) -> None:
    latent = model.encode(token_batch)

    assert isinstance(model.bottleneck, Quantiser) == (latent.codes is not None)
    if latent.codes is not None:
        torch.testing.assert_close(model.embed_codes(latent.codes), latent.values)


def test_config_names_the_features_that_are_missing_and_where() -> None:
    config = SinkhornLoss.Config()
    config.check_features(("pt", "eta", "phi"), "phase1.loss")

    with pytest.raises(ConfigError, match=r"^phase1\.loss: needs eta, phi, which data\.features leaves out; add"):
        config.check_features(("E", "pt"), "phase1.loss")


# --- no true type reaches a decoder but through the latents -----------------------------------------------------------
#
# Where all latents are one code, the type head is right as often as the largest class is common, however long it is
# trained. A decoder that were given the type on any other way would separate the types, as it does where the latents
# may hold them. Where the type head shapes no latent (`types_beta` so small that only the optimiser's own scaling moves
# the head, which makes it a read-out of a model with `types_beta` 0), latents hold next to nothing of the type.


def build(dims: DataDims, encoder: str, decoder: str, **latent_space: Any) -> Autoencoder:
    groups = {
        "encoder": {"name": encoder},
        "decoder": {"name": decoder},
        "latent_space": latent_space,
        "loss": {"name": "mse"},
    }
    torch.manual_seed(0)
    return build_model(parse_model(groups, "phase1"), dims)


@pytest.fixture
def events(dims: DataDims) -> TokenBatch:
    """Events whose types follow from nothing else; six in ten tokens have type 0."""
    batch = draw_batch(1 + torch.arange(60) % 9, dims, seed=4)
    generator = torch.Generator().manual_seed(5)
    is_largest = torch.rand(batch.n_tokens, generator=generator) < SHARE_OF_THE_LARGEST
    others = torch.randint(1, dims.n_types, (batch.n_tokens,), generator=generator)
    return batch._replace(types=torch.where(is_largest, 0, others))


def train_types(model: nn.Module, batch: TokenBatch, types_beta: float) -> float:
    """Return the accuracy of the type head after training on a batch, on which it may even overfit."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(N_STEPS):
        output = model(batch)
        loss = functional.mse_loss(output.features, batch.features)
        loss = loss + types_beta * functional.cross_entropy(output.type_logits, batch.types)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float((model(batch).type_logits.argmax(dim=1) == batch.types).float().mean())


@pytest.mark.parametrize("encoder", sorted(set(ENCODERS) - {"identity"}))
@pytest.mark.parametrize("decoder", sorted(set(DECODERS) - {"identity"}))
def test_one_code_for_all_tells_a_decoder_nothing(
    encoder: str, decoder: str, dims: DataDims, events: TokenBatch
) -> None:
    model = build(dims, encoder, decoder, name="vq", latent_dim=4, codebook_size=1)
    model(events)
    other = permute_tokens(events, torch.randperm(events.n_tokens, generator=torch.Generator().manual_seed(0)))

    first, second = model.eval()(events), model(other._replace(types=(events.types + 1) % dims.n_types))

    torch.testing.assert_close(first.type_logits, second.type_logits, rtol=0, atol=1e-6)
    torch.testing.assert_close(first.features, second.features, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", sorted(set(DECODERS) - {"identity"}))
@pytest.mark.parametrize(
    ("latent_space", "types_beta", "is_learned"),
    [
        ({"name": "vq", "codebook_size": 1, "latent_dim": 4}, 1.0, False),
        ({"name": "none", "latent_dim": 8}, READ_OUT_BETA, False),
        ({"name": "none", "latent_dim": 8}, 1.0, True),
    ],
)
def test_type_head_is_right_beyond_the_largest_class_only_where_latents_hold_the_type(
    decoder: str, latent_space: dict, types_beta: float, is_learned: bool, dims: DataDims, events: TokenBatch
) -> None:
    model = build(dims, "mlp", decoder, **latent_space)

    accuracy = train_types(model, events, types_beta)

    largest = float((events.types == 0).float().mean())
    assert accuracy > 0.95 if is_learned else accuracy < largest + 0.05
