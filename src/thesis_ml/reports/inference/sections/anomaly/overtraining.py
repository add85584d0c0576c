"""Overtraining beside that of K-means: any codebook fits the tokens that it was placed on better than others."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.cluster import KMeans
from torch import Tensor

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.batch import wrap_differences
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, keep_events
from thesis_ml.metrics.auroc import measure_auroc
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.compression.codes import MOST_CODES, TooFewTokensError, fit_stages
from thesis_ml.reports.inference.scoring.scores import ERROR_SCORES, estimate_log_shares, score_codes
from thesis_ml.reports.inference.sections.anomaly.null_tests import HELD_OUT, MOST_ERRORS, NullCheck


class KnownEvents(NamedTuple):
    """Events by what models know of them.

    Args:
        train: Of the training split, of all classes.
        counted: Background events that models were trained on, and the densities of codes are taken from.
        seen: Others that models were trained on.
        held_out: Background events that they were not trained on, in the order of the scores.
    """

    train: Events
    counted: Events
    seen: Events
    held_out: Events


def allow_codebooks(
    checks: Sequence[NullCheck], models: Mapping[str, RestoredModel], events: KnownEvents
) -> tuple[NullCheck, ...]:
    """Return the checks, in which the codes of a model may separate held-out events as those of K-means do.

    K-means with as many centres as the model has codes is fitted to the features of the model's training tokens, for
    each further codebook to what is left of them. It is only fitted for checks that fail without it.

    Args:
        checks: All null tests and overtraining checks.
        models: By the name that the checks give.
        events: What K-means is fitted to, and judged by.
    """
    known: dict[tuple[object, str], Mapping[str, Measured]] = {}
    return tuple(_allow(check, models, events, known) for check in checks)


def _allow(
    check: NullCheck,
    models: Mapping[str, RestoredModel],
    events: KnownEvents,
    known: dict[tuple[object, str], Mapping[str, Measured]],
) -> NullCheck:
    model = models.get(check.scorer)
    is_candidate = check.null == HELD_OUT and not check.holds and check.auroc.value > 0.5
    sizes = () if model is None else model.config.latent_space.codebook_sizes
    if model is None or not is_candidate or not sizes or max(sizes) > MOST_CODES:
        return check
    key = (sizes, repr((model.normalizer.to_state(), model.train_classes)))
    if key not in known:
        known[key] = _measure_kmeans(model, events)
    reference = known[key].get(check.score)
    if reference is None:
        return check
    tolerance = reference.value - 0.5 + MOST_ERRORS * float(np.hypot(reference.error, check.auroc.error))
    rule = f"k-means with {' + '.join(map(str, sizes))} centres: {reference}, ± {MOST_ERRORS:g} errors"
    return check._replace(tolerance=tolerance, rule=rule) if tolerance > check.tolerance else check


def _measure_kmeans(model: RestoredModel, events: KnownEvents) -> Mapping[str, Measured]:
    """Return how K-means separates held-out events from those that it was fitted to, by score; none of few tokens."""
    sizes, classes = model.config.latent_space.codebook_sizes, model.train_classes
    fitted = events.train if classes is None else keep_events(events.train, np.isin(events.train.labels, classes))
    try:
        stages = tuple(fit_stages(encode_events(fitted, model.normalizer).features.numpy(), sizes))
    except TooFewTokensError:
        return {}
    counted, _ = _code(stages, encode_events(events.counted, model.normalizer).features)
    log_shares = [
        estimate_log_shares(torch.bincount(codes, minlength=size)) for codes, size in zip(counted.T, sizes, strict=True)
    ]

    def score(some: Events) -> dict[str, Float[Tensor, " N"]]:
        features, lengths = encode_events(some, model.normalizer).features, torch.from_numpy(some.lengths)
        codes, decoded = _code(stages, features)
        errors = wrap_differences(decoded - features, model.dims).square().mean(dim=1)
        of_errors = {name: one(errors, lengths) for name, one in ERROR_SCORES.items()}
        return {**of_errors, **score_codes(codes, lengths, log_shares)}

    unseen, seen = score(events.held_out), score(events.seen)
    is_unseen = np.repeat([1, 0], [events.held_out.n_events, events.seen.n_events])
    return {
        name: measure_auroc(torch.cat((values, seen[name])).double().numpy(), is_unseen)
        for name, values in unseen.items()
    }


def _code(stages: Sequence[KMeans], features: Float[Tensor, "P F"]) -> tuple[Int[Tensor, "P Q"], Float[Tensor, "P F"]]:
    """Return the codes of tokens, one for each stage, and what they decode to."""
    decoded, codes = np.zeros_like(features.numpy()), []
    for centres in stages:
        codes.append(centres.predict(features.numpy() - decoded))
        decoded += centres.cluster_centers_[codes[-1]]
    return torch.from_numpy(np.stack(codes, axis=1)).long(), torch.from_numpy(decoded)
