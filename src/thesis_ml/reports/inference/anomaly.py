"""What the scores of events say: how well each tells background from everything else."""

import numpy as np

from thesis_ml.metrics.auroc import measure_auroc
from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.inference.result import ResultTable, Section
from thesis_ml.reports.inference.scored import TRIVIAL, ScoredSplit
from thesis_ml.reports.inference.stream import CLEAN


def summarise_scores(scored: ScoredSplit) -> tuple[Section, ...]:
    """Return the AUROC of each score of each model against every variant of the background and every other class."""
    rows = tuple(row for row in _list_rows(scored))
    table = ResultTable(
        name="auroc",
        title="AUROC of every score",
        note="Background events against the same after a corruption, or against another class; error by DeLong.",
        columns=("group", "scorer", "score", "against", "auroc", "error"),
        rows=rows,
    )
    names = ("group", "scorer", "score", "against", "auroc", "error")
    return (
        Section(
            "scores",
            "Scores",
            tables=(table,),
            summary={"auroc": [dict(zip(names, row, strict=True)) for row in rows]},
        ),
    )


def _list_rows(scored: ScoredSplit) -> list[tuple[Cell, ...]]:
    is_background = np.isin(scored.labels, scored.background)
    groups = {TRIVIAL: TRIVIAL} | {model.name: model.group for model in scored.models}
    rows: list[tuple[Cell, ...]] = []
    for scorer, group in groups.items():
        for score, clean in scored.table[scorer, CLEAN.name].items():
            signals = {
                variant.name: scored.table[scorer, variant.name][score][is_background] for variant in scored.variants
            }
            for label in np.unique(scored.labels[~is_background]):
                signals[f"label {label}"] = clean[scored.labels == label]
            if scored.signal is not None:
                signals["signal_file"] = scored.signal[scorer][score]
            for against, values in signals.items():
                background = clean[is_background]
                is_signal = np.repeat([False, True], [len(background), len(values)])
                measured = measure_auroc(np.concatenate((background, values)), is_signal)
                rows.append((group, scorer, score, against, float(measured.value), float(measured.error)))
    return rows
