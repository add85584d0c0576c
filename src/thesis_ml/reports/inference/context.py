"""The context of inference: the models, the events, their scores, and the runs that could not be used."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thesis_ml.data.events import Events, keep_events, take_first
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.reports.comparison import Group
from thesis_ml.reports.inference.changes.corruptions import corrupt
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan, is_symmetric
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.events import LoadedData, load_data
from thesis_ml.reports.inference.labels import check_rates
from thesis_ml.reports.inference.models import LoadedModel, ModelSet, restore_runs
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, CLEAN, EventScores, RawScores, Variant
from thesis_ml.reports.inference.scoring.model_output import ModelOutput
from thesis_ml.reports.inference.scoring.stream import (
    ModelScorer,
    Progress,
    Scorer,
    StreamPlan,
    choose_pass_options,
    stream_split,
)
from thesis_ml.reports.inference.scoring.tally import ClosureTable, ClosureTally
from thesis_ml.utils.progress import count_progress, show_progress


@dataclass
class Clock:
    """Seconds by the name of what they were spent on."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add what the context takes to the seconds of `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class ChosenScores:
    """A scorer of which only some scores are kept."""

    scorer: Scorer
    names: tuple[str, ...]

    def run(self, events: Events) -> ModelOutput:
        """Return what the scorer makes of some events, with the chosen scores alone."""
        passed = self.scorer.run(events)
        return replace(passed, scores={name: values for name, values in passed.scores.items() if name in self.names})


@dataclass(frozen=True)
class StreamResult:
    """What all scorers made of all events.

    Args:
        table: Scores of the split.
        signal: Clean scores of the events of `inference.signal_file` by scorer, None without one.
        training: The same of background of the training split that no density was fitted to.
        tallies: What was counted of the clean events of the split, by model.
    """

    table: RawScores
    signal: Mapping[str, Mapping[str, Any]] | None
    training: Mapping[str, Mapping[str, Any]]
    tallies: Mapping[str, ClosureTally]


@dataclass(frozen=True, eq=False)
class Context:
    """Everything that the sections of inference are made from.

    Args:
        config: What was asked for.
        models: The models, by group and seed.
        not_possible: Why a run has no model, by its name.
        data: The events.
        scores: The scores of the events.
        closures: Reconstructed against true events, by the name of the model.
        skipped: Why a default corruption was left out, by its name.
        clock: The seconds that each part took.
    """

    config: InferenceConfig
    models: tuple[LoadedModel, ...]
    not_possible: Mapping[str, str]
    data: LoadedData
    scores: EventScores
    closures: Mapping[str, ClosureTable]
    skipped: Mapping[str, str]
    clock: Clock


def prepare(groups: Sequence[Group], config: InferenceConfig) -> Context | ModelSet:
    """Restore the models of all groups, read the events and score them; without any model, return why.

    Raises:
        ReportError: The data file is gone or is another one than that of all models.
        DataError: It cannot be read.
    """
    clock = Clock()
    with clock.time("restore models, read events"):
        restored = restore_runs(groups)
        if not restored.models:
            return restored
        data, restored = load_data(restored, config)
    if (rates := config.choose_rates()) is not None:
        check_rates(rates, data.events.labels, data.label_names, data.signal is not None)
    corruptions, skipped = choose_variants(data, config)
    variants = [*corruptions, *(Variant(name, NullPlan(name, config.seed)) for name in NULLS)]
    with clock.time("fit densities"):
        scorers, restored = fit_scorers(data, restored, config)
    tallies = {model.scored.name: start_tally(model, data) for model in restored.models}
    plan = StreamPlan(scorers, variants, data.stored.type_names, choose_pool(data))
    with (
        clock.time("pass events through models, score them"),
        count_progress(count_passes(data, plan), "event") as count,
    ):
        streamed, restored = drop_failed(stream_all(data, plan, tallies, count), restored)
    if not restored.models:
        return restored
    return Context(
        config=config,
        models=restored.models,
        not_possible=restored.not_possible,
        data=data,
        scores=gather_scores(data, streamed, models=restored.models, variants=variants, config=config),
        closures={model.scored.name: tallies[model.scored.name].summarise() for model in restored.models},
        skipped=skipped,
        clock=clock,
    )


def gather_scores(
    data: LoadedData,
    streamed: StreamResult,
    *,
    models: Sequence[LoadedModel],
    variants: Sequence[Variant],
    config: InferenceConfig,
) -> EventScores:
    """Return the scores of all events with what is known of the events and of the models."""
    return EventScores(
        models=[model.scored for model in models],
        variants=variants,
        table=streamed.table,
        labels=data.events.labels,
        weights=data.events.weights,
        label_names=data.label_names,
        background=data.background_classes,
        train_labels=tuple(int(label) for label in np.unique(data.stored.splits["train"].labels)),
        signal=streamed.signal,
        training=streamed.training,
        seed=config.seed,
        is_symmetric=is_symmetric(data.events),
        signal_weights=None if data.signal is None else data.signal.weights,
        signal_classes=data.signal_classes,
        rates=config.choose_rates(),
        channel=data.split,
    )


def choose_variants(data: LoadedData, config: InferenceConfig) -> tuple[list[Variant], dict[str, str]]:
    """Return the corruptions of the events, and by name why default ones are left out: the data has not their types.

    Raises:
        ConfigError: One that was asked for needs a type that the data does not have.
    """
    event = take_first(data.events, 1)
    variants: list[Variant] = []
    skipped: dict[str, str] = {}
    for plan in config.list_corruptions():
        try:
            corrupt(event, plan, type_names=data.stored.type_names, pool=data.background)
        except ConfigError as error:
            if config.corruption_strategies is not None:
                raise
            skipped[plan.name] = str(error).removeprefix("inference.corruption_strategies: ")
            continue
        variants.append(Variant(f"{plan.name} {plan.strength:g}", plan))
    return variants, skipped


def fit_scorers(data: LoadedData, restored: ModelSet, config: InferenceConfig) -> tuple[dict[str, Scorer], ModelSet]:
    """Return what scores events, by name: the trivial variables, and every model after its densities were fitted.

    Also return the models without those that nothing can be fitted to.
    """
    options = choose_pass_options(config)
    scorers: dict[str, Scorer] = {BASELINE: BaselineScorer(data.background, data.stored.type_names)}
    not_possible = dict(restored.not_possible)
    for model in show_progress(restored.models, "fit"):
        scorer = ModelScorer(model.restored, options)
        try:
            scorer.fit(data.background)
        except DataError as error:
            not_possible[model.scored.run] = str(error)
            continue
        scorers[model.scored.name] = ChosenScores(scorer, config.metrics) if config.metrics else scorer
    return scorers, ModelSet(tuple(one for one in restored.models if one.scored.name in scorers), not_possible)


def choose_pool(data: LoadedData) -> Events:
    """Return background events that corruptions take tokens from: models were not trained on them, nor are they scored.

    A model that knows its training events would find their tokens more ordinary than those that they replace.
    """
    others = data.stored.splits["val" if data.split == "test" else "test"]
    pool = keep_events(others, np.isin(others.labels, data.background_classes))
    return pool if pool.n_events else data.background


def start_tally(model: LoadedModel, data: LoadedData) -> ClosureTally:
    """Return what counts the closure of one model."""
    restored, normalizer = model.restored, model.restored.normalizer
    labels = [int(label) for label in np.unique(data.events.labels)]
    sizes = restored.config.latent_space.codebook_sizes
    return ClosureTally(normalizer.features, restored.dims.type_names, labels, sizes, units=normalizer.units)


def stream_all(
    data: LoadedData, plan: StreamPlan, tallies: Mapping[str, ClosureTally], progress: Progress | None = None
) -> StreamResult:
    """Return the scores of all events, and count the closure of the clean ones of the split."""
    table = stream_events(data.events, plan, tallies, progress)
    signal = None if data.signal is None else stream_clean(data.signal, plan, progress)
    return StreamResult(table, signal, stream_clean(data.unfitted, plan, progress), tallies)


def drop_failed(streamed: StreamResult, restored: ModelSet) -> tuple[StreamResult, ModelSet]:
    """Return the scores and the models without those that gave a value which is not finite, and name these."""
    reasons = {model.scored.name: explain_not_finite(streamed, model.scored.name) for model in restored.models}
    failed = {name for name, reason in reasons.items() if reason is not None}
    if not failed:
        return streamed, restored
    named = {model.scored.run: reason for model in restored.models if (reason := reasons[model.scored.name])}
    signal = streamed.signal
    kept = replace(
        streamed,
        table={key: scores for key, scores in streamed.table.items() if key[0] not in failed},
        signal=None if signal is None else {name: signal[name] for name in signal if name not in failed},
        training={name: scores for name, scores in streamed.training.items() if name not in failed},
    )
    models = tuple(model for model in restored.models if model.scored.name not in failed)
    return kept, ModelSet(models, {**restored.not_possible, **named})


def explain_not_finite(streamed: StreamResult, name: str) -> str | None:
    """Return of how many events a model gave a value that is not finite, or None."""
    tables = {variant: scores for (scorer, variant), scores in streamed.table.items() if scorer == name}
    found = {
        "scored events": tables[CLEAN.name],
        "events of the signal file": (streamed.signal or {}).get(name, {}),
        "training events": streamed.training.get(name, {}),
        **{f"events after {variant}": scores for variant, scores in tables.items() if variant != CLEAN.name},
    }
    tally = streamed.tallies[name]
    if n_wrong := tally.n_not_finite:
        return f"its decoded values of {n_wrong} of {tally.n_events} scored events are not finite; train it again"
    for which, scores in found.items():
        for score, values in scores.items():
            if n_wrong := int((~np.isfinite(values)).sum()):
                return f"its {score} of {n_wrong} of {len(values)} {which} is not finite; train it again"
    return None


def count_passes(data: LoadedData, plan: StreamPlan) -> int:
    """Return how many events all passes of all scorers are over."""
    n_clean = data.unfitted.n_events + (0 if data.signal is None else data.signal.n_events)
    return len(plan.scorers) * (data.events.n_events * (1 + len(plan.variants)) + n_clean)


def stream_events(
    events: Events, plan: StreamPlan, tallies: Mapping[str, ClosureTally], progress: Progress | None = None
) -> RawScores:
    """Return the scores of all events in all variants, and count the closure of the clean ones."""

    def observe(name: str, block: Events, passed: ModelOutput) -> None:
        if name in tallies:
            tallies[name].add(block, passed)

    return stream_split(events, plan, observe, progress)


def stream_clean(events: Events, plan: StreamPlan, progress: Progress | None = None) -> dict[str, Any]:
    """Return the scores of events as they are, by scorer; nothing where there are no events."""
    if not events.n_events:
        return {}
    table = stream_split(events, replace(plan, variants=()), progress=progress)
    return {name: table[name, CLEAN.name] for name in plan.scorers}
