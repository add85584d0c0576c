"""Closure in words, tables and figures: what each group of models loses of the events."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from thesis_ml.metrics.residuals import RELATIVE_FEATURES
from thesis_ml.reports.comparison import Cell, Spread
from thesis_ml.reports.inference.aggregate import (
    MOST_SAID,
    find_extremes,
    gather_groups,
    list_or_range,
    say,
    spread_over,
)
from thesis_ml.reports.inference.closure import ALL, AZIMUTH, COUNT, TAIL, ClosureTable, Residual
from thesis_ml.reports.inference.closure_figures import list_figures
from thesis_ml.reports.inference.closure_measures import (
    RESOLVED_ERRORS,
    Distance,
    Groups,
    ModelClosure,
    Paired,
    measure_distance,
    measure_model,
    summarise_values,
)
from thesis_ml.reports.inference.loading import LoadedData, LoadedModel
from thesis_ml.reports.inference.result import ResultTable, Section
from thesis_ml.reports.utils.words import join_names

ENERGIES = ("ht", "ht_miss", "leading_pt", "m_jj", "m_bb")
"""Event quantities in GeV; the others count the objects of a type."""

UNITS = {"eta": "", "phi": "rad", "mass": "GeV"}

RESIDUAL_COLUMNS = (
    "group",
    "objects",
    "feature",
    "unit",
    "median",
    "response",
    "width68",
    "width68_sd",
    f"share beyond {TAIL:g} width68",
    "n",
)

DISTANCE_COLUMNS = ("distance", "floor", "excess", "error", "excess_sd", "resolved")

SAID = {"ht": "H_T", "ht_miss": "H_T^miss", "leading_pt": "leading pT", "m_jj": "m_jj", "m_bb": "m_bb"}
ALWAYS_SAID = ("ht", "m_jj")
SAME_FLOOR = 0.01
"""Floors that differ by no more of themselves are said as one."""

NO_RESIDUAL = Residual(math.nan, math.nan, math.nan, 0)


def summarise_closure(
    models: Sequence[LoadedModel], closures: Mapping[str, ClosureTable], data: LoadedData, seed: int
) -> tuple[Section, ...]:
    """Return the section on closure.

    Args:
        models: The models.
        closures: What was counted of each, by its name.
        data: The events.
        seed: Of the halves that distributions are compared in.
    """
    measured = {name: measure_model(counted, seed) for name, counted in closures.items()}
    groups = gather_groups([model.scored for model in models], measured)
    tables = (
        tabulate_features(groups),
        tabulate_quantities(groups),
        tabulate_counts(groups),
        tabulate_checks(groups),
        tabulate_residuals(groups),
        tabulate_confusion(groups, data.stored.type_names),
    )
    distances = measure_distances(groups)
    quantities = describe_quantities(distances)
    shown = {*ALWAYS_SAID, find_worst(distances)}
    said = {name: sentence for name, sentence in quantities.items() if name in shown}
    section = Section(
        name="closure",
        title="Closure",
        sentences=(*_describe_features(groups), *said.values(), *_describe_checks(groups)),
        details=tuple(sentence for name, sentence in quantities.items() if name not in said),
        tables=tables,
        figures=list_figures(groups, ENERGIES, data.stored.type_names),
        summary={table.name: table.to_records() for table in tables},
    )
    return (section,)


def tabulate_features(groups: Groups) -> ResultTable:
    """Return the residual of each feature over all tokens."""
    rows = [(row[0], *row[2:]) for row in _list_residuals(groups, lambda objects: objects == ALL)]
    return ResultTable(
        name="closure_features",
        title="Residuals",
        note="Reconstructed minus true of all objects, relative for E and pT; mean and standard deviation over seeds.",
        columns=(RESIDUAL_COLUMNS[0], *RESIDUAL_COLUMNS[2:]),
        rows=tuple(rows),
    )


def tabulate_residuals(groups: Groups) -> ResultTable:
    """Return the residual of each feature per object type, label and bin of true pT."""
    return ResultTable(
        name="closure_residuals",
        title="Residuals by type, label and pT",
        note="As above, by object type, label of the event, and true pT in GeV.",
        columns=RESIDUAL_COLUMNS,
        rows=tuple(_list_residuals(groups, lambda objects: objects != ALL)),
        is_printed=False,
    )


def tabulate_quantities(groups: Groups) -> ResultTable:
    """Return residual and distance of the event quantities in GeV."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        for name in ENERGIES:
            found = [member.paired[name] for member in members if name in member.paired]
            if not found:
                continue
            width = spread_over(found, lambda one: one.width68)
            median = spread_over(found, lambda one: one.median).mean
            rows.append((label, name, median, *_show(width), *_list_distance(found), found[0].n_events))
    return ResultTable(
        name="closure_events",
        title="Event quantities from reconstructed objects [GeV]",
        note="Median and 68% half-width of reconstructed minus true, event by event; Wasserstein-1 distance of half of "
        "the reconstructed events to the other half of the true ones, the floor of true against true (20 splits), and "
        f"the excess above it with its error, from events: resolved when it is more than {RESOLVED_ERRORS:g} errors.",
        columns=("group", "quantity", "median", "width68", "width68_sd", *DISTANCE_COLUMNS, "n"),
        rows=tuple(rows),
    )


def tabulate_counts(groups: Groups) -> ResultTable:
    """Return how many objects of each type are predicted per event."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        for name in members[0].paired:
            if not name.startswith(COUNT):
                continue
            found = [member.paired[name] for member in members]
            same = spread_over(found, lambda one: one.same)
            predicted = spread_over(found, lambda one: one.reconstructed).mean
            row = (label, name.removeprefix(COUNT), found[0].true, predicted, same.mean, same.sd)
            rows.append((*row, *_list_distance(found)))
    return ResultTable(
        name="closure_counts",
        title="Objects per event by predicted type",
        note="Mean number of true and predicted objects, share of events in which both are equal, and the distance of "
        "the distributions with its floor, as above.",
        columns=("group", "type", "true", "predicted", "equal", "equal_sd", *DISTANCE_COLUMNS),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_checks(groups: Groups) -> ResultTable:
    """Return type accuracy, the share of impossible objects, and MET beside H_T^miss."""
    rows = [
        (
            label,
            len(members),
            *_show(spread_over(members, measure_accuracy)),
            *_show(spread_over(members, lambda one: one.counted.below_shell)),
            spread_over(members, lambda one: read_met(one, "met").median).mean,
            *_show(spread_over(members, lambda one: read_met(one, "met").width68)),
            *_show(spread_over(members, lambda one: read_met(one, "met_phi").width68)),
            *measure_constant(members[0]),
            *_show(spread_over(members, measure_ht_miss)),
            *_show(spread_over(members, lambda one: read_met(one, AZIMUTH).width68)),
        )
        for label, members in groups.items()
    ]
    return ResultTable(
        name="closure_checks",
        title="Types, energies below momenta, and missing energy",
        note="MET and METphi are predicted from the latents, and have to beat what a constant gives; "
        "H_T^miss is computed from the reconstructed objects. "
        "Median and 68% half-width of reconstructed minus true in GeV and radian, azimuths around the circle.",
        columns=(
            "group",
            "models",
            *("type accuracy", "type accuracy_sd"),
            *("share with E < p", "share with E < p_sd"),
            "MET median",
            *("MET width68", "MET width68_sd"),
            *("METphi width68", "METphi width68_sd"),
            *("MET width68 of a constant", "METphi width68 of a constant"),
            *("H_T^miss width68", "H_T^miss width68_sd"),
            *("H_T^miss phi width68", "H_T^miss phi width68_sd"),
        ),
        rows=tuple(rows),
    )


def tabulate_confusion(groups: Groups, type_names: Sequence[str]) -> ResultTable:
    """Return the share of each true type that was taken for each type."""
    rows: list[tuple[Cell, ...]] = []
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
        note="Share of the objects of each true type that was taken for each type, over all seeds.",
        columns=("group", "true type", "n", *type_names),
        rows=tuple(rows),
        is_printed=False,
    )


def measure_distances(groups: Groups) -> dict[str, dict[str, Distance]]:
    """Return by name of an event quantity, and by group, how far it is from the truth."""
    found = {
        name: {
            label: measure_distance([member.paired[name] for member in members])
            for label, members in groups.items()
            if all(name in member.paired for member in members)
        }
        for name in ENERGIES
    }
    # Quantities that no event has are not said.
    known = {
        name: {label: one for label, one in by_group.items() if math.isfinite(one.distance)}
        for name, by_group in found.items()
    }
    return {name: by_group for name, by_group in known.items() if by_group}


def find_worst(distances: Mapping[str, Mapping[str, Distance]]) -> str | None:
    """Return the quantity whose excess is the largest beside its floor, among those that are resolved."""
    reach = {
        name: max(
            (one.excess / one.floor for one in by_group.values() if one.is_resolved and one.floor > 0), default=0.0
        )
        for name, by_group in distances.items()
    }
    known = [name for name, ratio in reach.items() if ratio > 0]
    return max(known, key=lambda name: reach[name], default=None)


def describe_quantities(distances: Mapping[str, Mapping[str, Distance]]) -> dict[str, str]:
    """Return by name a sentence on how far each event quantity is from the truth."""
    worst = find_worst(distances)
    sentences = {}
    for name, by_group in distances.items():
        floors = [one.floor for one in by_group.values()]
        is_shared = max(floors) - min(floors) <= SAME_FLOOR * max(floors)
        floor = f"{floors[0]:.3g}" if is_shared else f"{min(floors):.3g} to {max(floors):.3g}"
        values = {label: one.excess for label, one in by_group.items()}
        excesses = {label: say(one.excess, one.error) for label, one in by_group.items()}
        mark = " (the furthest off)" if name == worst and len(distances) > 1 else ""
        sentences[name] = (
            f"{SAID[name]}{mark}: Wasserstein-1 to the truth [GeV], above a floor of {floor}: "
            f"{list_or_range(excesses, values)}{_say_resolved(by_group)}."
        )
    return sentences


def measure_accuracy(model: ModelClosure) -> float | None:
    """Return the share of objects whose type was found, None where none is predicted."""
    counts = model.counted.confusion
    return None if counts is None or not counts.sum() else float(counts.trace() / counts.sum())


def measure_ht_miss(model: ModelClosure) -> float | None:
    """Return the 68% half-width of H_T^miss in GeV, None where it cannot be computed."""
    return model.paired["ht_miss"].width68 if "ht_miss" in model.paired else None


def read_met(model: ModelClosure, name: str) -> Residual:
    """Return the residual of MET, METphi or the azimuth of H_T^miss, nan where there is none."""
    return model.met.get(name, NO_RESIDUAL)


def measure_constant(model: ModelClosure) -> tuple[float, float]:
    """Return the 68% half-widths of MET in GeV and METphi in radian when every event gets their medians."""
    if model.counted.met is None:
        return math.nan, math.nan
    met, phi = model.counted.met[0].T
    return summarise_values(met).width68, summarise_values(phi).width68


def _list_residuals(groups: Groups, is_wanted: Callable[[str], bool]) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        for (objects, feature), first in members[0].counted.residuals.items():
            if not is_wanted(objects) or not first.n_tokens:
                continue
            found = [member.counted.residuals[objects, feature] for member in members]
            median = spread_over(found, lambda one: one.median).mean
            is_relative = feature in RELATIVE_FEATURES
            unit, response = ("relative", 1 + median) if is_relative else (UNITS.get(feature, ""), None)
            width = spread_over(found, lambda one: one.width68)
            tails = spread_over(found, lambda one: one.tails).mean
            rows.append((label, objects, feature, unit, median, response, width.mean, width.sd, tails, first.n_tokens))
    return rows


def _list_distance(found: Sequence[Paired]) -> tuple[Cell, ...]:
    one = measure_distance(found)
    verdict = "yes" if one.is_resolved else "no"
    sd = spread_over(found, lambda one: one.closure.distance - one.closure.floor).sd
    return one.distance, one.floor, one.excess, one.error, sd, verdict if math.isfinite(one.error) else ""


def _show(spread: Spread) -> tuple[float, float]:
    return spread.mean, spread.sd


def _describe_features(groups: Groups) -> tuple[str, ...]:
    key = (ALL, "pt")
    widths = {
        label: spread_over(members, lambda one: one.counted.residuals[key].width68)
        for label, members in groups.items()
        if all(key in member.counted.residuals for member in members)
    }
    if (extremes := find_extremes(widths)) is None:
        return ()
    parts = [f"{say(100 * widths[label].mean, 100 * widths[label].sd)}% for {label}" for label in extremes]
    if extremes[0] == extremes[1]:
        return (f"The 68% half-width of the relative residual of pT is {parts[0]}.",)
    return (f"The 68% half-width of the relative residual of pT goes from {parts[0]} to {parts[1]}.",)


def _describe_checks(groups: Groups) -> tuple[str, ...]:
    shares = {label: spread_over(members, lambda one: one.counted.below_shell) for label, members in groups.items()}
    sentences = []
    if (extremes := find_extremes(shares)) is not None:
        low, high = (f"{100 * shares[label].mean:.2g}%" for label in extremes)
        between = f"from {low} for {extremes[0]} to {high} for {extremes[1]}"
        if low == high:
            between = f"{low} for {join_names(list(groups))}"
        sentences.append(f"Reconstructed objects with E < p, which no particle has: {between}.")
    met = {label: spread_over(members, lambda one: read_met(one, "met").width68) for label, members in groups.items()}
    if (extremes := find_extremes(met)) is not None:
        best = groups[extremes[0]]
        predicted = _say_vector(spread_over(best, lambda one: read_met(one, "met").width68), "met_phi", best)
        computed = _say_vector(spread_over(best, measure_ht_miss), AZIMUTH, best)
        beside = f"; its H_T^miss, from reconstructed objects, is off by {computed}" if computed else ""
        whose = f"best by {extremes[0]}, " if len(groups) > 1 else ""
        width, width_phi = measure_constant(best[0])
        verdict = ", no better than by a constant" if met[extremes[0]].mean >= width else ""
        constant = f"{width:.3g} GeV and {width_phi:.3g} rad"
        sentences.append(
            f"MET is predicted {whose}to {predicted}{verdict} (68% half-widths; a constant: {constant}){beside}."
        )
    return tuple(sentences)


def _say_vector(size: Spread, azimuth: str, members: Sequence[ModelClosure]) -> str:
    """Return in words the resolution of a size and of the azimuth that goes with it; nothing where neither is known."""
    angle = spread_over(members, lambda one: read_met(one, azimuth).width68)
    known = [(size, "GeV"), (angle, "rad")]
    return " and ".join(say(one.mean, one.sd, unit) for one, unit in known if one.n)


def _say_resolved(by_group: Mapping[str, Distance]) -> str:
    """Return whose excess is no fluctuation."""
    if not any(math.isfinite(one.error) for one in by_group.values()):
        return ", of too few events for an error"
    resolved = [label for label, one in by_group.items() if one.is_resolved]
    if not resolved:
        return f"; not resolved, within {RESOLVED_ERRORS:g} errors"
    if len(resolved) == len(by_group):
        return f"; resolved, above {RESOLVED_ERRORS:g} errors"
    whose = join_names(resolved) if len(by_group) <= MOST_SAID else f"{len(resolved)} of {len(by_group)}"
    return f"; resolved, above {RESOLVED_ERRORS:g} errors: {whose}"
