"""Seeds, generators and their saved states, which make a run repeatable."""

import random
from collections.abc import Mapping
from typing import Any

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


def read_random_states() -> dict[str, Any]:
    """Return the state of every global generator as tensors and plain values, for a checkpoint."""
    kind, keys, *rest = np.random.get_state()
    states = {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }
    return {**states, "cuda": torch.cuda.get_rng_state_all()} if torch.cuda.is_available() else states


def set_random_states(states: Mapping[str, Any]) -> None:
    """Restore the state of every global generator from the result of `read_random_states`."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states.get("cuda", ())) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
