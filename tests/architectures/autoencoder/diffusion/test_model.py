"""The model that draws samples: an event's samples depend on its latents, its row and the seed, and on nothing else."""

from dataclasses import replace

import pytest
import torch

from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import draw_batch, take_event


def build(dims: DataDims, **decoder: object) -> DiffusionAutoencoder:
    groups = {
        "encoder": {"name": "mlp", "enc_hidden": [16]},
        "decoder": {"name": "diffusion", "dec_hidden": [16], "denoiser_hidden": [16, 16], "n_steps": 4, **decoder},
        "latent_space": {"name": "linear", "latent_dim": 3},
        "loss": {"name": "mse"},
    }
    torch.manual_seed(0)
    model = build_model(parse_model(groups, "phase1"), dims)
    assert isinstance(model, DiffusionAutoencoder)
    return model.eval()


@pytest.fixture
def model(dims: DataDims) -> DiffusionAutoencoder:
    return build(dims)


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
@pytest.mark.parametrize("prediction", ["v", "epsilon"])
@torch.no_grad()
def test_sample_and_loss_of_an_event_are_the_same_in_any_batch(
    dims: DataDims, token_batch: TokenBatch, sampler: str, prediction: str
) -> None:
    model = build(dims, sampler=sampler, prediction=prediction)
    output = model(token_batch)
    samples = model.draw_sample(output, token_batch, 5).split(token_batch.lengths.tolist())
    losses = model.measure_denoising(output, token_batch, 5).losses.split(token_batch.lengths.tolist())

    for event, (sample, loss) in enumerate(zip(samples, losses, strict=True)):
        alone = take_event(token_batch, event)
        assert torch.allclose(model.draw_sample(model(alone), alone, 5), sample, atol=1e-5)
        assert torch.allclose(model.measure_denoising(model(alone), alone, 5).losses, loss, atol=1e-5)


@torch.no_grad()
def test_samples_differ_between_seeds_and_are_spread_around_the_head(
    model: DiffusionAutoencoder, token_batch: TokenBatch
) -> None:
    output = model(token_batch)

    first, again, other = (model.draw_sample(output, token_batch, seed) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert (first - other).abs().min() > 0
    assert (first - output.features).abs().max() < 8 * model.decoder.spread.max()


@torch.no_grad()
def test_sample_sees_nothing_of_the_true_features(model: DiffusionAutoencoder, token_batch: TokenBatch) -> None:
    output = model(token_batch)
    other = token_batch._replace(features=token_batch.features + 1, types=(token_batch.types + 1) % 7)

    assert torch.equal(model.draw_sample(output, token_batch, 1), model.draw_sample(output, other, 1))


@torch.no_grad()
def test_reports_see_the_head_unless_they_are_to_see_a_sample(dims: DataDims, token_batch: TokenBatch) -> None:
    head, sampling = build(dims), build(dims, reports_use="sample")
    expected = sampling.draw_sample(sampling(token_batch), token_batch, 3)

    generator = torch.Generator().manual_seed(3)
    generator.get_state()
    torch.randn(10, generator=generator)  # batches before this one

    assert torch.equal(head.reconstruct(token_batch, generator).features, head(token_batch).features)
    assert torch.equal(sampling.reconstruct(token_batch, generator).features, expected)


@pytest.mark.parametrize("shapes_latents", [False, True])
def test_denoiser_shapes_latents_only_when_it_is_asked_to(
    dims: DataDims, token_batch: TokenBatch, shapes_latents: bool
) -> None:
    model = build(dims, shapes_latents=shapes_latents).train()

    model.measure_denoising(model(token_batch), token_batch, 0).losses.sum().backward()

    touched = {name for name, value in model.named_parameters() if value.grad is not None and value.grad.any()}
    assert any(name.startswith("encoder.") for name in touched) == shapes_latents
    assert any(name.startswith("decoder.denoiser.") for name in touched)
    assert not any(name.startswith(("decoder.trunk", "decoder.heads")) for name in touched)


def test_spread_follows_the_residuals_in_training_only_and_stays_above_the_resolution(
    dims: DataDims, many_events: TokenBatch
) -> None:
    model = build(dims, resolution=0.5)
    output = replace(model(many_events), features=many_events.features + torch.tensor([0.01, 0.7, 0.01, 2.0, 0.01]))

    model.measure_denoising(output, many_events, 0)
    untouched = model.decoder.spread
    model.train()
    for _ in range(200):
        model.measure_denoising(output, many_events, 0)

    assert untouched.tolist() == [1.0] * 5
    assert model.decoder.spread.tolist() == pytest.approx([0.5, 0.7, 0.5, 2.0, 0.5], rel=0.01)


@pytest.mark.parametrize("lengths", [[0, 0], []])
def test_events_without_tokens_are_survived(dims: DataDims, lengths: list[int]) -> None:
    model = build(dims).train()
    batch = draw_batch(torch.tensor(lengths, dtype=torch.long), dims, seed=1)

    output = model(batch)

    assert model.measure_denoising(output, batch, 0).losses.shape == (0,)
    assert model.draw_sample(output, batch, 0).shape == (0, dims.n_features)
    assert model.decoder.spread.tolist() == [1.0] * dims.n_features
