"""The split of each event, and which events occur again; part by part, so that memory does not grow with the input."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import UInt

from thesis_ml.data.convert.config import SPLITS, SplitConfig
from thesis_ml.data.convert.parts import PartOverview, read_array
from thesis_ml.utils.arrays import NDArray

N_SHARES = 64
"""Hashes of all events are compared in so many shares, of which one is in memory."""


@dataclass(frozen=True)
class Move:
    """The first `n_events` events of one split that another one gets; both are numbers of `SPLITS`."""

    source: int
    target: int
    n_events: int


@dataclass(frozen=True)
class SplitPlan:
    """How events are divided.

    Args:
        counts: Events of train, val and test.
        moves: Events that empty splits take from the largest one, in this order.
    """

    counts: tuple[int, ...]
    moves: tuple[Move, ...]

    @property
    def warnings(self) -> list[str]:
        """A line for each split that was empty."""
        return [
            f"the split {SPLITS[one.target]} was empty: it got {one.n_events:,} events of {SPLITS[one.source]}"
            for one in self.moves
        ]


def plan_splits(parts: Sequence[PartOverview], config: SplitConfig) -> SplitPlan:
    """Return how events are divided: as the parts say, but an empty split gets events from the largest."""
    left = [sum(counts) for counts in zip(*(part.split_counts for part in parts), strict=True)]
    n_events = sum(left)
    moves = []
    for number, name in enumerate(SPLITS):
        if left[number]:
            continue
        largest = left.index(max(left))
        n_moved = min(max(round(getattr(config.fractions, name) * n_events), 1), left[largest] - 1)
        left[largest] -= n_moved
        left[number] += n_moved
        moves.append(Move(largest, number, n_moved))
    return SplitPlan(tuple(left), tuple(moves))


def iterate_splits(parts: Sequence[PartOverview], plan: SplitPlan) -> Iterator[UInt[NDArray[np.uint8], " N"]]:
    """Yield the splits of the events of each part."""
    left = [one.n_events for one in plan.moves]
    for part in parts:
        splits = read_array(part.path, "splits")
        for number, move in enumerate(plan.moves):
            moved = np.flatnonzero(splits == move.source)[: left[number]]
            splits[moved] = move.target
            left[number] -= len(moved)
        yield splits


def count_repeated(parts: Sequence[PartOverview], plan: SplitPlan) -> dict[str, int]:
    """Return how many events are equal to an earlier one, and how many of a split are in an earlier split too.

    8 bytes for each event are written beside the parts, and removed again.
    """
    edges = np.arange(1, N_SHARES, dtype=np.uint64) * np.uint64(2**64 // N_SHARES)
    with ExitStack() as opened:
        files = [opened.enter_context(TemporaryFile(dir=parts[0].path.parent)) for _ in range(N_SHARES)]
        for part, splits in zip(parts, iterate_splits(parts, plan), strict=True):
            # The split takes the place of the last two bits.
            keys = np.sort(read_array(part.path, "hashes") & ~np.uint64(3) | splits)
            for file, share in zip(files, np.split(keys, np.searchsorted(keys, edges)), strict=True):
                file.write(share.tobytes())
        n_repeated = n_shared = 0
        for file in files:
            file.seek(0)
            keys = np.sort(np.frombuffer(file.read(), dtype=np.uint64))
            n_repeated += len(keys) - len(_keep_first(keys >> np.uint64(2)))
            hashes = _keep_first(keys) >> np.uint64(2)
            # An event in all three splits makes three pairs.
            n_shared += sum(int((hashes[step:] == hashes[:-step]).sum()) for step in (1, 2))
    return {"events": n_repeated, "in two splits": n_shared}


def _keep_first(ordered: UInt[NDArray[np.uint64], " N"]) -> UInt[NDArray[np.uint64], " M"]:
    """Return each value of sorted ones once: a fifth of the time of np.unique."""
    is_first: NDArray[np.bool_] = np.diff(ordered, prepend=~ordered[:1]) != 0
    return ordered[is_first]
