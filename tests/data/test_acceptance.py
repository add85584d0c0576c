"""Ranges of pT and eta that one sample has and another cannot have, among types of many and of few objects."""

import numpy as np
import pytest

from thesis_ml.data.acceptance import AcceptanceGap, find_gaps
from thesis_ml.data.events import Events

TYPES = ("jet", "muon", "photon")


def draw(
    seed: int, *, n_jets: int = 3000, n_rare: int = 100, lowest_rare: float = 10.0, largest: float = 5.0
) -> Events:
    """Return events whose jets begin at 25 GeV, and muons and photons, of which there are few, at a lower pT."""
    generator = np.random.default_rng(seed)
    ids = np.repeat((1, 2, 3), (n_jets, n_rare, n_rare))
    pt = np.where(ids == 1, 25.0, lowest_rare) + generator.exponential(30.0, len(ids))
    features = {"E": 10 * pt, "pt": pt, "eta": generator.uniform(-largest, largest, len(ids)), "phi": 0.0 * pt}
    empty = np.zeros(len(ids))
    return Events.without_labels(features, ids, np.ones(len(ids), dtype=int), {"met": empty, "met_phi": empty})


def find(**samples: Events) -> tuple[AcceptanceGap, ...]:
    return find_gaps(samples, TYPES)


def test_a_threshold_of_rare_types_is_found_over_all_types() -> None:
    low, high = draw(1, n_rare=40), draw(2, n_rare=40, lowest_rare=15.0)

    (gap,) = find(low=low, high=high)

    pt = low.features["pt"]
    limit = high.features["pt"].min()
    assert (gap.wider, gap.narrower, gap.selection) == ("low", "high", f"pt >= {limit:.4g}")
    assert gap.share == pytest.approx((pt < limit).mean())
    # Muons and photons are permuted by themselves.
    chance = 1.0
    for number in (2, 3):
        n_beyond = int((pt[low.ids == number] < limit).sum())
        chance *= np.prod([(40 - rank) / (80 - rank) for rank in range(n_beyond)])
    assert gap.p_value == pytest.approx(2 * chance)
    assert str(gap).startswith("any type: ") and str(gap).endswith(f"{gap.selection} (by chance: p = {2 * chance:.2g})")


def test_a_type_of_its_own_is_named_before_all_types() -> None:
    gaps = find(wide=draw(1), narrow=draw(2, largest=2.0))

    assert {gap.type_name for gap in gaps} == set(TYPES)
    assert {gap.quantity for gap in gaps} == {"abs(eta)"}


def test_a_type_that_the_other_sample_lacks_is_no_gap() -> None:
    assert find(with_muons=draw(1, n_rare=40), without=draw(2, n_rare=0)) == ()


def test_a_type_that_the_other_sample_lacks_is_not_counted() -> None:
    with_muons, without = draw(1, n_rare=40), draw(2, n_rare=40, lowest_rare=15.0)
    is_kept = without.ids != 2
    features = {name: values[is_kept] for name, values in without.features.items()}
    without = Events.without_labels(features, without.ids[is_kept], np.ones(is_kept.sum(), dtype=int), {})

    (gap,) = find(with_muons=with_muons, without=without)

    is_photon = with_muons.ids == 3
    n_beyond = int((with_muons.features["pt"][is_photon] < gap.limit).sum())
    assert gap.share == pytest.approx(n_beyond / (with_muons.n_tokens - (with_muons.ids == 2).sum()))


def test_gaps_among_many_equal_samples_are_seldom() -> None:
    found = [bool(find(**{f"s{one}": draw(10 * trial + one, n_rare=20) for one in range(10)})) for trial in range(10)]

    assert sum(found) <= 3


def test_equal_samples_seldom_have_a_gap() -> None:
    pairs = [(draw(seed, n_rare=20), draw(10_000 + seed, n_rare=20)) for seed in range(100)]

    n_found = sum(bool(find(a=one, b=other)) for one, other in pairs)

    assert n_found <= 5


@pytest.mark.parametrize("sizes", [(400, 4400), (4400, 400), (1000, 1000)])
def test_equal_samples_of_other_sizes_have_no_sure_gap(sizes: tuple[int, int]) -> None:
    pairs = ((draw(2 * seed, n_jets=sizes[0]), draw(2 * seed + 1, n_jets=sizes[1])) for seed in range(200))

    # Three types of two quantities, each with p = 0.001.
    assert sum(any(gap.is_sure for gap in find(a=a, b=b)) for a, b in pairs) <= 4
