"""Events in physical units, as data/ keeps them, for tests that need no file."""

import numpy as np

from thesis_ml.data.events import StoredEvents

TYPES = ("jet", "b-jet", "e-")
"""Names of the object ids 1, 2 and 3."""


def make_events(n_events: int = 300, seed: int = 0) -> StoredEvents:
    """Events of 0 to 7 tokens whose rows are scattered over a large file."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 8, n_events)
    n_tokens = int(lengths.sum())
    pt, eta = 25 + generator.exponential(50, n_tokens), generator.uniform(-2.5, 2.5, n_tokens)
    energy = np.hypot(pt * np.cosh(eta), generator.exponential(5, n_tokens))
    met = np.stack((generator.exponential(50, n_events), generator.uniform(-3, 3, n_events)), axis=1)
    return StoredEvents(
        kinematics=np.stack((energy, pt, eta, generator.uniform(-np.pi, np.pi, n_tokens)), axis=1),
        ids=generator.integers(1, 4, n_tokens),
        lengths=lengths,
        met=met,
        labels=np.zeros(n_events, dtype=np.int64),
        weights=np.ones(n_events),
        index=generator.permutation(10_000)[:n_events],
        row_hash=np.arange(n_events, dtype=np.uint64),
    )
