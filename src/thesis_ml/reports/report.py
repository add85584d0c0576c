"""A whole report before it is written: what was compared, its sections, its scoreboard, checks and headline."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.facts.summary import REC_MSE, Threshold, list_columns, summarise_run
from thesis_ml.reports.checks import check_references, check_runs
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.config import ReportConfig, ThresholdsConfig
from thesis_ml.reports.contents import Check, InferenceResult, ResultFigure, Section
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.scoreboard import Scoreboard, build_scoreboard
from thesis_ml.reports.utils.collection import Collection
from thesis_ml.reports.utils.grouping import find_swept, group_runs
from thesis_ml.reports.verdict import judge, split_comparable, write_headline


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a reader gets.

    Args:
        comparison: The runs, their groups and the tests between them.
        sections: Those on training and on runs.
        inference: What the models gave for events; None where this was not asked for.
        scoreboard: The scores of the groups.
        checks: All checks.
        headline: At most three sentences.
    """

    comparison: Comparison
    sections: tuple[Section, ...]
    inference: InferenceResult | None
    scoreboard: Scoreboard
    checks: tuple[Check, ...]
    headline: tuple[str, ...]

    @property
    def inference_sections(self) -> tuple[Section, ...]:
        """Return the sections of inference, none without it."""
        return () if self.inference is None else tuple(self.inference.sections)

    @property
    def figures(self) -> tuple[ResultFigure, ...]:
        """Return the figures of all sections."""
        return tuple(figure for one in (*self.sections, *self.inference_sections) for figure in one.all_figures)


def compare(collection: Collection, config: ReportConfig) -> Comparison:
    """Return the runs of a report, grouped by their settings, with the tests between the groups."""
    runs, others = split_comparable(collection.runs)
    swept = find_swept(runs)
    threshold = choose_threshold(config.thresholds, runs)
    rows = {run.name: summarise_run(run, swept, threshold) for run in runs}
    groups = group_runs(runs, swept, rows)
    return Comparison(
        report_name=config.report_name,
        inputs=(*config.inputs.sweep_dir, *config.inputs.run_dirs),
        runs=runs,
        excluded=(*collection.excluded, *others),
        swept=swept,
        groups=groups,
        columns=list_columns(list(rows.values())),
        rows=rows,
        threshold=None if threshold is None else threshold.value,
        verdict=judge(groups),
    )


def choose_threshold(config: ThresholdsConfig, runs: Sequence[RunFacts]) -> Threshold | None:
    """Return the user's threshold, or the smallest error that every run reaches."""
    value = config.val_mse
    if value is None:
        errors = [[error for error in run.history.series(config.split, REC_MSE) if error == error] for run in runs]
        value = max((min(known) for known in errors if known), default=None)
    return None if value is None else Threshold(value, config.split, config.comparison)


def use_threads_of(config: InferenceConfig) -> AbstractContextManager[None]:
    """Return the context in which models are run and their files written; without models nothing is changed."""
    if not config.enabled:
        return nullcontext()
    # Here, not at the top, as torch takes longer to import than a report without models takes at all.
    from thesis_ml.utils.threads import use_threads

    return use_threads(config.n_threads, "inference.n_threads")


def infer(comparison: Comparison, config: InferenceConfig) -> InferenceResult | None:
    """Return what the models of a comparison give for events, where the configuration asks for it.

    Raises:
        ReportError: The data file is gone or is another one than that of all models.
        DataError: It cannot be read.
    """
    if not config.enabled:
        return None
    # Here, not at the top: torch and scikit-learn take longer to import than a report without models takes at all.
    from thesis_ml.reports.inference.run import run_inference

    return run_inference(comparison.groups, config)


def assemble(comparison: Comparison, sections: Sequence[Section], inference: InferenceResult | None) -> Report:
    """Return the report: its scoreboard, its checks and its headline, from all its sections."""
    every = [*sections, *(() if inference is None else inference.sections)]
    references = () if inference is None else inference.references
    checks = (*check_runs(comparison), *check_references(comparison, references))
    checks += tuple(check for section in every for check in section.checks)
    return Report(
        comparison=comparison,
        sections=tuple(sections),
        inference=inference,
        scoreboard=build_scoreboard(comparison, every),
        checks=checks,
        headline=write_headline(comparison, checks),
    )
