"""Small tokenizers of every kind, and events compared with what they decode to."""

from dataclasses import replace

import numpy as np

from thesis_ml.data.events import Events, iterate_blocks, join_events

KINDS = {
    "none": {"name": "none", "latent_dim": 4},
    "linear": {"name": "linear", "latent_dim": 4},
    "kl": {"name": "kl", "latent_dim": 4},
    "vq": {"name": "vq", "latent_dim": 4, "codebook_size": 16},
    "rvq": {"name": "rvq", "latent_dim": 4, "codebook_size": 16, "n_quantizers": 3},
    "fsq": {"name": "fsq", "levels": [5, 4, 3]},
}
CODED = ("vq", "rvq", "fsq")


def take_events(events: Events, order: np.ndarray) -> Events:
    """Return some events in another order."""
    blocks = list(iterate_blocks(events, 1))
    return join_events([blocks[event] for event in order])


def assert_same(found: Events, expected: Events) -> None:
    """Check that events are the same up to rounding."""
    np.testing.assert_array_equal(found.lengths, expected.lengths)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_allclose(found.met, expected.met, rtol=1e-3, atol=1e-4)
    for name, values in expected.features.items():
        np.testing.assert_allclose(found.features[name], values, rtol=1e-3, atol=1e-4, err_msg=name)


def change(events: Events, what: str, value: object) -> Events:
    """Return events with the first token or event of one column replaced."""
    if what in events.features:
        return events.with_features(**{what: _put(events.features[what], 0, value)})
    if what == "ids":
        return replace(events, ids=_put(events.ids, 1, value))
    met = zip(("met", "met_phi"), value, strict=True)
    return replace(events, globals={name: _put(events.globals[name], 1, number) for name, number in met})


def _put(values: np.ndarray, place: int, value: object) -> np.ndarray:
    changed = values.copy()
    changed[place] = value
    return changed
