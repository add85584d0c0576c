"""The residual vector quantiser: its stages, each of which follows and revives its own codes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from vector_quantize_pytorch import ResidualVQ

from thesis_ml.architectures.autoencoder.bottlenecks.codebook import Codebook
from thesis_ml.architectures.autoencoder.bottlenecks.rvq import RVQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck

KEYS: dict[str, Any] = {"latent_dim": 8, "codebook_size": 32}


def make_latents(n_tokens: int, seed: int = 0) -> Tensor:
    return torch.randn(n_tokens, 8, generator=torch.Generator().manual_seed(seed))


def make_rvq(n_steps: int = 0, **keys: Any) -> RVQBottleneck:
    """Return a quantiser after some steps of training."""
    rvq = RVQBottleneck(RVQBottleneck.Config(**{**KEYS, "n_quantizers": 3, **keys}))
    for seed in range(n_steps):
        rvq(make_latents(300, seed))
    return rvq


def list_stages(rvq: RVQBottleneck) -> list[Codebook]:
    return list(rvq.quantisers)


@pytest.mark.parametrize("ema", [True, False])
def test_rvq_of_one_stage_is_vq_to_the_last_bit(ema: bool) -> None:
    rvq, vq = make_rvq(n_quantizers=1, ema=ema), VQBottleneck(VQBottleneck.Config(**KEYS, ema=ema))

    for seed in range(10):
        ours, theirs = rvq(make_latents(300, seed)), vq(make_latents(300, seed))

    assert torch.equal(ours.values, theirs.values)
    assert torch.equal(ours.codes, theirs.codes)
    assert torch.equal(ours.counts["codes"], theirs.counts["codes"])
    assert all(torch.equal(loss, theirs.losses[name]) for name, loss in ours.losses.items())


def test_rvq_stage_quantises_what_those_before_it_left() -> None:
    rvq, left = make_rvq(20).eval(), make_latents(200, seed=99)
    latent = rvq(left)

    for number, stage in enumerate(list_stages(rvq)):
        found = stage(left)
        assert torch.equal(found.codes, latent.codes[:, number])
        left = left - found.values

    torch.testing.assert_close(latent.values + left, make_latents(200, seed=99))


def test_rvq_leaves_less_with_every_stage() -> None:
    latents = make_latents(500, seed=99)

    errors = [(make_rvq(50, n_quantizers=n).eval()(latents).values - latents).square().mean().item() for n in (1, 2, 4)]

    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.8 * errors[1]


def test_rvq_loss_is_the_mean_over_its_stages() -> None:
    rvq, left = make_rvq(20).eval(), make_latents(200, seed=99)
    commit = rvq(left).losses["commit"]

    parts = []
    for stage in list_stages(rvq):
        found = stage(left)
        parts.append(found.losses["commit"])
        left = left - found.values

    torch.testing.assert_close(commit, torch.stack(parts).mean(dim=0))


def test_rvq_commitment_pulls_the_encoder_only() -> None:
    rvq, latents = make_rvq(20), make_latents(200, seed=99).requires_grad_()

    rvq(latents).losses["commit"].sum().backward()

    assert latents.grad is not None and latents.grad.abs().sum() > 0
    assert list(rvq.parameters()) == []


def test_rvq_places_all_codes_of_every_stage() -> None:
    rvq = make_rvq(10)

    assert [int(stage.n_placed) for stage in list_stages(rvq)] == [32, 32, 32]


def test_rvq_stage_converges_to_the_means_of_what_it_sees() -> None:
    rvq = make_rvq(codebook_size=4, ema_decay=0.5, revive_below=0.0)
    left = make_latents(400)
    for _ in range(200):
        rvq(left)

    rvq.eval()
    for stage in list_stages(rvq):
        found = stage(left)
        used = found.codes.unique()
        means = torch.stack([left[found.codes == code].mean(dim=0) for code in used])
        torch.testing.assert_close(stage.codebook[used], means, rtol=0, atol=1e-4)
        left = left - found.values


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_rvq_revives_the_dead_codes_of_a_stage(lost: int) -> None:
    rvq = make_rvq(20, revive_share=0.25)
    stage = list_stages(rvq)[lost]
    with torch.no_grad():
        stage.codebook[:8] = 1e3
        stage.code_usage[:8] = 1e-3

    for seed in range(3):
        rvq(make_latents(300, seed))

    assert stage.codebook.abs().max() < 10
    counts = torch.stack([rvq(make_latents(300, seed)).counts["codes"][lost] for seed in range(5)]).sum(dim=0)
    assert (counts[:8] > 0).sum() >= 6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rvq_codes_stay_within_what_they_quantise(seed: int) -> None:
    latents, rvq = make_latents(300, seed), make_rvq()

    for _ in range(50):
        rvq(latents)

    first, *others = list_stages(rvq)
    assert first.codebook.abs().max() <= latents.abs().max()
    # A difference of two latents is at most twice as large, and so on.
    for number, stage in enumerate(others, start=1):
        assert stage.codebook.abs().max() <= 2**number * latents.abs().max()


def test_rvq_goes_on_from_its_state_to_the_last_bit() -> None:
    whole, resumed = make_rvq(6, revive_below=0.5), make_rvq(3, revive_below=0.5)
    rest = make_rvq(revive_below=0.5)
    rest.load_state_dict(resumed.state_dict())

    for seed in range(3, 6):
        rest(make_latents(300, seed))

    assert all(torch.equal(value, rest.state_dict()[name]) for name, value in whole.state_dict().items())


def test_rvq_config_counts_the_codes_of_every_stage() -> None:
    assert RVQBottleneck.Config().codebook_sizes == (512, 512, 512, 512)


def test_rvq_equals_vector_quantize_pytorch() -> None:
    rvq = make_rvq(10, n_quantizers=4).eval()
    reference = ResidualVQ(dim=8, codebook_size=32, num_quantizers=4).eval()
    for layer, stage in zip(reference.layers, rvq.quantisers, strict=True):
        layer._codebook.embed.copy_(stage.codebook[None])
    latents = make_latents(2000, seed=99)

    latent = rvq(latents)
    values, codes, _ = reference(latents[None])

    assert torch.equal(latent.codes, codes[0])
    torch.testing.assert_close(latent.values, values[0], rtol=1e-5, atol=1e-6)
