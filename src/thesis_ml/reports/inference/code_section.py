"""Codebooks in words, tables and figures: how many codes are used, for which objects, and where they lie."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.metrics.codebook import summarise_code_usage
from thesis_ml.reports.comparison import Cell, Spread
from thesis_ml.reports.inference.aggregate import find_extremes, gather_groups, list_or_range, say, spread_over
from thesis_ml.reports.inference.closure import MAPPED, ClosureTable, CodePlaces
from thesis_ml.reports.inference.loading import LoadedModel
from thesis_ml.reports.inference.result import ResultFigure, ResultTable, Section
from thesis_ml.reports.inference.scored import ScoredSplit
from thesis_ml.reports.plots import codes as plots
from thesis_ml.reports.plots.table import Nothing, Table, build_table
from thesis_ml.reports.utils.words import join_names

MOST_DECODED = 8192
ALONE, MEAN = "decoded alone", "mean"
"""What the place of a code is: what it decodes to on its own, or the mean of the objects that chose it."""


@dataclass(frozen=True)
class CodeUse:
    """How the codes of one model are used.

    Args:
        name: The model.
        restored: The model itself.
        counts: For each quantiser how often each type of object chose each code.
        cost: Mean of minus the logarithm of the share that the code of an object has in the background [nat]; nan
            where this was not scored.
        places: For each quantiser where the objects of each code are reconstructed; None where this is not known.
    """

    name: str
    restored: RestoredModel
    counts: Sequence[Int[NDArray[Any], "K C"]]
    cost: float
    places: Sequence[CodePlaces] | None = None


def summarise_codes(
    models: Sequence[LoadedModel], closures: Mapping[str, ClosureTable], scored: ScoredSplit
) -> tuple[Section, ...]:
    """Return the section on codebooks; none where no model has one.

    Args:
        models: The models.
        closures: What was counted of each, by its name.
        scored: Their scores.
    """
    uses = {
        model.scored.name: CodeUse(
            model.scored.name,
            model.restored,
            counts,
            measure_cost(scored, model.scored.name, counts),
            closures[model.scored.name].places,
        )
        for model in models
        if (counts := closures[model.scored.name].codes) is not None
    }
    if not uses:
        return ()
    groups = gather_groups([model.scored for model in models], uses)
    tables = (tabulate_use(groups), tabulate_types(groups))
    code_map = tabulate_map(groups)
    section = Section(
        name="codebooks",
        title="Codebooks",
        sentences=describe_use(groups),
        details=(*describe_costs(groups), *describe_map(groups, code_map)),
        tables=tables,
        figures=(
            ResultFigure(
                "code_map",
                "Where each code lies: decoded alone, or the mean of the objects that chose it; the first seed of each",
                code_map,
                plots.draw_map,
            ),
            ResultFigure(
                "code_use",
                "Share of objects that the most used codes of the first quantiser hold, mean over seeds",
                tabulate_ranks(groups),
                plots.draw_ranks,
            ),
        ),
        summary={table.name: table.to_records() for table in tables},
    )
    return (section,)


def measure_cost(scored: ScoredSplit, name: str, counts: Sequence[Int[NDArray[Any], "K C"]]) -> float:
    """Return the mean of minus the log-likelihood of the codes of an object, nan without any."""
    sums = scored.find_clean(name).get("code_sum")
    n_objects = int(counts[0].sum())
    return math.nan if sums is None or not n_objects else float(sums.sum()) / n_objects


def tabulate_use(groups: Mapping[str, Sequence[CodeUse]]) -> ResultTable:
    """Return perplexity, usage and likelihood of the codes of each group."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        found = [summarise_code_usage(sum_types(one)) for one in members]
        perplexity = spread_over(found, lambda one: one["perplexity"])
        usage = spread_over(found, lambda one: one["usage"])
        dead = spread_over(found, lambda one: one["n_dead_codes"])
        cost = spread_over(members, lambda one: one.cost)
        n_codes = sum(counts.shape[1] for counts in members[0].counts)
        n_quantisers = len(members[0].counts)
        row = (label, len(members), n_quantisers, n_codes, perplexity.mean, perplexity.sd, usage.mean, dead.mean)
        rows.append((*row, cost.mean, cost.sd))
    return ResultTable(
        name="codes",
        title="Use of the codes",
        note="Perplexity is that of all objects of the split, the mean over quantisers where there are several. The "
        "cost of an object is the mean of -ln p of its codes, p being their share in the background of the training "
        "split.",
        columns=(
            *("group", "models", "quantisers", "codes", "perplexity", "perplexity_sd", "used", "dead codes"),
            *("-ln p per object [nat]", "-ln p_sd"),
        ),
        rows=tuple(rows),
    )


def tabulate_types(groups: Mapping[str, Sequence[CodeUse]]) -> ResultTable:
    """Return how many codes of each quantiser each type of object uses, and how many are its own."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        names = members[0].restored.dims.type_names
        for quantiser, (number, name) in itertools.product(range(len(members[0].counts)), enumerate(names)):
            counts = [one.counts[quantiser] for one in members]
            chosen = [count[number] for count in counts]
            used = spread_over(chosen, lambda count: float((count > 0).sum()))
            perplexity = spread_over(chosen, lambda count: summarise_code_usage(count)["perplexity"])
            own = np.mean([(2 * ours > count.sum(axis=0)).sum() for ours, count in zip(chosen, counts, strict=True)])
            row = (label, quantiser + 1, name, int(chosen[0].sum()), used.mean, used.sd, perplexity.mean, float(own))
            rows.append(row)
    return ResultTable(
        name="codes_by_type",
        title="Codes per type of object",
        note="Of each quantiser: codes that the objects of a type use, their perplexity, and codes of which most "
        "objects are of this type.",
        columns=("group", "quantiser", "type", "n", "codes used", "codes used_sd", "perplexity", "codes of its own"),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_map(groups: Mapping[str, Sequence[CodeUse]]) -> Table | Nothing:
    """Return pT, eta, phi and type of the codes of the first seed of each group.

    They are what a code decodes to where it means that alone, else the mean of the objects that chose it.
    """
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        use = members[0]
        for quantiser, (kind, places, counts) in enumerate(list_places(use), start=1):
            shares = counts / max(int(counts.sum()), 1)
            # Without objects a mean is nowhere.
            for code in np.flatnonzero(np.isfinite(places.mean).all(axis=1)).tolist():
                number = int(places.types[code])
                name = "" if number < 0 else use.restored.dims.type_names[number]
                place = (float(value) for value in places.mean[code])
                rows.append((label, quantiser, code, *place, name, float(shares[code]), kind))
    columns = ("group", "quantiser", "code", *MAPPED, "type", "share", "place")
    return build_table(columns, rows) if rows else Nothing("no model reconstructs pt, eta and phi of an object")


def list_places(use: CodeUse) -> list[tuple[str, CodePlaces, Int[NDArray[Any], " C"]]]:
    """Return for each quantiser what its places are, the places, and how often each code was chosen."""
    totals = [counts.sum(axis=0) for counts in use.counts]
    if (decoded := decode_codes(use.restored)) is not None:
        return [(ALONE, decoded, totals[0])]
    if use.places is None:
        return []
    return [(MEAN, places, total) for places, total in zip(use.places, totals, strict=True)]


@torch.no_grad()
def decode_codes(restored: RestoredModel) -> CodePlaces | None:
    """Return what the decoder makes of each code alone; None where a code alone means nothing."""
    sizes = restored.config.latent_space.codebook_sizes
    features = restored.normalizer.features
    is_token_wise = restored.config.decoder.is_token_wise
    if len(sizes) != 1 or sizes[0] > MOST_DECODED or not is_token_wise or not set(MAPPED) <= set(features):
        return None
    codes = torch.arange(sizes[0])
    values = restored.model.embed_codes(codes[:, None])
    decoded = restored.model.decode(values, torch.ones_like(codes))
    physical = restored.normalizer.decode_features(decoded.features).double().numpy()
    types = None if decoded.type_logits is None else decoded.type_logits.argmax(dim=1).numpy()
    return CodePlaces(
        mean=physical[:, [features.index(name) for name in MAPPED]],
        types=np.full(sizes[0], -1) if types is None else types,
    )


def tabulate_ranks(groups: Mapping[str, Sequence[CodeUse]]) -> Table:
    """Return the share of objects of each code of the first quantiser, the most used first."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        shares = []
        for one in members:
            counts = np.sort(one.counts[0].sum(axis=0))[::-1]
            shares.append(counts / max(int(counts.sum()), 1))
        mean = np.mean(shares, axis=0)
        rows += [(label, rank, float(share)) for rank, share in enumerate(mean, start=1)]
    return build_table(("group", "rank", "share"), rows)


def describe_use(groups: Mapping[str, Sequence[CodeUse]]) -> tuple[str, ...]:
    """Return in words how many codes are used."""
    unused = [label for label, members in groups.items() if not any(one.counts[0].sum() for one in members)]
    used = {label: members for label, members in groups.items() if label not in unused}
    sentences = [f"No object of the split chose a code of {join_names(unused)}."] if unused else []
    if not used:
        return tuple(sentences)
    found = {label: [summarise_code_usage(sum_types(one)) for one in members] for label, members in used.items()}
    perplexity = {label: spread_over(some, lambda one: one["perplexity"]) for label, some in found.items()}
    dead = {label: spread_over(some, lambda one: one["n_dead_codes"]) for label, some in found.items()}
    sizes = {label: members[0].counts[0].shape[1] for label, members in used.items()}
    totals = {label: sum(counts.shape[1] for counts in members[0].counts) for label, members in used.items()}
    in_use = {label: say(one.mean, one.sd) for label, one in perplexity.items()}
    n_dead = {label: say(one.mean, one.sd) for label, one in dead.items()}
    (uses, of_size), (deaths, of_total) = _say_out_of(in_use, perplexity, sizes), _say_out_of(n_dead, dead, totals)
    sentences.append(f"Codes in use (perplexity{of_size}): {uses}; dead codes{of_total}: {deaths}.")
    return tuple(sentences)


def describe_costs(groups: Mapping[str, Sequence[CodeUse]]) -> tuple[str, ...]:
    """Return whose codes are the most and the least predictable."""
    extremes = find_extremes({label: spread_over(members, lambda one: one.cost) for label, members in groups.items()})
    if extremes is None or extremes[0] == extremes[1]:
        return ()
    return (f"The codes of an object are most predictable for {extremes[0]}, least for {extremes[1]}.",)


def describe_map(groups: Mapping[str, Sequence[CodeUse]], table: Table | Nothing) -> tuple[str, ...]:
    """Return what the places of codes are, and whose are not known."""
    mapped = {} if isinstance(table, Nothing) else table.split("group")
    means = [label for label, codes in mapped.items() if MEAN in codes.texts("place")]
    missing = [label for label in groups if label not in mapped]
    sentences = []
    if means:
        sentences.append(
            f"A code of {join_names(means)} means nothing alone: there are several quantisers, or the decoder looks at "
            "the whole event, or there are too many codes. The map shows the mean of its reconstructed objects."
        )
    if missing and mapped:
        sentences.append(f"No map of codes of {join_names(missing)}: pt, eta and phi of no object are reconstructed.")
    return tuple(sentences)


def _say_out_of(said: Mapping[str, str], means: Mapping[str, Spread], sizes: Mapping[str, int]) -> tuple[str, str]:
    """Return what is said of each group with the number that it is out of, and that number alone where all have one."""
    is_same = len(set(sizes.values())) == 1
    parts = {label: text if is_same else f"{text} of {sizes[label]}" for label, text in said.items()}
    common = f", of {next(iter(sizes.values()))}" if is_same else ""
    return list_or_range(parts, {label: one.mean for label, one in means.items()}), common


def sum_types(use: CodeUse) -> Int[NDArray[Any], "*Q C"]:
    """Return how often each code was used by objects of any type."""
    totals = [counts.sum(axis=0) for counts in use.counts]
    return np.stack(totals) if len(totals) > 1 else totals[0]
