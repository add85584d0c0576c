"""The section on runs and configuration: every run, every excluded folder, and the settings that differ."""

from collections.abc import Mapping

from thesis_ml.facts.summary import Cell, make_cell
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import ResultTable, Section, Value
from thesis_ml.reports.utils.grouping import list_differences
from thesis_ml.runs.differences import diff_runs
from thesis_ml.utils.plain_values import as_mapping

HASH_LETTERS = 12


def build_runs(comparison: Comparison) -> Section:
    """Return the section; of exactly two runs it holds every difference."""
    tables = (
        *tabulate_two_runs(comparison),
        drop_equal_columns(drop_blank_columns(tabulate_runs(comparison))),
        tabulate_configuration(comparison),
        tabulate_excluded(comparison),
        drop_blank_columns(tabulate_sources(comparison)),
    )
    return Section(
        name="runs",
        title="Runs and configuration",
        caption="A blank was not measured. summary.csv holds all columns.",
        tables=tuple(table for table in tables if table.rows),
    )


def tabulate_runs(comparison: Comparison) -> ResultTable:
    """Return the summary of every run."""
    # The number that is judged stands first, so that it is seen on a phone and on paper.
    names = sorted(
        (name for name in comparison.columns if name != "run"), key=lambda name: name != comparison.verdict.column
    )
    rows = tuple((run.name, *(comparison.rows[run.name].get(name) for name in names)) for run in comparison.runs)
    return ResultTable("runs", "Runs", "Settings that all runs share are omitted.", ("run", *names), rows, False)


def tabulate_configuration(comparison: Comparison) -> ResultTable:
    """Return the keys in which groups differ as rows, and the groups as columns."""
    differences = list_differences(comparison.runs)
    rows: list[tuple[Value, ...]] = []
    for key, values in differences.items():
        texts = [_join_values([values[run.name] for run in group.runs]) for group in comparison.groups]
        if len(set(texts)) > 1:
            rows.append((key, *texts))
    note = "Keys of the configuration in which groups differ. A blank means that a group does not have the key."
    labels = [group.label for group in comparison.groups]
    return ResultTable("configuration", "Configuration", note, ("key", *labels), tuple(rows), False)


def tabulate_excluded(comparison: Comparison) -> ResultTable:
    """Return the folders that were found and are excluded, with the reason."""
    rows = tuple((entry.name, entry.state, entry.reason, str(entry.path)) for entry in comparison.excluded)
    return ResultTable(
        "excluded", "Excluded folders", f"{comparison.counts}.", ("folder", "state", "reason", "path"), rows, False
    )


def tabulate_two_runs(comparison: Comparison) -> list[ResultTable]:
    """Return what two runs differ in, a table per topic; nothing unless the report compares two."""
    if len(comparison.runs) != 2:
        return []
    first, second = comparison.runs
    return [
        ResultTable(f"difference_{topic}", f"Two runs: {topic}", "", ("key", first.name, second.name), rows, False)
        for topic, rows in diff_runs(first, second, comparison.rows).items()
    ]


def tabulate_sources(comparison: Comparison) -> ResultTable:
    """Return the code, the versions, the data and the machine of every run."""
    versions = sorted({name for run in comparison.runs for name in as_mapping(run.meta.get("versions"))})
    columns = (
        "run",
        "tags",
        "state",
        "code",
        *versions,
        "host",
        "data",
        "config",
        "checkpoint",
        "overrides",
        "remarks",
    )
    rows: list[tuple[Value, ...]] = [
        (
            run.name,
            ", ".join((*run.marks.tags, *([run.marks.note] if run.marks.note else []))) or None,
            run.state.name,
            _describe_code(run.meta),
            *(make_cell(as_mapping(run.meta.get("versions")).get(name)) for name in versions),
            make_cell(run.meta.get("hostname")),
            _cut_hash(run.key.dataset_fingerprint),
            _cut_hash(run.meta.get("config_hash")),
            _cut_hash(run.checkpoint_hash),
            " ".join(run.overrides),
            "; ".join((*run.remarks, *run.warnings)),
        )
        for run in comparison.runs
    ]
    note = f"Hashes are cut to {HASH_LETTERS} letters; manifest.yaml has all."
    return ResultTable("sources", "Code, versions and data", note, columns, tuple(rows), False)


def drop_blank_columns(table: ResultTable) -> ResultTable:
    """Return a table without the columns that no row fills."""
    kept = [
        place
        for place in range(len(table.columns))
        if place == 0 or any(row[place] not in (None, "") for row in table.rows)
    ]
    return _keep_columns(table, kept)


def drop_equal_columns(table: ResultTable) -> ResultTable:
    """Return a table without the columns of texts in which its rows do not differ."""
    if len(table.rows) < 2:
        return table
    kept = []
    for place in range(len(table.columns)):
        values = [row[place] for row in table.rows]
        is_number = any(isinstance(value, int | float) for value in values)
        if place == 0 or is_number or len(set(map(str, values))) > 1:
            kept.append(place)
    return _keep_columns(table, kept)


def _keep_columns(table: ResultTable, kept: list[int]) -> ResultTable:
    rows = tuple(tuple(row[place] for place in kept) for row in table.rows)
    columns = tuple(table.columns[place] for place in kept)
    return ResultTable(table.name, table.title, table.note, columns, rows, table.is_printed)


def _join_values(values: list[Cell]) -> str:
    """Return the different values of the runs of a group as text."""
    return ", ".join(dict.fromkeys("" if value is None else str(value) for value in values))


def _describe_code(meta: Mapping[str, object]) -> Cell:
    commit = _cut_hash(meta.get("git_commit"))
    return f"{commit} with changes" if commit and meta.get("git_dirty") is True else commit


def _cut_hash(value: object) -> Cell:
    return value[:HASH_LETTERS] if isinstance(value, str) else None
