"""What tokens are worth to who uses them: one small classifier on original events, on reconstructed ones, on tokens.

Two forms of an event, each with its own original, so that like is compared with like. `events`: the pooled table of
the supervised reference, of original and of reconstructed events. `tokens`: mean, mean square, largest and smallest
value of each column of the tokens and their number, where the columns are those that the encoder saw, or the latents
that its codes stand for. A histogram of the codes is no fair input: on the packaged sample it reaches 0.72 where the
moments of the same codes reach 0.81, since most of its 512 columns are rare and 30,000 events do not teach them.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from thesis_ml.architectures.simple.classifier import ClassifierConfig, Table, fit_classifier
from thesis_ml.data.batch import DataDims, find_largest, sum_over_events
from thesis_ml.data.config import DataConfig
from thesis_ml.data.encode import encode_events
from thesis_ml.data.event_tables import pool_events
from thesis_ml.data.events import Events, iterate_blocks, keep_events
from thesis_ml.data.normalizer import Normalizer, fit_normalizer
from thesis_ml.metrics.auroc import AurocDifference, compare_mean_aurocs, compute_auroc, measure_auroc
from thesis_ml.reports.comparison import Cell
from thesis_ml.reports.config import InferenceConfig
from thesis_ml.reports.inference.export import ExportPlan, find_obstacle, rebuild
from thesis_ml.reports.inference.loading import LoadedData, LoadedModel, draw_events
from thesis_ml.reports.inference.model_pairs import PairOutcome
from thesis_ml.reports.inference.problems import name_label
from thesis_ml.reports.inference.result import ResultTable, Section
from thesis_ml.reports.inference.scores import score_trivially
from thesis_ml.reports.inference.stream import BLOCK_EVENTS, PassOptions, choose_pass_options
from thesis_ml.reports.utils.statistics import LEVEL, correct_holm, spread, welch_p_value
from thesis_ml.tokenizer.tokenizer import Tokenizer
from thesis_ml.utils.progress import show_progress

SEEDS = (0, 1, 2)
"""Of the classifiers."""

MOST_TRAIN = 50_000
"""Events that a classifier learns from."""

FORMS = ("events", "tokens")
NAMES = {"events": "reconstructed events", "tokens": "tokens themselves"}
COLUMNS = ("AUROC", "lost", "error")
NOTE = (
    "events: the pooled table of original and of reconstructed events; tokens: moments of what the encoder sees, and "
    "of the latents, or those that codes stand for. lost: AUROC of the original in the same form minus that of the "
    "tokenizer, on the same events; its error holds events and the spread of seeds."
)
Scores = Float[NDArray[Any], "S N"]
MakeTable = Callable[[Events], Tensor]


class Loss(NamedTuple):
    """What a classifier loses on one form of the events.

    Args:
        auroc: Mean over the seeds of the classifier, and over runs.
        lost: That of the original in the same form minus it.
        error: Of the loss: from the events, which both classifiers share, and from the spread of seeds or runs.
    """

    auroc: float
    lost: float
    error: float


class Difference(NamedTuple):
    """A number, such as the difference of two AUROCs, and its standard error."""

    value: float
    error: float


@dataclass(frozen=True)
class Results:
    """All scores of the test events.

    Args:
        original: Those of classifiers of original events, by form.
        groups: By group and form those of each run.
        bits: Bits of a token of each group, None where latents are continuous.
    """

    original: Mapping[str, Scores]
    groups: Mapping[str, Mapping[str, Sequence[Scores]]]
    bits: Mapping[str, float | None]


@dataclass(frozen=True)
class Classification:
    """What is told apart.

    Args:
        train: Events that classifiers learn from.
        test: Events that they are measured on.
        signal: Labels of the signal.
        background: Labels of the background.
    """

    train: Events
    test: Events
    signal: tuple[int, ...]
    background: tuple[int, ...]

    def mark(self, events: Events) -> Bool[NDArray[Any], " N"]:
        """Return which events are signal."""
        return np.isin(events.labels, self.signal)


def measure_downstream(models: Sequence[LoadedModel], data: LoadedData, config: InferenceConfig) -> tuple[Section, ...]:
    """Return the section on classifiers."""
    problem = choose_problem(data, config.seed)
    if problem is None:
        sentence = "Classifiers need events of two classes in the training split and in the split that is scored."
        return (Section("downstream", "What classifiers lose", sentences=(sentence,)),)
    reference = Reference(problem, data.stored.type_names)
    originals = {"events": reference.pool, "tokens": reference.summarise_inputs}
    original = {form: fit_scores(make, problem) for form, make in originals.items()}
    options = choose_pass_options(config)
    fitted = {
        model.scored.name: fit_model(model, reference, data, options) for model in show_progress(models, "tokenizer")
    }
    scores = {name: one.scores for name, one in fitted.items()}
    flags = tuple(
        f"{name}: no classifier of its reconstructed events: {one.obstacle}."
        for name, one in fitted.items()
        if one.obstacle is not None
    )
    return (replace(build_section(problem, data, group_scores(models, original, scores)), flags=flags),)


def group_scores(
    models: Sequence[LoadedModel], original: Mapping[str, Scores], fitted: Mapping[str, Mapping[str, Scores]]
) -> Results:
    """Return the scores of the runs of each group."""
    groups: dict[str, dict[str, list[Scores]]] = {}
    bits: dict[str, float | None] = {}
    for model in models:
        group = groups.setdefault(model.scored.group, {form: [] for form in FORMS})
        for form, scores in fitted[model.scored.name].items():
            group[form].append(scores)
        sizes = model.restored.config.latent_space.codebook_sizes
        bits[model.scored.group] = sum(map(math.log2, sizes)) if sizes else None
    return Results(original, groups, bits)


def choose_problem(data: LoadedData, seed: int) -> Classification | None:
    """Return background against all other classes that can be learned, None where there are not two.

    Args:
        data: The events.
        seed: Draws those of the training split that classifiers learn from: a file may be sorted by class.
    """
    train = draw_events(data.stored.splits["train"], MOST_TRAIN, seed)
    # Scored events of the training split were learned from.
    test = data.stored.splits["test"] if data.split == "train" else data.events
    labels, counts = np.unique(train.labels[train.labels >= 0], return_counts=True)
    known = [int(label) for label in labels if label in test.labels]
    if len(known) < 2:
        return None
    background = tuple(label for label in known if label in data.background_classes)
    if not 0 < len(background) < len(known):
        background = (int(labels[counts.argmax()]),)
    signal = tuple(label for label in known if label not in background)
    kept = [keep_events(events, np.isin(events.labels, known)) for events in (train, test)]
    return Classification(kept[0], kept[1], signal, background) if signal else None


class Reference:
    """Tables of original events, and of reconstructed ones in the same columns.

    Args:
        problem: Its training events fix the units of the columns.
        type_names: Names of the object ids 1, 2, ...
    """

    def __init__(self, problem: Classification, type_names: tuple[str, ...]) -> None:
        self.problem = problem
        config = DataConfig()
        self._normalizer: Normalizer = fit_normalizer(problem.train, config)
        self._dims = DataDims(
            normalizer=self._normalizer,
            type_names=type_names,
            max_tokens=max(int(events.lengths.max(initial=1)) for events in (problem.train, problem.test)),
        )

    def pool(self, events: Events) -> Float[Tensor, "N C"]:
        """Return the pooled table of events."""
        return pool_events(encode_events(events, self._normalizer), self._dims).values

    def summarise_inputs(self, events: Events) -> Float[Tensor, "N C"]:
        """Return the moments of what an encoder sees of each token, and MET."""
        split = encode_events(events, self._normalizer)
        types = functional.one_hot(split.types, self._dims.n_types).to(split.features.dtype)
        return torch.cat((summarise_tokens(torch.cat((split.features, types), 1), split.lengths), split.globals), 1)


def summarise_tokens(values: Float[Tensor, "P D"], lengths: Int[Tensor, " N"]) -> Float[Tensor, "N V"]:
    """Return the moments of the tokens of each event: mean, mean square, largest, smallest value, and their number."""
    n_tokens = lengths.to(values.dtype)[:, None]
    means = [sum_over_events(part, lengths) / n_tokens.clamp(min=1) for part in (values, values.square())]
    return torch.cat((*means, find_largest(values, lengths), -find_largest(-values, lengths), n_tokens), dim=1)


class Fitted(NamedTuple):
    """Scores of the classifiers of one model by form, and why it has none of reconstructed events, if so."""

    scores: Mapping[str, Scores]
    obstacle: str | None


def fit_model(model: LoadedModel, reference: Reference, data: LoadedData, options: PassOptions) -> Fitted:
    """Return the scores of classifiers of what one model makes of events."""
    tokenizer = Tokenizer(model.restored, model.checkpoint_hash or "")
    plan = ExportPlan(tokenizer, "reconstruction", data.stored, options, model.scored.name)

    def summarise(events: Events) -> Tensor:
        tokens = tokenizer.encode(events, options.batch_size)
        return summarise_tokens(torch.from_numpy(tokens.latents), torch.from_numpy(tokens.lengths))

    makers: dict[str, MakeTable] = {"tokens": summarise}
    if (obstacle := find_obstacle(plan)) is None:
        makers["events"] = lambda events: reference.pool(rebuild(plan, events))
    return Fitted({form: fit_scores(make, reference.problem) for form, make in makers.items()}, obstacle)


def fit_scores(make_table: MakeTable, problem: Classification) -> Scores:
    """Return the scores of the test events by classifiers of each seed."""
    tables = [
        Table(
            torch.cat([make_table(block) for block in iterate_blocks(events, BLOCK_EVENTS)]).float(),
            torch.from_numpy(problem.mark(events).astype(np.int64)),
        )
        for events in (problem.train, problem.test)
    ]
    fits = (fit_classifier(tables[0], tables[1], ClassifierConfig(seed=seed)) for seed in SEEDS)
    return np.stack([fit.scores.double().numpy() for fit in fits])


def compare_runs(first: Sequence[Scores], second: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]) -> Difference:
    """Return the mean AUROC of some runs minus that of others.

    The error has two parts. The events are few, and both saw the same ones: DeLong's error of the difference of the
    means. Runs and classifiers are few: the error of the mean over those of each side, and over the seeds of the
    classifiers.

    Args:
        first: Scores of each run by seed.
        second: Likewise.
        is_signal: What is to be found.
    """
    ours, theirs = (_measure_each(runs, is_signal) for runs in (first, second))
    values = ours[:, None] - theirs[None]
    parts = [_compare_events(first, second, is_signal).error]
    for axis, size in enumerate(values.shape):
        if size > 1:
            means = np.moveaxis(values, axis, 0).reshape(size, -1).mean(axis=1)
            parts.append(float(means.std(ddof=1)) / math.sqrt(size))
    return Difference(float(values.mean()), math.hypot(*parts))


def _measure_each(runs: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]) -> Float[NDArray[Any], "R S"]:
    """Return the AUROC of each run and seed of the classifier."""
    return np.array([[compute_auroc(scores, is_signal) for scores in run] for run in runs])


def _compare_events(
    first: Sequence[Scores], second: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]
) -> AurocDifference:
    """Return the difference of the mean AUROCs of some runs and others, given that the events alone are few."""
    ours, theirs = ([scores for run in runs for scores in run] for runs in (first, second))
    return compare_mean_aurocs(ours, theirs, is_signal)


def average_auroc(runs: Sequence[Scores], is_signal: Bool[NDArray[Any], " N"]) -> Difference:
    """Return the mean AUROC of some runs and its error from the events."""
    measured = [measure_auroc(scores, is_signal) for run in runs for scores in run]
    return Difference(float(np.mean([one.value for one in measured])), float(np.mean([one.error for one in measured])))


def measure_group(
    original: Mapping[str, Scores], runs: Mapping[str, Sequence[Scores]], is_signal: Bool[NDArray[Any], " N"]
) -> dict[str, Loss]:
    """Return by form what a tokenizer loses; only forms that it has."""
    losses = {}
    for form, scores in runs.items():
        if scores:
            lost = compare_runs([original[form]], scores, is_signal)
            losses[form] = Loss(average_auroc(scores, is_signal).value, lost.value, lost.error)
    return losses


def build_section(problem: Classification, data: LoadedData, results: Results) -> Section:
    """Return the table and what it says."""
    is_signal = problem.mark(problem.test)
    losses = {label: measure_group(results.original, runs, is_signal) for label, runs in results.groups.items()}
    originals = {form: average_auroc([scores], is_signal) for form, scores in results.original.items()}
    rows = [
        ("original", None, None, *(cell for form in FORMS for cell in (originals[form].value, 0.0, 0.0))),
        *(
            (label, len(results.groups[label]["tokens"]), results.bits[label], *_list_cells(losses[label]))
            for label in losses
        ),
    ]
    columns = ("group", "runs", "bits of a token", *(f"{form}: {what}" for form in FORMS for what in COLUMNS))
    table = ResultTable("downstream", "What classifiers lose to tokenisation", NOTE, columns, tuple(rows))
    trivial = measure_trivial(problem)
    pairs = {
        form: compare_tokenizers(
            form, {label: runs[form] for label, runs in results.groups.items() if runs[form]}, is_signal
        )
        for form in FORMS
    }
    tabulated = tabulate_pairs(pairs)
    return Section(
        name="downstream",
        title="What classifiers lose",
        sentences=(
            describe_classification(problem, data, originals, trivial),
            *(describe_form(form, losses, results, pairs[form]) for form in FORMS),
        ),
        tables=(
            table,
            *([tabulated] if tabulated.rows else []),
            ResultTable(
                "downstream_trivial",
                "The same without a classifier",
                "One variable of the original events; the error is from the number of events.",
                ("variable", "AUROC", "error"),
                tuple((name, *measured) for name, measured in trivial.items()),
                is_printed=False,
            ),
        ),
        summary={
            "rows": table.to_records(),
            "pairs": tabulated.to_records(),
            "original_error": {form: measured.error for form, measured in originals.items()},
            "trivial": {name: measured.value for name, measured in trivial.items()},
        },
    )


def tabulate_pairs(pairs: Mapping[str, Sequence[PairOutcome]]) -> ResultTable:
    """Return what can be said of every pair of groups in each form."""
    return ResultTable(
        "downstream_pairs",
        "Which tokenizers differ",
        "Difference of the AUROCs, with its error from the events, which both saw; p of the events (DeLong) and of the "
        "seeds of the tokenizers (Welch), corrected by Holm within a form. Two groups differ when both are below 5%.",
        ("loses less", "loses more", "form", "difference", "error", "p of events", "p of seeds", "outcome"),
        tuple(
            (
                pair.first,
                pair.second,
                form,
                pair.difference,
                pair.error,
                pair.p_events,
                None if math.isnan(pair.p_seeds) else pair.p_seeds,
                pair.outcome,
            )
            for form, compared in pairs.items()
            for pair in compared
        ),
    )


def measure_trivial(problem: Classification) -> dict[str, Difference]:
    """Return the AUROC of each variable that needs no model."""
    is_signal = problem.mark(problem.test)
    variables = score_trivially(problem.test)
    return {name: Difference(*measure_auroc(values, is_signal)) for name, values in variables.items()}


def describe_classification(
    problem: Classification, data: LoadedData, originals: Mapping[str, Difference], trivial: Mapping[str, Difference]
) -> str:
    """Return what was told apart, and how well without tokens."""
    sides = (
        " and ".join(name_label(label, data.label_names) for label in labels)
        for labels in (problem.signal, problem.background)
    )
    signal, background = sides
    best = max(trivial, key=lambda name: trivial[name].value)
    return (
        f"Classifiers of {len(SEEDS)} seeds tell {signal} from {background} with an AUROC of "
        f"{_show(originals['events'])} on original events ({problem.train.n_events} to learn from, "
        f"{problem.test.n_events} to measure on); {best} alone reaches {trivial[best].value:.3f}."
    )


def describe_form(
    form: str, losses: Mapping[str, Mapping[str, Loss]], results: Results, pairs: Sequence[PairOutcome]
) -> str:
    """Return which tokenizer loses least in one form, which lose more, and which cannot be told from it.

    Args:
        form: Of the events.
        losses: By group and form.
        results: What they were computed from.
        pairs: All pairs of groups in this form.
    """
    lost = {label: forms[form] for label, forms in losses.items() if form in forms}
    name = NAMES[form]
    if not lost:
        return f"No model makes {name}."
    best, *others = sorted(lost, key=lambda label: lost[label].lost)
    if not others:
        return f"On {name}, {best} loses {_show_loss(lost[best])} of the AUROC."
    by_names = {frozenset((pair.first, pair.second)): pair for pair in pairs}
    told: dict[str, list[str]] = {outcome: [] for outcome in ("more", "alike", "single")}
    for label in others:
        pair, shown = by_names[frozenset((best, label))], _show_loss(lost[label])
        if math.isnan(pair.p_seeds):
            told["single"].append(f"{label} ({shown})")
        elif pair.is_distinguishable:
            told["more"].append(f"{label} ({shown})")
        else:
            reason = ", but seeds differ as much" if pair.p_events < LEVEL else ""
            told["alike"].append(f"{label} ({shown}{reason})")
    parts = [f"On {name}, the smallest loss of AUROC is that of {best}: {_show_loss(lost[best])}"]
    parts += [f"more is lost by {', '.join(told['more'])}"] if told["more"] else []
    parts += [f"it cannot be told apart from {', '.join(told['alike'])}"] if told["alike"] else []
    if told["single"]:
        is_single = all(len(results.groups[label][form]) < 2 for label in lost)
        reason = "one run each" if is_single else "one run on either side"
        parts.append(f"{reason}: no verdict on tokenizers for {', '.join(told['single'])}")
    return f"{'; '.join(parts)}."


def compare_tokenizers(
    form: str, groups: Mapping[str, Sequence[Scores]], is_signal: Bool[NDArray[Any], " N"]
) -> list[PairOutcome]:
    """Return for every pair of groups whether other events and other runs would give the same order.

    Both tests are corrected by Holm for the number of pairs. A group with one run, which says nothing of what another
    seed of the tokenizer would give, has no p-value of its seeds.
    """
    spreads = {label: spread(_measure_each(runs, is_signal).mean(axis=1).tolist()) for label, runs in groups.items()}
    pairs = [
        (one, other) if spreads[one].mean >= spreads[other].mean else (other, one)
        for one, other in itertools.combinations(groups, 2)
    ]
    by_runs = correct_holm([welch_p_value(spreads[one], spreads[other]) for one, other in pairs])
    tests = [_compare_events(groups[one], groups[other], is_signal) for one, other in pairs]
    # A pair that can have no verdict makes that of the others no harder.
    judged = [math.nan if math.isnan(p_runs) else test.p_value for test, p_runs in zip(tests, by_runs, strict=True)]
    by_events = correct_holm(judged)
    return [
        PairOutcome(form, *pair, test.value, test.error, p_events, p_runs)
        for pair, test, p_events, p_runs in zip(pairs, tests, by_events, by_runs, strict=True)
    ]


def _list_cells(losses: Mapping[str, Loss]) -> tuple[Cell, ...]:
    blank: tuple[None, ...] = (None,) * len(COLUMNS)
    return tuple(cell for form in FORMS for cell in losses.get(form, blank))


def _show(measured: Difference) -> str:
    return f"{measured.value:.4f} ± {measured.error:.4f}"


def _show_loss(loss: Loss) -> str:
    return _show(Difference(loss.lost, loss.error))
