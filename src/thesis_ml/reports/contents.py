"""The contents of a report as data: sections of checks, tables and figures, which page, folder and tex show alike.

Nothing here imports torch, as reports without inference do not need it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.significance import PairTest
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.utils.table import MissingFigure, Table

Value = Cell | Measured | Spread
"""One cell of a table; a number with its error, or a mean with its standard deviation over seeds, is one value."""


@dataclass(frozen=True)
class GroupStyle:
    """How a group looks in every figure and on the page."""

    colour: str
    marker: str
    dash: str


@dataclass(frozen=True)
class Check:
    """One thing that may forbid or limit a conclusion.

    Args:
        name: Its short name, such as `seeds`.
        state: `passed`, `failed`, or `note` for a choice of the user that a reader has to know.
        text: What was found, one sentence.
        section: Name of the section with the numbers.
    """

    name: str
    state: Literal["passed", "failed", "note"]
    text: str
    section: str


@dataclass(frozen=True)
class ResultTable:
    """One table of a section.

    Args:
        name: Short name of letters, digits and `_`, one of its kind: its place on the page, its csv and its tex file.
        title: Its heading.
        note: A sentence below the heading.
        columns: Heads of the columns.
        rows: Values, None where nothing was measured; a first value that is a group's label gets its colour.
        is_printed: Whether it also becomes a tex table.
        n_keys: How many of the first columns name the row; None: the texts that it begins with.
        is_heat_map: Whether the page colours numbers by their distance from one half, as AUROCs are.
        links: Names of panels by the first value of the rows that open them.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    is_printed: bool = True
    n_keys: int | None = None
    is_heat_map: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    def split_errors(self) -> Table:
        """Return the table with `<name>_error` or `<name>_sd` behind each column of such values."""
        columns: list[str] = []
        cells: list[list[Cell]] = []
        for place, name in enumerate(self.columns):
            values = [row[place] for row in self.rows]
            is_spread = any(isinstance(value, Spread) for value in values)
            has_error = is_spread or any(isinstance(value, Measured) for value in values)
            columns += [name, f"{name}_sd" if is_spread else f"{name}_error"][: 1 + has_error]
            pairs = [_split_value(value) for value in values]
            cells += [[value for value, _ in pairs], [error for _, error in pairs]][: 1 + has_error]
        return Table(tuple(columns), tuple(zip(*cells, strict=True)))


@dataclass(frozen=True)
class ResultFigure:
    """One figure of a section, drawn when the report is written.

    Args:
        name: Short name of letters, digits and `_`, one of its kind among all figures.
        title: Its caption.
        table: The numbers that it is drawn from, or why there are none.
        draw: Makes the figure from these numbers and the styles of the groups by their labels.
    """

    name: str
    title: str
    table: Table | MissingFigure
    draw: Callable[[Table, Mapping[str, GroupStyle]], Figure]


@dataclass(frozen=True)
class Panel:
    """Tables and figures about one row of a table, closed until a reader opens them."""

    name: str
    title: str
    tables: tuple[ResultTable, ...] = ()
    figures: tuple[ResultFigure, ...] = ()


@dataclass(frozen=True)
class Section:
    """One section of a report.

    Args:
        name: Short name of letters, digits and `_`: its place on the page and its key in summary.json.
        title: Its heading.
        caption: One sentence below it.
        checks: What it found that may forbid or limit a conclusion.
        scores: Numbers for the scoreboard: by column, and by label of the group.
        tests: Tests of pairs of groups in these numbers.
        tables: In the order of the page.
        figures: Likewise.
        panels: Likewise.
        summary: Its numbers as plain JSON values; nan and infinity become null.
        files: Further text files of its folder by name.
        writers: Functions that write a large file of its folder to a path, by name.
    """

    name: str
    title: str
    caption: str = ""
    checks: tuple[Check, ...] = ()
    scores: Mapping[str, Mapping[str, Measured | Spread]] = field(default_factory=dict)
    tests: tuple[PairTest, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    figures: tuple[ResultFigure, ...] = ()
    panels: tuple[Panel, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    writers: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)

    @property
    def all_tables(self) -> tuple[ResultTable, ...]:
        """Return the tables of the section and of its panels."""
        return (*self.tables, *(table for panel in self.panels for table in panel.tables))

    @property
    def all_figures(self) -> tuple[ResultFigure, ...]:
        """Return the figures of the section and of its panels."""
        return (*self.figures, *(figure for panel in self.panels for figure in panel.figures))


@dataclass(frozen=True)
class Reference:
    """The error of a compression without a model.

    Args:
        name: Its name, such as `kmeans`.
        bits: log2 of the number of codes of a token, its type not counted.
        rec_mse: Mean squared error of the standardised features on the test split; nan where it was not measured.
        remark: Why it was not measured, or what limits it; blank otherwise.
        entropy_bits: What an ideal code for the frequencies of the codes needs.
        type_bits: The entropy of the object type, which is kept beside the code.
        jet_mass: 68% half-width of the relative residual of the mass of jets.
        m_jj: Wasserstein-1 distance of the mass of the two hardest jets [GeV].
        two_sample: AUROC of trees that tell reconstructed from real events by their objects.
    """

    name: str
    bits: float
    rec_mse: float = math.nan
    remark: str = ""
    entropy_bits: float = math.nan
    type_bits: float = math.nan
    jet_mass: float = math.nan
    m_jj: float = math.nan
    two_sample: float = math.nan


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """Everything that a report says of its models' events.

    Args:
        sections: In the order of the page.
        models: For each run by name what the manifest adds: `train_classes`, `checkpoint_hash`, or `not_possible`.
        data: What was scored: fingerprint, split, number of events.
        references: Compressions without a model, beside which the errors of models stand.
    """

    sections: Sequence[Section]
    models: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]
    references: tuple[Reference, ...] = ()


def _split_value(value: Value) -> tuple[Cell, Cell]:
    if isinstance(value, Measured):
        return value.value, value.error
    return (value.mean, value.sd) if isinstance(value, Spread) else (value, None)
