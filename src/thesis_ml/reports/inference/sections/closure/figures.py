"""Figures of closure, and the numbers that they are drawn from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from thesis_ml.facts.summary import Cell
from thesis_ml.reports.contents import ResultFigure
from thesis_ml.reports.inference.scoring.quantities import AZIMUTH
from thesis_ml.reports.inference.scoring.tally import list_pt_bins
from thesis_ml.reports.inference.sections.aggregate import spread_over
from thesis_ml.reports.inference.sections.closure import drawings as plots
from thesis_ml.reports.inference.sections.closure.measure import Groups, ModelClosure, measure_distance
from thesis_ml.reports.inference.sections.closure.tables import name_unit
from thesis_ml.reports.plots.grid import TRUTH
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.arrays import NDArray

N_BINS = 25
SHOWN = 0.995
"""Of the true events, below the upper end of a spectrum."""

RESIDUAL_BINS = 40
CENTRAL = (0.02, 0.98)
"""Quantiles between which the residuals of all models are drawn."""

NO_KINEMATICS = "no model reconstructs E, pt, eta and phi"
Rows = list[tuple[Cell, ...]]


def plan_figures(groups: Groups, quantities: Sequence[str], type_names: Sequence[str]) -> tuple[ResultFigure, ...]:
    """Return the figures of closure.

    Args:
        groups: The models of each group.
        quantities: Names of the event quantities in GeV.
        type_names: Names of the object types.
    """
    against_pt = _tabulate_against_pt(groups)
    return (
        ResultFigure(
            "closure_quantities",
            "Event quantities of the data and of reconstructed objects, mean over seeds",
            _tabulate_spectra(groups, quantities),
            plots.draw_spectra,
        ),
        ResultFigure(
            "closure_distances",
            "Wasserstein-1 distance of reconstructed from true event quantities, and that of randomly swapped pairs",
            _tabulate_distances(groups, quantities),
            plots.draw_distances,
        ),
        ResultFigure(
            "closure_resolution",
            "68% half-width of the residuals against pT, mean and standard deviation over seeds",
            against_pt,
            plots.draw_against_pt("width68"),
        ),
        ResultFigure(
            "closure_response",
            "Median of the residuals against pT, mean and standard deviation over seeds",
            against_pt,
            plots.draw_against_pt("median"),
        ),
        ResultFigure(
            "closure_met",
            "Residuals of MET as predicted, beside H_T^miss from reconstructed objects, with azimuths; mean over seeds",
            _tabulate_met(groups),
            plots.draw_residuals,
        ),
        ResultFigure(
            "closure_types",
            "Predicted types: share of each true type [%]",
            _tabulate_confusions(groups, type_names),
            plots.draw_confusions,
        ),
    )


def _tabulate_spectra(groups: Groups, quantities: Sequence[str]) -> Table | MissingFigure:
    rows: Rows = []
    for name in quantities:
        with_it = {label: members for label, members in groups.items() if name in members[0].paired}
        if not with_it:
            continue
        true = next(iter(with_it.values()))[0].counted.true[name]
        known = true[np.isfinite(true)]
        if not len(known):
            continue
        edges = np.linspace(0.0, max(float(np.quantile(known, SHOWN)), 1.0), N_BINS + 1)
        rows += _list_bins(name, TRUTH, np.histogram(known, edges)[0].astype(float), edges)
        for label, members in with_it.items():
            counts = [np.histogram(one.counted.reconstructed[name], edges)[0] for one in members]
            rows += _list_bins(name, label, np.mean(counts, axis=0), edges)
    return build_table(("quantity", "group", "low", "high", "events"), rows) if rows else MissingFigure(NO_KINEMATICS)


def _tabulate_distances(groups: Groups, quantities: Sequence[str]) -> Table | MissingFigure:
    rows: Rows = []
    for name in quantities:
        for label, members in groups.items():
            found = [member.paired[name] for member in members if name in member.paired]
            if found and math.isfinite(found[0].test.distance):
                one = measure_distance(found)
                rows.append((name, label, one.distance, one.null.value, one.null.error, one.p_value, one.floor))
    columns = ("quantity", "group", "distance", "swapped", "swapped_sd", "p", "halves")
    return build_table(columns, rows) if rows else MissingFigure(NO_KINEMATICS)


def _tabulate_against_pt(groups: Groups) -> Table | MissingFigure:
    rows: Rows = []
    bins = list_pt_bins()
    for label, members in groups.items():
        residuals = [member.counted.residuals for member in members]
        for objects, feature in residuals[0]:
            if objects not in bins or not residuals[0][objects, feature].n_tokens:
                continue
            found = [one[objects, feature] for one in residuals]
            width, median = spread_over(found, lambda one: one.width68), spread_over(found, lambda one: one.median)
            unit = name_unit(members, feature)
            rows.append((feature, unit, label, *bins[objects], width.mean, width.sd, median.mean, median.sd))
    columns = ("feature", "unit", "group", "pt_low", "pt_high", "width68", "width68_sd", "median", "median_sd")
    return build_table(columns, rows) if rows else MissingFigure("no event has an object")


def _tabulate_met(groups: Groups) -> Table | MissingFigure:
    rows: Rows = []
    for name in ("met", "met_phi", "ht_miss", AZIMUTH):
        residuals = {label: [_list_residuals(one, name) for one in members] for label, members in groups.items()}
        known = {label: [one for one in found if one is not None] for label, found in residuals.items()}
        known = {label: found for label, found in known.items() if found}
        if not known:
            continue
        ends = [np.quantile(one, CENTRAL) for found in known.values() for one in found if len(one)]
        low, high = float(np.min(ends, initial=-1e-6)), float(np.max(ends, initial=1e-6))
        edges = np.linspace(low, high, RESIDUAL_BINS + 1)
        for label, found in known.items():
            rows += _list_bins(name, label, np.mean([np.histogram(one, edges)[0] for one in found], axis=0), edges)
    columns = ("quantity", "group", "low", "high", "events")
    return (
        build_table(columns, rows)
        if rows
        else MissingFigure("no model predicts MET or reconstructs E, pt, eta and phi")
    )


def _list_residuals(model: ModelClosure, name: str) -> Float[NDArray[Any], " N"] | None:
    counted, residuals = model.counted, model.met_residuals.get(name)
    if name in counted.true and residuals is None:
        residuals = counted.reconstructed[name] - counted.true[name]
    return None if residuals is None else residuals[np.isfinite(residuals)]


def _tabulate_confusions(groups: Groups, type_names: Sequence[str]) -> Table | MissingFigure:
    rows: Rows = []
    for label, members in groups.items():
        counts = [member.counted.confusion for member in members if member.counted.confusion is not None]
        if counts:
            total = np.sum(counts, axis=0)
            shares = total / np.maximum(total.sum(axis=1), 1)[:, None]
            for (row, column), share in np.ndenumerate(shares):
                rows.append((label, type_names[row], type_names[column], float(share), int(total[row, column])))
    columns = ("group", "true", "predicted", "share", "n")
    return build_table(columns, rows) if rows else MissingFigure("no model predicts types")


def _list_bins(
    name: str, label: str, counts: Float[NDArray[Any], " n"], edges: Float[NDArray[Any], " m"]
) -> list[tuple[Cell, ...]]:
    return [
        (name, label, float(low), float(high), float(count))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
