"""Tables and numbers of a report for a thesis: booktabs tables, and commands that print one number each."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence

from thesis_ml.reports.comparison import Cell, Comparison, Group, Spread
from thesis_ml.reports.inference.result import ResultTable, Section
from thesis_ml.reports.utils.escape import escape_tex
from thesis_ml.reports.utils.numbers import round_with_error
from thesis_ml.utils.paths import INFERENCE_FOLDER

DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
SHOWN = {
    "rec_mse": "rec. MSE",
    "auroc": "AUROC",
    "width68_pt": r"$\sigma_{68}(p_\mathrm{T})$",
    "type_accuracy": "type acc.",
    "rec_globals": "globals",
    "perplexity": "perplexity",
    "bits_per_token": "bits/token",
    "epoch_time_s": "s/epoch",
}
"""The numbers of a group that a table has room for."""
LONGEST_NAME = 100
MOST_PAIRS = 100
MOST_ROWS = 60


def build_tables(comparison: Comparison) -> dict[str, str]:
    """Return the tables of a report by file name; the preamble needs the package booktabs."""
    shown = [name for name in SHOWN if any(name in group.numbers for group in comparison.groups)]
    rows = [
        [escape_tex(group.label), str(len(group.runs)), *(format_spread(group.numbers.get(name)) for name in shown)]
        for group in comparison.groups
    ]
    tables = {"groups.tex": build_table("lr" + "r" * len(shown), ["group", "runs", *map(SHOWN.get, shown)], rows)}
    tests = comparison.verdict.tests[:MOST_PAIRS]
    pairs = [
        [
            escape_tex(test.first),
            escape_tex(test.second),
            format_tex(test.ratio),
            format_tex(test.p_value),
            format_tex(test.resolvable),
            "yes" if test.is_resolved else "no",
        ]
        for test in tests
    ]
    head = ["smaller", "larger", "ratio", "$p$ (Holm)", "resolvable", "differ"]
    return {**tables, "pairs.tex": build_table("llrrrl", head, pairs)} if pairs else tables


def build_section_tables(sections: Sequence[Section]) -> dict[str, str]:
    """Return the tables of the sections of inference by file name; one that fills pages is left to its csv."""
    return {f"{INFERENCE_FOLDER}_{table.name}.tex": _build_result(table) for table in _list_printed(sections)}


def _list_printed(sections: Sequence[Section]) -> list[ResultTable]:
    tables = [table for section in sections for table in section.tables]
    return [table for table in tables if table.is_printed and 0 < len(table.rows) <= MOST_ROWS]


def _build_result(table: ResultTable) -> str:
    columns = list(zip(*table.rows, strict=True))
    is_number = [any(isinstance(cell, int | float) for cell in column) for column in columns]
    rows = [[_format_cell(cell) for cell in row] for row in table.rows]
    return build_table("".join("r" if one else "l" for one in is_number), list(map(escape_tex, table.columns)), rows)


def _format_cell(cell: Cell) -> str:
    if isinstance(cell, float) or (isinstance(cell, int) and not isinstance(cell, bool)):
        return str(cell) if isinstance(cell, int) else format_tex(cell)
    return "" if cell is None else escape_tex(str(cell))


def build_table(columns: str, head: Sequence[str | None], rows: Sequence[Sequence[str]]) -> str:
    """Return a booktabs table of cells that are tex already."""
    body = [" & ".join(cell or "" for cell in row) + r" \\" for row in (head, *rows)]
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule"]
    return "\n".join([*lines, r"\end{tabular}", ""])


def build_numbers(comparison: Comparison, sections: Sequence[Section] = ()) -> str:
    """Return one \\newcommand per number: `\\RecMseMeanVq`, with letters only, each name once.

    Numbers of sections are named after their table, what says which row it is, and their column.
    """
    values: list[tuple[str, str]] = [
        ("NRunsFound", str(len(comparison.runs) + len(comparison.left_out))),
        ("NRunsUsed", str(len(comparison.runs))),
        ("NRunsLeftOut", str(len(comparison.left_out))),
    ]
    for group in comparison.groups:
        values += _list_values(group)
    for test in comparison.verdict.tests[:MOST_PAIRS]:
        values.append((f"Ratio {test.second} Over {test.first}", format_tex(test.ratio)))
        values.append((f"PValue {test.first} And {test.second}", format_tex(test.p_value)))
    for table in _list_printed(sections):
        values += _list_cells(table)
    lines = ["% Numbers of the report, one command each."]
    lines += [rf"\newcommand{{\{name}}}{{{value}}}" for name, value in name_commands(values).items()]
    return "\n".join([*lines, ""])


def name_commands(values: Sequence[tuple[str, str]]) -> Mapping[str, str]:
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


def format_tex(value: float) -> str:
    r"""Return a number with three digits in tex; blank where there is none."""
    if not math.isfinite(value):
        return ""
    mantissa, _, exponent = f"{value:.3g}".partition("e")
    return _set_number(mantissa, int(exponent or 0))


def format_spread(spread: Spread | None) -> str:
    r"""Return mean and standard deviation in tex."""
    if spread is None or not math.isfinite(spread.mean):
        return ""
    rounded = round_with_error(spread.mean, spread.sd)
    digits = rf"{rounded.value} \pm {rounded.error}" if rounded.error else rounded.value
    return _set_number(f"({digits})" if rounded.error and rounded.exponent else digits, rounded.exponent)


def _set_number(digits: str, exponent: int) -> str:
    return rf"\ensuremath{{{digits}\times 10^{{{exponent}}}}}" if exponent else rf"\ensuremath{{{digits}}}"


def _list_values(group: Group) -> list[tuple[str, str]]:
    values: list[tuple[str, str]] = []
    for name in SHOWN:
        spread = group.numbers.get(name)
        if spread is None or spread.n == 0:
            continue
        parts = {"Mean": format_tex(spread.mean), "Sd": format_tex(spread.sd), "N": str(spread.n)}
        values += [(f"{name} {part} {group.label}", value) for part, value in parts.items()]
    return values


def _list_cells(table: ResultTable) -> list[tuple[str, str]]:
    """Return every number that is no key of its row by a name of letters, which ends with its column."""
    values: list[tuple[str, str]] = []
    for row in table.rows:
        n_texts = len(list(itertools.takewhile(lambda cell: isinstance(cell, str), row)))
        n_keys = n_texts if table.n_keys is None else table.n_keys
        keys = (f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in row[:n_keys])
        row_name = spell_name(" ".join((table.name, *keys)))
        for column, cell in zip(table.columns[n_keys:], row[n_keys:], strict=True):
            if isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell):
                end = spell_name(column)
                values.append((row_name[: LONGEST_NAME - len(end)] + end, _format_cell(cell)))
    return values


def _count_in_letters(number: int) -> str:
    """Return B, C, ..., Z, AA, AB, ... for 1, 2, ..."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
