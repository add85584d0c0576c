"""The whole model: what one event gives must depend on that event alone."""

import pytest
import torch

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import find_tokens, permute_tokens, reverse_within_events, take_event


@pytest.fixture(params=sorted(BOTTLENECKS))
def model(request: pytest.FixtureRequest, dims: DataDims, token_batch: TokenBatch) -> Autoencoder:
    """A small model in evaluation mode; its codes, if any, lie on latents of the batch."""
    torch.manual_seed(0)
    keys: dict[str, dict[str, object]] = {
        "fsq": {"levels": [5, 4, 3, 3]},
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
