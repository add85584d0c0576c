"""The section on downstream tasks: the AUROC that classifiers lose with reconstructed events and with tokens."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from thesis_ml.metrics.auroc import SeedDifference
from thesis_ml.metrics.significance import PairTest
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.contents import Check, ResultTable, Section, Value
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.labels import name_label
from thesis_ml.reports.inference.scoring.stream import choose_pass_options
from thesis_ml.reports.inference.sections.downstream.measure import (
    FORMS,
    SEEDS,
    Classification,
    ClassifierLoss,
    EventTables,
    Results,
    average_auroc,
    choose_problem,
    compare_tokenizers,
    fit_model,
    fit_scores,
    group_scores,
    measure_baselines,
    measure_group,
)
from thesis_ml.utils.progress import show_progress

NAME = "downstream"
TITLE = "Downstream"
COLUMN = "downstream_loss"
"""The column of the scoreboard, of reconstructed events."""


def build_downstream(context: Context) -> Section | None:
    """Return the section, None where it was not asked for."""
    if not context.config.downstream:
        return None
    problem = choose_problem(context.data, context.config.seed)
    if problem is None:
        text = "Classifiers need events of two classes in the training split and in the scored split."
        return Section(NAME, TITLE, checks=(Check("downstream", "failed", text, NAME),))
    reference = EventTables(problem, context.data.stored.type_names)
    makers = {"events": reference.pool, "tokens": reference.summarise_inputs}
    original = {form: fit_scores(make, problem) for form, make in makers.items()}
    options = choose_pass_options(context.config)
    fitted = {
        model.scored.name: fit_model(model, reference, context.data, options)
        for model in show_progress(context.models, "tokenizer")
    }
    obstacles = tuple(
        Check("downstream", "failed", f"{name}: no classifier of its reconstructed events: {one.obstacle}.", NAME)
        for name, one in fitted.items()
        if one.obstacle is not None
    )
    results = group_scores(context.models, original, {name: one.scores for name, one in fitted.items()})
    return replace(build_section(problem, context, results), checks=obstacles)


def build_section(problem: Classification, context: Context, results: Results) -> Section:
    """Return the section of some results."""
    is_signal = problem.mark(problem.test)
    losses = {label: measure_group(results.original, runs, is_signal) for label, runs in results.groups.items()}
    originals = {form: average_auroc([scores], is_signal) for form, scores in results.original.items()}
    baselines = measure_baselines(problem, context.data.stored.type_names)
    pairs = {
        form: compare_tokenizers(
            form, {label: runs[form] for label, runs in results.groups.items() if runs[form]}, is_signal
        )
        for form in FORMS
    }
    tables = (
        tabulate_losses(losses, originals, results),
        tabulate_pairs(pairs),
        ResultTable(
            "downstream_baselines",
            "Baselines without a classifier",
            "One variable of the original events; the error is from the number of events.",
            ("baseline", "AUROC"),
            tuple(baselines.items()),
            is_printed=False,
        ),
    )
    names = context.data.label_names
    signal, background = (
        " and ".join(name_label(label, names) for label in labels) for labels in (problem.signal, problem.background)
    )
    return Section(
        name=NAME,
        title=TITLE,
        caption=f"Classifiers of {len(SEEDS)} seeds, {signal} against {background}: {problem.train.n_events} training "
        f"and {problem.test.n_events} test events.",
        scores={
            COLUMN: {label: _shorten(forms["events"].lost) for label, forms in losses.items() if "events" in forms}
        },
        tests=tuple(replace(test, quantity=COLUMN) for test in pairs["events"]),
        tables=tuple(table for table in tables if table.rows),
        summary={
            "rows": tables[0].split_errors().to_records(),
            "pairs": tables[1].split_errors().to_records(),
            "original_error": {form: measured.error for form, measured in originals.items()},
            "baselines": {name: measured.value for name, measured in baselines.items()},
        },
    )


def tabulate_losses(
    losses: Mapping[str, Mapping[str, ClassifierLoss]], originals: Mapping[str, Measured], results: Results
) -> ResultTable:
    """Return the AUROC of classifiers of each group, and how much it lost, in each form of the events."""
    rows: list[tuple[Value, ...]] = [
        ("original", None, None, *(value for form in FORMS for value in (originals[form], None, None)))
    ]
    for label, forms in losses.items():
        cells: list[Value] = []
        for form in FORMS:
            if form in forms:
                lost = forms[form].lost
                cells += [forms[form].auroc, _shorten(lost), lost.margin]
            else:
                cells += [None] * 3
        rows.append((label, len(results.groups[label]["tokens"]), results.bits[label], *cells))
    return ResultTable(
        name="downstream",
        title="AUROC lost to tokenisation",
        note="events: the pooled table of original and of reconstructed events; tokens: moments of the inputs of the "
        "encoder, and of the latents of the codes. lost: AUROC of the original in the same form minus that of the "
        "tokenizer, on the same events. Its error holds events and seeds and covers 68%; the next column covers 95%.",
        columns=(
            "group",
            "runs",
            "bits of a token",
            *(f"{form}: {name}" for form in FORMS for name in ("AUROC", "lost", "± 95%")),
        ),
        rows=tuple(rows),
    )


def _shorten(lost: SeedDifference) -> Measured:
    return Measured(lost.value, lost.error)


def tabulate_pairs(pairs: Mapping[str, Sequence[PairTest]]) -> ResultTable:
    """Return the tests of all pairs of groups in each form of the events."""
    return ResultTable(
        "downstream_pairs",
        "Pairs of tokenizers",
        "Difference of the AUROCs with its error from events, which both saw; significant if the p-values of events "
        "(DeLong) and seeds (Welch), corrected by Holm within a form, are both below 5%.",
        ("better", "worse", "form", "difference", "p (events)", "p (seeds)", "outcome"),
        tuple(
            (test.first, test.second, form, test.difference, test.p_events, test.p_seeds, test.outcome)
            for form, tests in pairs.items()
            for test in tests
        ),
    )
