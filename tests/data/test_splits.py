"""Batches: slices of one table that together are the split."""

import pytest
import torch

from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.splits import TokenSplit, count_batches, iterate_batches, select_events


def make_split(n_events: int = 50, seed: int = 0) -> TokenSplit:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, 6, (n_events,), generator=generator)
    events = torch.repeat_interleave(torch.arange(n_events), lengths)
    return TokenSplit(
        features=torch.stack([events.float(), torch.randn(len(events), generator=generator)], dim=1),
        types=events % 7,
        offsets=torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]),
        globals=torch.randn(n_events, 3, generator=generator),
        labels=torch.arange(n_events) % 2,
        weights=torch.ones(n_events),
        index=torch.arange(n_events),
    )


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_same(first: TokenBatch, second: TokenBatch) -> None:
    assert all(torch.equal(a, b) for a, b in zip(first[:7], second[:7], strict=True))
    assert first.step == second.step


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
@pytest.mark.parametrize("seed", [None, 3])
def test_batches_partition_the_split(batch_size: int, seed: int | None) -> None:
    split = make_split()

    batches = list(iterate_batches(split, batch_size, generator=None if seed is None else seeded(seed)))

    assert len(batches) == count_batches(split, batch_size)
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(50))
    assert sum(batch.n_tokens for batch in batches) == split.n_tokens


def test_shuffled_batches_keep_tokens_with_their_event() -> None:
    split = make_split()

    for batch in iterate_batches(split, 8, generator=seeded(0)):
        events = torch.repeat_interleave(batch.index, batch.lengths)
        assert torch.equal(batch.features[:, 0], events.float())
        assert torch.equal(batch.types, events % 7)
        assert torch.equal(batch.globals, split.globals[batch.index])


def test_batches_without_generator_are_views_in_stored_order() -> None:
    split = make_split()

    batches = list(iterate_batches(split, 8, generator=None))

    assert torch.cat([batch.index for batch in batches]).tolist() == list(range(50))
    assert all(
        batch.features.untyped_storage().data_ptr() == split.features.untyped_storage().data_ptr() for batch in batches
    )


def test_shuffling_depends_on_the_generator_alone() -> None:
    torch.manual_seed(1)
    first = list(iterate_batches(make_split(), 8, generator=seeded(5)))
    torch.manual_seed(2)
    second = list(iterate_batches(make_split(), 8, generator=seeded(5)))
    other = list(iterate_batches(make_split(), 8, generator=seeded(6)))

    for one, two in zip(first, second, strict=True):
        assert_same(one, two)
    assert not torch.equal(first[0].index, other[0].index)


@pytest.mark.parametrize("start", [0, 1, 4, 7])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_start_skips_batches_and_changes_none(start: int, accumulate: int) -> None:
    split = make_split()
    whole = list(iterate_batches(split, 8, generator=seeded(0), accumulate=accumulate))

    rest = list(iterate_batches(split, 8, generator=seeded(0), accumulate=accumulate, start=start))

    assert len(rest) == 7 - start
    for expected, batch in zip(whole[start:], rest, strict=True):
        assert_same(expected, batch)


@pytest.mark.parametrize("accumulate", [2, 3, 100])
def test_accumulated_means_are_the_mean_of_the_group(accumulate: int) -> None:
    split = make_split()

    batches = list(iterate_batches(split, 8, generator=None, accumulate=accumulate))

    for first in range(0, len(batches), accumulate):
        group = batches[first : first + accumulate]
        means = [(batch.features[:, 1].sum() / batch.size.n_tokens).item() for batch in group]
        expected = torch.cat([batch.features[:, 1] for batch in group]).mean().item()
        assert sum(means) / len(group) == pytest.approx(expected, abs=1e-6)
        assert sum(batch.size.n_events for batch in group) == pytest.approx(sum(batch.n_events for batch in group))


def test_batches_of_events_without_tokens_have_a_size() -> None:
    split = select_events(make_split(), torch.zeros(0, dtype=torch.long))
    empty = TokenSplit(
        features=split.features,
        types=split.types,
        offsets=torch.zeros(5, dtype=torch.long),
        globals=torch.zeros(4, 3),
        labels=torch.zeros(4, dtype=torch.long),
        weights=torch.ones(4),
        index=torch.arange(4),
    )

    batches = list(iterate_batches(empty, 2, generator=seeded(0), accumulate=2))

    assert [batch.n_tokens for batch in batches] == [0, 0]
    assert all(batch.size.n_tokens > 0 for batch in batches)


def test_to_keeps_every_part() -> None:
    split = make_split()

    moved = split.to(torch.device("cpu"))

    assert torch.equal(moved.features, split.features)
    assert torch.equal(moved.offsets, split.offsets)
