"""A report on the terminal: the scoreboard, the headline, the checks and the path, on a screen of 80 columns."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from thesis_ml.reports.config import ReportConfig
from thesis_ml.reports.report import Report
from thesis_ml.reports.scoreboard import Score, Scoreboard
from thesis_ml.reports.utils.table import format_value
from thesis_ml.reports.utils.words import shorten
from thesis_ml.utils.texts import count, make_printable

WIDTH = 80
MOST_GROUPS = 10
MOST_FAILED = 3
MOST_LINES = 2
"""Lines of one sentence; the page has it in full."""

GAP = "  "
LEAST_LABEL = 12
"""Letters of a group's label that always have room."""


def print_report(report: Report, folder: Path, config: ReportConfig) -> None:
    """Print the first screen of a report, its details where they are asked for, and its folder."""
    print(describe_report(report, config.scoreboard.terminal))
    if config.verbose:
        print(describe_details(report))
    print(f"report: {folder}")


def describe_report(report: Report, columns: Sequence[str]) -> str:
    """Return the first screen of a report as text, at most 25 lines of 80 characters for ten groups.

    Args:
        report: The report.
        columns: Names of the columns of the scoreboard that are shown, where they were measured.
    """
    comparison, checks = report.comparison, report.checks
    failed = [check for check in checks if check.state == "failed"]
    passed = [check.name for check in checks if check.state == "passed"]
    lines = [f"{comparison.report_name}: {comparison.counts}"]
    others = Counter(entry.reason for entry in comparison.excluded if entry.has_other_events)
    lines += [line for reason, number in others.items() for line in _wrap(f"{count(number, 'run')} left out: {reason}")]
    lines += format_scoreboard(report.scoreboard, columns)
    lines += [line for sentence in report.headline for line in _wrap(sentence)]
    most = MOST_LINES if len(failed) < MOST_FAILED else 1
    lines += [line for check in failed[:MOST_FAILED] for line in _wrap(f"✗ {check.name}: {check.text}", most)]
    if len(failed) > MOST_FAILED:
        lines.append(f"✗ {len(failed) - MOST_FAILED} more failed checks are on the page")
    if passed:
        lines += _wrap(f"✓ {', '.join(dict.fromkeys(passed))}", most=1)
    return "\n".join(map(make_printable, lines))


def format_scoreboard(scoreboard: Scoreboard, columns: Sequence[str]) -> list[str]:
    """Return the lines of a scoreboard; `*` marks the best group, letters those that are compatible with it."""
    rows = list(scoreboard.rows.items())[:MOST_GROUPS]
    parts = []
    for name in columns:
        if name in scoreboard.columns:
            parts.append([scoreboard.columns[name].title, *(_format_score(scores[name]) for _, scores in rows)])
    widths = [max(map(len, part)) for part in parts]
    # Columns without room are on the page only.
    while len(parts) > 1 and LEAST_LABEL + sum(widths) + len(GAP) * len(widths) > WIDTH:
        parts.pop()
        widths.pop()
    room = WIDTH - sum(widths) - len(GAP) * len(widths)
    labels = ["group", *(shorten(label, room) for label, _ in rows)]
    width = max(map(len, labels))
    lines = [
        GAP.join([label.ljust(width), *(part[place].rjust(width) for part, width in zip(parts, widths, strict=True))])
        for place, label in enumerate(labels)
    ]
    n_more = len(scoreboard.rows) - len(rows)
    return [*lines, *([f"and {n_more} more groups on the page"] if n_more else [])]


def describe_details(report: Report) -> str:
    """Return all checks and all tables as text, for `verbose=true`."""
    marks = {"passed": "✓", "failed": "✗", "note": "-"}
    lines = [f"{marks[check.state]} {check.name}: {check.text}" for check in report.checks]
    for section in (*report.sections, *report.inference_sections):
        for table in section.tables:
            lines += ["", f"{section.title}: {table.title}"]
            rows = [table.columns, *(tuple(map(format_value, row)) for row in table.rows)]
            widths = [max(len(row[place]) for row in rows) for place in range(len(table.columns))]
            lines += [GAP.join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join(map(make_printable, lines))


def _format_score(score: Score | None) -> str:
    if score is None:
        return ""
    marks = f"{'*' if score.is_best else ''}{score.letters}"
    return f"{format_value(score.value, is_concise=True)} {marks}".rstrip()


def _wrap(text: str, most: int = MOST_LINES) -> list[str]:
    return textwrap.wrap(text, WIDTH, max_lines=most, placeholder=" ...", subsequent_indent="  ")
