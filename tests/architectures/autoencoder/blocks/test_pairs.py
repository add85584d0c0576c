"""Pairs of tokens within events: all of them, and the nearest."""

import math

import pytest
import torch

from thesis_ml.architectures.autoencoder.blocks.pairs import (
    Pairs,
    decode_tokens,
    keep_nearest,
    list_pairs,
    measure_distances,
)
from thesis_ml.data.batch import DataDims
from token_batches import draw_batch


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.receivers.tolist(), pairs.senders.tolist(), strict=True))


@pytest.mark.parametrize("lengths", [[3, 0, 2, 1], [0, 0], [1], []])
def test_list_pairs_pairs_every_token_with_those_of_its_event(lengths: list[int]) -> None:
    events = [event for event, length in enumerate(lengths) for _ in range(length)]

    pairs = list_pairs(torch.tensor(lengths, dtype=torch.long))

    tokens = range(len(events))
    expected = {(i, j) for i in tokens for j in tokens if events[i] == events[j]}
    assert as_set(pairs) == expected
    assert len(pairs.receivers) == len(expected)
    assert pairs.receivers.tolist() == sorted(pairs.receivers.tolist())
    assert as_set(pairs.without_self()) == {(i, j) for i, j in expected if i != j}


def test_distance_takes_phi_the_short_way_round() -> None:
    eta, phi = torch.tensor([0.0, 0.3, -1.0]), torch.tensor([3.1, -3.1, 3.1])

    distances = measure_distances(eta, phi, Pairs(torch.tensor([0, 1, 0]), torch.tensor([1, 0, 2])))

    across = math.hypot(0.3, 2 * math.pi - 6.2)
    torch.testing.assert_close(distances, torch.tensor([across, across, 1.0]))


def test_nearest_are_those_of_a_full_search() -> None:
    lengths = torch.tensor([5, 1, 0, 7, 2])
    places = torch.randn(15, 2, generator=torch.Generator().manual_seed(0))
    pairs = list_pairs(lengths).without_self()
    distances = measure_distances(places[:, 0], places[:, 1], pairs)

    nearest = keep_nearest(pairs, distances, 3)

    expected = set()
    for receiver in range(15):
        mine = (pairs.receivers == receiver).nonzero().flatten()
        ranked = mine[distances[mine].argsort()][:3]
        expected |= {(receiver, int(sender)) for sender in pairs.senders[ranked]}
    assert as_set(nearest) == expected
    assert nearest.receivers.tolist() == sorted(nearest.receivers.tolist())


def test_of_equal_distances_the_first_counts() -> None:
    pairs = list_pairs(torch.tensor([4])).without_self()

    nearest = keep_nearest(pairs, torch.zeros(12), 1)

    assert as_set(nearest) == {(0, 1), (1, 0), (2, 0), (3, 0)}


def test_decode_tokens_inverts_the_encoding_by_name(dims: DataDims) -> None:
    physical = torch.tensor([[60.0, 50.0, 0.5, 3.1], [2000.0, 31.0, -2.0, -0.2]], dtype=torch.float64)
    assert dims.normalizer is not None

    types = torch.tensor([0, 1])
    batch = draw_batch(torch.tensor([2]), dims, seed=0)
    batch = batch._replace(features=dims.normalizer.encode_features(physical, types), types=types)

    values = decode_tokens(batch, dims)

    assert list(values) == ["E", "pt", "eta", "phi"]
    torch.testing.assert_close(torch.stack(list(values.values()), dim=1).double(), physical, rtol=1e-5, atol=1e-5)
