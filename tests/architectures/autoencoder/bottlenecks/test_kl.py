"""The variational bottleneck: its noise, its loss and its warm-up."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from thesis_ml.architectures.autoencoder.bottlenecks.kl import KLBottleneck

LATENTS = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))


def make_kl(**keys: float) -> KLBottleneck:
    torch.manual_seed(0)
    return KLBottleneck(KLBottleneck.Config(latent_dim=4, **keys))


def read_gaussian(kl: KLBottleneck) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        return kl.mean(LATENTS), (kl.log_variance(LATENTS) / 2).exp()


def test_kl_loss_is_the_divergence_from_a_unit_gaussian() -> None:
    kl = make_kl()
    mean, spread = read_gaussian(kl)

    losses = kl(LATENTS).losses["kl"]

    torch.testing.assert_close(losses, kl_divergence(Normal(mean, spread), Normal(0.0, 1.0)).sum(dim=1))


def test_kl_draws_around_its_mean_with_its_width() -> None:
    kl = make_kl()
    mean, spread = read_gaussian(kl)

    drawn = torch.stack([(kl(LATENTS).values - mean) / spread for _ in range(40)]).detach()

    assert abs(drawn.mean().item()) < 0.02
    assert abs(drawn.std().item() - 1) < 0.02


def test_kl_gives_its_means_in_evaluation() -> None:
    kl = make_kl().eval()

    assert torch.equal(kl(LATENTS).values, read_gaussian(kl)[0])


def test_kl_loss_does_not_depend_on_the_noise() -> None:
    kl = make_kl()

    assert torch.equal(kl.train()(LATENTS).losses["kl"], kl.eval()(LATENTS).losses["kl"])


def test_kl_noise_follows_the_seed() -> None:
    kl = make_kl()
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(kl(LATENTS).values)

    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_kl_loss_stays_finite_for_any_width() -> None:
    kl = make_kl()

    losses = kl(LATENTS * 1e4).losses["kl"]

    assert losses.isfinite().all()


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.5, 0.25), (1.5, 0.75), (2.0, 1.0), (9.0, 1.0)])
def test_kl_weight_rises_over_the_warm_up(progress: float, share: float) -> None:
    config = KLBottleneck.Config(beta=0.4, beta_warmup_epochs=2.0)

    assert config.weigh_losses(progress) == {"kl": pytest.approx(0.4 * share)}
    assert config.loss_weights == {"kl": 0.4}
