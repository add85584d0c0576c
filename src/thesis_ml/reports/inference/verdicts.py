"""What the scores say, in plain words: who sees what, beside variables without a model, and what is left open."""

import math
from collections.abc import Sequence
from typing import Literal

from thesis_ml.metrics.auroc import Auroc
from thesis_ml.metrics.bootstrap import Estimate
from thesis_ml.reports.inference.null_checks import CHANCE, EXACT, HELD_OUT, MOST_ERRORS, NullCheck
from thesis_ml.reports.inference.problems import Problem, name_label
from thesis_ml.reports.inference.scored import TRIVIAL, ScoredSplit
from thesis_ml.reports.inference.solved import Findings, Solved, holds_multiplicity
from thesis_ml.reports.inference.working_points import Measurement, find_difference

ABOUT_HALF = 0.02
"""An AUROC as near to one half is called about one half, however small its error."""

SEES_MORE_ERRORS = 2.0
"""Two scores of the same events differ when their AUROCs do by as many standard errors."""

MOST_LISTED = 6

Viewer = Literal["model", "variable", "nobody"]

TITLE = "Anomaly detection"
TITLE_CONTAMINATED = "What the scores tell apart"

NULL_NAMES = {
    "phi_rotation": "events turned about the beam",
    "eta_reflection": "events mirrored in eta",
    "token_order": "objects in another order",
    HELD_OUT: "held-out background against background of the training split",
}


def choose_title(findings: Findings) -> str:
    """Return the heading: what a model was trained on is no anomaly to it."""
    return TITLE_CONTAMINATED if findings.contaminated else TITLE


def describe_findings(findings: Findings) -> tuple[str, ...]:
    """Return what can be said in short, most important first; of all changes together who sees them."""
    sentences = [describe_background(findings.scored)]
    asked = [solved for solved in findings.solved if solved.problem.is_reference]
    for solved in asked:
        if solved.problem.kind != "corruption":
            sentences += [describe_problem(solved), *describe_pairs(solved)]
    sentences += describe_changes([solved for solved in asked if solved.problem.kind == "corruption"])
    sentences += [*_describe_seeds(findings), *_describe_counting(findings), *_describe_nulls(findings)]
    return tuple(sentences)


def describe_details(findings: Findings) -> tuple[str, ...]:
    """Return what is said of each change at its middle strength, and how many events were left empty."""
    sentences: list[str] = []
    for solved in findings.solved:
        if solved.problem.kind == "corruption" and solved.problem.is_reference:
            sentences += [describe_problem(solved), *describe_pairs(solved)]
    return (*sentences, *_describe_emptied(findings.solved))


def list_flags(findings: Findings) -> tuple[str, ...]:
    """Return what failed: nulls that do not hold, by null and model, and scores of events that were learnt."""
    failed: dict[tuple[str, str], list[NullCheck]] = {}
    for check in findings.nulls:
        if not check.holds:
            failed.setdefault((check.null, check.scorer), []).append(check)
    flags = [_describe_contamination(solved) for solved in findings.contaminated]
    return (*flags, *(_describe_failure(*names, checks) for names, checks in failed.items()))


def describe_background(scored: ScoredSplit) -> str:
    """Return what counts as ordinary."""
    names = ", ".join(name_label(label, scored.label_names) for label in scored.background)
    return f"Background, which changed events and files are held against, is {names}."


def describe_problem(solved: Solved) -> str:
    """Return the best score of a model beside the best one without, and which of them sees more."""
    subject = name_problem(solved.problem)
    best, trivial = solved.choose_best(of_models=True), solved.choose_best(of_models=False)
    if best is None:
        return f"{subject}: no score of a model is a number."
    if not sees(best):
        sentence = (
            f"{subject}: no score of a model sees it; the best, {best.name}, has AUROC {format_auroc(best.auroc)}. "
            "An AUROC of about 0.5 is a legitimate result"
        )
        return f"{sentence}{_describe_trivial_alone(trivial)}."
    n_scores = sum(measured.group != TRIVIAL for measured in solved.measurements)
    sentence = f"{subject}: AUROC {format_auroc(best.auroc)} by {_name_with_care(best)}, the best of {n_scores} scores"
    plain = solved.choose_best(of_models=True, with_counts=False)
    if plain is not None and plain is not best:
        sentence += f"; the best without the multiplicity is {plain.name} with {format_auroc(plain.auroc)}"
    return f"{sentence}{_describe_trivial(best, trivial)}."


def describe_changes(solved: Sequence[Solved]) -> list[str]:
    """Return which changes of events a model sees best, which a variable without one, and which nobody."""
    seen: dict[Viewer, list[str]] = {"model": [], "variable": [], "nobody": []}
    for one in solved:
        best, trivial = one.choose_best(of_models=True), one.choose_best(of_models=False)
        viewer = find_viewer(best, trivial)
        chosen = {"model": best, "variable": trivial, "nobody": None}[viewer]
        by = "" if chosen is None else f" ({_name_with_care(chosen)}, {format_auroc(chosen.auroc)})"
        seen[viewer].append(f"{one.problem.name}{by}")
    sentences = []
    if seen["model"]:
        sentences.append(f"Changes that a score of a model sees best, with its AUROC: {'; '.join(seen['model'])}.")
    if seen["variable"]:
        listed = "; ".join(seen["variable"])
        sentences.append(f"Changes that a variable without a model sees as well or better: {listed}.")
    if seen["nobody"]:
        listed = "; ".join(seen["nobody"])
        sentences.append(f"Changes that nothing sees: {listed}. An AUROC of about 0.5 is a legitimate result.")
    return sentences


def find_viewer(best: Measurement | None, trivial: Measurement | None) -> Viewer:
    """Return who sees a signal best: the best score of a model only where it is ahead by more than its error."""
    if trivial is not None and sees(trivial):
        if best is None or not sees(best):
            return "variable"
        difference, error = find_difference(best, trivial)
        return "model" if difference > SEES_MORE_ERRORS * error else "variable"
    return "nobody" if best is None or not sees(best) else "model"


def sees(measured: Measurement) -> bool:
    """Say whether an AUROC is more than about one half."""
    return measured.auroc.value >= 0.5 + ABOUT_HALF


def describe_pairs(solved: Solved) -> list[str]:
    """Return which groups can be told apart by events and by seeds, and which cannot."""
    known = [pair for pair in solved.pairs if not math.isnan(pair.p_seeds)]
    if not known:
        return []
    apart = [f"{pair.first} over {pair.second} in {pair.score}" for pair in known if pair.is_distinguishable]
    alike = [f"{pair.first} and {pair.second} in {pair.score}" for pair in known if not pair.is_distinguishable]
    parts = []
    if apart:
        parts.append(f"distinguishable: {_join_some(apart)}")
    if alike:
        parts.append(f"cannot be told apart: {_join_some(alike)}")
    return [f"{name_problem(solved.problem)}, models compared: {'; '.join(parts)}."]


def name_problem(problem: Problem) -> str:
    """Return a problem in words."""
    if problem.kind == "label":
        return f"{problem.name} against the rest"
    if problem.kind == "signal":
        return "Events of inference.signal_file against background"
    return f"{problem.family} at strength {problem.strength:g}"


def format_auroc(auroc: Estimate | Auroc) -> str:
    """Return an AUROC with its error, with more digits where the error needs them."""
    digits = 4 if auroc.error < 5e-4 else 3
    error = "" if math.isnan(auroc.error) else f" ± {auroc.error:.{digits}f}"
    return f"{auroc.value:.{digits}f}{error}"


def _name_with_care(measured: Measurement) -> str:
    care = " (which contains the multiplicity)" if holds_multiplicity(measured.score) else ""
    return measured.name + care


def _describe_trivial(best: Measurement, trivial: Measurement | None) -> str:
    if trivial is None:
        return ""
    if not sees(trivial):
        return f"; no variable without a model sees it ({trivial.name}: {format_auroc(trivial.auroc)})"
    difference, error = find_difference(best, trivial)
    alone = f"; without a model {trivial.name} has {format_auroc(trivial.auroc)}"
    amount = format_auroc(Auroc(abs(difference), error))
    if difference > SEES_MORE_ERRORS * error:
        return f"{alone}: the model sees more, by {amount}"
    if difference < -SEES_MORE_ERRORS * error:
        return f"{alone}: that variable alone sees more, by {amount}"
    return f"{alone}: these two cannot be told apart"


def _describe_trivial_alone(trivial: Measurement | None) -> str:
    if trivial is None or not sees(trivial):
        return "; no variable without a model sees it either"
    return f"; without a model {trivial.name} has {format_auroc(trivial.auroc)}"


def _describe_contamination(solved: Solved) -> str:
    held = ", ".join(solved.contaminated)
    name = "the class of the signal file" if solved.problem.kind == "signal" else solved.problem.name
    return (
        f"No test of something new: the training split of {held} held {name}. Their scores say how it differs from the "
        "rest of what they know; train with data.train_classes to ask more."
    )


def _describe_seeds(findings: Findings) -> list[str]:
    groups = {model.group for model in findings.scored.models}
    counts = {group: sum(model.group == group for model in findings.scored.models) for group in sorted(groups)}
    single = [group for group, count in counts.items() if count < 2]
    if len(groups) < 2 or not single:
        return []
    return [
        f"No pair with {', '.join(single)} is called distinguishable: one seed says nothing of the spread over seeds."
    ]


def _describe_emptied(solved: Sequence[Solved]) -> list[str]:
    emptied = [one for one in solved if one.n_emptied]
    if not emptied:
        return []
    listed = ", ".join(
        f"{one.problem.name} {one.n_emptied} of {int(one.problem.is_background.sum())}" for one in emptied
    )
    return [f"Events left without any object, which score 0 in every error: {listed}."]


def _describe_counting(findings: Findings) -> list[str]:
    counting = [one for one in findings.correlations if one.group != TRIVIAL and one.counts_objects]
    if not counting:
        return []
    listed = [
        f"{one.score} of {one.group} (H_T {one.ht:+.2f}, multiplicity {one.multiplicity:+.2f})"
        for one in sorted(counting, key=lambda one: -max(abs(one.ht), abs(one.multiplicity)))
    ]
    return [f"Scores that mostly count objects or their pT, by rank correlation on background: {_join_some(listed)}."]


def _describe_nulls(findings: Findings) -> list[str]:
    nulls = findings.nulls
    if not nulls:
        return []
    n_by_chance = CHANCE * sum(check.tolerance != EXACT and check.auroc.error > 0 for check in nulls)
    n_failed = sum(not check.holds for check in nulls)
    sentence = (
        f"Nulls: {len(nulls) - n_failed} of {len(nulls)} hold; at {MOST_ERRORS:g} standard errors "
        f"{n_by_chance:.1f} would fail by chance."
    )
    if not findings.scored.is_symmetric:
        sentence += " The file is not symmetric in eta, so that mirrored events are no null."
    return [sentence]


def _describe_failure(null: str, scorer: str, checks: Sequence[NullCheck]) -> str:
    listed = _join_some([f"{check.score} {format_auroc(check.auroc)}" for check in checks])
    meaning = "it knows the events that it was trained on" if null == HELD_OUT and scorer != TRIVIAL else "it may not"
    if null == HELD_OUT and scorer == TRIVIAL:
        meaning = "the splits differ"
    rules = ", ".join(dict.fromkeys(check.rule for check in checks))
    return f"Null of {scorer}: it tells {NULL_NAMES[null]} ({listed}; allowed is 0.5 ± {rules}): {meaning}."


def _join_some(texts: Sequence[str]) -> str:
    rest = f"; and {len(texts) - MOST_LISTED} more" if len(texts) > MOST_LISTED else ""
    return "; ".join(texts[:MOST_LISTED]) + rest
