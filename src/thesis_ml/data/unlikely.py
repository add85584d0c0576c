"""Values of events that are possible but hardly right: counted in data sheets, and warned of with share and row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from thesis_ml.data.events import Events
from thesis_ml.utils.arrays import NDArray

LARGEST_ETA = 6.0
"""Calorimeters of collider experiments end at |eta| = 5."""
ENERGY_TOLERANCE = 1e-3
"""E may be below p by this share. Single precision needs 1e-6, logarithms in it 4e-6, four digits of a text 1e-3."""
MOST_PLACES = 3
"""Splits, files or classes with such values that are named."""
MOST_REPEATED = 0.01
"""Share of the events of a split that may equal an earlier one: simulations repeat hardly any."""
ADVICE = {
    "|eta| > 6": "no calorimeter of a collider reaches so far; look at the column, or select",
    "pt = 0": "an object has momentum; look at the column, or at what fills empty places",
    "E = 0": "an object has energy; look at the column, or at what fills empty places",
    "E < p": "no particle has less energy than momentum; its mass is read as 0; look at the columns",
}
"""What to do about each kind."""


@dataclass(frozen=True)
class Unlikely:
    """Objects with values of one kind.

    Args:
        n_objects: How many there are.
        share: Of all objects.
        first_row: The row of the first one's event in its file.
    """

    n_objects: int
    share: float
    first_row: int


def count_unlikely(events: Events) -> dict[str, Unlikely]:
    """Return the objects with values of each kind of `ADVICE`; only kinds that occur."""
    found = {}
    for kind, is_odd in _mark(events).items():
        if n_odd := int(is_odd.sum()):
            event = int(np.searchsorted(np.cumsum(events.lengths), is_odd.argmax(), side="right"))
            found[kind] = Unlikely(n_odd, n_odd / events.n_tokens, int(events.index[event]))
    return found


def describe_unlikely(counts: Mapping[str, Mapping[str, Unlikely]]) -> list[str]:
    """Return a warning for each kind; `counts` are those of `count_unlikely` by split, file or class."""
    texts = []
    for kind, advice in ADVICE.items():
        places = [
            f"{one[kind].share:.2%} of the objects of {name} (first in row {one[kind].first_row})"
            for name, one in counts.items()
            if kind in one
        ]
        if places:
            rest = f" and {len(places) - MOST_PLACES:,} more" if len(places) > MOST_PLACES else ""
            texts.append(f"{kind} for {', '.join(places[:MOST_PLACES])}{rest}: {advice}")
    return texts


def _mark(events: Events) -> dict[str, Bool[NDArray[Any], " P"]]:
    """Return which objects have a value of each kind, as far as the columns are there."""
    columns, found = events.features, {}
    if "eta" in columns:
        found["|eta| > 6"] = np.abs(columns["eta"]) > LARGEST_ETA
    found |= {f"{name} = 0": columns[name] == 0 for name in ("pt", "E") if name in columns}
    if {"E", "pt", "eta"} <= set(columns):
        # An eta that a diverged model made has no finite p.
        with np.errstate(over="ignore"):
            momentum = columns["pt"] * np.cosh(columns["eta"].astype(np.float64))
        found["E < p"] = columns["E"] < momentum * (1 - ENERGY_TOLERANCE)
    return found


def describe_repeated(name: str, counts: Mapping[str, Any], n_events: int) -> list[str]:
    """Return a warning where many events of a sample equal an earlier one; `counts` are those of `count_repeated`."""
    share = counts.get("n_repeated", 0) / n_events
    if share <= MOST_REPEATED:
        return []
    row = counts["first_repeated"]
    text = f"{name}: {share:.1%} of the events equal an earlier one (first in row {row})"
    return [f"{text}; their numbers are those of fewer events"]


def describe_constant(events: Events) -> list[str]:
    """Return a warning for each column that is the same for all of several objects or events."""
    columns = {name: (values, "objects") for name, values in events.features.items()}
    columns |= {name: (values, "events") for name, values in events.globals.items()}
    return [
        f"{name} is {values[0]:.4g} for all {things}; look at its column"
        for name, (values, things) in columns.items()
        if len(values) > 1 and (values == values[0]).all()
    ]


def describe_only_type(events: Events, type_names: Sequence[str]) -> list[str]:
    """Return a note where several objects are all of one of several types."""
    found = np.unique(events.types)
    if len(found) != 1 or len(type_names) < 2 or events.n_tokens < 2:
        return []
    return [f"all objects are {type_names[found[0]]!r}"]


def list_constant(columns: Sequence[str], rows: Any) -> list[str]:
    """Return the names of the columns in which all rows are equal; a single row says nothing."""
    if len(rows) < 2:
        return []
    is_constant = (rows.amin(dim=0) == rows.amax(dim=0)).tolist()
    return [name for name, same in zip(columns, is_constant, strict=True) if same]


def list_warnings(sheet: Mapping[str, Any]) -> list[str]:
    """Return the warnings on what a data sheet counts."""
    splits = sheet["splits"]
    unlikely = {
        split: {kind: Unlikely(**one) for kind, one in splits[split].get("unlikely", {}).items()} for split in splits
    }
    texts = describe_unlikely(unlikely)
    if names := sheet.get("constant_columns"):
        texts.append(
            f"{', '.join(names)}: the same for all training objects; a constant column costs no error and stays in "
            "rec_mse, which is smaller for it"
        )
    if names := sheet.get("constant_globals"):
        texts.append(f"{', '.join(names)}: the same for all training events, so that rec_globals is smaller for it")
    shares = splits["train"]["type_shares"]
    kinds = [name for name, share in shares.items() if share]
    if len(kinds) == 1 < len(shares):
        texts.append(f"object types: all training objects are {kinds[0]!r}; type_accuracy and rec_types say nothing")
    for split, one in splits.items():
        if one["n_events"] == 1:
            texts.append(f"{split}: holds one event; its numbers are those of this event alone")
        texts += describe_repeated(split, one, one["n_events"])
    return [f"data: {text}" for text in texts]
