"""What can be said of the groups, in words, and what forbids or limits saying it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields

from thesis_ml.facts.run_facts import ComparisonKey, RunFacts
from thesis_ml.facts.summary import REC_MSE, Cell, make_cell
from thesis_ml.metrics.codebook import has_collapsed
from thesis_ml.reports.comparison import Group, PairTest, Spread, Verdict
from thesis_ml.reports.utils.statistics import LEVEL, check_pairs, find_critical_difference
from thesis_ml.reports.utils.words import join_names

JUDGED = (REC_MSE, "auroc", "mse", "bce")
"""Numbers that mean the same in every run, first choice first; a loss holds weights and is none of them."""
PHYSICAL = ("width68_pt", "width68_E", "width68_eta", "width68_phi", "width68_mass")
"""Residuals in physical units: what is left to compare when runs standardise differently."""

SAME_EVENTS = ("dataset_fingerprint", "limit_events", "n_tokens", "matching")
"""Without these in common even physical numbers are taken over different tokens or by another rule."""
KEY_NAMES = {
    "dataset_fingerprint": "data (fingerprint)",
    "features": "features",
    "phi": "encoding of phi",
    "normalizer": "normaliser",
    "train_classes": "classes they were trained on",
    "limit_events": "limit_events",
    "matching": "what tokens are compared with",
    "n_tokens": "n_tokens",
}

OPEN = ("limit_events", "n_tokens", "train_classes")
"""Parts of the key in which no value means no limit."""

COPIES = ("none", "linear", "kl")
ACCURACY_GAP = 0.005
"""Type accuracies that differ by more make errors hard to compare: the codes spend their bits differently."""
MOST_LISTED = 12


def judge(groups: Sequence[Group], rows: Mapping[str, Mapping[str, Cell]]) -> Verdict:
    """Return what can be said of the differences between groups.

    Args:
        groups: The groups of runs.
        rows: The summary row of each run.
    """
    runs = [run for group in groups for run in group.runs]
    banners = [*describe_key_differences(runs), *describe_code_differences(runs)]
    differing = find_key_differences(runs)
    column = choose_column(groups, rows, differing)
    caveats = [*describe_collapse(groups), *describe_types(groups), *describe_copying(runs)]
    caveats += [*describe_matching(runs), *describe_repeats(groups)]
    if column is None:
        sentences = [_explain_no_column(differing)]
        return Verdict(REC_MSE, tuple(sentences + caveats), (), tuple(banners))
    tests, sentences = compare_in(column, groups)
    return Verdict(column, tuple(sentences + caveats), tests, tuple(banners))


def compare_in(column: str, groups: Sequence[Group]) -> tuple[tuple[PairTest, ...], list[str]]:
    """Return the tests of all pairs in one number, and what they say."""
    spreads = {group.label: group.numbers[column] for group in groups if column in group.numbers}
    sentences = [_describe_smallest(column, spreads)] if spreads else []
    missing = [group.label for group in groups if group.label not in spreads]
    if missing and spreads:
        sentences.append(f"{join_names(missing)} {'has' if len(missing) == 1 else 'have'} no {column}.")
    tests = check_pairs(spreads)
    if len(spreads) < 2:
        return tests, [*sentences, "One group: nothing to compare."]
    known = [test for test in tests if not math.isnan(test.p_value)]
    single = [label for label, one in spreads.items() if one.n < 2]
    if single:
        sentences.append(
            f"No verdict on {join_names(single)}: one seed says nothing of the spread between seeds; "
            "train at least three."
        )
    if known:
        sentences += _describe_tests(column, known, spreads)
        sentences.append(describe_resolution(min(one.n for one in spreads.values() if one.n >= 2), len(known)))
    return tests, sentences


def describe_resolution(n: int, n_pairs: int) -> str:
    """Return what tests of groups of n seeds can see at all."""
    among = f", any of {n_pairs} pairs from {find_critical_difference(n, n_pairs):.3g} sd" if n_pairs > 1 else ""
    return (
        f"Tests are Welch's t at {LEVEL:.0%}, corrected by Holm over all pairs. With n = {n} and equal spread, "
        f"one pair is resolved from {find_critical_difference(n):.3g} sd on, Welch's critical difference{among}."
    )


def choose_column(
    groups: Sequence[Group], rows: Mapping[str, Mapping[str, Cell]], differing: Sequence[str]
) -> str | None:
    """Return the number to judge by: standardised where the runs allow it, else physical, else none."""
    candidates = JUDGED if not differing else () if set(differing) & set(SAME_EVENTS) else PHYSICAL
    counts = {name: sum(name in group.numbers for group in groups) for name in candidates}
    most = max(counts.values(), default=0)
    return next((name for name in candidates if counts[name] == most), None) if most else None


def find_key_differences(runs: Sequence[RunFacts]) -> list[str]:
    """Return the parts of the comparison key in which the runs differ."""
    names = [field.name for field in fields(ComparisonKey)]
    return [name for name in names if len({repr(getattr(run.key, name)) for run in runs}) > 1]


def describe_key_differences(runs: Sequence[RunFacts]) -> list[str]:
    """Return a banner for every part of the comparison key in which the runs differ."""
    differing = find_key_differences(runs)
    if not differing:
        return []
    # It follows from the others, so that alone it means that none of them explains it.
    shown = [name for name in differing if name != "normalizer"] or differing
    if set(differing) & set(SAME_EVENTS):
        remedy = "their errors are not compared, because they are not taken over the same tokens"
    else:
        remedy = "they are compared in physical units, because their standardised units differ"
    return [f"The runs differ in {KEY_NAMES[name]} ({_count_values(runs, name)}): {remedy}." for name in shown]


def describe_code_differences(runs: Sequence[RunFacts]) -> list[str]:
    """Return a banner when the runs come from different versions of the code."""
    commits = {str(run.meta.get("git_commit"))[:10] for run in runs}
    if len(commits) < 2:
        return []
    return [f"The runs come from {len(commits)} versions of the code: {', '.join(sorted(commits)[:MOST_LISTED])}."]


def describe_types(groups: Sequence[Group]) -> list[str]:
    """Return a caveat when groups learn the object types to different degrees."""
    betas = {repr(run.config.get("phase1.decoder.types_beta")) for group in groups for run in group.runs}
    sentences = []
    if len(betas) > 1:
        listed = ", ".join(sorted(betas))
        sentences.append(f"types_beta differs ({listed}): a code that carries the type too has less left for the rest.")
    known = {group.label: group.numbers["type_accuracy"].mean for group in groups if "type_accuracy" in group.numbers}
    if known and max(known.values()) - min(known.values()) > ACCURACY_GAP:
        low, high = min(known, key=lambda label: known[label]), max(known, key=lambda label: known[label])
        sentences.append(
            f"Type accuracy is unequal, {known[low]:.4g} for {low} and {known[high]:.4g} for {high}: compare at equal "
            f"types_beta and accuracy."
        )
    return sentences


def describe_collapse(groups: Sequence[Group]) -> list[str]:
    """Return a caveat when groups use hardly any of their codes."""
    listed = []
    for group in groups:
        n_codes, spread = _count_codes(group.runs[0]), group.numbers.get("perplexity")
        if n_codes is not None and spread is not None and has_collapsed(spread.mean, n_codes):
            listed.append(f"{group.label} (like {format_number(spread.mean)} equally frequent ones of {n_codes})")
    if not listed:
        return []
    return [
        f"Collapsed codebooks: {'; '.join(listed)}. An error near 1 is what the mean of all tokens has: train for more "
        "steps, or with fewer codes."
    ]


def describe_copying(runs: Sequence[RunFacts]) -> list[str]:
    """Return a caveat when a bottleneck is as wide as what it should compress."""
    names = dict.fromkeys(run.choices["latent_space"] for run in runs if _can_copy(run))
    if not names:
        return []
    verb = "has" if len(names) == 1 else "have"
    return [f"{join_names(list(names))} {verb} latents as wide as a token, which they can copy: the error says little."]


def describe_matching(runs: Sequence[RunFacts]) -> list[str]:
    """Return a caveat when reconstructed tokens were matched within their event."""
    if all(run.key.matching != "event" for run in runs):
        return []
    return [
        "Where a loss takes an event as a set, tokens are compared with their counterpart in the matching of the event "
        "that costs least, which is below the error token by token."
    ]


def describe_repeats(groups: Sequence[Group]) -> list[str]:
    """Return a caveat for every group in which a seed occurs twice or is not known."""
    sentences = []
    for group in groups:
        seeds = [run.seed for run in group.runs]
        known = [seed for seed in seeds if seed is not None]
        if len(set(known)) < len(known):
            sentences.append(f"{group.label} holds {len(seeds)} runs of {len(set(known))} seeds: a seed counts once.")
        if len(known) < len(seeds):
            sentences.append(f"{group.label} holds runs whose seed is not known, which are taken for different.")
    return sentences


def format_number(value: float) -> str:
    """Return a number with three digits."""
    return f"{value:.3g}"


def format_p_value(value: float) -> str:
    """Return a p-value with two digits, or that it is below what is worth telling."""
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"


def _describe_smallest(column: str, spreads: Mapping[str, Spread]) -> str:
    label = min(spreads, key=lambda name: spreads[name].mean)
    one = spreads[label]
    sd = f", sd {format_number(one.sd)}" if one.n > 1 else ""
    seeds = "seed" if one.n == 1 else "seeds"
    return f"Smallest {column}: {label}, {format_number(one.mean)} ({one.n} {seeds}{sd})."


def _describe_tests(column: str, tests: Sequence[PairTest], spreads: Mapping[str, Spread]) -> list[str]:
    """Say of every group how it compares with the smallest one, then which other pairs cannot be told apart."""
    tested = {label for test in tests for label in (test.first, test.second)}
    best = min(tested, key=lambda label: spreads[label].mean)
    with_best = [test for test in tests if test.first == best]
    by_ratio = sorted(with_best, key=lambda test: test.ratio)
    sentences = [_describe_pair(column, test, spreads) for test in by_ratio[:MOST_LISTED]]
    if len(by_ratio) > MOST_LISTED:
        hidden = by_ratio[MOST_LISTED:]
        n_resolved = sum(test.is_resolved for test in hidden)
        sentences.append(f"Of {len(hidden)} more groups, {n_resolved} have a larger {column} than {best}.")
    others = [test for test in tests if test.first != best and not test.is_resolved]
    if others:
        pairs = "; ".join(f"{test.first} and {test.second}" for test in others[:MOST_LISTED])
        more = f"; and {len(others) - MOST_LISTED} more pairs" if len(others) > MOST_LISTED else ""
        sentences.append(f"Nor can these be told apart: {pairs}{more}.")
    return sentences


def _describe_pair(column: str, test: PairTest, spreads: Mapping[str, Spread]) -> str:
    sizes = {spreads[label].n for label in (test.first, test.second)}
    evidence = f"{format_p_value(test.p_value)}, n = {' and '.join(map(str, sorted(sizes)))}"
    if test.is_resolved:
        return f"{test.second} has {_format_ratio(test.ratio)} the {column} of {test.first} ({evidence})."
    found = format_number(spreads[test.second].mean - spreads[test.first].mean)
    return (
        f"{test.first} and {test.second} cannot be told apart in {column} ({evidence}): they differ by {found}, and "
        f"a difference is resolved from {format_number(test.resolvable)} on."
    )


def _format_ratio(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "more than"
    return f"{ratio:.3g}x" if ratio >= 1.1 else f"{ratio:.4g}x"


def _explain_no_column(differing: Sequence[str]) -> str:
    if differing:
        return "No verdict: the runs cannot be compared in one number; see the differences above."
    return f"No verdict: no run records a number to judge by ({', '.join(JUDGED)})."


def _count_codes(run: RunFacts) -> int | None:
    """Return the codes of a quantiser of a run, None where it has none."""
    size, levels = (run.config.get(f"phase1.latent_space.{key}") for key in ("codebook_size", "levels"))
    if isinstance(levels, tuple | list) and all(isinstance(level, int) for level in levels):
        return math.prod(levels)
    return size if isinstance(size, int) else None


def _can_copy(run: RunFacts) -> bool:
    width, features = run.config.get("phase1.latent_space.latent_dim"), run.key.features
    is_wide = isinstance(width, int) and features is not None and width >= len(features)
    return run.choices.get("latent_space") in COPIES and is_wide


def _count_values(runs: Sequence[RunFacts], name: str) -> str:
    counts: dict[str, int] = {}
    for run in runs:
        value = getattr(run.key, name)
        text = str(make_cell(list(value) if isinstance(value, tuple) else value))
        if value is None:
            text = "all" if name in OPEN else "not known"
        counts[text] = counts.get(text, 0) + 1
    return ", ".join(f"{text}: {count} {'run' if count == 1 else 'runs'}" for text, count in counts.items())
