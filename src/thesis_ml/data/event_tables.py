"""Tables with one row per event, for methods that need a fixed number of columns.

Both kinds use the real tokens only, and the row of an event depends on that event alone.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from thesis_ml.data.batch import DataDims, sum_over_events
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.data.splits import TokenSplit

N_LEADING = 8
"""Number of leading tokens with a pT column in the pooled table."""

Representation = Literal["pooled", "flattened"]


class EventTable(NamedTuple):
    """One row per event, not standardised, and the names of the columns."""

    columns: tuple[str, ...]
    values: Float[Tensor, "N C"]


def build_event_table(
    representation: Representation,
    split: TokenSplit,
    dims: DataDims,
    *,
    n_tokens: int | None = None,
) -> EventTable:
    """Return the pooled table of some events, or the flattened one of `n_tokens` tokens (None: `dims.max_tokens`)."""
    if representation == "pooled":
        return pool_events(split, dims)
    return flatten_events(split, dims, n_tokens or dims.max_tokens)


def flatten_events(split: TokenSplit, dims: DataDims, n_tokens: int) -> EventTable:
    """Return the first tokens of every event side by side: standardised features and one-hot types, then the globals.

    Tokens are sorted by falling pT, or as stored where pT is no feature; missing tokens are 0.
    """
    one_hot = functional.one_hot(split.types, dims.n_types).to(split.features.dtype)
    tokens = torch.cat((split.features, one_hot), dim=1)
    order = _order_by_pt(split, dims)
    dense = spread_into_slots(tokens.index_select(0, order), split.lengths, n_tokens)
    names = (*dims.columns, *(f"is_{name}" for name in dims.type_names))
    columns = tuple(f"{name}_{slot}" for slot in range(1, n_tokens + 1) for name in names)
    values = torch.cat((dense.flatten(1), split.globals), dim=1)
    return EventTable((*columns, *dims.global_columns), values)


def pool_events(split: TokenSplit, dims: DataDims) -> EventTable:
    """Return sums over every event: counts, energy sums, leading pTs and moments of the standardised features.

    Energies enter as ln(1 + x / GeV). Columns are excluded when the tokens lack a feature they need: sums of pT need
    pt, H_T^miss also phi, the mass of the event also E and eta.
    """
    columns = {
        **_count_types(split, dims),
        **_sum_momenta(split, dims),
        **_average_features(split, dims),
        **dict(zip(dims.global_columns, split.globals.unbind(1), strict=True)),
    }
    return EventTable(tuple(columns), torch.stack(tuple(columns.values()), dim=1))


def spread_into_slots(values: Float[Tensor, "P C"], lengths: Int[Tensor, " N"], n_slots: int) -> Float[Tensor, "N T C"]:
    """Return the first `n_slots` tokens of every event as a dense tensor, 0 where an event has fewer."""
    n_events = lengths.shape[0]
    events = torch.repeat_interleave(torch.arange(n_events, device=lengths.device), lengths)
    slots = torch.arange(values.shape[0], device=lengths.device) - (lengths.cumsum(0) - lengths).index_select(0, events)
    kept = torch.nonzero(slots < n_slots)[:, 0]
    rows = (events * n_slots + slots).index_select(0, kept)
    dense = values.new_zeros(n_events * n_slots, values.shape[1])
    return dense.index_copy(0, rows, values.index_select(0, kept)).view(n_events, n_slots, values.shape[1])


def _read_physical(split: TokenSplit, dims: DataDims) -> dict[str, Float[Tensor, " P"]]:
    assert isinstance(dims.normalizer, Normalizer), "tables hold no tokens"
    values = dims.normalizer.decode_features(split.features, split.types)
    return dict(zip(dims.normalizer.features, values.unbind(1), strict=True))


def _order_by_pt(split: TokenSplit, dims: DataDims) -> Int[Tensor, " P"]:
    """Return the tokens of every event by falling pT; equal ones stay as stored."""
    n_tokens, lengths = split.n_tokens, split.lengths
    physical = _read_physical(split, dims)
    if "pt" not in physical:
        return torch.arange(n_tokens, device=lengths.device)
    by_pt = torch.argsort(physical["pt"], descending=True, stable=True)
    events = torch.repeat_interleave(torch.arange(lengths.shape[0], device=lengths.device), lengths)
    return by_pt.index_select(0, torch.argsort(events.index_select(0, by_pt), stable=True))


def _count_types(split: TokenSplit, dims: DataDims) -> dict[str, Float[Tensor, " N"]]:
    counts = sum_over_events(functional.one_hot(split.types, dims.n_types).to(split.features.dtype), split.lengths)
    names = ("n_tokens", *(f"n_{name}" for name in dims.type_names))
    return dict(zip(names, (split.lengths.to(counts.dtype), *counts.unbind(1)), strict=True))


def _sum_momenta(split: TokenSplit, dims: DataDims) -> dict[str, Float[Tensor, " N"]]:
    physical = _read_physical(split, dims)
    if "pt" not in physical:
        return {}
    pt, lengths = physical["pt"], split.lengths
    one_hot = functional.one_hot(split.types, dims.n_types).to(pt.dtype)
    by_type = sum_over_events(one_hot * pt[:, None], lengths)
    leading = spread_into_slots(pt.index_select(0, _order_by_pt(split, dims))[:, None], lengths, N_LEADING)
    columns = {"log_ht": by_type.sum(dim=1)}
    columns |= {f"log_ht_{name}": sums for name, sums in zip(dims.type_names, by_type.unbind(1), strict=True)}
    columns |= {f"log_pt_{slot + 1}": leading[:, slot, 0] for slot in range(N_LEADING)}
    if "phi" in physical:
        columns |= _sum_vectors(physical, lengths)
    return {name: torch.log1p(values) for name, values in columns.items()}


def _sum_vectors(
    physical: Mapping[str, Float[Tensor, " P"]], lengths: Int[Tensor, " N"]
) -> dict[str, Float[Tensor, " N"]]:
    """Return H_T^miss and, where E and eta are known, the invariant mass of all tokens, in GeV."""
    pt, phi = physical["pt"], physical["phi"]
    x, y = _sum_columns((pt * phi.cos(), pt * phi.sin()), lengths)
    columns = {"log_ht_miss": torch.hypot(x, y)}
    if {"E", "eta"} <= set(physical):
        energy, z = _sum_columns((physical["E"], pt * physical["eta"].sinh()), lengths)
        columns["log_mass"] = (energy.square() - x.square() - y.square() - z.square()).clamp(min=0).sqrt()
    return columns


def _sum_columns(columns: Iterable[Float[Tensor, " P"]], lengths: Int[Tensor, " N"]) -> tuple[Tensor, ...]:
    return sum_over_events(torch.stack(tuple(columns), dim=1), lengths).unbind(1)


def _average_features(split: TokenSplit, dims: DataDims) -> dict[str, Float[Tensor, " N"]]:
    """Return mean and mean square of every standardised column over the tokens of an event; 0 without tokens."""
    sizes = split.lengths.clamp(min=1)[:, None]
    moments = {"mean": split.features, "square": split.features.square()}
    means = {kind: sum_over_events(values, split.lengths) / sizes for kind, values in moments.items()}
    return {f"{kind}_{name}": means[kind][:, column] for kind in means for column, name in enumerate(dims.columns)}
