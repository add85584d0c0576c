"""The numbers behind the page's interactive chart: a bounded choice of curves of every run, thinned to a screen."""

import math
from collections.abc import Sequence
from typing import Any

from thesis_ml.facts.schema import LOSS, History
from thesis_ml.facts.summary import REC_MSE
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.plots.curves import iterate_runs
from thesis_ml.reports.plots.style import choose_colours
from thesis_ml.reports.utils.escape import strip_controls

MAX_POINTS = 400
"""Of one curve: about what a screen shows."""

MIN_POINTS = 20
MAX_NUMBERS = 60_000
"""Of all curves together, about 0.5 MB: many runs share it."""

MAX_QUANTITIES = 16
DIGITS = 6
FIRST = (("val", REC_MSE), ("train", REC_MSE), ("val", LOSS), ("train", LOSS))
"""What the chart offers first; other numbers of the validation split follow."""

DASHES = {"-": [], "--": [8, 4], ":": [2, 4], "-.": [8, 4, 2, 4]}
"""What matplotlib's line styles are in pixels."""


def collect_curves(comparison: Comparison) -> dict[str, Any]:
    """Return groups, runs and their curves as plain values for JSON."""
    quantities = list_quantities(comparison)
    n_curves = max(1, len(comparison.runs) * (len(quantities) + 2))
    n_points = min(MAX_POINTS, max(MIN_POINTS, MAX_NUMBERS // n_curves))
    runs = [
        {
            "name": strip_controls(run.name),
            "group": place,
            "epoch": [epoch + 1 for epoch in thin(run.history.epochs, n_points)],
            "time": _round(thin(run.history.values("total_time_s"), n_points)),
            "curves": [_round(thin(run.history.series(split, name), n_points)) for split, name in quantities],
        }
        for place, group in enumerate(comparison.groups)
        for run in group.runs
        if run.history.n_epochs
    ]
    styles = choose_colours(comparison.groups).values()
    groups = [
        {"name": strip_controls(group.label), "colour": style.colour, "dash": DASHES[style.dash]}
        for group, style in zip(comparison.groups, styles, strict=True)
    ]
    names = [f"{strip_controls(name)} ({split})" for split, name in quantities]
    return {"groups": groups, "runs": runs, "quantities": names}


def list_quantities(comparison: Comparison) -> list[tuple[str, str]]:
    """Return split and name of the numbers that the chart offers: those that some run has measured."""
    histories = [run.history for _, run in iterate_runs(comparison)]
    others = [("val", name) for history in histories for name in history.names("val")]
    wanted = dict.fromkeys((*FIRST, *others))
    return [key for key in wanted if any(_is_measured(history, *key) for history in histories)][:MAX_QUANTITIES]


def thin(values: Sequence[Any], n_points: int) -> list[Any]:
    """Return at most `n_points` of the values, evenly, with the first and the last."""
    if len(values) <= n_points:
        return list(values)
    step = (len(values) - 1) / (n_points - 1)
    return [values[round(place * step)] for place in range(n_points)]


def _is_measured(history: History, split: str, name: str) -> bool:
    return any(math.isfinite(value) for value in history.series(split, name))


def _round(values: Sequence[float]) -> list[float | None]:
    """Return the values with the digits that a chart shows, None for what is not finite: JSON knows neither."""
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]
