"""Checks of anomaly detection: contamination, overtraining, null tests, and events that cannot show anything."""

from collections.abc import Iterator, Sequence

from thesis_ml.data.acceptance import describe_gaps
from thesis_ml.reports.contents import Check
from thesis_ml.reports.inference.sections.anomaly.null_tests import FEWEST_CHECKED, HELD_OUT, NullCheck
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult
from thesis_ml.reports.inference.sections.anomaly.tables import name_problem
from thesis_ml.reports.utils.words import join_names, join_some

NAME = "separation"
MOST_EMPTIED = 0.5
"""A corruption that leaves more of the events without any object is named."""

MOST_LISTED = 3


def check_result(result: AnomalyResult) -> Iterator[Check]:
    """Yield the checks of a result."""
    if result.scored.is_trained_on:
        text = "The training split is scored; use inference.dataset_split=test."
        yield Check("split", "failed", text, NAME)
    yield from check_contamination(result)
    for gaps in result.gaps.values():
        yield Check("acceptance", "failed" if gaps[0].is_sure else "note", describe_gaps(gaps), NAME)
    held_out = [check for check in result.nulls if check.null == HELD_OUT]
    others = [check for check in result.nulls if check.null != HELD_OUT]
    yield from _check_nulls("overtraining", held_out, _explain_held_out(held_out))
    yield from _check_nulls("null tests", others, "scores distinguish events from their transformed copies")
    if not result.scored.is_symmetric:
        yield Check(
            "eta reflection", "note", "The events are not symmetric in eta: their reflection is no null test.", NAME
        )
    if result.n_background < FEWEST_CHECKED:
        text = f"{result.n_background} background events: the overtraining check needs {FEWEST_CHECKED}."
        yield Check("overtraining", "note", text, NAME)
    if len(result.scored.labels) < FEWEST_CHECKED:
        yield Check("null tests", "note", "Too few events: only exact null tests are made.", NAME)
    few = [name_problem(one.problem) for one in result.solved if one.problem.n_fewest < FEWEST_CHECKED]
    if few:
        listed = join_some(few, MOST_LISTED)
        text = f"{listed}: fewer than {FEWEST_CHECKED} signal or background events, too few for an AUROC."
        yield Check("few events", "note", text, NAME)
    emptied = [
        name_problem(one.problem)
        for one in result.solved
        if one.n_emptied > MOST_EMPTIED * int(one.problem.is_background.sum())
    ]
    if emptied:
        listed = join_some(emptied, MOST_LISTED)
        text = f"{listed}: most corrupted events have no objects, and their AUROC shows only that."
        yield Check("empty events", "note", text, NAME)


def check_contamination(result: AnomalyResult) -> Iterator[Check]:
    """Yield whether models were trained on the signal; that all classes were is a choice of the user."""
    labels = [one for one in result.contaminated if one.problem.kind == "label"]
    if labels:
        signals = join_names([one.problem.name for one in labels])
        text = (
            f"The training events hold {signals}: their separation is no test of unseen signals (data.train_classes)."
        )
        yield Check("contamination", "note", text, NAME)
    for one in result.contaminated:
        if one.problem.kind == "signal":
            text = f"{join_names(one.contaminated)}: the training events hold the class of inference.signal_file."
            yield Check("contamination", "failed", text, NAME)
    for one in result.unknown:
        text = (
            f"{join_names(one.unknown)}: unknown whether trained on the class of inference.signal_file; "
            "write the attribute label_meaning into both files."
        )
        yield Check("contamination", "note", text, NAME)
    asked = [one for one in result.solved if one.problem.kind != "corruption"]
    if asked and not result.contaminated and not result.unknown:
        yield Check("contamination", "passed", "No model was trained on a signal.", NAME)


def _explain_held_out(checks: Sequence[NullCheck]) -> str:
    """Return what failed overtraining checks mean: models that know their events, or splits that differ."""
    if any(check.auroc.value > 0.5 for check in checks if not check.holds):
        return "models err less on their training background than on held-out events"
    return "training background scores higher than held-out events, so that the splits differ"


def _check_nulls(name: str, checks: Sequence[NullCheck], meaning: str) -> Iterator[Check]:
    failed = [check for check in checks if not check.holds]
    n_by_chance = sum(check.chance for check in checks)
    if failed:
        listed = join_some([f"{check.score} of {check.scorer} ({check.auroc})" for check in failed], MOST_LISTED)
        text = f"{len(failed)} of {len(checks)} fail, {n_by_chance:.1f} expected by chance; {meaning}: {listed}."
        yield Check(name, "failed", text, NAME)
    elif checks:
        yield Check(name, "passed", f"All {len(checks)} are within their errors.", NAME)
