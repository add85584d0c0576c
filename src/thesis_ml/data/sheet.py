"""The data sheet: a summary of the data of a run, printed and recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float, UInt

from thesis_ml.data.events import GLOBALS, Events, EventSplits
from thesis_ml.data.unlikely import (
    count_unlikely,
    describe_constant,
    describe_only_type,
    describe_repeated,
    describe_unlikely,
)
from thesis_ml.utils.arrays import NDArray

Hashes = UInt[NDArray[np.uint64], " N"]
HASH_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no bit is lost, and without structure: 2^64 over the golden ratio."""


def build_sheet(stored: EventSplits, hashes: Mapping[str, Hashes], *, name: str, fingerprint: str) -> dict[str, Any]:
    """Return the data sheet of what a run uses, as plain JSON values.

    Args:
        stored: The events after all choices of the user.
        hashes: By split the hash of every event with all its objects, by its number in the file.
        name: Name of the data set.
        fingerprint: Hash of the file or of the generator's version and parameters.
    """
    used = {split: hashes[split][events.index] for split, events in stored.splits.items()}
    return {
        "name": name,
        "path": str(stored.path),
        "fingerprint": fingerprint,
        "encoding": stored.encoding.name,
        "encoding_from": stored.encoding.decided_by,
        "n_slots": stored.n_slots,
        "class_names": dict(stored.label_names),
        "splits": {
            split: {
                "dataset": stored.datasets[split],
                **_summarise_split(events, stored.type_names),
                **count_repeated(used[split], events),
            }
            for split, events in stored.splits.items()
        },
        "duplicates": _count_duplicates(used),
        **({"further": _describe_further(stored)} if stored.further else {}),
    }


def describe_sheet(sheet: Mapping[str, Any], origin: str) -> str:
    """Return the data sheet in a few lines for a terminal; `origin` is the file or generator of the events."""
    splits = sheet["splits"]
    lines = [f"data {sheet['name']}: {origin} ({sheet['encoding']} from {sheet['encoding_from']})"]
    for split, summary in splits.items():
        effective = summary.get("effective_events", {})
        classes = ", ".join(
            _describe_class(label, n, sheet["class_names"]) + (f" (like {effective[label]:,.0f})" if effective else "")
            for label, n in summary["classes"].items()
        )
        size, without = summary["multiplicity"], summary["n_events_without_tokens"]
        empty = f", {without:,} events without objects" if without else ""
        objects = f"{size['min']} to {size['max']} objects, mean {size['mean']:.1f}"
        lines.append(f"  {split:<5} {summary['n_events']:,} events ({classes}), {objects}{empty}")
    for name, one in sheet.get("further", {}).items():
        unit = "" if one["unit"] == "1" else f" [{one['unit']}]"
        missing = f"; {one['without_value']:.1%} of objects without a value" if one["without_value"] else ""
        lines.append(f"  column {name}{unit}: enters as {', '.join(one['columns'])}{missing}")
    shared = {pair: n for pair, n in sheet["duplicates"].items() if n}
    if shared:
        lines.append("  events in two splits: " + ", ".join(f"{pair} {n:,}" for pair, n in shared.items()))
    return "\n".join(lines)


def _describe_further(stored: EventSplits) -> dict[str, Any]:
    """Return how further columns enter models, and the share of training objects that have no value."""
    train = stored.splits["train"].features
    return {
        one.name: {
            "unit": one.unit,
            "columns": list(one.columns),
            "without_value": float(np.isnan(train[one.name]).mean()),
        }
        for one in stored.further
    }


def _summarise_split(events: Events, type_names: tuple[str, ...]) -> dict[str, Any]:
    labels, counts = np.unique(events.labels, return_counts=True)
    type_counts = np.bincount(events.types, minlength=len(type_names))
    shares = type_counts / max(events.n_tokens, 1)
    unlikely = count_unlikely(events)
    return {
        "n_events": events.n_events,
        "classes": {str(label): int(count) for label, count in zip(labels, counts, strict=True)},
        "n_tokens": events.n_tokens,
        "multiplicity": {
            "mean": float(events.lengths.mean()),
            "min": int(events.lengths.min()),
            "max": int(events.lengths.max()),
        },
        "n_events_without_tokens": int((events.lengths == 0).sum()),
        "type_shares": {name: float(share) for name, share in zip(type_names, shares, strict=True)},
        **(_summarise_weights(events) if (events.weights != 1).any() else {}),
        **({"unlikely": {kind: asdict(one) for kind, one in unlikely.items()}} if unlikely else {}),
    }


def count_effective(weights: Float[NDArray[Any], " N"]) -> float:
    """Return the effective number of events: (sum of weights)^2 over the sum of their squares."""
    values = weights.astype(np.float64)
    return float(values.sum() ** 2 / np.square(values).sum()) if values.any() else 0.0


def _summarise_weights(events: Events) -> dict[str, Any]:
    """Return by class the effective number of events, and the share of negative weights."""
    by_class = {str(label): events.weights[events.labels == label] for label in np.unique(events.labels)}
    return {
        "effective_events": {label: count_effective(weights) for label, weights in by_class.items()},
        "negative_weights": {label: float((weights < 0).mean()) for label, weights in by_class.items()},
    }


def _count_duplicates(hashes: Mapping[str, Hashes]) -> dict[str, int]:
    """Return how many events of the second split of each pair are in the first one too."""
    return {
        f"{first}-{second}": int(np.isin(hashes[second], hashes[first]).sum())
        for first, second in combinations(hashes, 2)
    }


def describe_doubts(samples: Mapping[str, Events], type_names: Sequence[str]) -> list[str]:
    """Return warnings on samples by name: values that are hardly right, columns and types without variety, copies."""
    texts = describe_unlikely({name: count_unlikely(events) for name, events in samples.items()})
    for name, events in samples.items():
        texts += [f"{name}: {text}" for text in describe_constant(events)]
        texts += [f"{name}: {text}" for text in describe_only_type(events, type_names)]
        texts += describe_repeated(name, count_repeated(hash_events(events), events), events.n_events)
    return texts


def count_repeated(hashes: Hashes, events: Events) -> dict[str, int]:
    """Return how many events equal an earlier one of their split, and the row of the first; nothing where none does."""
    _, places = np.unique(hashes, return_index=True)
    if len(places) == len(hashes):
        return {}
    is_repeated = np.ones(len(hashes), dtype=bool)
    is_repeated[places] = False
    return {"n_repeated": int(is_repeated.sum()), "first_repeated": int(events.index[is_repeated.argmax()])}


def hash_events(events: Events) -> Hashes:
    """Return a 64-bit hash of every event: equal for events with equal objects and MET.

    Events without objects differ by their numbers: there is nothing to be equal in.
    """
    hashes = HASH_FACTOR * _hash_rows([events.globals[name] for name in GLOBALS])
    is_empty = events.lengths == 0
    hashes[is_empty] += HASH_FACTOR * (events.index[is_empty].astype(np.uint64) + np.uint64(1))
    powers = _list_powers(int(events.lengths.max(initial=1)))[events.token_places]
    np.add.at(hashes, events.token_events, powers * _hash_rows([events.known_ids, *events.features.values()]))
    return hashes


def _hash_rows(columns: Sequence[NDArray[Any]]) -> UInt[NDArray[np.uint64], " M"]:
    """Return a polynomial modulo 2^64 of the bits of each row, two values at a time."""
    table = np.stack(columns, axis=1, dtype=np.float32, casting="same_kind")
    table += np.float32(0)  # -0.0 equals 0.0 but has other bits
    pairs = np.pad(table, ((0, 0), (0, table.shape[1] % 2))).view(np.uint64)
    hashes: NDArray[np.uint64] = pairs @ _list_powers(pairs.shape[1])
    return hashes


def _list_powers(n_powers: int) -> UInt[NDArray[np.uint64], " M"]:
    return np.multiply.accumulate(np.full(n_powers, HASH_FACTOR, dtype=np.uint64))


def _describe_class(label: str, n_events: int, names: Mapping[str, str]) -> str:
    if label == "-1":
        return "no labels"
    return f"{names.get(label, 'class ' + label)} {n_events:,}"
