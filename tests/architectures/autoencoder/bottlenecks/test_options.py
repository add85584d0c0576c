"""The options of vq: directions instead of distances, turned gradients, narrow codes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from thesis_ml.architectures.autoencoder.bottlenecks.codebook import GRADIENTS, rotate_gradients
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck
from thesis_ml.errors import ConfigError


def make_latents(n_tokens: int, width: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(seed))


def make_vq(n_steps: int = 10, **keys: Any) -> VQBottleneck:
    """Return a quantiser after some steps of training."""
    torch.manual_seed(0)
    vq = VQBottleneck(VQBottleneck.Config(**{"latent_dim": 8, "codebook_size": 32, **keys}))
    for seed in range(n_steps):
        vq(make_latents(300, seed=seed))
    return vq


# --- cosine -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ema", [True, False])
def test_cosine_chooses_the_code_of_the_smallest_angle(ema: bool) -> None:
    vq, latents = make_vq(distance="cosine", ema=ema).eval(), make_latents(500, seed=9)

    codes = vq(latents).codes[:, 0]

    cosines = functional.cosine_similarity(latents[:, None], vq.quantiser.codebook[None], dim=2)
    assert torch.equal(codes, cosines.argmax(dim=1))


def test_cosine_looks_at_directions_only_and_gives_unit_vectors() -> None:
    vq, latents = make_vq(distance="cosine").eval(), make_latents(500, seed=9)

    latent = vq(latents)

    assert torch.equal(vq(7 * latents).codes, latent.codes)
    torch.testing.assert_close(latent.values.norm(dim=1), torch.ones(500))


def test_cosine_codes_are_the_mean_directions_of_their_latents() -> None:
    vq = make_vq(0, distance="cosine", codebook_size=8, ema_decay=0.5, revive_below=0.0)
    latents = functional.normalize(make_latents(400), dim=1)
    for _ in range(200):
        vq(latents)

    codes = vq.eval()(latents).codes[:, 0]

    means = torch.stack([latents[codes == code].mean(dim=0) for code in range(8)])
    torch.testing.assert_close(vq.quantiser.read_codes(), functional.normalize(means, dim=1), rtol=0, atol=1e-4)


def test_cosine_gradient_of_a_latent_is_across_it() -> None:
    vq, latents = make_vq(distance="cosine"), make_latents(50, seed=9).requires_grad_()

    (vq(latents).values * make_latents(50, seed=10)).sum().backward()

    assert latents.grad is not None
    assert (latents.grad * latents.detach()).sum(dim=1).abs().max() < 1e-4


# --- rotation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_leave_the_codes_as_they_are(name: str) -> None:
    latents, codes = make_latents(100), make_latents(100, seed=1)

    assert torch.equal(GRADIENTS[name](latents, codes), codes)


def test_rotation_is_the_one_that_turns_the_latent_into_its_code() -> None:
    latents, codes = make_latents(50), make_latents(50, seed=1)
    jacobians = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda z, q=q: rotate_gradients(z[None], q[None])[0], z)
            for z, q in zip(latents, codes, strict=True)
        ]
    )

    scales = codes.norm(dim=1) / latents.norm(dim=1)
    turned = torch.einsum("pij,pj->pi", jacobians, latents)
    squares = jacobians @ jacobians.transpose(1, 2)
    torch.testing.assert_close(turned, codes, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(squares, scales.square()[:, None, None] * torch.eye(8), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(
        torch.linalg.det(jacobians / scales[:, None, None]), torch.ones(50), rtol=1e-3, atol=1e-3
    )


def test_rotation_keeps_the_angle_between_gradient_and_code() -> None:
    latents, codes, slope = make_latents(50).requires_grad_(), make_latents(50, seed=1), make_latents(50, seed=2)

    (rotate_gradients(latents, codes) * slope).sum().backward()

    assert latents.grad is not None
    at_code = functional.cosine_similarity(slope, codes, dim=1)
    at_latent = functional.cosine_similarity(latents.grad, latents.detach(), dim=1)
    torch.testing.assert_close(at_latent, at_code, rtol=1e-4, atol=1e-5)


def test_rotation_equals_straight_through_where_the_latent_is_its_code() -> None:
    latents, slope = make_latents(50).requires_grad_(), make_latents(50, seed=2)

    (rotate_gradients(latents, latents.detach().clone()) * slope).sum().backward()

    torch.testing.assert_close(latents.grad, slope)


@pytest.mark.parametrize("latent", [[0.0, 0.0], [-1.0, 0.0], [1e-30, 0.0]])
def test_rotation_stays_finite_without_a_direction_and_opposite_to_the_code(latent: list[float]) -> None:
    latents, codes = torch.tensor([latent], requires_grad=True), torch.tensor([[1.0, 0.0]])

    rotate_gradients(latents, codes).sum().backward()

    assert latents.grad is not None
    assert latents.grad.isfinite().all()
    assert latents.grad.abs().max() < 10


# --- narrow codes -----------------------------------------------------------------------------------------------------


def test_narrow_codes_lie_in_as_many_dimensions() -> None:
    vq = make_vq(code_dim=2)

    values = vq.eval()(make_latents(300, seed=9)).values

    assert vq.quantiser.codebook.shape == (32, 2)
    assert torch.linalg.matrix_rank(values - values.mean(dim=0), rtol=1e-4) == 2


def test_options_that_are_not_used_leave_nothing_behind() -> None:
    vq = make_vq(0)
    drawn = torch.get_rng_state()
    torch.manual_seed(0)

    assert list(vq.parameters()) == []
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("code_dim", [8, 9])
def test_code_dim_at_or_above_the_width_of_latents_is_refused(code_dim: int) -> None:
    with pytest.raises(ConfigError, match=rf"^code_dim: must be at least 1 and below latent_dim \(8\), got {code_dim}"):
        VQBottleneck.Config(latent_dim=8, code_dim=code_dim)
