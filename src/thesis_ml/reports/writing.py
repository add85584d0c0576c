"""Write the folder of a report, whole or not at all, and tell its runs of it."""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from matplotlib.figure import Figure

from thesis_ml.errors import ConfigError
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.monitoring.config import LoggingConfig
from thesis_ml.monitoring.io_utils import save_figure
from thesis_ml.reports.config import OutputsConfig, ReportConfig
from thesis_ml.reports.contents import ResultFigure, Section
from thesis_ml.reports.manifest import build_manifest
from thesis_ml.reports.page import build_page
from thesis_ml.reports.plots import draw_figures
from thesis_ml.reports.report import Report
from thesis_ml.reports.summary import build_inference_summary, build_summary, format_json
from thesis_ml.reports.tex import TexWriter, find_previous_numbers
from thesis_ml.reports.training import tabulate_references
from thesis_ml.reports.utils.discovery import expand_paths
from thesis_ml.reports.utils.table import Table, format_csv
from thesis_ml.utils import paths
from thesis_ml.utils.paths import claim_folder, make_name_safe
from thesis_ml.utils.progress import show_progress
from thesis_ml.utils.retries import Patience, retry_write, use_patience

log = logging.getLogger(__name__)

MAX_POINTER_BYTES = 2**20


def write_report(report: Report, config: ReportConfig) -> Path:
    """Draw and write a report and return its folder; one that fails or is interrupted leaves nothing.

    Raises:
        ConfigError: The folder cannot be written.
    """
    comparison = report.comparison
    reports = find_root(config) / paths.REPORTS_FOLDER
    previous = find_previous_numbers(reports, config.report_name)
    folder = claim_folder(reports, "report", config.report_name)
    with use_patience(Patience()), _fill_claimed(folder) as partial:
        manifest = build_manifest(comparison, folder, report.inference)
        figures = draw_figures(show_progress(report.figures, "figure"), comparison.groups)
        tex = TexWriter(config.outputs.tex_numbers)
        _write_training(partial / paths.TRAINING_FOLDER, report, config, figures)
        _write_tables(partial / paths.TABLES_FOLDER, report, tex)
        if report.inference is not None:
            _write_inference(partial / paths.INFERENCE_FOLDER, report, config, figures)
        numbers = tex.build_numbers(comparison, report.scoreboard, report.inference_sections, previous)
        _write_text(partial / paths.NUMBERS_FILE, numbers)
        page = build_page(report, figures, manifest, config.outputs.fig_format)
        _write_text(partial / paths.PAGE_FILE, page)
        _write_text(partial / paths.MANIFEST_FILE, yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True))
    point_runs_to(folder, comparison.runs)
    return folder


def check_place(config: ReportConfig) -> None:
    """Refuse a place that no report can be written to, before models are run.

    Raises:
        ConfigError: It cannot be written.
    """
    paths.check_place(find_root(config) / paths.REPORTS_FOLDER)


def find_root(config: ReportConfig) -> Path:
    """Return the folder that gets reports/: the user's, or that which holds the runs, or ./outputs."""
    if config.output_root is not None:
        return config.output_root
    key, texts = "inputs.sweep_dir", config.inputs.sweep_dir
    if not texts:
        key, texts = "inputs.run_dirs", config.inputs.run_dirs
    first = expand_paths(texts[:1], key)[0].resolve()
    holders = [path.parent for path in (first, *first.parents) if path.name in (paths.RUNS_FOLDER, paths.SWEEPS_FOLDER)]
    return holders[0] if holders else Path("outputs")


def point_runs_to(folder: Path, runs: Sequence[RunFacts]) -> None:
    """Append the report to `report_pointer.txt` of each run, once; a run that cannot be written is warned about."""
    failed = []
    for run in runs:
        try:
            _append_pointer(run.path / paths.REPORT_POINTER, folder)
        except (OSError, ValueError) as error:
            failed.append(f"{run.name} ({error})")
    if failed:
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        log.warning("no %s written in %s%s; the report is complete without", paths.REPORT_POINTER, failed[0], more)


@contextlib.contextmanager
def _fill_claimed(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of the claimed, empty one when the context ends well."""
    partial = folder.with_name(f".{folder.name}.partial")
    is_whole = False
    try:
        retry_write(partial.mkdir, partial)
        yield partial
        # Windows renames onto nothing that exists.
        folder.rmdir()
        retry_write(lambda: partial.rename(folder), folder)
        is_whole = True
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"{folder}: cannot be written ({reason}); free space or set env.output_root") from error
    finally:
        if not is_whole:
            shutil.rmtree(partial, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.rmdir()


def _write_training(folder: Path, report: Report, config: ReportConfig, figures: Mapping[str, Figure]) -> None:
    comparison = report.comparison
    folder.mkdir()
    rows = [[comparison.rows[run.name].get(column) for column in comparison.columns] for run in comparison.runs]
    _write_text(folder / paths.SUMMARY_TABLE, format_csv(comparison.columns, rows))
    _write_text(folder / paths.SUMMARY_FILE, format_json(build_summary(report)))
    _save_figures(folder / paths.FIGURES_FOLDER, report.sections, figures, config.outputs)
    if report.inference is not None and report.inference.references:
        table = tabulate_references(report.inference.references)
        _write_text(folder / f"{table.name}.csv", format_csv(table.columns, table.split_errors().rows))


def _write_tables(folder: Path, report: Report, tex: TexWriter) -> None:
    folder.mkdir()
    for name, text in tex.build_tables(report.scoreboard, report.sections, report.inference_sections).items():
        _write_text(folder / name, text)
    board = report.scoreboard.to_table().split_errors()
    _write_text(folder / paths.GROUPS_TABLE, format_csv(board.columns, board.rows))


def _write_inference(folder: Path, report: Report, config: ReportConfig, figures: Mapping[str, Figure]) -> None:
    assert report.inference is not None
    folder.mkdir()
    _write_text(folder / paths.SUMMARY_FILE, format_json(build_inference_summary(report.inference)))
    _save_figures(folder / paths.FIGURES_FOLDER, report.inference_sections, figures, config.outputs)
    for section in report.inference_sections:
        for table in section.all_tables:
            numbers = table.split_errors()
            _write_text(folder / f"{table.name}.csv", format_csv(numbers.columns, numbers.rows))
        for name, text in section.files.items():
            _write_text(folder / make_name_safe(name), text)
        for name, write in section.writers.items():
            write(folder / name)


def _save_figures(
    folder: Path, sections: Sequence[Section], figures: Mapping[str, Figure], config: OutputsConfig
) -> None:
    saved = LoggingConfig(fig_format=config.fig_format, dpi=config.dpi)
    folder.mkdir()
    planned: list[ResultFigure] = [figure for section in sections for figure in section.all_figures]
    for figure in show_progress(planned, "figure"):
        if isinstance(figure.table, Table):
            save_figure(figures[figure.name], folder, figure.name, saved)
            _write_text(folder / f"{figure.name}.csv", format_csv(figure.table.columns, figure.table.rows))


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
    data = text.encode("utf-8", errors="replace")
    retry_write(lambda: path.write_bytes(data), path)
