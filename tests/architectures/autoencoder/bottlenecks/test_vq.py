"""The vector quantiser: its values and gradients, directions instead of distances, narrow codes."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from vector_quantize_pytorch import VectorQuantize

from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck
from thesis_ml.errors import ConfigError

WIDTH, N_CODES = 6, 64
"""Of the quantisers that are compared with vector-quantize-pytorch."""


def make_latents(n_tokens: int, width: int = 8, seed: int = 0) -> Tensor:
    return torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(seed))


def make_vq(n_steps: int = 10, **keys: Any) -> VQBottleneck:
    """Return a quantiser after some steps of training."""
    torch.manual_seed(0)
    vq = VQBottleneck(VQBottleneck.Config(**{"latent_dim": 8, "codebook_size": 32, **keys}))
    for seed in range(n_steps):
        vq(make_latents(300, vq.config.latent_dim, seed))
    return vq


def test_vq_values_are_the_codes_themselves() -> None:
    vq, latents = make_vq(), make_latents(100)
    before = vq.quantiser.codebook.clone()

    latent = vq(latents)

    assert latent.codes is not None and latent.codes.shape == (100, 1)
    assert torch.equal(latent.values, before[latent.codes[:, 0]])


def test_vq_counts_every_code() -> None:
    latent = make_vq()(make_latents(100))

    assert latent.codes is not None
    assert torch.equal(latent.counts["codes"], torch.bincount(latent.codes[:, 0], minlength=32))


def test_vq_gradient_passes_straight_through() -> None:
    vq, latents = make_vq(), make_latents(50).requires_grad_()
    slope = make_latents(50, seed=3)

    (vq(latents).values * slope).sum().backward()

    assert latents.grad is not None
    assert torch.equal(latents.grad, slope)


def test_vq_weighs_its_losses() -> None:
    assert make_vq(beta=0.5).config.loss_weights == {"commit": 0.5}
    assert make_vq(beta=0.5, ema=False).config.loss_weights == {"commit": 0.5, "codebook": 1.0}
    assert make_vq(ema=False)(make_latents(9)).losses.keys() == make_vq(ema=False).config.loss_weights.keys()


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


# --- vector-quantize-pytorch, with the same weights -------------------------------------------------------------------


def make_reference_vq(vq: VQBottleneck, **keys: Any) -> VectorQuantize:
    reference = VectorQuantize(WIDTH, N_CODES, rotation_trick=vq.config.gradient == "rotation", **keys).eval()
    reference._codebook.embed.copy_(vq.quantiser.read_codes()[None])
    if vq.config.code_dim is not None:
        reference.project_in.load_state_dict(vq.narrow.state_dict())
        reference.project_out.load_state_dict(vq.widen.state_dict())
    return reference


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"distance": "cosine"}, {"use_cosine_sim": True}),
        ({"code_dim": 3}, {"codebook_dim": 3}),
        ({"code_dim": 3, "distance": "cosine"}, {"codebook_dim": 3, "use_cosine_sim": True}),
    ],
)
def test_vq_equals_vector_quantize_pytorch(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    vq = make_vq(latent_dim=WIDTH, codebook_size=N_CODES, **ours).eval()
    reference, latents = make_reference_vq(vq, **theirs), make_latents(2000, WIDTH, 99)

    latent = vq(latents)
    values, codes, _ = reference(latents[None])

    assert torch.equal(latent.codes[:, 0], codes[0])
    torch.testing.assert_close(latent.values, values[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_vq_gradient_equals_that_of_vector_quantize_pytorch(gradient: Any) -> None:
    vq = make_vq(latent_dim=WIDTH, codebook_size=N_CODES, gradient=gradient).eval()
    reference, slope = make_reference_vq(vq, freeze_codebook=True).train(), make_latents(300, WIDTH, 1)
    ours, theirs = (make_latents(300, WIDTH).requires_grad_() for _ in range(2))

    (vq(ours).values * slope).sum().backward()
    (reference(theirs[None], freeze_codebook=True)[0][0] * slope).sum().backward()

    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)
