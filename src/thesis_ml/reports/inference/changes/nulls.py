"""Null transformations: rotation in phi, reflection in eta, another order of objects."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from thesis_ml.config import choose
from thesis_ml.data.events import Events, order_tokens
from thesis_ml.reports.inference.changes.noise import EventNoise
from thesis_ml.reports.inference.changes.setting import wrap

MOST_DEVIATIONS = 4.0
"""A file is symmetric in eta when its asymmetries are no more standard errors from zero."""

Null = Callable[[Events, EventNoise], Events]


def rotate_events(events: Events, noise: EventNoise) -> Events:
    """Turn each event by an angle of its own about the beam, METphi with it."""
    angle = 2 * np.pi * noise.draw_events(events.index, 1)[:, 0]
    turned = events.with_features(phi=wrap(events.features["phi"] + np.repeat(angle, events.lengths)))
    return replace(turned, globals={**events.globals, "met_phi": wrap(events.globals["met_phi"] + angle)})


def reflect_events(events: Events, noise: EventNoise) -> Events:
    """Mirror all events in the plane across the beam: eta becomes -eta."""
    return events.with_features(eta=-events.features["eta"])


def shuffle_tokens(events: Events, noise: EventNoise) -> Events:
    """Store the tokens of each event in another order."""
    numbers = noise.draw_tokens(events.index, events.lengths, 1)[:, 0]
    order = np.lexsort((numbers, events.token_events))
    return order_tokens(events, order)


NULLS: Mapping[str, Null] = {
    "phi_rotation": rotate_events,
    "eta_reflection": reflect_events,
    "token_order": shuffle_tokens,
}
"""All null transformations."""


@dataclass(frozen=True)
class NullPlan:
    """One of NULLS.

    Args:
        name: One of NULLS.
        seed: Another seed gives other angles and orders.
    """

    name: str
    seed: int = 0

    def __post_init__(self) -> None:
        choose(self.name, NULLS, "null")


def apply_null(events: Events, plan: NullPlan) -> Events:
    """Return `events` after a null transformation."""
    return NULLS[plan.name](events, EventNoise(plan.seed, f"null {plan.name}"))


def is_symmetric(events: Events) -> bool:
    """Say whether the events are as often at eta as at -eta: by the sums over events of sign(eta), eta and eta^3.

    Where a selection or a detector is not symmetric, a reflection is a change, and a score may see it.
    """
    eta = events.features["eta"]
    for values in (np.sign(eta), eta, eta**3):
        sums = np.bincount(events.token_events, values, minlength=events.n_events)
        error = np.sqrt(np.square(sums).sum())
        if abs(sums.sum()) > MOST_DEVIATIONS * error:
            return False
    return True
