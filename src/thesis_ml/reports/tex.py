"""Tables and numbers of a report for a thesis: booktabs tables, and commands that print one number each."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from thesis_ml.metrics.uncertain import Measured, RoundedNumber, Spread
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import ResultTable, Section, Value
from thesis_ml.reports.scoreboard import Scoreboard
from thesis_ml.reports.utils.escape import escape_tex
from thesis_ml.reports.utils.table import format_value
from thesis_ml.utils.paths import INFERENCE_FOLDER, NUMBERS_FILE, make_name_safe

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
LONGEST_NAME = 100
MOST_PAIRS = 100
MOST_ROWS = 60
MACRO = re.compile(r"\\newcommand\{\\([A-Za-z]+)\}")

NumberStyle = Literal["plain", "siunitx"]


@dataclass(frozen=True)
class TexWriter:
    """How numbers are written in tex.

    Args:
        style: `plain` needs no package, `siunitx` writes `\\num{0.9700(63)}`.
    """

    style: NumberStyle = "plain"

    def format(self, value: Value) -> str:
        """Return a value in tex, rounded as on the page; blank where nothing was measured."""
        if isinstance(value, Spread):
            value = value.measured
        if isinstance(value, Measured):
            return self.set_number(value.round()) if math.isfinite(value.value) else ""
        if isinstance(value, float):
            return self._set_text(format_value(value))
        return "" if value is None else escape_tex(str(value))

    def set_number(self, rounded: RoundedNumber) -> str:
        """Return a rounded number with its error in tex."""
        value, error, exponent = rounded
        if self.style == "siunitx":
            return rf"\num{{{rounded.concise}}}"
        digits = rf"{value} \pm {error}" if error else value
        power = rf"\times 10^{{{exponent}}}" if exponent else ""
        return rf"\ensuremath{{{f'({digits})' if error and exponent else digits}{power}}}"

    def _set_text(self, text: str) -> str:
        mantissa, _, exponent = text.partition("e")
        return self.set_number(RoundedNumber(mantissa, "", int(exponent or 0))) if text else ""

    def build_tables(
        self, scoreboard: Scoreboard, sections: Iterable[Section], inference: Iterable[Section]
    ) -> dict[str, str]:
        """Return the tables of a report by file name; one that fills pages is left to its csv."""
        tables = {"groups.tex": self.build_table(scoreboard.to_table())}
        tables |= {f"{table.name}.tex": self.build_table(table) for table in list_printed(sections)}
        return tables | {
            f"{INFERENCE_FOLDER}_{table.name}.tex": self.build_table(table) for table in list_printed(inference)
        }

    def build_table(self, table: ResultTable) -> str:
        """Return a booktabs table; the preamble needs the package booktabs."""
        is_text = [all(isinstance(row[place], str | None) for row in table.rows) for place in range(len(table.columns))]
        columns = "".join("l" if one else "r" for one in is_text)
        body = [" & ".join(map(self.format, row)) + r" \\" for row in table.rows]
        head = " & ".join(map(escape_tex, table.columns)) + r" \\"
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
        return "\n".join([*lines, r"\end{tabular}", ""])

    def build_numbers(
        self, comparison: Comparison, scoreboard: Scoreboard, inference: Iterable[Section], previous: Path | None = None
    ) -> str:
        r"""Return one \newcommand per number: `\RecMseMeanVq`, with letters only, each name once.

        Numbers of sections are named after their table, the keys of their row, and their column.

        Args:
            comparison: The runs.
            scoreboard: The scores of their groups.
            inference: The sections of inference.
            previous: The numbers of an earlier report; a comment lists its commands that are gone.
        """
        values: list[tuple[str, str]] = [
            ("NRunsFound", str(comparison.n_found)),
            ("NRunsUsed", str(len(comparison.runs))),
            ("NRunsLeftOut", str(len(comparison.excluded))),
        ]
        for label, scores in scoreboard.rows.items():
            for name, score in scores.items():
                values += [] if score is None else self._list_parts(name, label, score.value)
        for test in comparison.verdict.tests[:MOST_PAIRS]:
            values.append((f"PValue {test.first} And {test.second}", self.format(test.p_seeds)))
        for table in list_printed(inference):
            values += self._list_cells(table)
        commands = name_commands(values)
        gone = [name for name in read_commands(previous) if name not in commands] if previous is not None else []
        lines = ["% Numbers of the report, one command each."]
        lines += [rf"% gone since {previous.parent.name}: \{name}" for name in gone] if previous is not None else []
        lines += [rf"\newcommand{{\{name}}}{{{value}}}" for name, value in commands.items()]
        return "\n".join([*lines, ""])

    def _list_parts(self, name: str, label: str, value: Value) -> list[tuple[str, str]]:
        if isinstance(value, Spread):
            mean, sd, exponent = value.measured.round()
            parts = {"Mean": RoundedNumber(mean, "", exponent), "Sd": RoundedNumber(sd, "", exponent)}
            numbers = [
                (f"{name} {part} {label}", self.set_number(one) if one.value else "") for part, one in parts.items()
            ]
            return [*numbers, (f"{name} N {label}", str(value.n))]
        if isinstance(value, Measured):
            number, error, exponent = value.round()
            parts = {"": RoundedNumber(number, "", exponent), "Error": RoundedNumber(error, "", exponent)}
            return [(f"{name} {part} {label}", self.set_number(one)) for part, one in parts.items() if one.value]
        return [(f"{name} {label}", self.format(value))]

    def _list_cells(self, table: ResultTable) -> list[tuple[str, str]]:
        """Return every number that is no key of its row by a name of letters, which ends with its column."""
        values: list[tuple[str, str]] = []
        for row in table.rows:
            n_texts = len(list(itertools.takewhile(lambda value: isinstance(value, str), row)))
            n_keys = n_texts if table.n_keys is None else table.n_keys
            row_name = spell_name(" ".join((table.name, *(format_value(value) for value in row[:n_keys]))))
            for column, value in zip(table.columns[n_keys:], row[n_keys:], strict=True):
                if isinstance(value, int | float | Measured | Spread) and not isinstance(value, bool):
                    for end, text in self._list_parts(column, "", value):
                        end = spell_name(end)
                        values.append((row_name[: LONGEST_NAME - len(end)] + end, text))
        return values


def list_printed(sections: Iterable[Section]) -> list[ResultTable]:
    """Return the tables of sections that become tex tables and numbers."""
    tables = [table for section in sections for table in section.all_tables]
    return [table for table in tables if table.is_printed and 0 < len(table.rows) <= MOST_ROWS]


def read_commands(path: Path) -> list[str]:
    """Return the names of the commands that a file of numbers defines."""
    return MACRO.findall(path.read_text(encoding="utf-8", errors="replace"))


def find_previous_numbers(reports: Path, report_name: str) -> Path | None:
    """Return the numbers of the newest report of this name in a folder of reports, None where there is none."""
    name = re.compile(rf"report_\d{{8}}-\d{{6}}_{re.escape(make_name_safe(report_name))}(-\d+)?")
    found = sorted(path for path in reports.glob(f"report_*/{NUMBERS_FILE}") if name.fullmatch(path.parent.name))
    return found[-1] if found else None


def name_commands(values: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """Return the values by names of letters only; a name that is taken gets a letter more."""
    commands: dict[str, str] = {}
    for text, value in values:
        base = spell_name(text)
        name, number = base, 0
        while name in commands:
            number += 1
            name = base + _count_in_letters(number)
        commands[name] = value
    return commands


def spell_name(text: str) -> str:
    """Return a text as one word of letters: `vq, codebook_size 512` becomes `VqCodebookSizeFiveOneTwo`."""
    spelled = re.sub(r"[0-9]", lambda match: f" {DIGITS[int(match[0])]} ", text)
    parts = re.findall(r"[A-Za-z]+", spelled.replace("-", " Minus ").replace(".", " Point "))
    return "".join(part[0].upper() + part[1:] for part in parts)[:LONGEST_NAME] or "Value"


def _count_in_letters(number: int) -> str:
    """Return B, C, ..., Z, AA, AB, ... for 1, 2, ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
