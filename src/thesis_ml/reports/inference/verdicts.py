"""What the scores say, in plain words: who sees what, beside variables without a model, and what is left open."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from thesis_ml.metrics.auroc import Auroc
from thesis_ml.metrics.bootstrap import Estimate
from thesis_ml.reports.inference.null_checks import CHANCE, EXACT, FEWEST_CHECKED, HELD_OUT, MOST_ERRORS, NullCheck
from thesis_ml.reports.inference.problems import Problem
from thesis_ml.reports.inference.scored import TRIVIAL
from thesis_ml.reports.inference.solved import Findings, Solved, holds_multiplicity
from thesis_ml.reports.inference.working_points import Measurement, find_lead
from thesis_ml.reports.utils.words import join_names

ABOUT_HALF = 0.02
"""An AUROC as near to one half is called about one half, however small its error."""

RESOLVED_ERRORS = 3.0
"""An AUROC that is as many standard errors from one half, or from another, differs; the best of many is compared."""

MOST_EMPTIED = 0.5
"""A change that leaves more of the events without any object is said to at once."""

MOST_LISTED = 6

HARDLY = f"hardly seen (AUROC below {0.5 + ABOUT_HALF:g})"
LEGITIMATE = "An AUROC of about 0.5 is a legitimate result"

Viewer = Literal["model", "variable", "hardly", "low", "nobody"]

TITLE = "Anomaly detection"
TITLE_CONTAMINATED = "What the scores tell apart"

NULL_NAMES = {
    "phi_rotation": "events turned about the beam",
    "eta_reflection": "events mirrored in eta",
    "token_order": "objects in another order",
    HELD_OUT: "held-out background against background of the training split",
}

CHANGES: Mapping[Viewer, str] = {
    "model": "that a score of a model sees best, with its AUROC",
    "variable": "that a variable without a model sees as well or better",
    "hardly": HARDLY,
    "low": "that nothing sees by a high score, with the lowest AUROC",
    "nobody": "that nothing sees",
}
"""How changes are called by who sees them, in the order of the sentences."""

LEARNT = (
    "The training split is scored, whose events models were trained on: their scores are too low, and what tells them "
    "from others is not what would be found in new events; leave inference.dataset_split at test."
)


def choose_title(findings: Findings) -> str:
    """Return the heading: what a model was trained on, as far as is known, is no anomaly to it."""
    return TITLE_CONTAMINATED if findings.contaminated or findings.unknown else TITLE


def describe_findings(findings: Findings) -> tuple[str, ...]:
    """Return what can be said in short, most important first; of all changes together who sees them."""
    sentences: list[str] = []
    references = [solved for solved in findings.solved if solved.problem.is_reference]
    asked = [solved for solved in references if has_enough(solved.problem)]
    few = [solved for solved in references if not has_enough(solved.problem)]
    for solved in asked:
        if solved.problem.kind != "corruption":
            sentences += [describe_problem(solved), *describe_pairs(solved)]
    sentences += describe_changes([solved for solved in asked if solved.problem.kind == "corruption"])
    sentences += describe_emptying(findings.solved)
    if few:
        listed = "; ".join(name_problem(solved.problem) for solved in few)
        sentences.append(
            f"Too few events to say who sees what, of which it takes {FEWEST_CHECKED} on each side: {listed}."
        )
    return (*sentences, *_describe_counting(findings), *_describe_nulls(findings))


def has_enough(problem: Problem) -> bool:
    """Say whether signal and background have so many events that errors mean something."""
    n_signal = int(problem.is_signal.sum())
    return min(n_signal, len(problem.is_signal) - n_signal) >= FEWEST_CHECKED


def describe_details(findings: Findings) -> tuple[str, ...]:
    """Return what is said of each change at its middle strength, how many events were left empty, and single seeds."""
    sentences: list[str] = []
    for solved in findings.solved:
        if solved.problem.kind == "corruption" and solved.problem.is_reference and has_enough(solved.problem):
            sentences += [describe_problem(solved), *describe_pairs(solved)]
    return (*sentences, *_describe_emptied(findings.solved), *_describe_seeds(findings))


def list_flags(findings: Findings) -> tuple[str, ...]:
    """Return what failed: nulls that do not hold, by null and model, and events that were or may have been learnt."""
    failed: dict[tuple[str, str], list[NullCheck]] = {}
    for check in findings.nulls:
        if not check.holds:
            failed.setdefault((check.null, check.scorer), []).append(check)
    flags = [LEARNT] if findings.scored.is_trained_on else []
    flags += [_describe_contamination(solved) for solved in findings.contaminated]
    flags += [_describe_unknown(solved) for solved in findings.unknown]
    return (*flags, *(_describe_failure(*names, checks) for names, checks in failed.items()))


def describe_problem(solved: Solved) -> str:
    """Return the best score of a model beside the best one without, and which of them sees more."""
    subject = name_problem(solved.problem)
    best, trivial = solved.choose_best(of_models=True), solved.choose_best(of_models=False)
    if best is None:
        return f"{subject}: no score of a model is a number{_describe_trivial_alone(trivial)}."
    if not sees(best):
        return f"{subject}: {_describe_unseen(solved, best, trivial)}."
    n_scores = sum(measured.group != TRIVIAL for measured in solved.measurements)
    among = f"the best of {n_scores} scores" if n_scores > 1 else "the only score"
    sentence = f"{subject}: AUROC {format_auroc(best.auroc)} by {_name_with_care(best)}, {among}"
    plain = solved.choose_best(of_models=True, with_counts=False)
    if plain is not None and plain is not best:
        sentence += f"; the best without the multiplicity is {plain.name} with {format_auroc(plain.auroc)}"
    return f"{sentence}{_describe_trivial(best, trivial)}."


def describe_changes(solved: Sequence[Solved]) -> list[str]:
    """Return which changes of events a model sees best, which a variable without one, which are hardly seen or not."""
    seen: dict[Viewer, list[str]] = {viewer: [] for viewer in CHANGES}
    unseen = []
    for one in solved:
        viewer, chosen = find_viewer(one)
        if viewer == "nobody":
            unseen.append(one)
        by = "" if chosen is None else f" ({_name_with_care(chosen)}, {format_auroc(chosen.auroc)})"
        seen[viewer].append(f"{one.problem.name}{by}")
    sentences = [f"Changes {CHANGES[viewer]}: {'; '.join(listed)}." for viewer, listed in seen.items() if listed]
    if unseen and all(map(is_about_half, unseen)):
        sentences[-1] += f" {LEGITIMATE}."
    return sentences


def find_viewer(solved: Solved) -> tuple[Viewer, Measurement | None]:
    """Return who sees a signal best, and by what: a model only where it is ahead of a variable by more than its error.

    Where neither sees it, it may still be hardly seen, or signal may score below background.
    """
    best, trivial = solved.choose_best(of_models=True), solved.choose_best(of_models=False)
    known = [one for one in (best, trivial) if one is not None and is_above(one)]
    ahead = trivial if trivial in known else None
    if best is not None and best in known and (ahead is None or _is_ahead(best, ahead)):
        ahead = best
    if ahead is None:
        lowest = solved.choose_lowest()
        return ("nobody", None) if lowest is None or not is_low(lowest) else ("low", lowest)
    if not any(sees(one) for one in known):
        return "hardly", ahead
    return ("model" if ahead is best else "variable"), ahead


def sees(measured: Measurement) -> bool:
    """Say whether an AUROC is more than about one half, and by more than its error, which few events leave large."""
    return is_above(measured) and measured.auroc.value - 0.5 >= ABOUT_HALF


def is_about_half(solved: Solved) -> bool:
    """Say whether the AUROC of every score of a model is about one half."""
    ends = (solved.choose_best(of_models=True), solved.choose_lowest())
    return all(one is not None and abs(one.auroc.value - 0.5) < ABOUT_HALF for one in ends)


def is_above(measured: Measurement) -> bool:
    """Say whether an AUROC is above one half by more than its error, however little that is."""
    return measured.auroc.value - 0.5 > RESOLVED_ERRORS * measured.auroc.error


def is_low(measured: Measurement) -> bool:
    """Say whether signal scores below background: by more than about one half and by more than its error."""
    below = 0.5 - measured.auroc.value
    return below >= ABOUT_HALF and below > RESOLVED_ERRORS * measured.auroc.error


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


def _is_ahead(best: Measurement, other: Measurement) -> bool:
    difference, error = find_lead(best, other)
    return difference > RESOLVED_ERRORS * error


def _describe_unseen(solved: Solved, best: Measurement, trivial: Measurement | None) -> str:
    """Return what is said of a signal that no score of a model is high for: hardly, low, or about one half."""
    lowest = solved.choose_lowest() or best
    low = f"{lowest.name} has AUROC {format_auroc(lowest.auroc)}, so that signal scores below background"
    if is_above(best):
        hardly = f"{HARDLY}: the best score of a model, {best.name}, has {format_auroc(best.auroc)}"
        return f"{hardly}{_describe_trivial(best, trivial)}{f'; {low}' if is_low(lowest) else ''}"
    alone = _describe_trivial_alone(trivial)
    if is_low(lowest):
        ends = "" if lowest is best else f"; the highest, {best.name}, has {format_auroc(best.auroc)}"
        return f"scores of models are low for signal: the lowest, {low}{ends}{alone}"
    best_of = f"no score of a model sees it; the best, {best.name}, has AUROC {format_auroc(best.auroc)}"
    if not is_about_half(solved):
        lowest_of = "" if lowest is best else f", the lowest, {lowest.name}, {format_auroc(lowest.auroc)}"
        return f"{best_of}{lowest_of}: these errors are too large for more{alone}"
    return f"{best_of}. {LEGITIMATE}{alone}"


def _describe_trivial(best: Measurement, trivial: Measurement | None) -> str:
    if trivial is None:
        return ""
    if not is_above(trivial):
        return f"; no variable without a model sees it ({trivial.name}: {format_auroc(trivial.auroc)})"
    difference, error = find_lead(best, trivial)
    alone = f"; without a model {trivial.name} has {format_auroc(trivial.auroc)}"
    amount = format_auroc(Auroc(abs(difference), error))
    if difference > RESOLVED_ERRORS * error:
        return f"{alone}: the model sees more, by {amount}"
    if difference < -RESOLVED_ERRORS * error:
        return f"{alone}: that variable alone sees more, by {amount}"
    return f"{alone}: these two cannot be told apart"


def _describe_trivial_alone(trivial: Measurement | None) -> str:
    if trivial is None or not is_above(trivial):
        return "; no variable without a model sees it either"
    return f"; without a model {trivial.name} has {format_auroc(trivial.auroc)}"


def _describe_contamination(solved: Solved) -> str:
    held = join_names(solved.contaminated)
    name = "the class of the signal file" if solved.problem.kind == "signal" else solved.problem.name
    return (
        f"No test of something new: the training split of {held} held {name}. Their scores say how it differs from the "
        "rest of what they know; train with data.train_classes to ask more."
    )


def _describe_unknown(solved: Solved) -> str:
    return (
        f"Whether the training split of {join_names(solved.unknown)} held the class of inference.signal_file cannot "
        "be known: classes go by their names, which the two files do not both give; write the attribute label_meaning, "
        'such as {"0": "ttbar"}, into them.'
    )


def _describe_seeds(findings: Findings) -> list[str]:
    groups = {model.group for model in findings.scored.models}
    counts = {group: sum(model.group == group for model in findings.scored.models) for group in sorted(groups)}
    single = [group for group, count in counts.items() if count < 2]
    if len(groups) < 2 or not single:
        return []
    return [
        f"No pair with {join_names(single)} is called distinguishable: one seed says nothing of the spread over seeds."
    ]


def describe_emptying(solved: Sequence[Solved]) -> list[str]:
    """Return which changes leave most events without any object, whatever their strength."""
    emptied = [one for one in solved if one.n_emptied > MOST_EMPTIED * int(one.problem.is_background.sum())]
    if not emptied:
        return []
    return [
        f"Most events are left without any object by {_list_emptied(emptied)}: they score 0 in every error, and their "
        "AUROCs say nothing else."
    ]


def _describe_emptied(solved: Sequence[Solved]) -> list[str]:
    emptied = [one for one in solved if one.n_emptied]
    if not emptied:
        return []
    return [f"Events left without any object, which score 0 in every error: {_list_emptied(emptied)}."]


def _list_emptied(emptied: Sequence[Solved]) -> str:
    return ", ".join(f"{one.problem.name} {one.n_emptied} of {int(one.problem.is_background.sum())}" for one in emptied)


def _describe_counting(findings: Findings) -> list[str]:
    counting = [one for one in findings.correlations if one.group != TRIVIAL and one.counts_objects]
    if not counting or findings.n_background < FEWEST_CHECKED:
        return []
    listed = [
        f"{one.score} of {one.group} (H_T {one.ht:+.2f}, multiplicity {one.multiplicity:+.2f})"
        for one in sorted(counting, key=lambda one: -max(abs(one.ht), abs(one.multiplicity)))
    ]
    return [f"Scores that mostly count objects or their pT, by rank correlation on background: {_join_some(listed)}."]


def _describe_nulls(findings: Findings) -> list[str]:
    nulls, n_events = findings.nulls, findings.n_background
    too_few = (
        f"{n_events} background events are too few to check all nulls by their errors, of {FEWEST_CHECKED} or more."
    )
    few = [too_few] if n_events < FEWEST_CHECKED else []
    if not nulls:
        return few
    n_by_chance = CHANCE * sum(check.tolerance != EXACT and check.auroc.error > 0 for check in nulls)
    n_failed = sum(not check.holds for check in nulls)
    sentence = (
        f"Nulls: {len(nulls) - n_failed} of {len(nulls)} hold; at {MOST_ERRORS:g} standard errors "
        f"{n_by_chance:.1f} would fail by chance."
    )
    if not findings.scored.is_symmetric:
        sentence += " The file is not symmetric in eta, so that mirrored events are no null."
    return [sentence, *few]


def _describe_failure(null: str, scorer: str, checks: Sequence[NullCheck]) -> str:
    listed = _join_some([f"{check.score} {format_auroc(check.auroc)}" for check in checks])
    meaning = ""
    if null == HELD_OUT:
        meaning = ": the splits differ" if scorer == TRIVIAL else ": it knows the events that it was trained on"
    rules = ", ".join(dict.fromkeys(check.rule for check in checks))
    return f"Null of {scorer}: it tells {NULL_NAMES[null]} ({listed}; allowed: {rules}){meaning}."


def _join_some(texts: Sequence[str]) -> str:
    rest = f"; and {len(texts) - MOST_LISTED} more" if len(texts) > MOST_LISTED else ""
    return "; ".join(texts[:MOST_LISTED]) + rest
