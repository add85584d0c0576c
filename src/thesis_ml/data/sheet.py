"""The data sheet: a summary of the data of a run, printed and recorded."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from thesis_ml.data.events import StoredEvents
from thesis_ml.data.h5_loader import StoredFile


def build_sheet(stored: StoredFile, name: str, fingerprint: str) -> dict[str, Any]:
    """Return the data sheet of the events of a run, as plain JSON values.

    Args:
        stored: The events after all selections of the user.
        name: Name of the data set.
        fingerprint: Hash of the file or of the generator's version and parameters.
    """
    return {
        "name": name,
        "path": str(stored.path),
        "fingerprint": fingerprint,
        "encoding": stored.encoding.name,
        "encoding_from": stored.encoding.decided_by,
        "n_slots": stored.n_slots,
        "class_names": dict(stored.label_names),
        "splits": {
            split: {"dataset": stored.datasets[split], **_summarise_split(events, stored.type_names)}
            for split, events in stored.splits.items()
        },
        "duplicates": _count_duplicates(stored.splits),
    }


def describe_sheet(sheet: Mapping[str, Any], origin: str) -> str:
    """Return the data sheet in a few lines for a terminal; `origin` is the file or generator of the events."""
    splits = sheet["splits"]
    lines = [f"data {sheet['name']}: {origin} ({sheet['encoding']} from {sheet['encoding_from']})"]
    for split, summary in splits.items():
        classes = ", ".join(_describe_class(label, n, sheet["class_names"]) for label, n in summary["classes"].items())
        size, without = summary["multiplicity"], summary["n_events_without_tokens"]
        empty = f", {without:,} events without objects" if without else ""
        objects = f"{size['min']} to {size['max']} objects, mean {size['mean']:.1f}"
        lines.append(f"  {split:<5} {summary['n_events']:,} events ({classes}), {objects}{empty}")
    shared = {pair: n for pair, n in sheet["duplicates"].items() if n}
    if shared:
        lines.append("  events in two splits: " + ", ".join(f"{pair} {n:,}" for pair, n in shared.items()))
    return "\n".join(lines)


def _summarise_split(events: StoredEvents, type_names: tuple[str, ...]) -> dict[str, Any]:
    labels, counts = np.unique(events.labels, return_counts=True)
    type_counts = np.bincount(events.ids, minlength=len(type_names) + 1)[1:]
    shares = type_counts / max(len(events.ids), 1)
    return {
        "n_events": events.n_events,
        "classes": {str(label): int(count) for label, count in zip(labels, counts, strict=True)},
        "n_tokens": len(events.ids),
        "multiplicity": {
            "mean": float(events.lengths.mean()),
            "min": int(events.lengths.min()),
            "max": int(events.lengths.max()),
        },
        "n_events_without_tokens": int((events.lengths == 0).sum()),
        "type_shares": {name: float(share) for name, share in zip(type_names, shares, strict=True)},
    }


def _count_duplicates(splits: Mapping[str, StoredEvents]) -> dict[str, int]:
    """Return the number of events of the second split of each pair that are also in the first one."""
    return {
        f"{first}-{second}": int(np.isin(splits[second].row_hash, splits[first].row_hash).sum())
        for first, second in combinations(splits, 2)
    }


def _describe_class(label: str, n_events: int, names: Mapping[str, str]) -> str:
    if label == "-1":
        return "no labels"
    return f"{names.get(label, 'class ' + label)} {n_events:,}"
