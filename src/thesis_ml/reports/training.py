"""The section on training: the numbers of all groups, the tests of their pairs, and the figures of the facts."""

from collections.abc import Mapping, Sequence

from thesis_ml.metrics.significance import LEVEL
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.contents import Reference, ResultTable, Section, Value
from thesis_ml.reports.plots import plan_figures
from thesis_ml.reports.plots.compression import REFERENCE_NAMES

WELCH_NOTE = (
    f"Welch's test at {LEVEL:.0%}, corrected by Holm over all pairs. Power: how often a true difference as large as "
    "the smallest significant one would be found."
)
SEED = "seed"
"""A number that means nothing on average."""


def build_training(comparison: Comparison, figures: Sequence[str], references: Sequence[Reference] = ()) -> Section:
    """Return the section.

    Args:
        comparison: The runs.
        figures: Names of the figures.
        references: Compressions without a model.
    """
    tables = (tabulate_groups(comparison), tabulate_pairs(comparison), tabulate_references(references))
    return Section(
        name="training",
        title="Training",
        caption="Numbers of the test split and of the best epoch, from the facts of the runs.",
        tables=tuple(table for table in tables if table.rows),
        figures=plan_figures(comparison, figures, references),
    )


def tabulate_groups(comparison: Comparison) -> ResultTable:
    """Return mean and standard deviation of every number over the runs of every group."""
    names = [
        name
        for name in comparison.columns
        if name not in (SEED, *comparison.swept) and any(name in group.numbers for group in comparison.groups)
    ]
    # The number that is judged stands first.
    names.sort(key=lambda name: name != comparison.verdict.column)
    rows: list[tuple[Value, ...]] = [
        (group.label, len(group.runs), *(group.numbers.get(name) for name in names)) for group in comparison.groups
    ]
    note = "Mean ± standard deviation over the seeds of a group."
    return ResultTable("all_numbers", "All numbers of the groups", note, ("group", "runs", *names), tuple(rows), False)


def tabulate_references(references: Sequence[Reference]) -> ResultTable:
    """Return the compressions without a model."""
    rows: list[tuple[Value, ...]] = [
        (
            REFERENCE_NAMES.get(one.name, one.name),
            *(one.bits, one.entropy_bits, one.type_bits, one.rec_mse, one.jet_mass, one.m_jj, one.two_sample),
            one.remark,
        )
        for one in references
    ]
    return ResultTable(
        name="references",
        title="Compressions without training",
        note="Fitted to the training objects, measured on the test. The type is kept beside the code and costs bits of "
        "its own. Jet mass: relative resolution; m_jj: Wasserstein-1 distance [GeV]; AUROC: trees, real against "
        "reconstructed events.",
        columns=(
            "compression",
            "bits",
            "entropy [bits]",
            "type [bits]",
            "rec_mse",
            "jet mass",
            "m_jj",
            "AUROC",
            "remark",
        ),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_pairs(comparison: Comparison) -> ResultTable:
    """Return the tests of all pairs of groups in the number that is judged."""
    column = comparison.verdict.column
    numbers: Mapping[str, Group] = {group.label: group for group in comparison.groups}
    rows: list[tuple[Value, ...]] = []
    for test in comparison.verdict.tests:
        first, second = (numbers[label].numbers[test.quantity].mean for label in (test.first, test.second))
        ratio = second / first if first else None
        rows.append(
            (
                *(test.first, test.second, test.difference, ratio, test.p_seeds, test.outcome),
                *(test.least_significant, test.power),
            )
        )
    return ResultTable(
        name="pairs",
        title="Pairs of groups",
        note=f"{column}: {WELCH_NOTE}",
        columns=(
            *("better", "worse", "difference", "ratio", "p", "outcome"),
            *("smallest significant difference", "power"),
        ),
        rows=tuple(rows),
    )
