"""Reconstructions whose losses are known, and their closure."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from stored_events import FEATURES, TYPES, make_events, stack_features
from thesis_ml.data.events import Events
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.scoring.tally import ClosureTally
from thesis_ml.reports.inference.sections.closure.measure import ModelClosure, measure_model

Change = Callable[[Events], ModelOutput]


def copy(events: Events) -> ModelOutput:
    """Return the events as they are."""
    return ModelOutput({}, stack_features(events), events.types, events.met)


def smear(events: Events) -> ModelOutput:
    """Return E and pT 10% too high with a resolution of 15%, and MET 5 GeV too high."""
    factors = np.random.default_rng(3).normal(1.1, 0.15, (events.n_tokens, 1))
    kinematics = np.concatenate((stack_features(events)[:, :2] * factors, stack_features(events)[:, 2:]), axis=1)
    return ModelOutput({}, kinematics, events.types, events.met + np.array([5.0, 0.0]))


def push_below_shell(events: Events) -> ModelOutput:
    """Return the events with E < p for one object in twenty."""
    kinematics = stack_features(events)
    kinematics[::20, 0] = 0.95 * kinematics[::20, 1] * np.cosh(kinematics[::20, 2])
    return ModelOutput({}, kinematics, events.types, events.met)


def turn(events: Events) -> ModelOutput:
    """Return the events with all objects turned by 0.2 rad about the beam."""
    phi = (stack_features(events)[:, 3:] + 0.2 + np.pi) % (2 * np.pi) - np.pi
    return ModelOutput({}, np.concatenate((stack_features(events)[:, :3], phi), axis=1), events.types, events.met)


def measure(change: Change, features: tuple[str, ...] = FEATURES, events: Events | None = None) -> ModelClosure:
    """Return the closure of a reconstruction of some events."""
    events = make_events(4000) if events is None else events
    tally = ClosureTally(features, TYPES, [0], [])
    tally.add(events, change(events))
    return measure_model(tally.summarise(), seed=0)


def break_values(model: ModelClosure, n_wrong: int) -> ModelClosure:
    """Return the model with values that no float should have in the first events."""
    counted = model.counted
    wrong = np.resize([np.nan, np.inf, -np.inf, 1e30, -1e38, 0.0], 4000)
    is_wrong = np.arange(4000) < n_wrong
    changed = {name: np.where(is_wrong, wrong, values) for name, values in counted.reconstructed.items()}
    predicted = np.where(is_wrong[:, None], wrong[:, None], counted.met[1])
    with np.errstate(invalid="ignore"):
        return measure_model(replace(counted, reconstructed=changed, met=(counted.met[0], predicted)), seed=0)
