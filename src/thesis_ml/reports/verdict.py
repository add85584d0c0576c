"""Which groups are best: the number to judge by, the groups that can be ranked in it, and the headline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

from thesis_ml.errors import ReportError
from thesis_ml.facts.run_facts import ComparisonKey, RunFacts
from thesis_ml.facts.summary import REC_MSE
from thesis_ml.metrics.codebook import has_collapsed
from thesis_ml.metrics.significance import PairTest, compare_pairs
from thesis_ml.reports.comparison import Comparison, ExcludedRun, Group, Verdict, count_codes
from thesis_ml.reports.contents import Check
from thesis_ml.reports.utils.words import join_groups, join_names

JUDGED = (REC_MSE, "auroc", "mse", "bce")
"""Numbers that mean the same in every run, first choice first; a loss holds weights and is none of them."""

GLOBALS = "rec_globals"
LARGER_IS_BETTER = ("auroc", "type_accuracy")

PHYSICAL = ("width68_pt", "width68_E", "width68_eta", "width68_phi", "width68_mass")
"""Residuals in physical units: what is left to compare when runs standardise differently."""

SAME_EVENTS = ("dataset_fingerprint", "limit_events", "n_tokens", "matching")
"""Without these in common even physical numbers are taken over different tokens or by another rule."""

EVENTS = ("dataset_fingerprint", "limit_events", "n_tokens")
"""The parts of the comparison key that say which events a run has seen."""

SELECT_BY: Mapping[str, tuple[str, ...]] = {
    "dataset_fingerprint": ("data.path", "data"),
    "limit_events": ("data.limit_events",),
    "n_tokens": ("data.n_tokens",),
    "phi": ("data.phi",),
}
"""The columns that choose runs by a part of the comparison key."""

COPIES = ("none", "linear", "kl")
"""Bottlenecks without a codebook, which can copy a token where their latents are as wide as it."""

MEAN_ERROR = 0.98
"""From this rec_mse on a model gives hardly more than the mean of all tokens, whose rec_mse is 1."""

LEAST_BITS = 0.05
"""A latent that holds fewer bits of a token has collapsed."""

COPY_REASON = "latents as wide as a token, which can be copied"
COLLAPSE_REASON = "a collapsed codebook"
LOST_REASON = "latents that hold nothing of a token"
MEAN_REASON = "an error no better than that of the mean of all tokens"


def judge(groups: Sequence[Group]) -> Verdict:
    """Return which groups are best, by the first number that the runs can be compared in."""
    column = choose_column(groups)
    return judge_by(column, groups) if column is not None else Verdict(None, (), {}, ())


def judge_by(column: str, groups: Sequence[Group]) -> Verdict:
    """Return which groups are best in one number."""
    spreads = {group.label: group.numbers[column] for group in groups if column in group.numbers}
    is_large_good = column in LARGER_IS_BETTER
    unranked = {group.label: reason for group in groups if (reason := explain_unranked(group, column)) is not None}
    ranking = sorted(
        (label for label in spreads if label not in unranked),
        key=lambda label: -spreads[label].mean if is_large_good else spreads[label].mean,
    )
    return Verdict(column, tuple(ranking), unranked, compare_pairs(column, spreads, larger_is_better=is_large_good))


def judge_globals(comparison: Comparison) -> Verdict:
    """Return which groups are best in MET.

    Raises:
        ReportError: No run has a loss on MET.
    """
    if not any(GLOBALS in group.numbers for group in comparison.groups):
        raise ReportError(f"{comparison.report_name}: no run has {GLOBALS}; compare these runs with compare_runs")
    return judge_by(GLOBALS, comparison.groups)


def choose_column(groups: Sequence[Group]) -> str | None:
    """Return the number to judge by: standardised where the runs allow it, else physical, else none."""
    differing = find_key_differences([run for group in groups for run in group.runs])
    candidates = JUDGED if not differing else () if set(differing) & set(SAME_EVENTS) else PHYSICAL
    counts = {name: sum(name in group.numbers for group in groups) for name in candidates}
    most = max(counts.values(), default=0)
    return next((name for name in candidates if counts[name] == most), None) if most else None


def find_key_differences(runs: Sequence[RunFacts]) -> list[str]:
    """Return the parts of the comparison key in which the runs differ."""
    names = [field.name for field in fields(ComparisonKey)]
    return [name for name in names if len({repr(getattr(run.key, name)) for run in runs}) > 1]


def split_comparable(runs: Sequence[RunFacts]) -> tuple[tuple[RunFacts, ...], tuple[ExcludedRun, ...]]:
    """Return the largest set of runs over the same events, and the others with what differs and how to choose them.

    Where no set is larger than all others, all runs stay, and a check says in what they differ.
    """
    events = [repr([getattr(run.key, name) for name in EVENTS]) for run in runs]
    (largest, size), *smaller = Counter(events).most_common() or [("", 0)]
    if not smaller or smaller[0][1] == size:
        return tuple(runs), ()
    kept = tuple(run for run, seen in zip(runs, events, strict=True) if seen == largest)
    others = [run for run, seen in zip(runs, events, strict=True) if seen != largest]
    return kept, tuple(_describe_other(run, kept) for run in others)


def suggest_selection(runs: Sequence[RunFacts]) -> str:
    """Return the `inputs.select` of the largest set of runs that are alike, nothing where no column tells it."""
    chosen = []
    for name in find_key_differences(runs):
        column = _find_column(runs, name)
        if column is not None:
            (value, _), *_ = Counter(_find_value(run, column) for run in runs).most_common()
            chosen.append(f"{column}:{value}")
        elif name != "normalizer":
            return ""
    return f"inputs.select=[{','.join(chosen)}]" if chosen else ""


def _describe_other(run: RunFacts, kept: Sequence[RunFacts]) -> ExcludedRun:
    differing = next(name for name in EVENTS if getattr(run.key, name) != getattr(kept[0].key, name))
    column = _find_column([run, *kept], differing)
    if column is None:
        reason = "other data than the compared runs: the file has changed between them"
    else:
        ours, theirs = _find_value(run, column), _find_value(kept[0], column)
        reason = f"{column} is {ours}, {theirs} in the compared runs; choose with inputs.select=[{column}:{ours}]"
    return ExcludedRun(run.name, run.path, run.state.name, reason, has_other_events=True)


def _find_column(runs: Sequence[RunFacts], name: str) -> str | None:
    """Return the column whose values divide runs as a part of the comparison key does."""
    parts = [repr(getattr(run.key, name)) for run in runs]
    for column in SELECT_BY.get(name, ()):
        values = [_find_value(run, column) for run in runs]
        if len(set(values)) == len(set(parts)) == len(set(zip(values, parts, strict=True))):
            return column
    return None


def _find_value(run: RunFacts, column: str) -> str:
    return str(run.choices.get(column, run.config.get(column)))


def explain_unranked(group: Group, column: str) -> str | None:
    """Return why a group is not ranked; None for a group that is."""
    if column not in group.numbers:
        return f"no {column}"
    if find_lost_bits(group) is not None:
        return LOST_REASON
    if column in (REC_MSE, *PHYSICAL) and can_copy(group.runs[0]):
        return COPY_REASON
    if is_collapsed(group):
        return COLLAPSE_REASON
    if column == REC_MSE and gives_mean(group):
        return MEAN_REASON
    return None


def can_copy(run: RunFacts) -> bool:
    """Return whether the bottleneck of a run is as wide as what it compresses."""
    width, features = run.config.get("phase1.latent_space.latent_dim"), run.key.features
    is_wide = isinstance(width, int) and features is not None and width >= len(features)
    return run.choices.get("latent_space") in COPIES and is_wide


def is_collapsed(group: Group) -> bool:
    """Return whether a group uses hardly any of its codes."""
    n_codes, perplexity = count_codes(group.runs[0]), group.numbers.get("perplexity")
    return n_codes is not None and perplexity is not None and has_collapsed(perplexity.mean, n_codes)


def find_lost_bits(group: Group) -> float | None:
    """Return how many bits of a token the latents of a group hold where these are hardly any, else None."""
    names = ("kl_bits", "entropy_bits", "bits_per_token")
    bits = min((spread.mean for name in names if (spread := group.numbers.get(name)) is not None), default=LEAST_BITS)
    return bits if bits < LEAST_BITS else None


def gives_mean(group: Group) -> bool:
    """Return whether a group reconstructs no better than the mean of all tokens."""
    return (error := group.numbers.get(REC_MSE)) is not None and error.mean >= MEAN_ERROR


def write_headline(comparison: Comparison, checks: Sequence[Check]) -> tuple[str, ...]:
    """Return at most three sentences: the best groups, what they cost, and what forbids the conclusion."""
    verdict = comparison.verdict
    column, ranking = verdict.column, verdict.ranking
    failed = [check.name for check in checks if check.state == "failed"]
    if column is None:
        return ("No ranking: the runs cannot be compared in one number.", *_name_failed(failed))
    groups = {group.label: group for group in comparison.groups}
    if not ranking:
        return (f"No group can be ranked by {column}.", *_name_unranked(verdict.unranked), *_name_failed(failed))
    best = list_best(ranking, verdict.tests)
    first = _name_best(column, best, ranking, verdict.tests, groups)
    costs = {label: spread.mean for label in ranking if (spread := groups[label].numbers.get("bits_per_token"))}
    cheap = [label for label in costs if costs[label] == min(costs.values())]
    cost = ""
    if len(costs) == len(ranking) > 1 and not set(cheap) & set(best):
        cost = f"{join_groups(cheap)} {'needs' if len(cheap) == 1 else 'need'} the fewest bits per token."
    sentences = (first, *_name_failed(failed), cost, *_name_unranked(verdict.unranked))
    return tuple(sentence for sentence in sentences if sentence)[:3]


def list_best(ranking: Sequence[str], tests: Sequence[PairTest]) -> list[str]:
    """Return the first group of a ranking and those that do not differ significantly from it."""
    differ = {
        label
        for test in tests
        if test.is_significant and ranking[0] in (test.first, test.second)
        for label in (test.first, test.second)
    }
    return [label for label in ranking if label == ranking[0] or label not in differ]


def _name_best(
    column: str,
    best: Sequence[str],
    ranking: Sequence[str],
    tests: Sequence[PairTest],
    groups: Mapping[str, Group],
) -> str:
    spreads = {label: groups[label].numbers[column] for label in ranking}
    value = f"{best[0]}, {spreads[best[0]]}"
    if len(ranking) == 1:
        return f"{column} of the only group that can be ranked: {value}."
    word = "largest" if column in LARGER_IS_BETTER else "smallest"
    if any(spreads[label].n < 2 for label in ranking):
        return f"{word.capitalize()} {column}: {value}; with one seed there is no significance test."
    if len(best) == 1:
        rivals = join_groups(ranking[1:]) if len(ranking) == 2 else "all other ranked groups"
        bound = _bound([test.p_seeds for test in tests if test.first == best[0] and test.second in ranking])
        return f"{word.capitalize()} {column}: {value}, significantly better than {rivals} ({bound})."
    others = len(ranking) - len(best)
    rest = f"; {others} other {'group is' if others == 1 else 'groups are'} significantly worse" if others else ""
    return f"{join_groups(best)} are statistically compatible in {column}{rest}."


def _bound(p_values: Sequence[float]) -> str:
    return f"p <= {max(p_values):.2g}" if max(p_values) >= 1e-4 else "p < 0.0001"


def _name_unranked(unranked: Mapping[str, str]) -> list[str]:
    if not unranked:
        return []
    reasons: dict[str, list[str]] = {}
    for label, reason in unranked.items():
        reasons.setdefault(reason, []).append(label)
    return [f"Not ranked: {'; '.join(f'{join_groups(labels)} ({reason})' for reason, labels in reasons.items())}."]


def _name_failed(failed: Sequence[str]) -> list[str]:
    return [f"Failed checks: {join_names(list(dict.fromkeys(failed)))}."] if failed else []
