"""Scores that need no model, which a model has to be better than: variables of events, their tails and densities."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.ensemble import IsolationForest

from thesis_ml.data.events import Events
from thesis_ml.metrics.event_quantities import (
    compute_ht,
    compute_ht_miss,
    compute_invariant_mass,
    find_largest_pair_mass,
    find_leading_pt,
    sum_events,
    sum_momenta,
    to_four_momenta,
)
from thesis_ml.reports.inference.scoring.density import fit_mahalanobis
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.scoring.quantities import list_jets
from thesis_ml.utils.arrays import NDArray

B_JET = "b-jet"
VARIABLES = (
    *("multiplicity", "ht", "ht_miss", "leading_pt", "met", "met_mismatch"),
    *("mean_ln_e_over_p", "min_e_over_p", "m_jj_max", "b_jets"),
)
"""Baselines that may as well be low for signal as high."""

SUMMARISED = ("multiplicity", "ht", "ht_miss", "leading_pt", "met")
TAILS = ("leading_pt", "ht", "m_all", "m_jj_max")
COUNT_TAILS = ("multiplicity", "b_jets")
N_PT_BINS = 10
"""Of the likelihood of types; each holds as many objects of the background."""

Variables = Mapping[str, Float[NDArray[Any], " N"]]


class BaselineScorer:
    """The baselines of events; what is ordinary is fitted to background.

    - The variables of `compute_baselines`.
    - `summary_mahalanobis`, `isolation_forest`: how unlike the background an event is in the values of
      `summarise_events`: of the variables in SUMMARISED, and of all.
    - `upper_tails`: the sum of -ln of the share of background that has more of each of leading pT, H_T, mass of the
      event and largest mass of two jets; `upper_tails_with_counts` adds the numbers of objects and of b-jets.
    - `type_likelihood`: the sum over objects of -ln of the share of background objects with their type and pT.

    Source of the forest: Liu, Ting and Zhou, ICDM (2008) 413.

    Args:
        background: What an ordinary event is.
        type_names: Names of the object ids 1, 2, ...
    """

    def __init__(self, background: Events, type_names: Sequence[str]) -> None:
        self._type_names = tuple(type_names)
        variables = self._describe(background)
        self._density = fit_mahalanobis(self._summarise(background, variables, SUMMARISED), 0)
        self._forest = IsolationForest(random_state=0).fit(_round(self._summarise(background, variables, variables)))
        self._sorted = {
            name: np.sort(variables[name].astype(np.float32)) for name in (*TAILS, *COUNT_TAILS) if name in variables
        }
        pt = background.features["pt"]
        self._edges = np.quantile(pt, np.linspace(0, 1, N_PT_BINS + 1)[1:-1]) if len(pt) else np.zeros(N_PT_BINS - 1)
        counts = np.bincount(self._place(background), minlength=len(type_names) * N_PT_BINS) + 0.5
        self._rarity = -np.log(counts / counts.sum())

    def run(self, events: Events) -> ModelOutput:
        """Return the baselines of each event, of which there is at least one."""
        variables = self._describe(events)
        shown = {name: values for name, values in variables.items() if name != "m_all"}
        return ModelOutput(
            {
                **shown,
                "upper_tails": self._sum_tails(variables, TAILS),
                "upper_tails_with_counts": self._sum_tails(variables, (*TAILS, *COUNT_TAILS)),
                "type_likelihood": sum_events(self._rarity[self._place(events)][:, None], events.lengths)[:, 0],
                "summary_mahalanobis": self._density(self._summarise(events, variables, SUMMARISED)),
                "isolation_forest": -np.asarray(
                    self._forest.score_samples(_round(self._summarise(events, variables, variables)))
                ),
            }
        )

    def _describe(self, events: Events) -> dict[str, Float[NDArray[Any], " N"]]:
        total = sum_events(to_four_momenta(events.features), events.lengths)
        return {**compute_baselines(events, self._type_names), "m_all": compute_invariant_mass(total)}

    def _summarise(self, events: Events, variables: Variables, names: Iterable[str]) -> Float[NDArray[Any], "N V"]:
        chosen = {name: variables[name] for name in names}
        return summarise_events(events, chosen, len(self._type_names))

    def _sum_tails(self, variables: Variables, names: Sequence[str]) -> Float[NDArray[Any], " N"]:
        total = np.zeros(len(variables["ht"]))
        for name in names:
            if name in self._sorted:
                ordinary = self._sorted[name]
                n_more = len(ordinary) - np.searchsorted(ordinary, variables[name].astype(np.float32), side="left")
                total -= np.log((n_more + 0.5) / (len(ordinary) + 1))
        return total

    def _place(self, events: Events) -> Int[NDArray[Any], " P"]:
        """Return the bin of type and pT of each object."""
        places: NDArray[np.int64] = events.types * N_PT_BINS + np.searchsorted(self._edges, events.features["pt"])
        return places


def compute_baselines(events: Events, type_names: Sequence[str]) -> dict[str, Float[NDArray[Any], " N"]]:
    """Return the variables of events that a cut can be put on, energies in GeV; 0 where an event has no such object.

    `met_mismatch` is the length of the vector from H_T^miss to MET; `mean_ln_e_over_p` is the mean of |ln(E/p)|
    over all objects, `min_e_over_p` the smallest E/p of jets (1 without any), `m_jj_max` the largest mass of two jets.

    Args:
        events: Energies in GeV.
        type_names: Names of the object ids 1, 2, ...; without a `b-jet` among them none are counted.
    """
    features, lengths = events.features, events.lengths
    met, phi = events.globals["met"], events.globals["met_phi"]
    balance = sum_momenta(features, lengths) + np.stack((met * np.cos(phi), met * np.sin(phi)), axis=1)
    over_p = features["E"] / np.maximum(features["pt"] * np.cosh(features["eta"]), 1e-9)
    is_jet = np.isin(events.types, list_jets(type_names))
    smallest = np.full(events.n_events, np.inf)
    np.minimum.at(smallest, events.token_events[is_jet], over_p[is_jet])
    mean = sum_events(np.abs(np.log(np.maximum(over_p, 1e-9)))[:, None], lengths)[:, 0] / np.maximum(lengths, 1)
    baselines = {
        "multiplicity": lengths.astype(np.float64),
        "ht": compute_ht(features, lengths),
        "ht_miss": compute_ht_miss(features, lengths)[:, 0],
        "leading_pt": find_leading_pt(features, lengths),
        "met": met,
        "met_mismatch": np.hypot(*balance.T),
        "mean_ln_e_over_p": mean,
        "min_e_over_p": np.where(np.isfinite(smallest), smallest, 1.0),
        "m_jj_max": np.nan_to_num(find_largest_pair_mass(features, lengths, is_jet)),
    }
    if B_JET in type_names:
        is_b_jet = events.known_ids == 1 + list(type_names).index(B_JET)
        baselines["b_jets"] = np.bincount(events.token_events[is_b_jet], minlength=events.n_events).astype(np.float64)
    return baselines


def summarise_events(events: Events, variables: Variables, n_types: int) -> Float[NDArray[Any], "N V"]:
    """Return values of each event that do not depend on the order of its objects.

    They are the variables, energies as ln(1 + x / GeV), the mean of |eta| and of eta^2, and the number of objects of
    each type.
    """
    plain = ("multiplicity", "mean_ln_e_over_p", "min_e_over_p")
    columns = [values if name in plain else np.log1p(values) for name, values in variables.items() if name != "b_jets"]
    eta = events.features["eta"]
    n_tokens = np.maximum(events.lengths, 1)[:, None]
    shapes = sum_events(np.stack((np.abs(eta), eta**2), axis=1), events.lengths) / n_tokens
    counts = sum_events((events.known_ids[:, None] == np.arange(1, n_types + 1)).astype(np.float64), events.lengths)
    return np.concatenate((np.stack(columns, axis=1), shapes, counts), axis=1)


def _round(summary: Float[NDArray[Any], "N V"]) -> Float[NDArray[np.float32], "N V"]:
    """Return values to the digits that do not depend on the order of objects, so that no tree does."""
    return np.round(summary, 4).astype(np.float32)
