"""The summary of an event in deep sets."""

import math

import torch

from thesis_ml.architectures.autoencoder.blocks.deepsets import pool_events

LENGTHS = torch.tensor([2, 0, 1])


def test_pool_is_the_mean_of_an_event_and_how_many_tokens_it_has() -> None:
    hidden = torch.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 7.0]])

    pooled = pool_events(hidden, LENGTHS)

    expected = [[2.0, 4.0, math.log(3)], [0.0, 0.0, 0.0], [5.0, 7.0, math.log(2)]]
    torch.testing.assert_close(pooled, torch.tensor(expected))


def test_pool_of_events_without_tokens_gives_gradients_without_nan() -> None:
    hidden = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()

    pool_events(hidden, torch.tensor([0, 3, 0])).sum().backward()

    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


def test_pool_takes_a_batch_without_any_token() -> None:
    assert torch.equal(pool_events(torch.zeros(0, 2), torch.tensor([0, 0])), torch.zeros(2, 3))
