"""Closure of one model, counted block by block: residuals by group, event quantities, types and codes."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from thesis_ml.data.events import Events
from thesis_ml.data.units import UNITS
from thesis_ml.metrics.event_quantities import (
    FOUR_MOMENTUM,
    share_below_mass_shell,
)
from thesis_ml.metrics.fine_histogram import FineHistogram
from thesis_ml.metrics.residuals import compute_residuals
from thesis_ml.reports.inference.scoring.model_output import ModelOutput, count_not_finite
from thesis_ml.reports.inference.scoring.places import MAPPED, CodePlaces, PlaceTally
from thesis_ml.reports.inference.scoring.quantities import compute_masses, list_jets, measure_events
from thesis_ml.utils.arrays import NDArray

PT_EDGES_GEV = (0.0, 40.0, 60.0, 90.0, 150.0, 250.0, np.inf)
TAIL = 3.0
"""Tails begin at this many half-widths of the central 68% from the median."""

ALL = "all"


LEAST_MASS_GEV = 0.1
"""Jets of one massless particle have no relative residual."""


class Residual(NamedTuple):
    """The residuals of one feature in one group of tokens: relative for E and pT, else in radian or GeV.

    Args:
        median: Their median; 1 + it is the median response of E and pT.
        width68: Half the width of their central 68%.
        tails: The share further than `TAIL` half-widths from the median.
        n_tokens: How many.
    """

    median: float
    width68: float
    tails: float
    n_tokens: int


@dataclass(frozen=True)
class ClosureTable:
    """What `ClosureTally` counted.

    Args:
        residuals: By (group, feature); groups are `all`, `type <name>`, `label <number>`, `pt <low>-<high>`.
        confusion: True against predicted object types, None without predicted ones.
        true: Event quantities of the data by name, in GeV, the azimuth of H_T^miss in radian.
        reconstructed: The same of the reconstruction.
        below_shell: Share of reconstructed tokens with E < p, None where a feature is missing.
        true_below_shell: The same of true tokens.
        jet_mass_width68: 68% half-width of the relative residual of the mass of jets, likewise.
        met: True and predicted (MET, METphi) of each event, None where no globals are predicted.
        codes: By quantiser how often each code was used by each object type, None without codes.
        places: By quantiser where each code lies, None without codes or where pT, eta or phi is not reconstructed.
        units: Units of the features, 1 for none.
    """

    residuals: Mapping[tuple[str, str], Residual]
    confusion: Int[NDArray[Any], "K K"] | None
    true: Mapping[str, Float[NDArray[Any], " N"]]
    reconstructed: Mapping[str, Float[NDArray[Any], " N"]]
    below_shell: float | None
    true_below_shell: float | None
    jet_mass_width68: float | None
    met: tuple[Float[NDArray[Any], "N 2"], Float[NDArray[Any], "N 2"]] | None
    codes: Sequence[Int[NDArray[Any], "K C"]] | None
    places: Sequence[CodePlaces] | None = None
    units: Mapping[str, str] = field(default_factory=lambda: UNITS)


class ClosureTally:
    """Counts what one model makes of clean events; memory grows with events by a few numbers each.

    Args:
        features: Physical features of the model.
        type_names: Names of the object ids 1, 2, ...
        labels: The classes of the data.
        codebook_sizes: Codes of each quantiser, none without codes.
        units: Units of the features; those in radian are angles.
    """

    def __init__(
        self,
        features: Sequence[str],
        type_names: Sequence[str],
        labels: Sequence[int],
        codebook_sizes: Sequence[int],
        *,
        units: Mapping[str, str] = UNITS,
    ) -> None:
        self._features = tuple(features)
        self._units = units
        self._type_names = tuple(type_names)
        self._labels = tuple(labels)
        self._histograms = {
            "type": FineHistogram(len(type_names), len(features)),
            "label": FineHistogram(len(labels), len(features)),
            "pt": FineHistogram(len(PT_EDGES_GEV) - 1, len(features)),
        }
        self._confusion = np.zeros((len(type_names), len(type_names)), dtype=np.int64)
        self._codes = [np.zeros((len(type_names), size), dtype=np.int64) for size in codebook_sizes]
        self._places = [PlaceTally(size, len(type_names)) for size in codebook_sizes if set(MAPPED) <= set(features)]
        self._quantities: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._met: list[tuple[Any, Any]] = []
        self._below_shell = np.zeros(3)
        self._jet_masses = FineHistogram(1, 1)
        self._has_types = False
        self.n_events = 0
        self.n_not_finite = 0
        """Events of which a reconstructed value is not finite: all else is then of other blocks only."""

    def add(self, events: Events, passed: ModelOutput) -> None:
        """Count a block of clean events and their reconstruction; no block that holds a value which is not finite."""
        assert passed.kinematics is not None, "only models reconstruct"
        self.n_events += events.n_events
        if n_not_finite := count_not_finite(passed.kinematics, passed.globals, events.lengths):
            self.n_not_finite += n_not_finite
            return
        self._add_residuals(events, passed.kinematics)
        types = events.types
        if passed.types is not None:
            self._has_types = True
            flat = types * len(self._type_names) + passed.types
            self._confusion += np.bincount(flat, minlength=self._confusion.size).reshape(self._confusion.shape)
        if passed.codes is not None:
            self._add_codes(types, passed.codes, passed)
        if passed.globals is not None:
            self._met.append((events.met, passed.globals))
        if set(FOUR_MOMENTUM) <= set(self._features):
            self._add_quantities(events, passed)

    def summarise(self) -> ClosureTable:
        """Return what was counted."""
        below, true_below, n_tokens = self._below_shell
        width = _read_histogram((ALL,), ("mass",), self._jet_masses)[ALL, "mass"].width68
        return ClosureTable(
            residuals=self._summarise_residuals(),
            confusion=self._confusion if self._has_types else None,
            true=_join([pair[0] for pair in self._quantities]),
            reconstructed=_join([pair[1] for pair in self._quantities]),
            below_shell=float(below / n_tokens) if n_tokens else None,
            true_below_shell=float(true_below / n_tokens) if n_tokens else None,
            jet_mass_width68=width if math.isfinite(width) else None,
            met=None if not self._met else (_stack(self._met, 0), _stack(self._met, 1)),
            codes=self._codes or None,
            places=[tally.summarise() for tally in self._places] or None,
            units=self._units,
        )

    def _add_residuals(self, events: Events, kinematics: Float[NDArray[Any], "P C"]) -> None:
        true = np.stack([events.column(name) for name in self._features], axis=1)
        angles = [name for name in self._features if self._units[name] == "rad"]
        residuals = compute_residuals(kinematics, true, self._features, angles)
        labels = np.searchsorted(self._labels, events.labels)
        places = {
            "type": events.types,
            "label": np.repeat(labels, events.lengths),
            "pt": np.searchsorted(PT_EDGES_GEV, events.features["pt"], side="right") - 1,
        }
        for name, groups in places.items():
            self._histograms[name].add(residuals, groups)

    def _add_codes(self, types: Int[NDArray[Any], " P"], codes: Int[NDArray[Any], "P Q"], passed: ModelOutput) -> None:
        assert passed.kinematics is not None
        for counts, chosen in zip(self._codes, codes.T, strict=True):
            flat = types * counts.shape[1] + chosen
            counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
        if self._places:
            places = passed.kinematics[:, [self._features.index(name) for name in MAPPED]]
            for tally, chosen in zip(self._places, codes.T, strict=True):
                tally.add(chosen, places, passed.types)

    def _add_quantities(self, events: Events, passed: ModelOutput) -> None:
        assert passed.kinematics is not None
        reconstructed = dict(zip(self._features, passed.kinematics.T, strict=True))
        types = events.types if passed.types is None else passed.types
        self._quantities.append(
            (
                measure_events(events.features, events.types, events.lengths, self._type_names),
                measure_events(reconstructed, types, events.lengths, self._type_names),
            )
        )
        if len(passed.kinematics):
            with np.errstate(over="ignore", invalid="ignore"):
                shares = share_below_mass_shell(reconstructed), share_below_mass_shell(events.features)
                self._below_shell += len(passed.kinematics) * np.array([*shares, 1.0])
                masses, true = compute_masses(reconstructed), compute_masses(events.features)
            is_jet = np.isin(events.types, list_jets(self._type_names)) & (true > LEAST_MASS_GEV)
            residuals = masses[is_jet] / true[is_jet] - 1
            self._jet_masses.add(residuals[:, None], np.zeros(len(residuals), dtype=np.int64))

    def _summarise_residuals(self) -> dict[tuple[str, str], Residual]:
        total = FineHistogram(1, len(self._features))
        total.counts += self._histograms["type"].counts.sum(axis=0)
        groups = [
            ((ALL,), total),
            (tuple(f"type {name}" for name in self._type_names), self._histograms["type"]),
            (tuple(f"label {label}" for label in self._labels), self._histograms["label"]),
            (tuple(list_pt_bins()), self._histograms["pt"]),
        ]
        return {
            (group, feature): residual
            for names, histogram in groups
            for (group, feature), residual in _read_histogram(names, self._features, histogram).items()
        }


def list_pt_bins() -> dict[str, tuple[float, float]]:
    """Return the edges in GeV of each group of objects by their true pT; the last has no upper one."""
    return {f"pt {low:g}-{high:g}": (low, high) for low, high in itertools.pairwise(PT_EDGES_GEV)}


def _read_histogram(
    names: Sequence[str], features: Sequence[str], histogram: FineHistogram
) -> dict[tuple[str, str], Residual]:
    low, median, high = np.moveaxis(histogram.quantiles(np.array([0.16, 0.5, 0.84])), 2, 0)
    width = 0.5 * (high - low)
    tails = histogram.shares_beyond(median, TAIL * width)
    totals = histogram.counts.sum(axis=2)
    return {
        (group, feature): Residual(
            float(median[row, column]), float(width[row, column]), float(tails[row, column]), int(totals[row, column])
        )
        for row, group in enumerate(names)
        for column, feature in enumerate(features)
    }


def _join(parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _stack(pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], side: int) -> NDArray[Any]:
    return np.concatenate([pair[side] for pair in pairs])
