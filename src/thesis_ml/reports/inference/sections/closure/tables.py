"""Tables of closure: residuals, event quantities, types and missing energy of each group of models."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from thesis_ml.metrics.residuals import RELATIVE_FEATURES
from thesis_ml.metrics.uncertain import Spread
from thesis_ml.metrics.wasserstein import N_SWAPS
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.inference.scoring.quantities import AZIMUTH, COUNT
from thesis_ml.reports.inference.scoring.tally import ALL, PT_EDGES_GEV, TAIL, Residual, list_pt_bins
from thesis_ml.reports.inference.sections.aggregate import spread_over
from thesis_ml.reports.inference.sections.closure.measure import (
    Groups,
    ModelClosure,
    QuantityClosure,
    combine_seeds,
    measure_distance,
    summarise_values,
)

ENERGIES = ("ht", "ht_miss", "leading_pt", "m_jj", "m_bb")
"""Event quantities in GeV; the others count the objects of a type."""

RESIDUAL_COLUMNS = (
    "feature",
    "unit",
    "bias",
    "response",
    "resolution",
    f"share beyond {TAIL:g} resolutions",
    "n",
)
DISTANCE_COLUMNS = ("distance", "distance of swapped pairs", "p", "halves of the truth")
DISTANCE_NOTE = (
    "Mean, median and resolution of reconstructed minus true, with errors of events and seeds. Distance: Wasserstein-1 "
    f"of all reconstructed to all true events. p: share of {N_SWAPS} random swaps within pairs of reconstructed and "
    "true that are as far, the largest over seeds; it finds events that are only smeared too. Halves of the truth: "
    "the distance of two halves of the true events, which other data of this size would have."
)
NO_RESIDUAL = Residual(math.nan, math.nan, math.nan, 0)

Rows = list[tuple[Value, ...]]


def tabulate_features(groups: Groups) -> ResultTable:
    """Return the residual of each feature over all tokens."""
    rows = tuple(
        (row[0], *row[2:5], *_list_ends(groups[str(row[0])], str(row[2])), *row[5:])
        for row in _list_residuals(groups, lambda objects: objects == ALL)
    )
    note = (
        "Reconstructed minus true of all objects, relative for E and pT. Bias: median; resolution: 68% half-width. "
        "The biases of the softest and of the hardest objects stand beside that of all, which can hide both."
    )
    first, last = PT_EDGES_GEV[1], PT_EDGES_GEV[-2]
    ends = (f"bias below {first:g} GeV", f"bias above {last:g} GeV")
    columns = ("group", *RESIDUAL_COLUMNS[:3], *ends, *RESIDUAL_COLUMNS[3:])
    return ResultTable("closure_features", "Residuals of objects", note, columns, rows)


def tabulate_residuals(groups: Groups) -> ResultTable:
    """Return the residual of each feature per object type, label and bin of true pT."""
    rows = tuple(_list_residuals(groups, lambda objects: objects != ALL))
    columns = ("group", "objects", *RESIDUAL_COLUMNS)
    note = "By object type, label of the event, and true pT in GeV."
    return ResultTable("closure_residuals", "Residuals by type, label and pT", note, columns, rows, is_printed=False)


def tabulate_quantities(groups: Groups) -> ResultTable:
    """Return residual and distance of the event quantities in GeV."""
    rows: Rows = []
    for label, members in groups.items():
        for name in ENERGIES:
            found = [member.paired[name] for member in members if name in member.paired]
            if found:
                residuals = zip(*(one.residual for one in found), strict=True)
                numbers = [combine_seeds(values) for values in residuals]
                rows.append((label, name, *numbers, *_list_distance(found), found[0].n_events))
    return ResultTable(
        name="closure_events",
        title="Event quantities from reconstructed objects [GeV]",
        note=DISTANCE_NOTE,
        columns=("group", "quantity", "mean", "median", "resolution", *DISTANCE_COLUMNS, "n"),
        rows=tuple(rows),
    )


def tabulate_counts(groups: Groups) -> ResultTable:
    """Return how many objects of each type are predicted per event."""
    rows: Rows = []
    for label, members in groups.items():
        for name in members[0].paired:
            if name.startswith(COUNT):
                found = [member.paired[name] for member in members]
                equal = spread_over(found, lambda one: one.same)
                predicted = spread_over(found, lambda one: one.reconstructed)
                row = (label, name.removeprefix(COUNT), found[0].true, predicted, equal)
                rows.append((*row, *_list_distance(found)))
    return ResultTable(
        name="closure_counts",
        title="Objects per event by predicted type",
        note="Mean numbers of true and predicted objects, and the share of events in which both are equal.",
        columns=("group", "type", "true", "predicted", "equal", *DISTANCE_COLUMNS),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_checks(groups: Groups) -> ResultTable:
    """Return type accuracy, the share of unphysical objects, and MET beside H_T^miss."""
    rows: Rows = []
    for label, members in groups.items():
        met, met_phi = measure_constant(members[0])
        rows.append(
            (
                label,
                len(members),
                spread_over(members, measure_accuracy),
                spread_over(members, lambda one: one.counted.below_shell),
                members[0].counted.true_below_shell,
                spread_over(members, lambda one: one.counted.jet_mass_width68),
                spread_over(members, lambda one: read_met(one, "met").median),
                spread_over(members, lambda one: read_met(one, "met").width68),
                met,
                spread_over(members, lambda one: read_met(one, "met_phi").width68),
                met_phi,
                spread_over(members, measure_ht_miss),
                spread_over(members, lambda one: read_met(one, AZIMUTH).width68),
            )
        )
    return ResultTable(
        name="closure_checks",
        title="Types, unphysical objects, jet masses and missing energy",
        note="MET and its azimuth are predicted from the latents; a constant prediction is the baseline. "
        "H_T^miss is computed from reconstructed objects. Resolutions in GeV and radian.",
        columns=(
            *("group", "models", "type accuracy", "share with E < p", "share with E < p (true)", "jet mass resolution"),
            *("MET bias", "MET resolution", "MET of a constant", "MET phi resolution", "MET phi of a constant"),
            *("H_T^miss resolution", "H_T^miss phi resolution"),
        ),
        rows=tuple(rows),
    )


def tabulate_confusion(groups: Groups, type_names: Sequence[str]) -> ResultTable:
    """Return the share of each true type that is predicted as each type."""
    rows: Rows = []
    for label, members in groups.items():
        counts = [member.counted.confusion for member in members if member.counted.confusion is not None]
        if not counts:
            continue
        total = np.sum(counts, axis=0)
        for number, name in enumerate(type_names):
            n_objects = int(total[number].sum())
            shares = (total[number] / n_objects).tolist() if n_objects else [None] * len(type_names)
            rows.append((label, name, n_objects // len(counts), *shares))
    return ResultTable(
        name="closure_types",
        title="Predicted types",
        note="Share of the objects of each true type that is predicted as each type, over all seeds.",
        columns=("group", "true type", "n", *type_names),
        rows=tuple(rows),
        is_printed=False,
    )


def measure_accuracy(model: ModelClosure) -> float | None:
    """Return the share of objects whose type is predicted correctly, None where no type is predicted."""
    counts = model.counted.confusion
    return None if counts is None or not counts.sum() else float(counts.trace() / counts.sum())


def measure_ht_miss(model: ModelClosure) -> float | None:
    """Return the 68% half-width of H_T^miss in GeV, None where it cannot be computed."""
    return model.paired["ht_miss"].residual.width68.value if "ht_miss" in model.paired else None


def read_met(model: ModelClosure, name: str) -> Residual:
    """Return the residual of MET, its azimuth or the azimuth of H_T^miss, nan where there is none."""
    return model.met.get(name, NO_RESIDUAL)


def measure_constant(model: ModelClosure) -> tuple[float, float]:
    """Return the 68% half-widths of MET in GeV and its azimuth in radian when every event gets their medians."""
    if model.counted.met is None:
        return math.nan, math.nan
    met, phi = model.counted.met[0].T
    return summarise_values(met).width68, summarise_values(phi).width68


def _list_residuals(groups: Groups, is_wanted: Callable[[str], bool]) -> Rows:
    rows: Rows = []
    for label, members in groups.items():
        for (objects, feature), first in members[0].counted.residuals.items():
            if not is_wanted(objects) or not first.n_tokens:
                continue
            found = [member.counted.residuals[objects, feature] for member in members]
            bias = spread_over(found, lambda one: one.median)
            is_relative = feature in RELATIVE_FEATURES
            unit = "relative" if is_relative else name_unit(members, feature)
            response = Spread(1 + bias.mean, bias.sd, bias.n) if is_relative else None
            width = spread_over(found, lambda one: one.width68)
            tails = spread_over(found, lambda one: one.tails).mean
            rows.append((label, objects, feature, unit, bias, response, width, tails, first.n_tokens))
    return rows


def name_unit(members: Sequence[ModelClosure], feature: str) -> str:
    """Return the unit of a feature, empty for none."""
    unit = members[0].counted.units[feature]
    return "" if unit == "1" else unit


def _list_ends(members: Sequence[ModelClosure], feature: str) -> list[Spread]:
    """Return the bias of a feature in the first and in the last bin of true pT."""
    bins = list(list_pt_bins())
    return [
        Spread.of([member.counted.residuals[name, feature].median for member in members])
        for name in (bins[0], bins[-1])
    ]


def _list_distance(found: Sequence[QuantityClosure]) -> tuple[Value, ...]:
    one = measure_distance(found)
    return one.distance, one.null, one.p_value, one.floor
