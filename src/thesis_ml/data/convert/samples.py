"""The first events of classes or files, compared: acceptances that differ, and columns that are the same everywhere."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from thesis_ml.data.acceptance import AcceptanceGap, find_gaps
from thesis_ml.data.convert.parts import PartOverview, name_files, read_part
from thesis_ml.data.events import Events, join_events, keep_events
from thesis_ml.data.unlikely import describe_constant

JUDGED_EVENTS = 20_000
"""Events of a class or a file that are compared."""


def describe_samples(
    parts: Sequence[PartOverview], type_names: Sequence[str], label_names: Mapping[str, str]
) -> list[str]:
    """Return warnings on acceptances that differ between classes, or files of a single one, and on constant columns.

    Args:
        parts: Of all files.
        type_names: Names of the object ids 1, 2, ...
        label_names: Names of labels, where there are any.
    """
    found = {label for part in parts for label in part.tally.weighed}
    names = {label: label_names.get(label, f"label {label}") for label in sorted(found)}
    if len(set(names.values())) > 1:
        classes = _take_classes(parts, names)
        texts, events = list(map(str, find_gaps(classes, type_names))), join_events(list(classes.values()))
    else:
        texts, events = _compare_files(parts, type_names)
    return [*texts, *describe_constant(events)]


def _take_classes(parts: Sequence[PartOverview], names: Mapping[str, str]) -> dict[str, Events]:
    """Return the first events of each class."""
    found: dict[str, list[Events]] = {name: [] for name in names.values()}
    for part in parts:
        left = {label: JUDGED_EVENTS - sum(one.n_events for one in found[names[label]]) for label in part.tally.weighed}
        if any(number > 0 for number in left.values()):
            events = read_part(part.path)
            for label, number in left.items():
                found[names[label]].append(_copy_first(keep_events(events, events.labels == int(label)), number))
    return {name: join_events(events) for name, events in found.items()}


def _compare_files(parts: Sequence[PartOverview], type_names: Sequence[str]) -> tuple[list[str], Events]:
    """Return the largest difference of a file from the rest for each type and quantity, and events of all files.

    Each file is compared with some events of each other one: of pairs there would be too many.
    """
    shown = name_files(part.file for part in parts)
    paths = {path: [part.path for part in ours] for path, ours in groupby(parts, key=lambda part: part.file.path)}
    n_of_each = math.ceil(JUDGED_EVENTS / len(paths))
    taken = [_take_first_events(ours, n_of_each) for ours in paths.values()]
    events = join_events(taken)
    owners = np.repeat(np.arange(len(taken)), [one.n_events for one in taken])
    files = list(paths.items())
    others = shown[files[-1][0]] if len(files) == 2 else "the rest"
    gaps: defaultdict[tuple[str, str], list[AcceptanceGap]] = defaultdict(list)
    # Of two files one comparison tells all.
    for number, (path, ours) in enumerate(files if len(files) > 2 else files[:-1]):
        samples = {
            shown[path]: _take_first_events(ours, JUDGED_EVENTS),
            others: keep_events(events, owners != number),
        }
        for gap in find_gaps(samples, type_names, n_pairs=2 * len(files)):
            gaps[gap.type_name, gap.quantity].append(gap)
    texts = []
    for alike in gaps.values():
        largest = min(alike, key=lambda gap: gap.rank)
        texts.append(f"{largest}{f' ({len(alike) - 1:,} more such differences)' if len(alike) > 1 else ''}")
    return texts, events


def _take_first_events(paths: Sequence[Path], n_events: int) -> Events:
    """Return the first events of a file whose parts are given."""
    found: list[Events] = []
    for path in paths:
        found.append(_copy_first(read_part(path), n_events - sum(one.n_events for one in found)))
        if sum(one.n_events for one in found) >= n_events:
            break
    return join_events(found)


def _copy_first(events: Events, n_events: int) -> Events:
    """Return the first events, without the memory of the others."""
    return keep_events(events, np.arange(events.n_events) < n_events)
