"""The section on separation: anomaly scores and baselines for signals and corruptions, and the null tests."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thesis_ml.data.acceptance import AcceptanceGap, find_gaps
from thesis_ml.data.events import keep_events
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.contents import Panel, Section
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.sections.anomaly.checks import NAME, check_result
from thesis_ml.reports.inference.sections.anomaly.conditional import tabulate_conditional, tabulate_leakage
from thesis_ml.reports.inference.sections.anomaly.figures import plan_roc, plan_scan
from thesis_ml.reports.inference.sections.anomaly.files import format_dark_machines, format_working_points, list_numbers
from thesis_ml.reports.inference.sections.anomaly.null_tests import FEWEST_CHECKED, NullCheck
from thesis_ml.reports.inference.sections.anomaly.overtraining import KnownEvents, allow_codebooks
from thesis_ml.reports.inference.sections.anomaly.overview_figures import plan_overview
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult, ProblemResult, solve_problems
from thesis_ml.reports.inference.sections.anomaly.tables import (
    name_panel,
    tabulate_best,
    tabulate_correlations,
    tabulate_expected,
    tabulate_matrix,
    tabulate_nulls,
    tabulate_pairs,
    tabulate_problem,
)
from thesis_ml.reports.inference.sections.anomaly.weak import tabulate_weak


def build_separation(context: Context) -> Section:
    """Return the section."""
    result = solve_problems(context.scores)
    if context.models:
        result = replace(result, nulls=_allow_codebooks(result.nulls, context), gaps=_find_gaps(result, context))
    scored = result.scored
    expected = [] if scored.rates is None else [tabulate_expected(result.solved, scored.rates.luminosity_fb)]
    tables = (
        tabulate_matrix(result),
        tabulate_best(result.solved),
        tabulate_pairs(result.solved),
        *expected,
        *((tabulate_weak(context, result.solved),) if context.config.weak_supervision else ()),
        tabulate_conditional(result.solved, scored),
        tabulate_correlations(result.correlations),
        tabulate_leakage(scored),
        tabulate_nulls(result),
    )
    return Section(
        name=NAME,
        title="Separation",
        caption="An AUROC of 0.5 is chance. A score that is no better than a baseline needs no model.",
        checks=tuple(check_result(result)),
        scores={"lead": find_leads(result)},
        tables=tuple(table for table in tables if table.rows),
        figures=plan_overview(result),
        panels=build_panels(result),
        summary=list_numbers(result),
        files={
            "dark_machines.csv": format_dark_machines(result.solved, scored.channel),
            "working_points.csv": format_working_points(result.solved),
        },
    )


def _find_gaps(result: AnomalyResult, context: Context) -> dict[str, tuple[AcceptanceGap, ...]]:
    """Return by signal where only one of it and its background can have objects: classes, and the signal file."""
    data, found = context.data, {}
    for problem in (one.problem for one in result.solved if one.problem.kind != "corruption"):
        background = keep_events(data.events, problem.is_background)
        signal = data.signal if problem.kind == "signal" else keep_events(data.events, problem.is_signal)
        assert signal is not None, "a problem of the signal file has one"
        samples = {"background": background, problem.name: signal}
        if gaps := find_gaps(samples, data.stored.type_names):
            found[problem.name] = gaps
    return found


def _allow_codebooks(checks: Sequence[NullCheck], context: Context) -> tuple[NullCheck, ...]:
    """Return the checks, in which quantisers may know their training events as K-means does."""
    data = context.data
    held_out = keep_events(data.events, np.isin(data.events.labels, data.background_classes))
    models = {model.scored.name: model.restored for model in context.models}
    events = KnownEvents(data.stored.splits["train"], data.background, data.unfitted, held_out)
    return allow_codebooks(checks, models, events)


def build_panels(result: AnomalyResult) -> tuple[Panel, ...]:
    """Return for each signal and corruption its working points, its ROC curves, and the scan of its strengths."""
    families: dict[str, list[ProblemResult]] = {}
    for one in result.solved:
        families.setdefault(one.problem.family or one.problem.name, []).append(one)
    panels = []
    for family, scan in families.items():
        middle = next(one for one in scan if one.problem.is_reference)
        figures = (plan_roc(middle), *((plan_scan(family, scan),) if middle.problem.kind == "corruption" else ()))
        table = tabulate_problem(middle, result)
        panels.append(Panel(name_panel(middle.problem), table.title, (table,), figures))
    return tuple(panels)


def find_leads(result: AnomalyResult) -> dict[str, Measured]:
    """Return by how much the best score of each group is above the best baseline, where that is largest.

    Signals count; without any, corruptions at their middle strength. Neither counts with too few events for an error.
    """
    solved = [one for one in result.solved if one.problem.n_fewest >= FEWEST_CHECKED]
    signals = [one for one in solved if one.problem.kind != "corruption"]
    problems: Sequence[ProblemResult] = signals or [one for one in solved if one.problem.is_reference]
    leads: dict[str, Measured] = {}
    for group in dict.fromkeys(model.group for model in result.scored.models):
        found = [lead for one in problems if (lead := one.find_lead(group)) and math.isfinite(lead.value)]
        if found:
            leads[group] = max(found, key=lambda lead: lead.value)
    return leads
