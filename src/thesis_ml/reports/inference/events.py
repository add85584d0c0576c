"""The events of a report, which all its models are given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.checks import Place, check_weights
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, EventSplits, keep_events, take_first
from thesis_ml.data.sheet import describe_doubts, hash_events
from thesis_ml.data.tokens import SAMPLE_PATH, fingerprint_data, fingerprint_file, load_events
from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.reports.inference.background import choose_classes, divide_background
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.models import LoadedModel, ModelSet
from thesis_ml.utils.paths import MAX_SHOWN, NO_SUCH_FILE, expand_home, explain_no_file

SAME_EVENTS = ("n_tokens", "order")
"""Keys below `data` that models must share: with other ones an event has other tokens."""


OF_CODES = "code_"
"""What names of scores begin with that only models with codes have."""

FEWEST_FITTED = 2
"""One event has no spread."""


@dataclass(frozen=True)
class LoadedData:
    """The events of a report.

    Args:
        stored: All splits of the file, all classes.
        fingerprint: Of the file.
        split: Which of the splits is scored.
        events: The events that are scored.
        background: Background events of `fitted_split`, which densities are fitted to.
        unfitted: Others of them, at most as many as events are scored: models know them, densities do not.
        background_classes: Their labels.
        signal: The events of `inference.signal_file`, None without one.
        signal_classes: Names of their classes, None for one without.
        limit: Which run keeps others from more events, None where none does.
        without_scores: Groups that have none of the scores asked for.
        doubts: Values of the events that are hardly right, and events that repeat.
    """

    stored: EventSplits
    fingerprint: str
    split: str
    events: Events
    background: Events
    unfitted: Events
    background_classes: tuple[int, ...]
    signal: Events | None
    signal_classes: tuple[str | None, ...] = ()
    limit: str | None = None
    without_scores: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def fitted_split(self) -> str:
        """The split that densities are fitted to: training events, unless these are scored themselves."""
        return choose_fitted(self.split)

    @property
    def label_names(self) -> dict[int, str]:
        """Names of the labels, where the file gives any."""
        names = self.stored.label_names.items()
        return {int(label): name for label, name in names if label.lstrip("-").isdecimal()}


def check_files(config: InferenceConfig) -> None:
    """Refuse a data file or a signal file that is not there, before anything is done for it.

    Raises:
        ReportError: A path names no file.
    """
    named = {
        "inference.data_path": (config.data_path, "set inference.data_path to where the data is now"),
        "inference.signal_file": (config.signal_file, "give an HDF5 file of events"),
    }
    for key, (text, remedy) in named.items():
        if text is not None and (wrong := explain_no_file(path := expand_home(text))) is not None:
            raise ReportError(f"{key}: {wrong}: {str(path)[:MAX_SHOWN]!r}; {remedy}")


def load_data(restored: ModelSet, config: InferenceConfig) -> tuple[LoadedData, ModelSet]:
    """Return the events that are scored, and the models without those that were trained on other ones.

    Raises:
        ReportError: The file is not there, or it is another one than that of all models.
        DataError: The file cannot be read.
        ConfigError: A class or a split has no events, or no model has any of the scores asked for.
    """
    options = choose_options(restored.models, config)
    fingerprint = fingerprint_data(options)
    stored = load_events(options)
    kept, others = _drop_others(restored.models, stored, options, fingerprint if config.check_fingerprint else None)
    if not kept:
        reasons = "; ".join(dict.fromkeys(others.values()))
        raise ReportError(f"inference: no model fits the events: its run {reasons}")
    classes = choose_classes(kept, stored, config)
    events = take_first(stored.splits[config.dataset_split], config.max_samples)
    fitted = choose_fitted(config.dataset_split)
    known = stored.splits[fitted]
    reference = keep_events(known, np.isin(known.labels, classes))
    limit = explain_limit(restored.models, options, stored)
    if reference.n_events < FEWEST_FITTED or not reference.n_tokens:
        raise ReportError(
            f"inference: densities are fitted to {reference.n_events} background events of the {name_split(fitted)}, "
            f"{int((reference.lengths > 0).sum())} of them with objects, which is too few; "
            f"{limit or 'give a file with more, or other inference.background_classes'}"
        )
    if len(np.unique(hash_events(reference))) < FEWEST_FITTED:
        raise ReportError(
            f"inference: all {reference.n_events} background events of the {name_split(fitted)} are the same, so that "
            "no density can be fitted to them; give other events"
        )
    background, unfitted = divide_background(reference, config.seed)
    check_weights(events, Place(stored.path, stored.datasets[config.dataset_split]))
    signal, signal_classes = load_signal(options, stored, config, fingerprint) or (None, ())
    samples = {"events": events} if signal is None else {"events": events, "signal_file": signal}
    data = LoadedData(
        stored=stored,
        fingerprint=fingerprint,
        split=config.dataset_split,
        events=events,
        background=background,
        unfitted=take_first(unfitted, events.n_events if fitted == "train" else 0),
        background_classes=classes,
        signal=signal,
        signal_classes=signal_classes,
        limit=limit if any(_reads_more(model, options) for model in kept) else None,
        without_scores=find_scoreless(kept, config),
        doubts=tuple(describe_doubts(samples, stored.type_names)),
    )
    return data, ModelSet(kept, {**restored.not_possible, **others})


def choose_fitted(split: str) -> str:
    """Return the split that densities are fitted to: no event is scored by a density that was fitted to it."""
    return "val" if split == "train" else "train"


def name_split(split: str) -> str:
    """Return a split in words."""
    return {"train": "training split", "val": "validation split"}.get(split, f"{split} split")


def find_scoreless(models: Sequence[LoadedModel], config: InferenceConfig) -> tuple[str, ...]:
    """Return the groups that have none of the scores asked for: those of codes, and no codes.

    Raises:
        ConfigError: No model has any of them.
    """
    if not config.metrics or not all(name.startswith(OF_CODES) for name in config.metrics):
        return ()
    groups = dict.fromkeys(
        model.scored.group for model in models if not model.restored.config.latent_space.codebook_sizes
    )
    having = {model.scored.group for model in models} - set(groups)
    if not having:
        raise ConfigError(
            f"inference.metrics: no model has {' or '.join(config.metrics)}, as none has a codebook; "
            "ask for others, such as error_mean, or leave it out for all"
        )
    return tuple(groups)


def choose_options(models: Sequence[LoadedModel], config: InferenceConfig) -> DataConfig:
    """Return how the events are read: as the reference model read them, with all classes.

    Raises:
        ReportError: The file is not there.
    """
    first = choose_reference(models, config)
    options, fingerprint = first.restored.data, first.restored.dataset_fingerprint
    limits = [one.restored.data.limit_events for one in models if one.restored.dataset_fingerprint == fingerprint]
    known = [limit for limit in limits if limit is not None]
    options = replace(options, train_classes=None, limit_events=min(known, default=None))
    if config.data_path is not None:
        options = replace(options, path=config.data_path, synthetic=None)
    if options.synthetic is not None:
        return options
    path = SAMPLE_PATH if options.path is None else expand_home(options.path)
    # No device and no pipe: a checkpoint of somebody else names this path.
    if config.data_path is None and (wrong := explain_no_file(path)) is not None:
        wrong = "its data file is not there any more" if wrong == NO_SUCH_FILE else wrong
        raise ReportError(
            f"run {first.scored.run}: {wrong}: {str(path)[:MAX_SHOWN]!r}; set inference.data_path to where the data "
            "is now"
        )
    return options


def explain_limit(models: Sequence[LoadedModel], options: DataConfig, stored: EventSplits) -> str | None:
    """Return which run had the fewest events, which are all that is read; None where no limit was reached."""
    limit = options.limit_events
    run = next((model.scored.run for model in models if model.restored.data.limit_events == limit), None)
    if limit is None or run is None or all(events.n_events < limit for events in stored.splits.values()):
        return None
    return (
        f"no more than {limit} events of each split are read, as run {run} has data.limit_events={limit}; leave it out "
        "for more"
    )


def choose_reference(models: Sequence[LoadedModel], config: InferenceConfig) -> LoadedModel:
    """Return the model whose data is scored: one that was trained on the file asked for, else on what most were."""
    prints = [model.restored.dataset_fingerprint for model in models]
    wanted = None if config.data_path is None else fingerprint_file(expand_home(config.data_path))
    place = prints.index(wanted) if wanted in prints else prints.index(max(prints, key=prints.count))
    return models[place]


def load_signal(
    options: DataConfig, stored: EventSplits, config: InferenceConfig, fingerprint: str = ""
) -> tuple[Events, tuple[str | None, ...]] | None:
    """Return the events of `inference.signal_file`, read as the others are, and the names of their classes, or None.

    Args:
        options: How the events are read.
        stored: The events.
        config: Names the file.
        fingerprint: Of the events.

    Raises:
        ReportError: The file names other object types, or is the one that holds the events.
        DataError: It cannot be read.
    """
    if config.signal_file is None:
        return None
    path = expand_home(config.signal_file)
    if fingerprint_file(path) == fingerprint:
        raise ReportError(
            f"inference.signal_file: {path} is the data file that is scored, so that signal and background would "
            "be the same events; leave it out (the classes of the file are compared anyway) or give other events"
        )
    signal = load_events(replace(options, path=str(path), synthetic=None, limit_events=None))
    if signal.type_names != stored.type_names:
        raise ReportError(
            f"inference.signal_file: {path} has the object types {', '.join(signal.type_names)}; "
            f"the events have {', '.join(stored.type_names)}"
        )
    events = take_first(signal.splits[config.dataset_split], config.max_samples)
    place = f"inference.signal_file: {path}: {signal.datasets[config.dataset_split]}"
    if not events.n_tokens:
        raise ReportError(f"{place}: no event has an object; give a file of events with objects")
    check_weights(events, Place(path, signal.datasets[config.dataset_split]))
    return events, tuple(signal.label_names.get(str(label)) for label in np.unique(events.labels))


def _drop_others(
    models: Sequence[LoadedModel], stored: EventSplits, options: DataConfig, fingerprint: str | None
) -> tuple[tuple[LoadedModel, ...], dict[str, str]]:
    reasons = {model.scored.run: _explain_other(model.restored, stored, options, fingerprint) for model in models}
    kept = tuple(model for model in models if reasons[model.scored.run] is None)
    return kept, {run: reason for run, reason in reasons.items() if reason is not None}


def _explain_other(
    restored: RestoredModel, stored: EventSplits, options: DataConfig, fingerprint: str | None
) -> str | None:
    """Return why a model cannot be given the events, or None."""
    if fingerprint is not None and restored.dataset_fingerprint != fingerprint:
        return (
            f"was trained on other data (fingerprint {restored.dataset_fingerprint!r:.40}; the events have "
            f"{fingerprint!r}); give its file as inference.data_path, or set inference.check_fingerprint=false"
        )
    if restored.dims.type_names != stored.type_names:
        return (
            f"knows the object types {', '.join(restored.dims.type_names)!r:.200}; the events have "
            f"{', '.join(stored.type_names)!r:.200}; give a file with the same types"
        )
    for key in SAME_EVENTS:
        own, ours = getattr(restored.data, key), getattr(options, key)
        if own != ours:
            return f"was given other tokens (data.{key} is {own!r}; the events have {ours!r}); give it its own report"
    return None


def _reads_more(model: LoadedModel, options: DataConfig) -> bool:
    limit = model.restored.data.limit_events
    return options.limit_events is not None and (limit is None or limit > options.limit_events)
