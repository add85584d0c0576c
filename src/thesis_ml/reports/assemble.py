"""From the inputs of a report to what it compares, and from there to its folder."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from thesis_ml.errors import ReportError
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import REC_MSE, Threshold, list_columns, summarise_run
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.config import InferenceConfig, ReportConfig, ThresholdsConfig
from thesis_ml.reports.inference.result import SCORED, InferenceResult, Section
from thesis_ml.reports.plots import choose_figures
from thesis_ml.reports.utils.collection import collect_runs
from thesis_ml.reports.utils.differences import diff_runs
from thesis_ml.reports.utils.discovery import find_folders
from thesis_ml.reports.utils.grouping import find_swept, group_runs, list_differences
from thesis_ml.reports.utils.verdict import compare_in, judge
from thesis_ml.reports.writing import find_root, write_report
from thesis_ml.utils.paths import REPORTS_FOLDER, check_place
from thesis_ml.utils.progress import show_progress
from thesis_ml.utils.texts import make_printable


def build_comparison(config: ReportConfig) -> Comparison:
    """Find, read and compare the runs of a report.

    Raises:
        ReportError: There is no run that can be used.
    """
    found = find_folders(config.inputs)
    collection = collect_runs(show_progress(found, "run"), config.inputs.select)
    runs = collection.runs
    swept = find_swept(runs)
    threshold = choose_threshold(config.thresholds, runs)
    rows = {run.name: summarise_run(run, swept, threshold) for run in runs}
    groups = group_runs(runs, swept, rows)
    comparison = Comparison(
        report_name=config.report_name,
        inputs=(*config.inputs.sweep_dir, *config.inputs.run_dirs),
        runs=runs,
        left_out=collection.left_out,
        swept=swept,
        groups=groups,
        columns=list_columns(list(rows.values())),
        rows=rows,
        config_differences=list_differences(runs),
        threshold=None if threshold is None else threshold.value,
        verdict=judge(groups, rows),
    )
    return replace(comparison, differences=diff_runs(*runs, rows)) if len(runs) == 2 else comparison


def judge_also(comparison: Comparison, column: str) -> Comparison:
    """Return the comparison with what its groups say of a second number, behind the first."""
    if not any(column in group.numbers for group in comparison.groups):
        raise ReportError(f"{comparison.report_name}: no run has {column}; compare these runs with compare_runs")
    _, sentences = compare_in(column, comparison.groups)
    verdict = comparison.verdict
    new = [sentence for sentence in sentences if sentence not in verdict.sentences]
    return replace(comparison, verdict=replace(verdict, sentences=(*verdict.sentences, *new)))


def run_comparison(
    config: ReportConfig, extend: Callable[[Comparison], Comparison] = lambda comparison: comparison
) -> Path:
    """Compare the runs of a report, write it, print its verdict and return its folder.

    Args:
        config: The configuration of the report.
        extend: Adds what this report says beyond every comparison.

    Raises:
        ReportError: There is no run that can be used.
        ConfigError: A figure is unknown, or the folder cannot be written, which is tried before models are run.
    """
    choose_figures(config.outputs.which_figures)
    comparison = extend(build_comparison(config))
    check_place(find_root(config) / REPORTS_FOLDER)
    with use_threads_of(config.inference):
        inference = infer(comparison, config)
        folder = write_report(comparison, config, inference)
    print(describe_comparison(comparison, () if inference is None else inference.sections))
    print(f"report: {folder}")
    return folder


def use_threads_of(config: InferenceConfig) -> AbstractContextManager[None]:
    """Return the context in which models are run and their files written; without models nothing is changed."""
    if not config.enabled:
        return nullcontext()
    # Here, not at the top, as torch takes longer to import than a report without models takes at all.
    from thesis_ml.utils.threads import use_threads

    return use_threads(config.n_threads)


def infer(comparison: Comparison, config: ReportConfig) -> InferenceResult | None:
    """Return what the models of a comparison make of events, where the configuration asks for it.

    Raises:
        ReportError: The data file is gone or is another one than that of all models.
        DataError: It cannot be read.
    """
    if not config.inference.enabled:
        return None
    # Here, not at the top: torch and scikit-learn take longer to import than a report without models takes at all.
    from thesis_ml.reports.inference.run import run_inference

    return run_inference(comparison, config.inference)


def describe_comparison(comparison: Comparison, sections: Sequence[Section] = ()) -> str:
    """Return for a terminal the accounts of a comparison, then all that failed, then what it and inference say."""
    used, left_out = len(comparison.runs), comparison.left_out
    lines = [f"{comparison.report_name}: {used + len(left_out)} found = {used} used + {len(left_out)} left out"]
    lines += [f"  left out: {entry.name} ({entry.state}): {entry.reason}" for entry in left_out]
    lines += [f"! {flag}" for flag in (*comparison.verdict.banners, *(flag for one in sections for flag in one.flags))]
    lines += [f"- {sentence}" for sentence in comparison.verdict.sentences]
    # What was scored stands last on the page, but is needed to read the rest.
    ordered = sorted(sections, key=lambda section: section.name != SCORED)
    lines += [f"- {sentence}" for section in ordered for sentence in section.sentences]
    return "\n".join(map(make_printable, lines))


def choose_threshold(config: ThresholdsConfig, runs: Sequence[RunFacts]) -> Threshold | None:
    """Return the error that runs are timed to: the user's, or the best one of the run that is worst at its best."""
    value = config.val_mse
    if value is None:
        errors = [[error for error in run.history.series(config.split, REC_MSE) if error == error] for run in runs]
        value = max((min(known) for known in errors if known), default=None)
    return None if value is None else Threshold(value, config.split, config.comparison)
