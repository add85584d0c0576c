"""Codebooks in words, tables and figures: how many codes are used, for which objects, and where they lie."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.metrics.codebook import summarise_code_usage
from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.inference.aggregate import find_extremes, gather_groups, say, spread_over
from thesis_ml.reports.inference.closure import ClosureTable
from thesis_ml.reports.inference.loading import LoadedModel
from thesis_ml.reports.inference.result import ResultFigure, ResultTable, Section
from thesis_ml.reports.inference.scored import ScoredSplit
from thesis_ml.reports.plots import codes as plots
from thesis_ml.reports.plots.table import Nothing, Table, build_table

MOST_DECODED = 8192
MAPPED = ("pt", "eta", "phi")


@dataclass(frozen=True)
class CodeUse:
    """How the codes of one model are used.

    Args:
        name: The model.
        restored: The model itself.
        counts: For each quantiser how often each type of object chose each code.
        cost: Mean of minus the logarithm of the share that the code of an object has in the background [nat]; nan
            where this was not scored.
    """

    name: str
    restored: RestoredModel
    counts: Sequence[Int[NDArray[Any], "K C"]]
    cost: float


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
            model.scored.name, model.restored, counts, measure_cost(scored, model.scored.name, counts)
        )
        for model in models
        if (counts := closures[model.scored.name].codes) is not None
    }
    if not uses:
        return ()
    groups = gather_groups([model.scored for model in models], uses)
    tables = (tabulate_use(groups), tabulate_types(groups))
    section = Section(
        name="codebooks",
        title="Codebooks",
        sentences=describe_use(groups),
        tables=tables,
        figures=(
            ResultFigure(
                "code_map",
                "Where each code lies, decoded alone; the first seed of each group",
                tabulate_map(groups),
                plots.draw_map,
            ),
            ResultFigure(
                "code_use",
                "Share of objects that the most used codes hold, mean over seeds",
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
    """Return how many codes of the first quantiser each type of object uses, and how many are its own."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        for number, name in enumerate(members[0].restored.dims.type_names):
            chosen = [one.counts[0][number] for one in members]
            others = [one.counts[0].sum(axis=0) - one.counts[0][number] for one in members]
            used = spread_over(chosen, lambda counts: float((counts > 0).sum()))
            perplexity = spread_over(chosen, lambda counts: summarise_code_usage(counts)["perplexity"])
            own = np.mean([(ours > rest).sum() for ours, rest in zip(chosen, others, strict=True)])
            rows.append((label, name, int(chosen[0].sum()), used.mean, used.sd, perplexity.mean, float(own)))
    return ResultTable(
        name="codes_by_type",
        title="Codes per type of object",
        note="Of the first quantiser: codes that the objects of a type use, their perplexity, and codes of which most "
        "objects are of this type.",
        columns=("group", "type", "n", "codes used", "codes used_sd", "perplexity", "codes of its own"),
        rows=tuple(rows),
        is_printed=False,
    )


def tabulate_map(groups: Mapping[str, Sequence[CodeUse]]) -> Table | Nothing:
    """Return pT, eta, phi and type of each code of the first seed of each group, where a code means that alone."""
    rows: list[tuple[Cell, ...]] = []
    for label, members in groups.items():
        if (decoded := decode_codes(members[0].restored)) is None:
            continue
        counts = members[0].counts[0].sum(axis=0)
        names = members[0].restored.dims.type_names
        shares = counts / max(int(counts.sum()), 1)
        for code, (place, kind) in enumerate(zip(decoded.places, decoded.types, strict=True)):
            rows.append((label, code, *map(float, place), "" if kind < 0 else names[kind], float(shares[code])))
    columns = ("group", "code", "pt", "eta", "phi", "type", "share")
    return (
        build_table(columns, rows)
        if rows
        else Nothing("no model has one quantiser and a decoder that looks at one object at a time")
    )


@dataclass(frozen=True)
class DecodedCodes:
    """What each code means on its own.

    Args:
        places: pT [GeV], eta and phi.
        types: Predicted type from 0, -1 where none is predicted.
    """

    places: Float[NDArray[Any], "C 3"]
    types: Int[NDArray[Any], " C"]


@torch.no_grad()
def decode_codes(restored: RestoredModel) -> DecodedCodes | None:
    """Return what the decoder makes of each code alone; None where a code alone means nothing."""
    sizes = restored.config.latent_space.codebook_sizes
    features = restored.normalizer.features
    # A user's own decoder that does not say so is taken for one that looks at the whole event.
    is_token_wise: bool = getattr(DECODERS[restored.config.decoder.name], "is_token_wise", False)
    if len(sizes) != 1 or sizes[0] > MOST_DECODED or not is_token_wise or not set(MAPPED) <= set(features):
        return None
    codes = torch.arange(sizes[0])
    embed = cast("Callable[[Tensor], Tensor]", restored.model.bottleneck.embed_codes)
    values = embed(codes[:, None])
    decoded = restored.model.decode(values, torch.ones_like(codes))
    physical = restored.normalizer.decode_features(decoded.features).double().numpy()
    types = None if decoded.type_logits is None else decoded.type_logits.argmax(dim=1).numpy()
    return DecodedCodes(
        places=physical[:, [features.index(name) for name in MAPPED]],
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
    found = {label: [summarise_code_usage(sum_types(one)) for one in members] for label, members in groups.items()}
    perplexity = {label: spread_over(some, lambda one: one["perplexity"]) for label, some in found.items()}
    dead = {label: spread_over(some, lambda one: one["n_dead_codes"]) for label, some in found.items()}
    sentences = [
        f"{label} uses its codes like {say(perplexity[label].mean, perplexity[label].sd)} equally frequent ones of "
        f"{members[0].counts[0].shape[1]}; {say(dead[label].mean, dead[label].sd)} codes are dead."
        for label, members in groups.items()
    ]
    extremes = find_extremes({label: spread_over(members, lambda one: one.cost) for label, members in groups.items()})
    if extremes is not None and extremes[0] != extremes[1]:
        sentences.append(f"The codes of an object are most predictable for {extremes[0]}, least for {extremes[1]}.")
    return tuple(sentences)


def sum_types(use: CodeUse) -> Int[NDArray[Any], "*Q C"]:
    """Return how often each code was used by objects of any type."""
    totals = [counts.sum(axis=0) for counts in use.counts]
    return np.stack(totals) if len(totals) > 1 else totals[0]
