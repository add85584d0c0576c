"""Compressions without a model, beside which the errors of tokenizers stand."""

import math
import time

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from thesis_ml.data.batch import wrap_differences
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, keep_events
from thesis_ml.reports.contents import Reference
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.models import LoadedModel

MOST_SECONDS = 30.0
"""For all fits; a number of codes that would take longer is left blank with the reason."""

MOST_CODES = 4096
FEWEST_TOKENS_PER_CODE = 4


def fit_references(context: Context, most_s: float = MOST_SECONDS) -> tuple[Reference, ...]:
    """Return the compressions that `inference.baselines` asks for, at the codebook sizes of the models.

    K-means is fitted to the standardised features of the training tokens and measured on the test tokens, in the units
    of the first model; models with other units have errors of their own.
    """
    if "kmeans" not in context.config.baselines:
        return ()
    sizes = {size for model in context.models for size in model.restored.config.latent_space.codebook_sizes}
    wanted = sorted(size for size in sizes or {512} if 1 < size <= MOST_CODES)
    if not wanted:
        return ()
    model = context.models[0]
    train, test = (encode_tokens(model, context.data.stored.splits[name]) for name in ("train", "test"))
    references = []
    spent_s, s_per_code = 0.0, 0.0
    for n_codes in wanted:
        bits = math.log2(n_codes)
        # A fit takes as long as there are codes, or somewhat longer.
        if spent_s + s_per_code * n_codes > most_s:
            references.append(Reference("kmeans", bits, math.nan, f"not fitted: more than {most_s:g} s"))
        elif len(train) < FEWEST_TOKENS_PER_CODE * n_codes:
            references.append(Reference("kmeans", bits, math.nan, f"not fitted: {len(train)} tokens are too few"))
        else:
            start_s = time.monotonic()
            references.append(Reference("kmeans", bits, measure_kmeans(n_codes, model, train, test)))
            taken_s = time.monotonic() - start_s
            spent_s, s_per_code = spent_s + taken_s, taken_s / n_codes
    return tuple(references)


def encode_tokens(model: LoadedModel, events: Events) -> Tensor:
    """Return the standardised features of the tokens of events, of the classes that a model was trained on."""
    classes = model.scored.train_classes
    if classes is not None:
        events = keep_events(events, np.isin(events.labels, classes))
    return encode_events(events, model.restored.normalizer).features


def measure_kmeans(n_codes: int, model: LoadedModel, train: Tensor, test: Tensor) -> float:
    """Return the mean squared error of test tokens that are replaced by the nearest of K centres.

    Source: Arthur and Vassilvitskii, SODA (2007) 1027: the centres start by k-means++.
    """
    fitted = KMeans(n_codes, n_init=1, random_state=0).fit(train.numpy())
    nearest = torch.from_numpy(fitted.cluster_centers_[fitted.predict(test.numpy())].astype(np.float32))
    return float(wrap_differences(nearest - test, model.restored.dims).square().mean())
