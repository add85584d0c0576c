"""Runs that differ in nothing but their seed form a group; what the groups differ in was swept."""

from collections.abc import Mapping, Sequence

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.runs import GROUPS, SEED_KEYS
from thesis_ml.facts.summary import CHOICE_COLUMNS, Cell, find_setting, make_cell
from thesis_ml.metrics.uncertain import Spread
from thesis_ml.reports.comparison import Group

LOOP = "loop"
OF_LOOPS = ("decoder", "critic", "trainer")
"""Components of which a loop may have its own."""

BOOKKEEPING = ("logging", "run_dir", "name", "resume", "env", "hydra", "data.path", "data.name", "data.num_workers")
TRAINER_BOOKKEEPING = ("name", "device", "n_threads", "compile", "checkpoint_every_s", "max_time_s", "num_workers")
"""Keys that change where and how a run is computed, but not what; a run's components have a column of their own."""


def list_differences(runs: Sequence[RunFacts]) -> dict[str, dict[str, Cell]]:
    """Return every key of the configuration in which the runs differ, with the value of each by its name."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    values = {key: {run.name: make_cell(run.config.get(key)) for run in runs} for key in keys}
    return {key: by_run for key, by_run in values.items() if not _are_same(list(by_run.values()))}


def find_swept(runs: Sequence[RunFacts]) -> tuple[str, ...]:
    """Return the columns and keys in which the runs differ, but for seeds and bookkeeping.

    A key below a group counts when runs differ in it that chose the same option of the group: that a codebook has a
    size and a plain bottleneck has none follows from the choice.
    """
    choices = [column for column in CHOICE_COLUMNS if not _are_same([run.choices.get(column) for run in runs])]
    keys = [key for key in list_differences(runs) if not is_bookkeeping(key) and _differs_within_option(runs, key)]
    return (*choices, *keys)


def is_bookkeeping(key: str) -> bool:
    """Say whether a key does not count as a setting that is compared."""
    if key in SEED_KEYS or key in ("loop", "seed") or _is_below(key, BOOKKEEPING):
        return True
    parent, _, last = key.rpartition(".")
    return last == "name" or (parent.endswith("trainer") and last in TRAINER_BOOKKEEPING)


def group_runs(
    runs: Sequence[RunFacts], swept: Sequence[str], rows: Mapping[str, Mapping[str, Cell]]
) -> tuple[Group, ...]:
    """Return the runs by their values of the swept columns, in the order in which these first occur."""
    found: dict[tuple[str, ...], list[RunFacts]] = {}
    for run in runs:
        found.setdefault(tuple(repr(find_setting(run, column)) for column in swept), []).append(run)
    all_values = [{column: find_setting(members[0], column) for column in swept} for members in found.values()]
    labels = name_groups(all_values)
    groups = []
    for label, values, members in zip(labels, all_values, found.values(), strict=True):
        by_seed = sorted(members, key=lambda run: (run.seed is None, run.seed or 0))
        groups.append(Group(label, values, tuple(by_seed), spread_numbers(by_seed, rows)))
    return tuple(groups)


def spread_numbers(runs: Sequence[RunFacts], rows: Mapping[str, Mapping[str, Cell]]) -> dict[str, Spread]:
    """Return the spread over seeds of every number; of runs that repeat a seed, their mean counts once."""
    names = dict.fromkeys(name for run in runs for name, value in rows[run.name].items() if _is_number(value))
    spreads = {}
    for name in names:
        by_seed: dict[object, list[float]] = {}
        for run in runs:
            value = rows[run.name].get(name)
            if isinstance(value, int | float) and not isinstance(value, bool):
                by_seed.setdefault(run.name if run.seed is None else run.seed, []).append(float(value))
        spreads[name] = Spread.of([Spread.of(values).mean for values in by_seed.values()])
    return spreads


def name_groups(all_values: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Return a short label for each group, all different; a single group is `all runs`.

    Components that follow from the loop, such as its trainer, are left out.
    """
    if not all_values or not all_values[0]:
        return ["all runs"] * len(all_values)
    columns = [column for column in all_values[0] if not _follows_from_loop(column, all_values)]
    short = {column: column.rpartition(".")[2] for column in columns}
    clashes = {name for name in short.values() if list(short.values()).count(name) > 1}
    names = {column: column if name in clashes else name for column, name in short.items()}
    labels: list[str] = []
    for values in all_values:
        parts = [_describe(column, names[column], values[column]) for column in columns]
        label = ", ".join(part for part in parts if part) or "default"
        # Different values may have the same text, such as a number and its text.
        labels.append(label if label not in labels else f"{label} ({len(labels) + 1})")
    return labels


def _follows_from_loop(column: str, all_values: Sequence[Mapping[str, Cell]]) -> bool:
    """Say whether a component is the same in all groups of each loop, and loops differ."""
    if column not in OF_LOOPS or LOOP not in all_values[0]:
        return False
    pairs = {(values[LOOP], values[column]) for values in all_values}
    return len(pairs) == len({values[LOOP] for values in all_values}) > 1


def _describe(column: str, name: str, value: Cell) -> str:
    if value is None:
        return ""
    return str(value) if column in CHOICE_COLUMNS else f"{name} {_format(value)}"


def _format(value: Cell) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _differs_within_option(runs: Sequence[RunFacts], key: str) -> bool:
    column = next((name for name, group in GROUPS.items() if _is_below(key, (group.replace("/", "."),))), None)
    if column is None:
        return True
    options = {run.choices.get(column) for run in runs}
    members = [[run for run in runs if run.choices.get(column) == option] for option in options]
    return any(not _are_same([make_cell(run.config.get(key)) for run in some]) for some in members)


def _are_same(values: Sequence[Cell]) -> bool:
    return len({repr(value) for value in values}) <= 1


def _is_number(value: Cell) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_below(key: str, parents: Sequence[str]) -> bool:
    return any(key == parent or key.startswith(f"{parent}.") for parent in parents)
