"""Changes of events that no score may see: a detector that is turned or mirrored, objects in another order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from thesis_ml.config import choose
from thesis_ml.data.events import StoredEvents
from thesis_ml.reports.inference.corruptions import wrap
from thesis_ml.reports.inference.noise import EventNoise

MOST_DEVIATIONS = 4.0
"""A file is symmetric in eta when its asymmetries are no more standard errors from zero."""

Null = Callable[[StoredEvents, EventNoise], StoredEvents]


def rotate_events(events: StoredEvents, noise: EventNoise) -> StoredEvents:
    """Turn each event by an angle of its own about the beam, METphi with it."""
    angle = 2 * np.pi * noise.draw_events(events.index, 1)[:, 0]
    kinematics, met = events.kinematics.copy(), events.met.copy()
    kinematics[:, 3] = wrap(kinematics[:, 3] + np.repeat(angle, events.lengths))
    met[:, 1] = wrap(met[:, 1] + angle)
    return replace(events, kinematics=kinematics, met=met)


def reflect_events(events: StoredEvents, noise: EventNoise) -> StoredEvents:
    """Mirror all events in the plane across the beam: eta becomes -eta."""
    kinematics = events.kinematics.copy()
    kinematics[:, 2] *= -1
    return replace(events, kinematics=kinematics)


def shuffle_tokens(events: StoredEvents, noise: EventNoise) -> StoredEvents:
    """Store the tokens of each event in another order."""
    numbers = noise.draw_tokens(events.index, events.lengths, 1)[:, 0]
    order = np.lexsort((numbers, events.token_events))
    return replace(events, kinematics=events.kinematics[order], ids=events.ids[order])


NULLS: Mapping[str, Null] = {
    "phi_rotation": rotate_events,
    "eta_reflection": reflect_events,
    "token_order": shuffle_tokens,
}
"""The closed set of changes that must not matter."""


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


def apply_null(events: StoredEvents, plan: NullPlan) -> StoredEvents:
    """Return `events` after a change that must not matter."""
    return NULLS[plan.name](events, EventNoise(plan.seed, f"null {plan.name}"))


def is_symmetric(events: StoredEvents) -> bool:
    """Say whether the events are as often at eta as at -eta: by the sums over events of sign(eta), eta and eta^3.

    Where a selection or a detector is not symmetric, a reflection is a change, and a score may see it.
    """
    eta = events.kinematics[:, 2]
    for values in (np.sign(eta), eta, eta**3):
        sums = np.bincount(events.token_events, values, minlength=events.n_events)
        error = np.sqrt(np.square(sums).sum())
        if abs(sums.sum()) > MOST_DEVIATIONS * error:
            return False
    return True
