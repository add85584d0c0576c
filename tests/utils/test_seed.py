"""The same seed gives the same numbers."""

import random

import numpy as np
import pytest
import torch

from thesis_ml.utils.seed import make_order_generator, set_all_seeds


def draw_all() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), torch.rand(()).item()


@pytest.mark.parametrize("seed", [0, 42, 2**32 + 1, 2**63 - 1])
def test_set_all_seeds_repeats_python_numpy_and_torch(seed: int) -> None:
    set_all_seeds(seed)
    first = draw_all()
    set_all_seeds(seed)

    assert draw_all() == first


def test_set_all_seeds_differs_between_seeds() -> None:
    set_all_seeds(0)
    first = draw_all()
    set_all_seeds(1)

    assert all(left != right for left, right in zip(draw_all(), first, strict=True))


def order_of(seed: int, epoch: int) -> list[int]:
    return torch.randperm(50, generator=make_order_generator(seed, epoch)).tolist()


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first = order_of(42, 3)
    torch.rand(7)

    assert order_of(42, 3) == first


@pytest.mark.parametrize(("seed", "epoch"), [(42, 4), (43, 3), (2**63 - 1, 3)])
def test_order_changes_with_seed_and_epoch(seed: int, epoch: int) -> None:
    assert order_of(seed, epoch) != order_of(42, 3)
