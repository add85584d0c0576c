"""The tables of the page as plain rows, made from what a report compares."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

from thesis_ml.reports.comparison import Cell, Comparison, Group, PairTest, Spread
from thesis_ml.reports.inference.result import ResultTable
from thesis_ml.reports.plots.table import format_csv
from thesis_ml.reports.utils.numbers import round_with_error
from thesis_ml.utils.paths import INFERENCE_FOLDER

MAX_RUNS_AS_COLUMNS = 4
"""Up to as many runs stand side by side where their configuration differs; more stand one below the other."""

HASH_LETTERS = 12
DIGITS = 4
MAX_PLAIN = 1e9
SEED = "seed"
"""A number that means nothing on average."""

PRINTED_COLUMNS = 9
"""As in page.css."""

LONG_LETTERS = 48
"""A longer text is broken into lines."""


@dataclass(frozen=True)
class PageCell:
    """One cell.

    Args:
        text: What is shown.
        number: What it is sorted by, None for a text and for a number that was not measured.
        group: The place of the group whose colour it carries.
    """

    text: str
    number: float | None = None
    group: int | None = None

    @property
    def is_long(self) -> bool:
        """Whether the text needs more than a line."""
        return len(self.text) > LONG_LETTERS


@dataclass(frozen=True)
class PageTable:
    """One table of the page.

    Args:
        name: Short name for its place on the page and its file.
        title: Its heading.
        note: A sentence below the heading.
        columns: Heads of the columns.
        rows: Its cells; the first of each row names the row.
        csv: The same with all digits.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[PageCell, ...], ...]
    csv: str = field(repr=False)

    @property
    def is_wide(self) -> bool:
        """Whether paper has no room for all columns."""
        return len(self.columns) > PRINTED_COLUMNS

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column holds numbers."""
        return tuple(any(row[place].number is not None for row in self.rows) for place in range(len(self.columns)))


def list_tables(comparison: Comparison) -> list[PageTable]:
    """Return the tables of the page in their order; a table without rows is left out."""
    tables = [
        tabulate_groups(comparison),
        tabulate_tests(comparison),
        drop_equal_columns(drop_blank_columns(tabulate_runs(comparison))),
        *tabulate_two_runs(comparison),
        tabulate_left_out(comparison),
        tabulate_differences(comparison),
        drop_blank_columns(tabulate_sources(comparison)),
    ]
    return [table for table in tables if table.rows]


def drop_blank_columns(table: PageTable) -> PageTable:
    """Return a table without the columns that no row fills; its csv keeps them."""
    return _keep_columns(table, [place == 0 or any(texts) for place, texts in enumerate(_list_texts(table))])


def drop_equal_columns(table: PageTable) -> PageTable:
    """Return a table without the columns of texts in which its rows do not differ; its csv keeps them."""
    is_number = table.numeric
    differs = [len(set(texts)) > 1 for texts in _list_texts(table)]
    kept = [place == 0 or is_number[place] or differs[place] for place in range(len(table.columns))]
    return _keep_columns(table, kept) if len(table.rows) > 1 else table


def tabulate_groups(comparison: Comparison) -> PageTable:
    """Return mean and standard deviation over the runs of every group."""
    measured = [
        name
        for name in comparison.columns
        if name not in (SEED, *comparison.swept) and any(name in group.numbers for group in comparison.groups)
    ]
    # The number that is judged stands first.
    judged = comparison.verdict.column
    columns = sorted(measured, key=lambda name: name != judged)
    rows = []
    for place, group in enumerate(comparison.groups):
        spreads = [_show_spread(group.numbers.get(name)) for name in columns]
        rows.append((PageCell(group.label, group=place), _show(len(group.runs)), *spreads))
    exact = [[group.label, len(group.runs), *_list_exact(group, columns)] for group in comparison.groups]
    heads = [f"{name}_{kind}" for name in columns for kind in ("mean", "sd", "n")]
    return PageTable(
        "groups",
        "Groups",
        "Mean ± standard deviation over the runs of a group, which differ in their seed alone.",
        ("group", "runs", *columns),
        tuple(rows),
        format_csv(["group", "runs", *heads], exact),
    )


def tabulate_tests(comparison: Comparison) -> PageTable:
    """Return the tests of all pairs of groups."""
    places = {group.label: place for place, group in enumerate(comparison.groups)}
    rows = [
        (
            PageCell(test.first, group=places.get(test.first)),
            PageCell(test.second, group=places.get(test.second)),
            _show(test.ratio),
            _show(test.p_value),
            PageCell(_name_outcome(test)),
            _show(test.resolvable),
        )
        for test in comparison.verdict.tests
    ]
    exact: list[list[Cell]] = [
        [test.first, test.second, test.ratio, test.p_value, _name_outcome(test), test.resolvable]
        for test in comparison.verdict.tests
    ]
    return _build(
        "tests",
        "Pairs of groups",
        f"Welch's test in {comparison.verdict.column}, corrected by Holm over all pairs; differences at 5%.",
        ("smaller", "larger", "ratio", "p", "outcome", "smallest difference that would show"),
        rows,
        exact,
    )


def tabulate_runs(comparison: Comparison) -> PageTable:
    """Return the summary of every run."""
    # The number that is judged stands first, so that it is seen on a phone and on paper.
    others = [name for name in comparison.columns if name != "run"]
    names = sorted(others, key=lambda name: name != comparison.verdict.column)
    places = {run.name: place for place, group in enumerate(comparison.groups) for run in group.runs}
    exact = [[run.name, *(comparison.rows.get(run.name, {}).get(name) for name in names)] for run in comparison.runs]
    rows = [
        (PageCell(run.name, group=places.get(run.name)), *map(_show, values[1:]))
        for run, values in zip(comparison.runs, exact, strict=True)
    ]
    note = "A blank was not measured. Settings that all runs share are in the csv only."
    return _build("runs", "Runs", note, ("run", *names), rows, exact)


def tabulate_two_runs(comparison: Comparison) -> list[PageTable]:
    """Return what two runs differ in, a table per section; nothing unless the report compares two."""
    if len(comparison.runs) != 2:
        return []
    columns = ("what", *(run.name for run in comparison.runs))
    note = "What is the same in both runs is left out, but for the numbers."
    return [
        _build(f"difference_{number}", f"Two runs: {section}", note, columns, _show_all(rows), rows)
        for number, (section, rows) in enumerate(comparison.differences.items(), start=1)
    ]


def tabulate_left_out(comparison: Comparison) -> PageTable:
    """Return the folders that were found and not used, with the reason."""
    n_used, n_left = len(comparison.runs), len(comparison.left_out)
    exact = [[folder.name, folder.state, folder.reason, str(folder.path)] for folder in comparison.left_out]
    note = f"{n_used + n_left} folders found: {n_used} used, {n_left} left out."
    return _build("left_out", "Left out", note, ("folder", "state", "reason", "path"), _show_all(exact), exact)


def tabulate_differences(comparison: Comparison) -> PageTable:
    """Return in which keys of the configuration the runs differ."""
    # Two runs have a table of their own for it.
    runs, differences = comparison.runs, {} if comparison.differences else comparison.config_differences
    exact: list[list[Cell]]
    if len(runs) <= MAX_RUNS_AS_COLUMNS:
        columns = ("key", *(run.name for run in runs))
        exact = [[key, *(values.get(run.name) for run in runs)] for key, values in differences.items()]
    else:
        columns = ("run", *differences)
        exact = [[run.name, *(values.get(run.name) for values in differences.values())] for run in runs]
    exact = exact if differences else []
    note = "Keys of the configuration in which the runs differ. A blank means that a run does not have the key."
    return _build("differences", "Configuration", note, columns, _show_all(exact), exact)


def tabulate_sources(comparison: Comparison) -> PageTable:
    """Return which code, versions, data and machine every run comes from."""
    versions = sorted({name for run in comparison.runs for name in _get_mapping(run.meta, "versions")})
    columns = ("run", "state", "code", *versions, "host", "data", "config", "checkpoint", "overrides", "remarks")
    exact: list[list[Cell]] = [
        [
            run.name,
            run.state.name,
            _describe_code(run.meta),
            *(_as_text(_get_mapping(run.meta, "versions").get(name)) for name in versions),
            _as_text(run.meta.get("hostname")),
            _as_text(run.key.dataset_fingerprint),
            _as_text(run.meta.get("config_hash")),
            run.checkpoint_hash,
            " ".join(run.overrides),
            "; ".join((*run.remarks, *run.warnings)),
        ]
        for run in comparison.runs
    ]
    return _build(
        "sources",
        "Code, versions and data",
        f"Hashes are cut to {HASH_LETTERS} letters here and whole in the csv.",
        columns,
        [[PageCell(_shorten_hash(cell.text)) for cell in row] for row in _show_all(exact)],
        exact,
    )


def tabulate_result(table: ResultTable, comparison: Comparison) -> PageTable:
    """Return a table of a section of inference; a first cell that is a group's label carries its colour."""
    places = {group.label: place for place, group in enumerate(comparison.groups)}
    rows = [(replace(first, group=places.get(first.text)), *others) for first, *others in _show_all(table.rows)]
    name = f"{INFERENCE_FOLDER}_{table.name}"
    return _build(name, table.title, table.note, table.columns, rows, table.rows)


def _list_texts(table: PageTable) -> list[list[str]]:
    """Return the texts of every column."""
    return [[row[place].text for row in table.rows] for place in range(len(table.columns))]


def _keep_columns(table: PageTable, is_kept: Sequence[bool]) -> PageTable:
    rows = tuple(tuple(compress(row, is_kept)) for row in table.rows)
    return replace(table, columns=tuple(compress(table.columns, is_kept)), rows=rows)


def format_number(value: float, digits: int = DIGITS) -> str:
    """Return a whole number in full and any other with so many digits, without an exponent where that reads well."""
    if isinstance(value, int):
        return str(value)
    is_large = 10**digits <= abs(value) < MAX_PLAIN
    return f"{value:.0f}" if is_large else f"{value:.{digits}g}"


def _build(
    name: str,
    title: str,
    note: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[PageCell]],
    exact: Sequence[Sequence[Cell]],
) -> PageTable:
    return PageTable(name, title, note, tuple(columns), tuple(map(tuple, rows)), format_csv(columns, exact))


def _show_all(rows: Sequence[Sequence[Cell]]) -> list[list[PageCell]]:
    return [[_show(value) for value in row] for row in rows]


def _show(value: Cell) -> PageCell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return PageCell(format_number(value), float(value)) if math.isfinite(value) else PageCell("")
    return PageCell("" if value is None else str(value))


def _show_spread(spread: Spread | None) -> PageCell:
    if spread is None or not math.isfinite(spread.mean):
        return PageCell("")
    return PageCell(str(round_with_error(spread.mean, spread.sd)), spread.mean)


def _list_exact(group: Group, columns: Sequence[str]) -> list[Cell]:
    """Return mean, standard deviation and n of every column, blank where there is none."""
    values: list[Cell] = []
    for name in columns:
        spread = group.numbers.get(name)
        values += [None, None, None] if spread is None else [_finite(spread.mean), _finite(spread.sd), spread.n]
    return values


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _name_outcome(test: PairTest) -> str:
    if math.isnan(test.p_value):
        return "one seed: no verdict"
    return "differ" if test.is_resolved else "cannot be told apart"


def _describe_code(meta: Mapping[str, object]) -> str:
    commit = _as_text(meta.get("git_commit"))
    return f"{commit} with changes" if commit and meta.get("git_dirty") is True else commit


def _shorten_hash(text: str) -> str:
    """Return the beginning of a text that is a hash, any other text as it is."""
    first, *rest = text.split(" ", 1)
    is_hash = len(first) > HASH_LETTERS and all(letter in "0123456789abcdef" for letter in first)
    return " ".join([first[:HASH_LETTERS], *rest]) if is_hash else text


def _get_mapping(meta: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return a group of what a run says of itself, empty when it is no group."""
    value = meta.get(key)
    return value if isinstance(value, Mapping) else {}


def _as_text(value: object) -> str:
    return "" if value is None else str(value)
