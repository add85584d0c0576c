"""Noise is a function of seed and row of the event: unit Gaussian, alike in every batch, independent otherwise."""

import torch

from thesis_ml.architectures.autoencoder.diffusion.event_noise import derive_seed, draw_normal, draw_uniform

SEED = derive_seed(42, 1)


def test_noise_of_an_event_does_not_depend_on_its_batch() -> None:
    lengths, index = torch.tensor([3, 0, 5, 1]), torch.tensor([7, 2, 900_000, 4])

    together = draw_normal(index, lengths, n_columns=5, seed=SEED).split(lengths.tolist())

    for event, expected in enumerate(together):
        assert torch.equal(
            draw_normal(index[event : event + 1], lengths[event : event + 1], n_columns=5, seed=SEED), expected
        )


def test_noise_is_unit_gaussian_and_independent_between_tokens_columns_rows_and_seeds() -> None:
    lengths, index = torch.full((4000,), 3), torch.arange(4000)
    streams = [
        draw_normal(index, lengths, n_columns=4, seed=derive_seed(0, 2, number)).view(4000, 12) for number in range(3)
    ]
    values = torch.cat(streams, dim=1).double()

    correlations = torch.corrcoef(values.T) - torch.eye(36)
    neighbours = (values[1:] * values[:-1]).mean(dim=0)

    assert values.mean(dim=0).abs().max() < 0.07
    assert (values.var(dim=0) - 1).abs().max() < 0.1
    assert abs(values.pow(4).mean().item() - 3) < 0.1
    assert correlations.abs().max() < 0.08
    assert neighbours.abs().max() < 0.07


def test_uniform_numbers_fill_the_interval() -> None:
    values = draw_uniform(torch.arange(5000), torch.full((5000,), 4), seed=SEED)

    counts = torch.histc(values, bins=10, min=0, max=1)
    assert values.min() > 0 and values.max() <= 1
    assert (counts - 2000).abs().max() < 200


def test_events_without_tokens_have_no_noise() -> None:
    nothing = torch.zeros(0, dtype=torch.long)

    assert draw_normal(torch.tensor([5]), torch.tensor([0]), n_columns=4, seed=SEED).shape == (0, 4)
    assert draw_normal(nothing, nothing, n_columns=4, seed=SEED).shape == (0, 4)
    assert draw_uniform(nothing, nothing, seed=SEED).shape == (0,)


def test_seeds_of_streams_differ_and_take_any_whole_number() -> None:
    seeds = {
        derive_seed(seed, *rest) for seed in (0, 1, 2**63 - 1) for rest in ((), (0,), (1,), (0, 0), (1, 0), (0, 1))
    }

    assert len(seeds) == 18
    assert all(-(2**63) <= seed < 2**63 for seed in seeds)
