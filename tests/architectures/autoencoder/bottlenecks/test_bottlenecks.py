"""The contract that every bottleneck keeps."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECK_TERMS, BOTTLENECKS

LATENTS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
BATCHES = [torch.randn(300, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
CODES = {"latent_dim": 3, "codebook_size": 16}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("none", {"latent_dim": 3}),
    "linear": ("linear", {"latent_dim": 3}),
    "kl": ("kl", {"latent_dim": 3, "beta": 0.1}),
    "fsq": ("fsq", {"levels": [8, 8, 8]}),
    "fsq of mixed levels": ("fsq", {"levels": [3, 4, 5]}),
    "vq": ("vq", CODES),
    "vq, trained": ("vq", {**CODES, "ema": False}),
    "vq, cosine": ("vq", {**CODES, "distance": "cosine"}),
    "vq, cosine, trained": ("vq", {**CODES, "distance": "cosine", "ema": False}),
    "vq, rotation": ("vq", {**CODES, "gradient": "rotation"}),
    "vq, narrow": ("vq", {**CODES, "code_dim": 2}),
    "vq, all options": ("vq", {**CODES, "code_dim": 2, "distance": "cosine", "gradient": "rotation"}),
    "rvq": ("rvq", {**CODES, "n_quantizers": 3}),
    "rvq, trained": ("rvq", {**CODES, "n_quantizers": 3, "ema": False}),
}
QUANTISERS = [case for case in CASES if "q" in case]


def make_bottleneck(case: str) -> Any:
    """Return a fresh bottleneck of a case."""
    name, keys = CASES[case]
    kind = BOTTLENECKS[name]
    torch.manual_seed(0)
    return kind(kind.Config(**{key: tuple(value) if key == "levels" else value for key, value in keys.items()}))


def make_trained(case: str) -> Any:
    """Return a bottleneck whose codes, if any, have followed a few batches."""
    bottleneck = make_bottleneck(case)
    for batch in BATCHES:
        bottleneck(batch)
    return bottleneck


def copy_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in (*module.named_buffers(), *module.named_parameters())}


def test_every_bottleneck_has_a_case() -> None:
    assert {name for name, _ in CASES.values()} == set(BOTTLENECKS) - {"scalar"}


@pytest.mark.parametrize("name", ["none", "linear"])
def test_bottlenecks_without_codes_add_no_loss(name: str) -> None:
    latent = make_bottleneck(name)(LATENTS)

    assert latent.codes is None
    assert not latent.losses
    assert not latent.counts


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_gives_each_token_a_latent_of_the_same_width(case: str) -> None:
    bottleneck = make_bottleneck(case)

    assert bottleneck(LATENTS).values.shape == LATENTS.shape
    assert bottleneck.config.latent_dim == LATENTS.shape[1]


@pytest.mark.parametrize("trains", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_bottleneck_takes_a_batch_without_tokens(case: str, trains: bool) -> None:
    bottleneck = make_trained(case).train(trains)
    before = copy_state(bottleneck)

    latent = bottleneck(LATENTS[:0])

    assert latent.values.shape == (0, 3)
    assert all(loss.shape == (0,) for loss in latent.losses.values())
    assert all(counts.sum() == 0 for counts in latent.counts.values())
    assert all(torch.equal(value, before[name]) for name, value in copy_state(bottleneck).items())


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_ignores_batch_mates(case: str) -> None:
    bottleneck = make_trained(case).eval()

    alone = torch.cat([bottleneck(token).values for token in LATENTS.split(1)])

    torch.testing.assert_close(alone, bottleneck(LATENTS).values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_in_evaluation_changes_and_draws_nothing(case: str) -> None:
    bottleneck = make_trained(case).eval()
    before, drawn = copy_state(bottleneck), torch.get_rng_state()

    first, again = bottleneck(LATENTS).values, bottleneck(LATENTS).values

    assert torch.equal(first, again)
    assert all(torch.equal(value, before[name]) for name, value in copy_state(bottleneck).items())
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_passes_gradients_to_the_encoder_and_to_all_that_it_learns(case: str) -> None:
    bottleneck, latents = make_trained(case), BATCHES[0].clone().requires_grad_()
    latent = bottleneck(latents)
    weights = bottleneck.config.loss_weights

    (latent.values.square().sum() + sum(weights[name] * loss.sum() for name, loss in latent.losses.items())).backward()

    assert latents.grad is not None
    assert latents.grad.isfinite().all()
    assert latents.grad.abs().sum() > 0
    for name, parameter in bottleneck.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_weighs_the_losses_that_it_adds_and_no_other(case: str) -> None:
    bottleneck = make_bottleneck(case)

    assert set(bottleneck(LATENTS).losses) == set(bottleneck.config.loss_weights)
    assert set(bottleneck.config.loss_weights) <= set(BOTTLENECK_TERMS)
    assert bottleneck.config.weigh_losses(1.0) == bottleneck.config.loss_weights


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_keeps_float32_under_autocast(case: str) -> None:
    bottleneck, latents = make_trained(case), BATCHES[0].bfloat16().requires_grad_()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        latent = bottleneck(latents)
    (latent.values.sum() + sum(loss.sum() for loss in latent.losses.values())).backward()

    assert latent.values.dtype == (torch.bfloat16 if case == "none" else torch.float32)
    assert all(loss.dtype == torch.float32 for loss in latent.losses.values())
    assert all(value.dtype != torch.bfloat16 for value in copy_state(bottleneck).values())
    assert latents.grad is not None and latents.grad.isfinite().all()


@pytest.mark.parametrize("case", CASES)
def test_bottleneck_that_copies_is_one_without_codes(case: str) -> None:
    assert make_bottleneck(case).config.copies_when_wide == (case not in QUANTISERS)


# --- quantisers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", QUANTISERS)
def test_quantiser_gives_one_code_per_token_and_quantiser(case: str) -> None:
    bottleneck, latents = make_trained(case).eval(), BATCHES[0]
    sizes = bottleneck.config.codebook_sizes

    latent = bottleneck(latents)

    assert latent.codes.shape == (300, len(sizes))
    assert latent.codes.min() >= 0
    assert (latent.codes.amax(dim=0) < torch.tensor(sizes)).all()


@pytest.mark.parametrize("case", QUANTISERS)
def test_quantiser_counts_its_codes(case: str) -> None:
    bottleneck = make_trained(case)
    latent = bottleneck(BATCHES[0])
    sizes = bottleneck.config.codebook_sizes

    counted = torch.stack(
        [torch.bincount(codes, minlength=size) for codes, size in zip(latent.codes.unbind(1), sizes, strict=True)]
    )

    assert torch.equal(latent.counts["codes"], counted if len(sizes) > 1 else counted[0])


@pytest.mark.parametrize("case", QUANTISERS)
def test_quantiser_makes_the_same_values_of_its_codes(case: str) -> None:
    bottleneck = make_trained(case).eval()
    latent = bottleneck(BATCHES[1])

    assert torch.equal(bottleneck.embed_codes(latent.codes), latent.values)


@pytest.mark.parametrize("case", QUANTISERS)
def test_quantiser_gives_codes_to_values_that_are_not_finite(case: str) -> None:
    bottleneck = make_trained(case).eval()

    latent = bottleneck(torch.tensor([[torch.nan] * 3, [torch.inf] * 3, [-torch.inf] * 3]))

    assert latent.codes.min() >= 0
    assert (latent.codes.amax(dim=0) < torch.tensor(bottleneck.config.codebook_sizes)).all()
