"""The first events of classes or files, compared: acceptances that differ, and columns that are the same everywhere."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from thesis_ml.data.acceptance import FEWEST_OBJECTS, AcceptanceGap, find_gaps
from thesis_ml.data.convert.parts import PartOverview, name_files, read_part
from thesis_ml.data.convert.tally import ClassTally
from thesis_ml.data.events import Events, join_events, keep_events
from thesis_ml.data.unlikely import describe_constant

JUDGED_EVENTS = 20_000
"""Events of a class or a file that are compared."""


def compare_samples(
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
        wanted = {label: number for label, number in left.items() if number > 0}
        if wanted:
            events = read_part(part.path)
            for label, number in wanted.items():
                found[names[label]].append(_copy_first(keep_events(events, events.labels == int(label)), number))
    return {name: join_events(events) for name, events in found.items()}


def _compare_files(parts: Sequence[PartOverview], type_names: Sequence[str]) -> tuple[list[str], Events]:
    """Return how the acceptances of those files differ whose ranges differ most, and some events of all files."""
    shown = name_files(part.file for part in parts)
    paths = {path: [part.path for part in ours] for path, ours in groupby(parts, key=lambda part: part.file.path)}
    n_pairs = len(paths) * (len(paths) - 1)
    gaps: list[AcceptanceGap] = []
    for pair in _choose_pairs(parts, type_names):
        samples = {shown[path]: _take_first_events(paths[path], JUDGED_EVENTS) for path in pair}
        gaps += find_gaps(samples, type_names, n_pairs=n_pairs)
    largest: dict[tuple[str, str], AcceptanceGap] = {}
    for gap in sorted(gaps, key=lambda gap: gap.rank):
        largest.setdefault((gap.type_name, gap.quantity), gap)
    n_of_each = math.ceil(JUDGED_EVENTS / len(paths))
    events = join_events([_take_first_events(ours, n_of_each) for ours in paths.values()])
    return list(map(str, largest.values())), events


def _choose_pairs(parts: Sequence[PartOverview], type_names: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return for each type and quantity, and for all types together, the files of the widest and the narrowest range.

    To compare each file with each other one would cost more than the conversion of many files.
    """
    tallies: defaultdict[Path, ClassTally] = defaultdict(ClassTally)
    for part in parts:
        tallies[part.file.path] += part.tally
    pairs = []
    for names in (*([name] for name in type_names), type_names):
        judged = {
            path: [tally.ranges[name] for name in names if name in tally.ranges]
            for path, tally in tallies.items()
            if sum(tally.n_objects.get(name, 0) for name in names) >= FEWEST_OBJECTS
        }
        lowest_pt = {path: min(one["pt"][0] for one in ranges) for path, ranges in judged.items()}
        largest_eta = {path: max(abs(end) for one in ranges for end in one["eta"]) for path, ranges in judged.items()}
        for ends in (lowest_pt, {path: -end for path, end in largest_eta.items()}):
            if len(set(ends.values())) > 1:
                pairs.append((min(ends, key=ends.__getitem__), max(ends, key=ends.__getitem__)))
    return list(dict.fromkeys(pairs))


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
