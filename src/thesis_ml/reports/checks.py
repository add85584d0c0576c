"""Checks of what was trained: seeds, comparability, collapsed codebooks and latents that copy."""

import math
from collections.abc import Iterator, Sequence

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import REC_MSE, make_cell
from thesis_ml.reports.comparison import Comparison, count_codes
from thesis_ml.reports.contents import Check, Reference
from thesis_ml.reports.utils.words import join_some, quote_none
from thesis_ml.reports.verdict import (
    SAME_EVENTS,
    can_copy,
    find_key_differences,
    find_lost_bits,
    gives_mean,
    is_collapsed,
    suggest_selection,
)

FEWEST_SEEDS = 3
SEVERAL_QUANTISERS = ("rvq", "scalar")
"""Bottlenecks whose codes are no codes of one codebook."""

ACCURACY_GAP = 0.005
"""Type accuracies that differ by more make errors hard to compare: the codes spend their bits differently."""

MOST_LISTED = 6

KEY_NAMES = {
    "dataset_fingerprint": "data (fingerprint)",
    "features": "features",
    "phi": "encoding of phi",
    "normalizer": "normaliser",
    "train_classes": "data.train_classes",
    "limit_events": "data.limit_events",
    "matching": "matching of tokens",
    "n_tokens": "data.n_tokens",
}

OPEN = ("limit_events", "n_tokens", "train_classes")
"""Parts of the key in which no value means no limit."""


def check_runs(comparison: Comparison) -> tuple[Check, ...]:
    """Return the checks of the runs of a comparison."""
    return (
        *_check_seeds(comparison),
        *_check_comparability(comparison),
        *_check_types(comparison),
        *_check_codebooks(comparison),
        *_check_latents(comparison),
        *_check_copies(comparison),
    )


def check_references(comparison: Comparison, references: Sequence[Reference]) -> tuple[Check, ...]:
    """Return a note on the errors of quantisers beside those of k-means with as many codes, where these are known."""
    known = {one.bits: one.rec_mse for one in references if one.name == "kmeans" and math.isfinite(one.rec_mse)}
    ratios = []
    for group in comparison.groups:
        n_codes, error = count_codes(group.runs[0]), group.numbers.get(REC_MSE)
        floor = (
            known.get(math.log2(n_codes))
            if n_codes and group.runs[0].choices.get("latent_space") not in SEVERAL_QUANTISERS
            else None
        )
        if floor and error is not None:
            ratios.append(f"{group.label} {error.mean / floor:.3g}")
    if not ratios:
        return ()
    return (Check("k-means", "note", f"rec_mse over k-means with as many codes: {_list_some(ratios)}.", "training"),)


def _check_seeds(comparison: Comparison) -> Iterator[Check]:
    seeds = comparison.count_seeds()
    few = [label for label, count in seeds.items() if count < FEWEST_SEEDS]
    repeated = [group.label for group in comparison.groups if len(group.runs) > seeds[group.label]]
    if few:
        text = f"{_list_some(few)}: fewer than {FEWEST_SEEDS} seeds; train more, such as phase1.trainer.seed=0,1,2."
        yield Check("seeds", "failed", text, "runs")
    else:
        yield Check("seeds", "passed", f"At least {FEWEST_SEEDS} seeds in each group.", "runs")
    if repeated:
        yield Check("repeated seeds", "note", f"{_list_some(repeated)}: runs that repeat a seed count once.", "runs")
    unknown = [group.label for group in comparison.groups if any(run.seed is None for run in group.runs)]
    if unknown:
        yield Check("unknown seeds", "note", f"{_list_some(unknown)}: unknown seeds count as different ones.", "runs")


def _check_comparability(comparison: Comparison) -> Iterator[Check]:
    runs = comparison.runs
    differing = find_key_differences(runs)
    # The normaliser follows from the other parts of the key, so it is named alone only.
    named = [name for name in differing if name != "normalizer"] or differing
    if named:
        listed = "; ".join(f"{KEY_NAMES[name]} ({_count_values(runs, name)})" for name in named)
        remedy = "no number is compared" if set(differing) & set(SAME_EVENTS) else "physical units are compared"
        hint = f"; for more choose {chosen}" if (chosen := suggest_selection(runs)) else ""
        yield Check("comparability", "failed", f"The runs differ in {listed}: {remedy}{hint}.", "runs")
    else:
        yield Check("comparability", "passed", "All runs have the same data, features and tokens.", "runs")
    commits = sorted({str(run.meta.get("git_commit") or "unknown")[:10] for run in runs})
    if len(commits) > 1:
        listed = ", ".join(commits[:MOST_LISTED])
        yield Check(
            "code versions", "note", f"The runs come from {len(commits)} versions of the code: {listed}.", "runs"
        )
    if any(run.key.matching == "event" for run in runs):
        text = "Tokens of losses that take events as sets are matched within the event, which lowers the error."
        yield Check("matching", "note", text, "runs")


def _check_types(comparison: Comparison) -> Iterator[Check]:
    betas = sorted({repr(run.config.get("phase1.decoder.types_beta")) for run in comparison.runs})
    known = [one.mean for group in comparison.groups if (one := group.numbers.get("type_accuracy")) is not None]
    gap = max(known) - min(known) if known else 0.0
    if len(betas) > 1 or gap > ACCURACY_GAP:
        found = f"types_beta is {', '.join(betas)}" if len(betas) > 1 else f"type accuracies differ by {gap:.2g}"
        text = f"{found}: codes that hold the type have fewer bits for the rest; compare at equal types_beta."
        yield Check("object types", "note", text[0].upper() + text[1:], "training")


def _check_codebooks(comparison: Comparison) -> Iterator[Check]:
    groups = [group for group in comparison.groups if count_codes(group.runs[0]) and "perplexity" in group.numbers]
    collapsed = [
        f"{group.label} (perplexity {group.numbers['perplexity'].mean:.3g} of {count_codes(group.runs[0])})"
        for group in groups
        if is_collapsed(group)
    ]
    if collapsed:
        text = f"{_list_some(collapsed)}: train for more steps or with fewer codes."
        yield Check("collapsed codebooks", "failed", text, "training")
    elif groups:
        yield Check("collapsed codebooks", "passed", "No codebook has collapsed.", "training")


def _check_latents(comparison: Comparison) -> Iterator[Check]:
    lost = [f"{group.label} ({bits:.2g})" for group in comparison.groups if (bits := find_lost_bits(group)) is not None]
    if lost:
        text = f"Bits per token: {_list_some(lost)}; lower beta."
        yield Check("collapsed latents", "failed", text, "training")
    means = [f"{group.label} ({group.numbers[REC_MSE].mean:.4g})" for group in comparison.groups if gives_mean(group)]
    if means:
        text = f"rec_mse of the mean of all tokens: {_list_some(means)}."
        yield Check("mean of all tokens", "failed", text, "training")


def _check_copies(comparison: Comparison) -> Iterator[Check]:
    copies = [
        group.label
        for group in comparison.groups
        if can_copy(group.runs[0]) and find_lost_bits(group) is None and not gives_mean(group)
    ]
    if copies and len(copies) == len(comparison.groups):
        text = "All groups have continuous latents at least as wide as a token: no error is ranked."
        yield Check("copying latents", "failed", text, "training")
    elif copies:
        text = f"{_list_some(copies)}: continuous latents at least as wide as a token; shown for reference, not ranked."
        yield Check("copying latents", "note", text, "training")


def _count_values(runs: Sequence[RunFacts], name: str) -> str:
    counts: dict[str, int] = {}
    for run in runs:
        value = getattr(run.key, name)
        text = str(make_cell(list(value) if isinstance(value, tuple) else value))
        if value is None:
            text = "all" if name in OPEN else "not known"
        counts[text] = counts.get(text, 0) + 1
    listed = [f"{text}: {count} {'run' if count == 1 else 'runs'}" for text, count in counts.items()]
    return ", ".join(listed[:MOST_LISTED])


def _list_some(names: Sequence[str]) -> str:
    return join_some(quote_none(names), MOST_LISTED)
