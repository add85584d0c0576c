"""The numbers of a report as strict JSON: summary.json, and reading it back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from thesis_ml.errors import ReportError
from thesis_ml.facts.builders import to_json
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.config import SUMMARY_SCHEMA_VERSION
from thesis_ml.reports.contents import Check, InferenceResult
from thesis_ml.reports.report import Report
from thesis_ml.runs.differences import diff_runs

OLD_SECTION = {"scores": "separation"}
"""Sections of schema 1 that have another name since."""


def build_summary(report: Report) -> dict[str, Any]:
    """Return the numbers of the runs of a report."""
    comparison, verdict = report.comparison, report.comparison.verdict
    return {
        "summary_schema_version": SUMMARY_SCHEMA_VERSION,
        "report_name": comparison.report_name,
        "n_found": comparison.n_found,
        "n_used": len(comparison.runs),
        "swept": list(comparison.swept),
        "threshold": comparison.threshold,
        "headline": list(report.headline),
        "checks": [to_json(check) for check in report.checks],
        "verdict": {
            "column": verdict.column,
            "ranking": list(verdict.ranking),
            "unranked": dict(verdict.unranked),
            "tests": [to_json(test) for test in verdict.tests],
        },
        "groups": [
            {
                "label": group.label,
                "values": dict(group.values),
                "runs": [run.name for run in group.runs],
                "numbers": to_json(group.numbers),
            }
            for group in comparison.groups
        ],
        "runs": [dict(comparison.rows[run.name]) for run in comparison.runs],
        "left_out": [{"name": one.name, "state": one.state, "reason": one.reason} for one in comparison.excluded],
        "differences": _list_differences(comparison),
    }


def build_inference_summary(inference: InferenceResult) -> dict[str, Any]:
    """Return the numbers of inference."""
    summary = {
        "summary_schema_version": SUMMARY_SCHEMA_VERSION,
        "data": inference.data,
        "models": inference.models,
        **{section.name: {"checks": _list_checks(section.checks), **section.summary} for section in inference.sections},
    }
    result: dict[str, Any] = to_json(summary)
    return result


def format_json(summary: dict[str, Any]) -> str:
    """Return a summary as the text of its file."""
    return f"{json.dumps(summary, indent=1, allow_nan=False)}\n"


def read_summary(path: Path) -> dict[str, Any]:
    """Return a summary.json of any version in the form of the present one.

    Raises:
        ReportError: The file is no summary, or is of a later version.
    """
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        version = summary["summary_schema_version"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ReportError(f"{path}: is no summary ({error}); give the summary.json of a report") from error
    if version not in (1, SUMMARY_SCHEMA_VERSION):
        raise ReportError(
            f"{path}: has the schema version {version!r:.20}; this program knows 1 and {SUMMARY_SCHEMA_VERSION}"
        )
    return upgrade_summary(summary) if version == 1 else summary


def upgrade_summary(old: dict[str, Any]) -> dict[str, Any]:
    """Return a summary of version 1 in the form of version 2: banners and flags become failed checks."""
    new = {OLD_SECTION.get(key, key): value for key, value in old.items()}
    new["summary_schema_version"] = SUMMARY_SCHEMA_VERSION
    if isinstance(verdict := old.get("verdict"), dict):
        texts = [("comparability", text) for text in verdict.get("banners", [])]
        new["headline"] = list(verdict.get("sentences", []))
        new["checks"] = [{"name": name, "state": "failed", "text": text, "section": "training"} for name, text in texts]
    for name, section in new.items():
        if isinstance(section, dict) and "flags" in section:
            flags = section["flags"]
            checks = [{"name": name, "state": "failed", "text": text, "section": name} for text in flags]
            new[name] = {**section, "checks": checks}
    return new


def _list_checks(checks: Sequence[Check]) -> list[Any]:
    return [to_json(check) for check in checks]


def _list_differences(comparison: Comparison) -> dict[str, list[list[Any]]]:
    if len(comparison.runs) != 2:
        return {}
    topics = diff_runs(*comparison.runs, comparison.rows)
    return {topic: [list(row) for row in rows] for topic, rows in topics.items()}
