"""Events in physical units, for tests that need no file."""

from typing import Any

import numpy as np

from thesis_ml.data.events import Events
from thesis_ml.utils.arrays import NDArray

TYPES = ("jet", "b-jet", "e-")
"""Names of the object ids 1, 2 and 3."""
FEATURES = ("E", "pt", "eta", "phi")


def make_events(n_events: int = 300, seed: int = 0) -> Events:
    """Events of 0 to 7 tokens whose rows are scattered over a large file."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, 8, n_events)
    n_tokens = int(lengths.sum())
    pt, eta = 25 + generator.exponential(50, n_tokens), generator.uniform(-2.5, 2.5, n_tokens)
    energy = np.hypot(pt * np.cosh(eta), generator.exponential(5, n_tokens))
    met = {"met": generator.exponential(50, n_events), "met_phi": generator.uniform(-3, 3, n_events)}
    return Events(
        features={"E": energy, "pt": pt, "eta": eta, "phi": generator.uniform(-np.pi, np.pi, n_tokens)},
        ids=generator.integers(1, 4, n_tokens),
        lengths=lengths,
        globals=met,
        labels=np.zeros(n_events, dtype=np.int64),
        weights=np.ones(n_events),
        index=generator.permutation(10_000)[:n_events],
    )


def stack_features(events: Events) -> NDArray[np.float64]:
    """Return E, pt, eta, phi of the tokens as columns, a copy."""
    return np.stack([events.features[name] for name in FEATURES], axis=1)


def assert_same_events(found: Events, expected: Events) -> None:
    """Check that everything that is said of events is the same."""
    for name, values in _list_columns(expected).items():
        np.testing.assert_array_equal(_list_columns(found)[name], values, err_msg=name)


def _list_columns(events: Events) -> dict[str, NDArray[Any]]:
    whole = {name: values for name, values in vars(events).items() if name not in ("features", "globals")}
    return {**whole, **events.features, **events.globals}
