"""Finite scalar quantisation: its levels, codes and gradients."""

import itertools
import math

import pytest
import torch
from vector_quantize_pytorch import FSQ

from thesis_ml.architectures.autoencoder.bottlenecks.fsq import FSQBottleneck
from thesis_ml.errors import ConfigError


def make_fsq(*levels: int) -> FSQBottleneck:
    return FSQBottleneck(FSQBottleneck.Config(levels=levels))


def make_latents(n_tokens: int, width: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_levels", [3, 4, 5, 8, 11])
def test_fsq_uses_every_level_and_no_other(n_levels: int) -> None:
    fsq = make_fsq(n_levels)

    latent = fsq(torch.linspace(-9, 9, 2001)[:, None])

    expected = torch.arange(n_levels) - n_levels // 2
    assert torch.equal(latent.values.unique(), expected / (n_levels // 2))
    assert torch.equal(latent.codes.unique(), torch.arange(n_levels))


@pytest.mark.parametrize("n_levels", [3, 4, 5, 8])
def test_fsq_rounds_zero_to_zero(n_levels: int) -> None:
    assert make_fsq(n_levels)(torch.zeros(1, 1)).values.item() == 0.0


def test_fsq_codes_number_all_combinations_of_levels() -> None:
    fsq = make_fsq(3, 4, 5)

    values = fsq.embed_codes(torch.arange(60)[:, None])

    steps = [(torch.arange(n) - n // 2) / (n // 2) for n in (3, 4, 5)]
    expected = {tuple(float(part) for part in parts) for parts in itertools.product(*steps)}
    assert {tuple(row) for row in values.tolist()} == expected
    assert values[1, 0] > values[0, 0]  # the first value counts fastest


def test_fsq_gradient_is_that_of_the_bounded_values() -> None:
    fsq, latents = make_fsq(8, 5), make_latents(200, 2).requires_grad_()
    slope = make_latents(200, 2, seed=1)

    (fsq(latents).values * slope).sum().backward()

    half = torch.tensor([7, 4]) * 1.001 / 2
    shift = torch.atanh(torch.tensor([0.5, 0.0]) / half)
    expected = slope * half / torch.tensor([4, 2]) * (1 - torch.tanh(latents.detach() + shift) ** 2)
    assert latents.grad is not None
    torch.testing.assert_close(latents.grad, expected)


def test_fsq_learns_nothing_and_is_the_same_in_training() -> None:
    fsq, latents = make_fsq(8, 8, 8), make_latents(100, 3)

    assert list(fsq.parameters()) == []
    assert fsq.state_dict() == {}
    assert torch.equal(fsq.train()(latents).values, fsq.eval()(latents).values)


def test_fsq_is_as_wide_as_it_has_levels() -> None:
    config = FSQBottleneck.Config(levels=(8, 6, 5, 5))

    assert config.latent_dim == 4
    assert config.codebook_sizes == (math.prod((8, 6, 5, 5)),)


def test_fsq_config_refuses_more_codes_than_a_codebook_may_have() -> None:
    with pytest.raises(ConfigError, match=r"^levels: must be a list whose product is at most 1048576"):
        FSQBottleneck.Config(levels=(1024, 1025))


@pytest.mark.parametrize("levels", [(8, 8, 8), (3, 4, 5, 6, 7), (8, 6, 5)])
def test_fsq_equals_vector_quantize_pytorch(levels: tuple[int, ...]) -> None:
    fsq, reference = make_fsq(*levels), FSQ(list(levels))
    latents = make_latents(5000, len(levels))

    latent = fsq(latents)
    values, codes = reference(latents[None])

    assert torch.equal(latent.codes[:, 0], codes[0].long())
    torch.testing.assert_close(latent.values, values[0], rtol=0, atol=1e-6)
    every = torch.arange(fsq.config.codebook_sizes[0])
    torch.testing.assert_close(fsq.embed_codes(every[:, None]), reference.indices_to_codes(every), rtol=0, atol=1e-6)


def test_fsq_gradient_equals_that_of_vector_quantize_pytorch() -> None:
    fsq, reference, slope = FSQBottleneck(FSQBottleneck.Config()), FSQ([8, 8, 8]), make_latents(300, 3, seed=1)
    ours, theirs = (make_latents(300, 3).requires_grad_() for _ in range(2))

    (fsq(ours).values * slope).sum().backward()
    (reference(theirs[None])[0][0] * slope).sum().backward()

    torch.testing.assert_close(ours.grad, theirs.grad)
