"""With the same weights our quantisers give the codes and values of vector-quantize-pytorch."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from vector_quantize_pytorch import FSQ, ResidualVQ, VectorQuantize

from thesis_ml.architectures.autoencoder.bottlenecks.fsq import FSQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.rvq import RVQBottleneck
from thesis_ml.architectures.autoencoder.bottlenecks.vq import VQBottleneck

WIDTH, N_CODES = 6, 64


def make_latents(n_tokens: int, width: int = WIDTH, seed: int = 0) -> Tensor:
    return torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(seed))


def train(bottleneck: nn.Module) -> Any:
    for seed in range(10):
        bottleneck(make_latents(500, seed=seed))
    return bottleneck.eval()


def make_reference_vq(vq: VQBottleneck, **keys: Any) -> VectorQuantize:
    reference = VectorQuantize(WIDTH, N_CODES, rotation_trick=vq.config.gradient == "rotation", **keys).eval()
    reference._codebook.embed.copy_(vq.quantiser.read_codes()[None])
    if vq.config.code_dim is not None:
        reference.project_in.load_state_dict(vq.narrow.state_dict())
        reference.project_out.load_state_dict(vq.widen.state_dict())
    return reference


@pytest.mark.parametrize("levels", [(8, 8, 8), (3, 4, 5, 6, 7), (8, 6, 5)])
def test_fsq_equals_the_reference(levels: tuple[int, ...]) -> None:
    fsq, reference = FSQBottleneck(FSQBottleneck.Config(levels=levels)), FSQ(list(levels))
    latents = 2 * make_latents(5000, len(levels))

    latent = fsq(latents)
    values, codes = reference(latents[None])

    assert torch.equal(latent.codes[:, 0], codes[0].long())
    torch.testing.assert_close(latent.values, values[0], rtol=0, atol=1e-6)
    every = torch.arange(fsq.config.codebook_sizes[0])
    torch.testing.assert_close(fsq.embed_codes(every[:, None]), reference.indices_to_codes(every), rtol=0, atol=1e-6)


def test_fsq_gradient_equals_that_of_the_reference() -> None:
    fsq, reference, slope = FSQBottleneck(FSQBottleneck.Config()), FSQ([8, 8, 8]), make_latents(300, 3, seed=1)
    ours, theirs = (make_latents(300, 3).requires_grad_() for _ in range(2))

    (fsq(ours).values * slope).sum().backward()
    (reference(theirs[None])[0][0] * slope).sum().backward()

    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"distance": "cosine"}, {"use_cosine_sim": True}),
        ({"code_dim": 3}, {"codebook_dim": 3}),
        ({"code_dim": 3, "distance": "cosine"}, {"codebook_dim": 3, "use_cosine_sim": True}),
    ],
)
def test_vq_equals_the_reference(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    vq = train(VQBottleneck(VQBottleneck.Config(latent_dim=WIDTH, codebook_size=N_CODES, **ours)))
    reference, latents = make_reference_vq(vq, **theirs), make_latents(2000, seed=99)

    latent = vq(latents)
    values, codes, _ = reference(latents[None])

    assert torch.equal(latent.codes[:, 0], codes[0])
    torch.testing.assert_close(latent.values, values[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gradient", ["straight_through", "rotation"])
def test_vq_gradient_equals_that_of_the_reference(gradient: Any) -> None:
    vq = train(VQBottleneck(VQBottleneck.Config(latent_dim=WIDTH, codebook_size=N_CODES, gradient=gradient)))
    reference, slope = make_reference_vq(vq, freeze_codebook=True).train(), make_latents(300, seed=1)
    ours, theirs = (make_latents(300).requires_grad_() for _ in range(2))

    (vq(ours).values * slope).sum().backward()
    (reference(theirs[None], freeze_codebook=True)[0][0] * slope).sum().backward()

    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5)


def test_rvq_equals_the_reference() -> None:
    keys = {"latent_dim": WIDTH, "codebook_size": N_CODES, "n_quantizers": 4}
    rvq = train(RVQBottleneck(RVQBottleneck.Config(**keys)))
    reference = ResidualVQ(dim=WIDTH, codebook_size=N_CODES, num_quantizers=4).eval()
    for layer, stage in zip(reference.layers, rvq.quantisers, strict=True):
        layer._codebook.embed.copy_(stage.codebook[None])
    latents = make_latents(2000, seed=99)

    latent = rvq(latents)
    values, codes, _ = reference(latents[None])

    assert torch.equal(latent.codes, codes[0])
    torch.testing.assert_close(latent.values, values[0], rtol=1e-5, atol=1e-6)
