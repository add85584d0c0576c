"""What a report compares: runs, the groups that differ in more than the seed, and what can be said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import Cell

__all__ = ["Cell", "Comparison", "Group", "LeftOut", "PairTest", "Spread", "Verdict"]


@dataclass(frozen=True)
class LeftOut:
    """A folder that was found and not used.

    Args:
        name: What the report calls it.
        path: The folder.
        state: complete, failed, interrupted, running, silent, damaged, foreign or empty.
        reason: Why it is not used, in words.
    """

    name: str
    path: Path
    state: str
    reason: str


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over the n seeds that have the number; sd is nan below two."""

    mean: float
    sd: float
    n: int


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
class PairTest:
    """Welch's test of one pair of groups in one number.

    Args:
        first, second: Labels; the first has the smaller mean.
        ratio: Mean of the second over that of the first.
        p_value: Corrected by Holm over all pairs; nan where a group has one seed.
        is_resolved: Whether the groups differ at 5%.
        resolvable: The smallest difference of means that these seeds resolve among all pairs, in units of the number.
    """

    first: str
    second: str
    ratio: float
    p_value: float
    is_resolved: bool
    resolvable: float


@dataclass(frozen=True)
class Verdict:
    """The answer of a report, in words, and the numbers it stands on.

    Args:
        column: The number that is judged, `rec_mse` on the test split.
        sentences: The verdict, most important first; plain text, untrusted names in it are not escaped.
        tests: All pairs that were tested.
        banners: What forbids or limits the comparison, such as runs on different data.
    """

    column: str
    sentences: tuple[str, ...]
    tests: tuple[PairTest, ...]
    banners: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that the figures, tables and the page of a report are made from.

    Args:
        report_name: The name of the report's analysis, such as `compare_tokenizers`.
        inputs: Where runs were looked for.
        runs: The runs used, in a fixed order.
        left_out: The folders found and not used; runs and these are all that was found.
        swept: Columns in which the runs differ, without seeds: `latent_space`, or full keys as `phase1.trainer.lr`.
        groups: The runs by their values of the swept columns.
        columns: The columns of the summary table, in order.
        rows: One row per run used, by run name.
        config_differences: Every key of the configuration that differs, with its value per run name.
        threshold: The validation error that `time_to_threshold_s` refers to.
        verdict: What can be said.
        differences: What two runs differ in, a table of `(what, first, second)` per section; none unless two are
            compared.
    """

    report_name: str
    inputs: tuple[str, ...]
    runs: tuple[RunFacts, ...]
    left_out: tuple[LeftOut, ...]
    swept: tuple[str, ...]
    groups: tuple[Group, ...]
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Cell]]
    config_differences: Mapping[str, Mapping[str, Cell]]
    threshold: float | None
    verdict: Verdict
    differences: Mapping[str, tuple[tuple[str, Cell, Cell], ...]] = field(default_factory=dict)
