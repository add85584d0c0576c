"""What inference hands to the page and the folder of a report: sections of sentences, tables and figures, as data.

A module that has something to say makes a `Section`; page, folder and tex tables show every section alike. Nothing here
imports torch, as reports without inference do not need it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.plots.style import GroupStyle
from thesis_ml.reports.plots.table import Nothing, Table

SCORED = "inference"
"""The name of the section that says what was scored."""


@dataclass(frozen=True)
class ResultTable:
    """One table of a section.

    Args:
        name: Short name of letters, digits and `_`, one of its kind: its place on the page, its csv and its tex file.
        title: Its heading.
        note: A sentence below the heading.
        columns: Heads of the columns.
        rows: Plain values, None where nothing was measured; a first cell that is a group's label gets its colour.
        is_printed: Whether it also becomes a tex table.
        n_keys: How many of the first columns say which row it is; None: those that begin it with texts.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_printed: bool = True
    n_keys: int | None = None

    def to_records(self) -> list[dict[str, Cell]]:
        """Return each row by the heads of the columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class ResultFigure:
    """One figure of a section, drawn when the report is written.

    Args:
        name: Short name of letters, digits and `_`, one of its kind among all figures.
        title: Its heading.
        table: The numbers that it is drawn from, or why there are none.
        draw: Makes the figure from these numbers and the styles of the groups by their labels.
    """

    name: str
    title: str
    table: Table | Nothing
    draw: Callable[[Table, Mapping[str, GroupStyle]], Figure]


@dataclass(frozen=True)
class Section:
    """What one part of inference has to say.

    Args:
        name: Short name of letters, digits and `_`: its place on the page and its key in summary.json.
        title: Its heading.
        sentences: The verdict, most important first; plain text, which is escaped where it is shown.
        details: Sentences for who wants to know more: on the page and in summary.json, not on the terminal.
        flags: What failed or forbids a conclusion, shown in red.
        tables: In the order of the page.
        figures: Likewise.
        summary: Its numbers as plain JSON values; nan and infinity become null.
        files: Further text files of `inference/` by name.
    """

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    figures: tuple[ResultFigure, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


RawScores = Mapping[tuple[str, str], Mapping[str, NDArray[np.float64]]]
"""Scores of all events by (scorer, variant) and the name of the score."""


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """Everything that a report says of its models' events.

    Args:
        sections: In the order of the page.
        models: For each run by name what the manifest adds: `train_classes`, `checkpoint_hash`, or `not_possible`.
        data: What was scored: fingerprint, split, number of events.
        files: By file name what writes a large file of `inference/` to a path.
    """

    sections: Sequence[Section]
    models: Mapping[str, Mapping[str, Any]]
    data: Mapping[str, Any]
    files: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
