"""The section on closure: reconstructed against true objects and events."""

from collections.abc import Iterator

from thesis_ml.metrics.uncertain import Spread
from thesis_ml.reports.contents import Check, Section
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.sections.aggregate import gather_groups, spread_over
from thesis_ml.reports.inference.sections.closure.figures import plan_figures
from thesis_ml.reports.inference.sections.closure.measure import Groups, measure_model
from thesis_ml.reports.inference.sections.closure.tables import (
    ENERGIES,
    tabulate_checks,
    tabulate_confusion,
    tabulate_counts,
    tabulate_features,
    tabulate_quantities,
    tabulate_residuals,
)
from thesis_ml.reports.utils.words import join_groups, join_names

MOST_UNPHYSICAL = 0.005
"""Share of reconstructed objects with E < p beyond that of true ones, above which the check fails."""


def build_closure(context: Context) -> Section:
    """Return the section."""
    measured = {name: measure_model(counted, context.config.seed) for name, counted in context.closures.items()}
    groups = gather_groups(context.models, measured)
    type_names = context.data.stored.type_names
    tables = (
        tabulate_features(groups),
        tabulate_quantities(groups),
        tabulate_checks(groups),
        tabulate_counts(groups),
        tabulate_residuals(groups),
        tabulate_confusion(groups, type_names),
    )
    return Section(
        name="closure",
        title="Closure",
        caption="Reconstructed against true objects and events of the scored split.",
        checks=tuple(check_masses(groups)),
        scores={"jet_mass": _spread_jet_masses(groups)},
        tables=tuple(table for table in tables if table.rows),
        figures=plan_figures(groups, ENERGIES, type_names),
        summary={table.name: table.split_errors().to_records() for table in tables},
    )


def check_masses(groups: Groups) -> Iterator[Check]:
    """Yield the check that no more reconstructed than true objects have E < p."""
    found = []
    for label, members in groups.items():
        share = spread_over(members, lambda one: one.counted.below_shell)
        true = members[0].counted.true_below_shell
        if share.n and true is not None and share.mean > true + MOST_UNPHYSICAL:
            found.append(f"{join_groups([label])} {share.mean:.1%}")
    if found:
        text = f"Reconstructed objects with E < p, which no particle has: {join_names(found)}."
        yield Check("unphysical objects", "failed", text, "closure")
    elif any(member.counted.below_shell is not None for members in groups.values() for member in members):
        yield Check("unphysical objects", "passed", "No more reconstructed than true objects have E < p.", "closure")


def _spread_jet_masses(groups: Groups) -> dict[str, Spread]:
    spreads = {
        label: spread_over(members, lambda one: one.counted.jet_mass_width68) for label, members in groups.items()
    }
    return {label: one for label, one in spreads.items() if one.n}
