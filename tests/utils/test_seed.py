"""The same seed gives the same numbers."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint
from thesis_ml.utils.seed import make_order_generator, read_random_states, set_all_seeds, set_random_states


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


def test_random_states_go_on_where_they_were_read(tmp_path: Path) -> None:
    set_all_seeds(3)
    draw_all()
    np.random.normal()
    save_checkpoint(read_random_states(), tmp_path / "states.pt")
    expected = draw_all(), np.random.normal(), random.gauss(0, 1)
    set_all_seeds(4)

    set_random_states(load_checkpoint(tmp_path / "states.pt"))

    assert (draw_all(), np.random.normal(), random.gauss(0, 1)) == expected
