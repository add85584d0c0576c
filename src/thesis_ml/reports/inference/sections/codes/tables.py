"""Tables of codebooks: how many codes are used, how evenly, and by which objects."""

import itertools

import numpy as np

from thesis_ml.metrics.codebook import summarise_code_usage
from thesis_ml.reports.contents import ResultTable, Value
from thesis_ml.reports.inference.sections.aggregate import spread_over
from thesis_ml.reports.inference.sections.codes.measure import CodeGroups, sum_types


def tabulate_use(groups: CodeGroups) -> ResultTable:
    """Return perplexity, utilisation and likelihood of the codes of each group."""
    rows: list[tuple[Value, ...]] = []
    for label, members in groups.items():
        found = [summarise_code_usage(sum_types(one)) for one in members]
        n_codes = sum(counts.shape[1] for counts in members[0].counts)
        rows.append(
            (
                label,
                len(members),
                len(members[0].counts),
                n_codes,
                spread_over(found, lambda one: one["perplexity"]),
                spread_over(found, lambda one: one["usage"]),
                spread_over(found, lambda one: one["n_dead_codes"]),
                spread_over(members, lambda one: one.cost),
            )
        )
    return ResultTable(
        name="codes",
        title="Use of the codes",
        note="Perplexity (effective number of codes) of all objects of the split, the mean over quantisers. -ln p: "
        "mean of an object, p being the share of its codes in the background of the training split.",
        columns=("group", "models", "quantisers", "codes", "perplexity", "utilisation", "dead codes", "-ln p [nat]"),
        rows=tuple(rows),
    )


def tabulate_types(groups: CodeGroups) -> ResultTable:
    """Return the codes of each quantiser that each type of object uses."""
    rows: list[tuple[Value, ...]] = []
    for label, members in groups.items():
        names = members[0].restored.dims.type_names
        for quantiser, (number, name) in itertools.product(range(len(members[0].counts)), enumerate(names)):
            counts = [one.counts[quantiser] for one in members]
            chosen = [count[number] for count in counts]
            used = spread_over(chosen, lambda count: float((count > 0).sum()))
            perplexity = spread_over(chosen, lambda count: summarise_code_usage(count)["perplexity"])
            own = np.mean([(2 * ours > count.sum(axis=0)).sum() for ours, count in zip(chosen, counts, strict=True)])
            rows.append((label, quantiser + 1, name, int(chosen[0].sum()), used, perplexity, float(own)))
    return ResultTable(
        name="codes_by_type",
        title="Codes per type of object",
        note="Codes that the objects of a type use, their perplexity, and the codes with mostly objects of this type.",
        columns=("group", "quantiser", "type", "n", "codes used", "perplexity", "codes of its own"),
        rows=tuple(rows),
        is_printed=False,
    )
