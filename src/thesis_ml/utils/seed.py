"""Everything that makes a run repeatable before its first random number is drawn."""

import random

import numpy as np
import torch


def set_all_seeds(seed: int) -> None:
    """Seed python, numpy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def make_order_generator(seed: int, epoch: int) -> torch.Generator:
    """Return the generator of the order of events in one epoch: a function of seed and epoch alone."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)
