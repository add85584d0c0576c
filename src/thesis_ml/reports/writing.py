"""Write the folder of a report, whole or not at all, and tell its runs of it."""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from thesis_ml.errors import ConfigError
from thesis_ml.facts.builders import read_git_state, read_versions, to_json
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.io_utils import save_figure
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.config import ReportConfig
from thesis_ml.reports.inference.result import InferenceResult
from thesis_ml.reports.plots import DrawnFigure
from thesis_ml.reports.plots.sections import DrawnSection
from thesis_ml.reports.plots.table import format_csv
from thesis_ml.reports.presentation import present
from thesis_ml.reports.utils.discovery import expand_paths
from thesis_ml.reports.utils.escape import strip_controls
from thesis_ml.reports.utils.tex import build_numbers, build_section_tables, build_tables
from thesis_ml.utils.paths import (
    FIGURES_FOLDER,
    INFERENCE_FOLDER,
    MANIFEST_FILE,
    NUMBERS_FILE,
    PAGE_FILE,
    REPORT_POINTER,
    REPORTS_FOLDER,
    RUNS_FOLDER,
    SUMMARY_FILE,
    SUMMARY_TABLE,
    SWEEPS_FOLDER,
    TABLES_FOLDER,
    TRAINING_FOLDER,
    claim_folder,
    make_name_safe,
)
from thesis_ml.utils.progress import show_progress

log = logging.getLogger(__name__)

MAX_POINTER_BYTES = 2**20
EPOCHS_KEYS = ("phase1.trainer.epochs", "general.trainer.epochs")


def write_report(comparison: Comparison, config: ReportConfig, inference: InferenceResult | None = None) -> Path:
    """Write a report and return its folder; one that fails or is interrupted leaves nothing.

    Args:
        comparison: What the report compares.
        config: Its configuration.
        inference: What the models made of events, where this was asked for.

    Raises:
        ConfigError: The folder cannot be written.
    """
    folder = claim_folder(find_root(config) / REPORTS_FOLDER, "report", config.report_name)
    with _fill_claimed(folder) as partial:
        manifest = build_manifest(comparison, folder, inference)
        about = {"report": folder.name, "made": manifest["created"]}
        if (commit := manifest["code"]["git_commit"]) is not None:
            about["code"] = commit
        sections = () if inference is None else inference.sections
        presentation = present(comparison, config.outputs.which_figures, about, sections)
        _write_training(partial / TRAINING_FOLDER, comparison, config, presentation.figures)
        tables = partial / TABLES_FOLDER
        tables.mkdir()
        for name, text in {**build_tables(comparison), **build_section_tables(sections)}.items():
            _write_text(tables / name, text)
        if inference is not None:
            _write_inference(partial / INFERENCE_FOLDER, inference, config, presentation.sections)
        _write_text(partial / NUMBERS_FILE, build_numbers(comparison, sections))
        _write_text(partial / PAGE_FILE, presentation.page)
        _write_text(partial / MANIFEST_FILE, yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    point_runs_to(folder, comparison.runs)
    return folder


def find_root(config: ReportConfig) -> Path:
    """Return the folder that gets reports/: the user's, or that which holds the runs, or ./outputs."""
    if config.output_root is not None:
        return config.output_root
    key, texts = "inputs.sweep_dir", config.inputs.sweep_dir
    if not texts:
        key, texts = "inputs.run_dirs", config.inputs.run_dirs
    first = expand_paths(texts[:1], key)[0].resolve()
    holders = [path.parent for path in (first, *first.parents) if path.name in (RUNS_FOLDER, SWEEPS_FOLDER)]
    return holders[0] if holders else Path("outputs")


def build_manifest(comparison: Comparison, folder: Path, inference: InferenceResult | None = None) -> dict[str, Any]:
    """Return what a report was made from: its code, every folder that was found, and the events it scored."""
    commit, is_dirty = read_git_state()
    models = {} if inference is None else inference.models
    runs = [{**describe_run(run), **_name_model(models.get(run.name))} for run in comparison.runs]
    others = [
        {"name": entry.name, "path": str(entry.path), "used": False, "state": entry.state, "reason": entry.reason}
        for entry in comparison.left_out
    ]
    manifest = {
        "report_id": folder.name,
        "report_name": comparison.report_name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": {"version": read_versions()["thesis_ml"], "git_commit": commit, "git_dirty": is_dirty},
        "inputs": list(comparison.inputs),
        "n_found": len(runs) + len(others),
        "n_used": len(runs),
        "n_left_out": len(others),
        **({} if inference is None else {"inference": dict(inference.data)}),
        "runs": runs + others,
    }
    cleaned: dict[str, Any] = _clean(manifest)
    return cleaned


def describe_run(run: RunFacts) -> dict[str, Any]:
    """Return the entry of a run that is used in the manifest."""
    planned = next((run.config[key] for key in EPOCHS_KEYS if isinstance(run.config.get(key), int)), None)
    return {
        "name": run.name,
        "path": str(run.path),
        "used": True,
        "state": run.state.name,
        "reason": run.state.reason,
        "run_id": run.state.run_id,
        "schema_version": run.schema_version,
        "config_hash": _as_text(run.meta.get("config_hash")),
        "checkpoint_hash": run.checkpoint_hash,
        "fingerprint": run.key.dataset_fingerprint,
        "train_classes": None if run.key.train_classes is None else list(run.key.train_classes),
        "git_commit": _as_text(run.meta.get("git_commit")),
        "completeness": {"epochs_recorded": run.history.n_epochs, "epochs_planned": planned},
        "remarks": list(run.remarks),
        "warnings": list(run.warnings),
    }


def build_summary(comparison: Comparison, config: ReportConfig) -> dict[str, Any]:
    """Return the numbers of a report as strict JSON values."""
    verdict = comparison.verdict
    return {
        "summary_schema_version": config.summary_schema_version,
        "report_name": comparison.report_name,
        "n_found": len(comparison.runs) + len(comparison.left_out),
        "n_used": len(comparison.runs),
        "swept": list(comparison.swept),
        "threshold": comparison.threshold,
        "verdict": {
            "column": verdict.column,
            "banners": list(verdict.banners),
            "sentences": list(verdict.sentences),
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
        "left_out": [
            {"name": entry.name, "state": entry.state, "reason": entry.reason} for entry in comparison.left_out
        ],
        "differences": {name: [list(row) for row in rows] for name, rows in comparison.differences.items()},
    }


def point_runs_to(folder: Path, runs: Sequence[RunFacts]) -> None:
    """Append the report to `report_pointer.txt` of each run, once; a run that cannot be written is warned about."""
    failed = []
    for run in runs:
        try:
            _append_pointer(run.path / REPORT_POINTER, folder)
        except (OSError, ValueError) as error:
            failed.append(f"{run.name} ({error})")
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        log.warning("no %s written in %s%s; the report is complete without", REPORT_POINTER, failed[0], more)


@contextlib.contextmanager
def _fill_claimed(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of the claimed, empty one when the context ends well."""
    partial = folder.with_name(f".{folder.name}.partial")
    is_whole = False
    try:
        partial.mkdir()
        yield partial
        # Windows renames onto nothing that exists.
        folder.rmdir()
        partial.rename(folder)
        is_whole = True
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{folder}: cannot be written ({reason}); free space or set env.output_root") from error
    finally:
        if not is_whole:
            shutil.rmtree(partial, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.rmdir()


def _write_training(folder: Path, comparison: Comparison, config: ReportConfig, figures: Sequence[DrawnFigure]) -> None:
    folder.mkdir()
    rows = [[comparison.rows[run.name].get(column) for column in comparison.columns] for run in comparison.runs]
    _write_text(folder / SUMMARY_TABLE, format_csv(comparison.columns, rows))
    summary = json.dumps(build_summary(comparison, config), indent=1, allow_nan=False)
    _write_text(folder / SUMMARY_FILE, f"{summary}\n")
    _save_figures(folder / FIGURES_FOLDER, figures, config)


def _name_model(model: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if model is None else {"model": dict(model)}


def _write_inference(
    folder: Path, inference: InferenceResult, config: ReportConfig, sections: Sequence[DrawnSection]
) -> None:
    folder.mkdir()
    summary = {
        "summary_schema_version": config.summary_schema_version,
        "data": inference.data,
        "models": inference.models,
        **{
            section.name: {
                "sentences": section.sentences,
                "details": section.details,
                "flags": section.flags,
                **section.summary,
            }
            for section in inference.sections
        },
    }
    _write_text(folder / SUMMARY_FILE, f"{json.dumps(to_json(summary), indent=1, allow_nan=False)}\n")
    _save_figures(folder / FIGURES_FOLDER, [figure for section in sections for figure in section.figures], config)
    for section in inference.sections:
        for table in section.tables:
            _write_text(folder / f"{table.name}.csv", format_csv(table.columns, table.rows))
        for name, text in section.files.items():
            _write_text(folder / make_name_safe(name), text)
    for name, write in inference.files.items():
        write(folder / name)


def _save_figures(folder: Path, figures: Sequence[DrawnFigure], config: ReportConfig) -> None:
    saved = LoggingConfig(fig_format=config.outputs.fig_format, dpi=config.outputs.dpi)
    folder.mkdir()
    for drawn in show_progress(figures, "figure"):
        save_figure(drawn.figure, folder, drawn.name, saved)
        _write_text(folder / f"{drawn.name}.csv", format_csv(drawn.columns, drawn.rows))


def _append_pointer(path: Path, report: Path) -> None:
    if path.is_symlink():
        raise ValueError("it is a link")
    if path.exists() and (not path.is_file() or path.stat().st_size > MAX_POINTER_BYTES):
        raise ValueError("something else has its name")
    known = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    line = f"{report.name}\t{_find_way(path.parent, report)}"
    if line in known.splitlines():
        return
    start = "" if not known or known.endswith("\n") else "\n"
    with path.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(f"{start}{line}\n")


def _find_way(run: Path, report: Path) -> str:
    """Return the report as seen from the run, so that both may be moved together."""
    try:
        return Path(os.path.relpath(report.resolve(), run.resolve())).as_posix()
    except ValueError:
        # Two drives of Windows have no way between them.
        return report.resolve().as_posix()


def _write_text(path: Path, text: str) -> None:
    # Half a character of two, as JSON may hold, has no place in UTF-8.
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def _as_text(value: Any) -> str | None:
    return value[:100] if isinstance(value, str) else None


def _clean(value: Any) -> Any:
    """Return plain values with every text on one line and fit for UTF-8."""
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    return strip_controls(value).encode(errors="replace").decode() if isinstance(value, str) else value
