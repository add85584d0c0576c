"""What a report compares: runs, the groups that differ in more than the seed, and the tests between groups."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.significance import PairTest
from thesis_ml.metrics.uncertain import Spread
from thesis_ml.utils.texts import count


@dataclass(frozen=True)
class ExcludedRun:
    """A folder that was found and is excluded.

    Args:
        name: Its name in the report.
        path: The folder.
        state: complete, failed, interrupted, running, silent, damaged, foreign or empty.
        reason: Why it is excluded, in words.
        has_other_events: Whether that is because its events are not those of the compared runs.
    """

    name: str
    path: Path
    state: str
    reason: str
    has_other_events: bool = False


@dataclass(frozen=True, eq=False)
class Group:
    """Runs that differ in nothing but their seed.

    Args:
        label: What distinguishes the group from the others, short, such as `vq` or `vq, codebook_size 512`.
        values: The swept columns and their value in this group.
        runs: Its runs, by seed.
        numbers: The spread of every numeric column of the summary over these runs.
    """

    label: str
    values: Mapping[str, Cell]
    runs: tuple[RunFacts, ...]
    numbers: Mapping[str, Spread]


@dataclass(frozen=True)
class Verdict:
    """Which groups are best in the number that these runs can be compared in.

    Args:
        column: The number, `rec_mse` of the test split where the runs allow it; None where they allow none.
        ranking: Labels of the groups that have it and can be ranked, best first.
        unranked: Why each other group is not ranked, by its label.
        tests: All pairs of groups that have the number.
    """

    column: str | None
    ranking: tuple[str, ...]
    unranked: Mapping[str, str]
    tests: tuple[PairTest, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that the figures, tables and the page of a report are made from.

    Args:
        report_name: The name of the report's analysis, such as `compare_tokenizers`.
        inputs: Where runs were looked for.
        runs: The runs used, in a fixed order.
        excluded: The folders found and not used; runs and these are all that was found.
        swept: Columns in which the runs differ, without seeds: `latent_space`, or full keys as `phase1.trainer.lr`.
        groups: The runs by their values of the swept columns.
        columns: The columns of the summary table, in order.
        rows: One row per run used, by run name.
        threshold: The validation error that `time_to_threshold_s` refers to.
        verdict: Which groups are best.
    """

    report_name: str
    inputs: tuple[str, ...]
    runs: tuple[RunFacts, ...]
    excluded: tuple[ExcludedRun, ...]
    swept: tuple[str, ...]
    groups: tuple[Group, ...]
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Cell]]
    threshold: float | None
    verdict: Verdict

    @property
    def n_found(self) -> int:
        """Return the number of folders that were found."""
        return len(self.runs) + len(self.excluded)

    @property
    def counts(self) -> str:
        """Return how many runs were expected, used and excluded, such as `9 expected, 8 used, 1 failed`."""
        states = Counter("not chosen" if entry.state == "complete" else entry.state for entry in self.excluded)
        others = states.pop("foreign", 0)
        parts = [f"{self.n_found - others} expected", f"{len(self.runs)} used"]
        parts += [f"{number} {state}" for state, number in states.items()]
        return ", ".join(parts) + (f"; {count(others, 'other folder')}" if others else "")

    def count_seeds(self) -> dict[str, int]:
        """Return the number of different seeds of each group; runs whose seed is not known count as different."""
        return {
            group.label: len({run.name if run.seed is None else run.seed for run in group.runs})
            for group in self.groups
        }


def count_codes(run: RunFacts) -> int | None:
    """Return the codes of a quantiser of a run, of several the fewest; None where it has none."""
    size, levels = (run.config.get(f"phase1.latent_space.{key}") for key in ("codebook_size", "levels"))
    if isinstance(levels, tuple | list) and all(isinstance(level, int) for level in levels):
        return min(levels) if run.config.get("phase1.latent_space.name") == "scalar" else math.prod(levels)
    return size if isinstance(size, int) else None
