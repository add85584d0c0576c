"""Error against compression: what a tokenizer loses for the bits that it spends on a token."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from thesis_ml.facts.summary import REC_MSE, Cell
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.contents import Reference
from thesis_ml.reports.utils.table import MissingFigure, Table, build_table
from thesis_ml.utils.plain_values import as_float

STORED = "bits_per_token"
MEASURES = {STORED: "stored bits", "entropy_bits": "entropy of the codes", "kl_bits": "KL / ln 2"}
"""The columns of the summary that count bits, most conservative first, and their names in a legend."""

REFERENCE_NAMES = {
    "kmeans": "k-means",
    "kmeans_place": "k-means per place",
    "per_feature": "scalar codes",
    "residual_kmeans": "residual k-means",
}
FEWEST_ON_FRONT = 3
"""A front through fewer groups says no more than the points."""


class Point(NamedTuple):
    """Mean and standard deviation over the runs of one group, for one way to count bits."""

    group: str
    measure: str
    bits: float
    bits_sd: float
    rec_mse: float
    rec_mse_sd: float
    n_runs: int | None


COLUMNS = (*Point._fields, "is_on_front", "is_reference", "remark")


def tabulate_compression(comparison: Comparison, references: Sequence[Reference] = ()) -> Table | MissingFigure:
    """Return bits per token and test error of every group and of compressions without a model.

    A group is on the front when no other ranked group has at most its stored bits and at most its error.
    """
    points = [point for group in comparison.groups for point in _list_points(comparison, group)]
    if not points:
        return MissingFigure("no run has both bits per token and a test rec_mse")
    unranked = comparison.verdict.unranked
    ranked = [point for point in points if point.group not in unranked and point.measure == STORED]
    rows: list[tuple[Cell, ...]] = [
        (*point, _is_on_front(point, ranked), False, _write_remark(point, unranked)) for point in points
    ]
    for one in references:
        name = REFERENCE_NAMES.get(one.name, one.name)
        for measure, bits in ((STORED, one.bits), ("entropy_bits", one.entropy_bits)):
            if measure == STORED or math.isfinite(bits):
                rows.append((name, measure, bits, math.nan, one.rec_mse, math.nan, None, False, True, one.remark))
    return build_table(COLUMNS, rows)


def has_front(table: Table) -> bool:
    """Say whether enough groups are on the front for a line through them."""
    return sum(is_on is True for is_on in table.column("is_on_front")) >= FEWEST_ON_FRONT


def _list_points(comparison: Comparison, group: Group) -> list[Point]:
    """Return one point per way to count bits, over the runs of the group that have both numbers."""
    points = []
    for measure in MEASURES:
        pairs = [
            (as_float(comparison.rows.get(run.name, {}).get(measure)), run.history.test.get(REC_MSE, math.nan))
            for run in group.runs
        ]
        known = np.array([pair for pair in pairs if all(map(math.isfinite, pair))], dtype=np.float64).reshape(-1, 2)
        if len(known):
            means = known.mean(axis=0).tolist()
            sds = known.std(axis=0, ddof=1).tolist() if len(known) > 1 else [math.nan, math.nan]
            points.append(Point(group.label, measure, means[0], sds[0], means[1], sds[1], len(known)))
    return points


def _is_on_front(point: Point, ranked: Sequence[Point]) -> bool:
    """Say whether no other ranked group has at most the same stored bits and at most the same error."""
    return point in ranked and not any(
        rival.bits <= point.bits and rival.rec_mse <= point.rec_mse for rival in ranked if rival is not point
    )


def _write_remark(point: Point, unranked: Mapping[str, str]) -> str:
    return f"not ranked: {unranked[point.group]}" if point.group in unranked else ""
