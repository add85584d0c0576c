"""Overtraining beside that of K-means: any codebook fits the tokens that it was placed on better than others."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.batch import wrap_differences
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, keep_events
from thesis_ml.metrics.auroc import measure_auroc
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.compression.codes import MOST_CODES, TooFewTokensError, fit_kmeans
from thesis_ml.reports.inference.scoring.scores import ERROR_SCORES
from thesis_ml.reports.inference.sections.anomaly.null_tests import HELD_OUT, MOST_ERRORS, NullCheck


def allow_codebooks(
    checks: Sequence[NullCheck],
    models: Mapping[str, RestoredModel],
    train: Events,
    held_out: Events,
    seen: Events,
) -> tuple[NullCheck, ...]:
    """Return the checks, in which the errors of a codebook may separate held-out events as those of K-means do.

    K-means with as many centres as the model has codes is fitted to the features of the model's training tokens. It is
    only fitted for checks that fail without it.

    Args:
        checks: All null tests and overtraining checks.
        models: By the name that the checks give.
        train: Events of the training split, of all classes.
        held_out: Background events that models were not trained on, in the order of the scores.
        seen: Background events that they were trained on.
    """
    known: dict[tuple[int, str], Mapping[str, Measured]] = {}
    return tuple(_allow(check, models, (train, held_out, seen), known) for check in checks)


def _allow(
    check: NullCheck,
    models: Mapping[str, RestoredModel],
    events: tuple[Events, Events, Events],
    known: dict[tuple[int, str], Mapping[str, Measured]],
) -> NullCheck:
    model = models.get(check.scorer)
    is_candidate = check.null == HELD_OUT and not check.holds and check.auroc.value > 0.5
    if model is None or not is_candidate or check.score not in ERROR_SCORES:
        return check
    sizes = model.config.latent_space.codebook_sizes
    if len(sizes) != 1 or sizes[0] > MOST_CODES:
        return check
    key = (sizes[0], repr((model.normalizer.to_state(), model.train_classes)))
    if key not in known:
        known[key] = dict(_measure_kmeans(model, sizes[0], *events))
    if check.score not in known[key]:
        return check
    reference = known[key][check.score]
    tolerance = reference.value - 0.5 + MOST_ERRORS * float(np.hypot(reference.error, check.auroc.error))
    rule = f"k-means with {sizes[0]} centres: {reference}, ± {MOST_ERRORS:g} errors"
    return check._replace(tolerance=tolerance, rule=rule) if tolerance > check.tolerance else check


def _measure_kmeans(
    model: RestoredModel, n_codes: int, train: Events, held_out: Events, seen: Events
) -> Iterator[tuple[str, Measured]]:
    """Yield how the errors of K-means separate held-out events from those that it was fitted to, by score."""
    classes = model.train_classes
    fitted = train if classes is None else keep_events(train, np.isin(train.labels, classes))
    try:
        centres = fit_kmeans(encode_events(fitted, model.normalizer).features.numpy(), n_codes)
    except TooFewTokensError:
        return

    def score(events: Events) -> dict[str, Float[NDArray[Any], " N"]]:
        split = encode_events(events, model.normalizer)
        nearest = torch.from_numpy(centres.cluster_centers_[centres.predict(split.features.numpy())].astype(np.float32))
        errors = wrap_differences(nearest - split.features, model.dims).square().mean(dim=1)
        lengths = torch.from_numpy(events.lengths)
        return {name: one(errors, lengths).double().numpy() for name, one in ERROR_SCORES.items()}

    unseen, known = score(held_out), score(seen)
    is_unseen = np.repeat([1, 0], [held_out.n_events, seen.n_events])
    for name in ERROR_SCORES:
        yield name, measure_auroc(np.concatenate((unseen[name], known[name])), is_unseen)
