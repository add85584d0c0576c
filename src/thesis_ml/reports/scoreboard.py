"""The scoreboard: one row per group, one column per number that decides which model to take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from thesis_ml.metrics.significance import PairTest, assign_letters, compare_pairs
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import ResultTable, Section, Value

SEEDS = "seeds"
MOST_TERMINAL = 6
"""Columns on the terminal."""

Number = Measured | Spread | int


@dataclass(frozen=True)
class ScoreColumn:
    """One column of the scoreboard.

    Args:
        title: Its head.
        meaning: Its definition, one sentence.
        better: Which numbers are better; None where neither is.
    """

    title: str
    meaning: str
    better: Literal["smaller", "larger"] | None


COLUMNS: Mapping[str, ScoreColumn] = {
    SEEDS: ScoreColumn("seeds", "Number of different seeds.", None),
    "bits_per_token": ScoreColumn("bits/token", "Bits that store the latent or the codes of one token.", "smaller"),
    "rec_mse": ScoreColumn("rec_mse", "Mean squared error of the standardised features on the test split.", "smaller"),
    "width68_pt": ScoreColumn("σ68 pT", "68% half-width of the relative residual of pT.", "smaller"),
    "width68_E": ScoreColumn("σ68 E", "68% half-width of the relative residual of the energy.", "smaller"),
    "width68_eta": ScoreColumn("σ68 η", "68% half-width of the residual of the pseudorapidity.", "smaller"),
    "width68_phi": ScoreColumn("σ68 φ", "68% half-width of the residual of the azimuth, in radian.", "smaller"),
    "jet_mass": ScoreColumn("σ68 m(jet)", "68% half-width of the relative residual of the mass of jets.", "smaller"),
    "two_sample": ScoreColumn(
        "real/rec.",
        "AUROC of boosted trees that try to tell reconstructed from real objects of an event; 0.5: they cannot.",
        "smaller",
    ),
    "rec_globals": ScoreColumn("rec_globals", "Mean squared error of standardised MET and its azimuth.", "smaller"),
    "type_accuracy": ScoreColumn("type acc.", "Share of objects whose type is predicted correctly.", "larger"),
    "usage": ScoreColumn(
        "share of codes used", "Codebook utilisation: share of the codes that any test token has.", None
    ),
    "perplexity": ScoreColumn("perplexity", "Effective number of codes: exp of the entropy of their shares.", None),
    "downstream_loss": ScoreColumn(
        "AUROC lost", "AUROC that a classifier loses when it gets reconstructed instead of original events.", "smaller"
    ),
    "lead": ScoreColumn(
        "over best baseline",
        "Largest AUROC of an anomaly score minus that of the best baseline; its error holds events and seeds.",
        "larger",
    ),
    "throughput": ScoreColumn("events/s", "Training events per second, median over epochs.", "larger"),
    "parameters": ScoreColumn("parameters", "Trainable parameters of the model.", None),
}
"""All columns by name, in the order of the page; one that no group has is left out."""


@dataclass(frozen=True)
class Score:
    """One cell of the scoreboard.

    Args:
        value: The number; of several seeds mean and standard deviation.
        letters: Groups that share a letter do not differ significantly; a is the best. Blank without a test.
        is_best: Whether no ranked group has a better number.
    """

    value: Number
    letters: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class Scoreboard:
    """The scores of all groups.

    Args:
        columns: Those that some group has.
        rows: The scores of each group by its label, None where it was not measured.
    """

    columns: Mapping[str, ScoreColumn]
    rows: Mapping[str, Mapping[str, Score | None]]

    def to_table(self) -> ResultTable:
        """Return the numbers as a table, for csv and tex."""
        rows: list[tuple[Value, ...]] = [
            (label, *(None if score is None else score.value for score in scores.values()))
            for label, scores in self.rows.items()
        ]
        note = "Mean and standard deviation over the seeds of a group."
        return ResultTable("scoreboard", "Scoreboard", note, ("group", *self.columns), tuple(rows))


def build_scoreboard(comparison: Comparison, sections: Sequence[Section] = ()) -> Scoreboard:
    """Return the scores of all groups: from the facts of their runs, and from the sections of inference."""
    measured = {name: collect_numbers(name, comparison, sections) for name in COLUMNS}
    columns = {name: COLUMNS[name] for name, numbers in measured.items() if numbers}
    tests = [test for section in sections for test in section.tests]
    scores = {
        name: score_column(name, measured[name], comparison, [test for test in tests if test.quantity == name])
        for name in columns
    }
    rows = {group.label: {name: scores[name].get(group.label) for name in columns} for group in comparison.groups}
    return Scoreboard(columns, rows)


def collect_numbers(name: str, comparison: Comparison, sections: Sequence[Section]) -> dict[str, Number]:
    """Return the number of every group that has it, by its label."""
    if name == SEEDS:
        return dict(comparison.count_seeds())
    numbers: dict[str, Number] = {
        group.label: group.numbers[name] for group in comparison.groups if name in group.numbers
    }
    for section in sections:
        numbers |= section.scores.get(name, {})
    return numbers


def score_column(
    name: str, numbers: Mapping[str, Number], comparison: Comparison, tests: Sequence[PairTest]
) -> dict[str, Score]:
    """Return the scores of one column, with the best group that is ranked and the groups compatible with it."""
    better = COLUMNS[name].better
    ranked = [label for label in numbers if label not in comparison.verdict.unranked]
    if better is None or not ranked:
        return {label: Score(value) for label, value in numbers.items()}
    is_large_good = better == "larger"
    ranked.sort(key=lambda label: _take_mean(numbers[label]), reverse=is_large_good)
    best = _take_mean(numbers[ranked[0]])
    spreads = {label: one for label in ranked if isinstance(one := numbers[label], Spread) and one.n > 1}
    if not tests and len(spreads) == len(ranked):
        tests = compare_pairs(name, spreads, larger_is_better=is_large_good)
    letters = assign_letters(ranked, tests) if tests else {}
    return {
        label: Score(value, letters.get(label, ""), label in ranked and _take_mean(value) == best)
        for label, value in numbers.items()
    }


def _take_mean(value: Number) -> float:
    if isinstance(value, Spread):
        return value.mean
    return value.value if isinstance(value, Measured) else float(value)
