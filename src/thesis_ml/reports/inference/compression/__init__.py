"""Compressions without a model, beside which the errors of tokenizers stand."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from thesis_ml.data.batch import DataDims, wrap_differences
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, keep_events
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.metrics.event_quantities import FOUR_MOMENTUM
from thesis_ml.metrics.wasserstein import compute_wasserstein
from thesis_ml.reports.contents import Reference
from thesis_ml.reports.inference.background import draw_events
from thesis_ml.reports.inference.compression.cache import find_file, read_references, write_references
from thesis_ml.reports.inference.compression.codes import (
    MOST_CODES,
    STAGE_CODES,
    Coded,
    ScalarCodes,
    TooFewTokensError,
    code_kmeans,
    code_places,
    code_residuals,
    measure_entropy,
)
from thesis_ml.reports.inference.compression.columns import separate_columns
from thesis_ml.reports.inference.context import Context
from thesis_ml.reports.inference.scoring.quantities import compute_masses, list_jets, measure_events
from thesis_ml.reports.inference.scoring.tally import LEAST_MASS_GEV
from thesis_ml.reports.inference.sections.two_sample.measure import (
    MOST_EVENTS,
    OF_MET,
    compare_samples,
    describe_events,
)
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.progress import show_progress

MOST_SECONDS = 60.0
"""For K-means of one kind; a number of codes that would take longer is left blank with the reason."""

CODEBOOKS = (64, 512)
SCALAR_BITS = (6, 9, 12, 18, 24, 36)
N_STAGES = 4
NO_TIME = "not fitted: more"
VERSION = 2
"""Of what is kept: another number is measured anew."""


@dataclass(frozen=True)
class Samples:
    """What compressions are fitted to and measured on, in the units of one model.

    Args:
        normalizer: What its columns are.
        dims: Their number and names.
        train, test: Events of the classes that it was trained on.
        type_names: Names of the object types.
    """

    normalizer: Normalizer
    dims: DataDims
    train: Events
    test: Events
    type_names: Sequence[str]

    def encode(self, events: Events) -> Float[NDArray[Any], "P F"]:
        """Return the standardised features of the tokens of events."""
        return encode_events(events, self.normalizer).features.numpy()


def fit_references(context: Context, most_s: float = MOST_SECONDS) -> tuple[Reference, ...]:
    """Return the compressions that `inference.baselines` asks for.

    They are fitted to the standardised features of the training tokens and measured on the test tokens, in the units of
    the first model; models with other units have errors of their own. The object type is kept beside the code.

    Args:
        context: The models and the events.
        most_s: Most seconds for K-means of one kind.
    """
    if not context.config.baselines:
        return ()
    samples = _take_samples(context)
    if not samples.train.n_tokens or not samples.test.n_tokens:
        return ()
    found = (model.restored.config.latent_space.codebook_sizes for model in context.models)
    sizes = {sizes[0] for sizes in found if len(set(sizes)) == 1}
    codebooks = sorted(size for size in {*CODEBOOKS, *sizes} if 1 < size <= MOST_CODES)
    file = find_file(_hash(context, samples, codebooks))
    kept = read_references(file)
    if kept is not None:
        return kept
    names = show_progress(tuple(dict.fromkeys(context.config.baselines)), "compression")
    references = tuple(one for name in names for one in measure_kind(name, samples, codebooks, most_s))
    # What a busy machine had no time for is measured by the next report.
    if not any(one.remark.startswith(NO_TIME) for one in references):
        write_references(file, references)
    return references


def _take_samples(context: Context) -> Samples:
    model = context.models[0]
    classes = model.scored.train_classes
    train, test = (context.data.stored.splits[name] for name in ("train", "test"))
    if classes is not None:
        train, test = (keep_events(events, np.isin(events.labels, classes)) for events in (train, test))
    return Samples(
        model.restored.normalizer,
        model.restored.dims,
        train,
        draw_events(test, MOST_EVENTS, 0),
        context.data.stored.type_names,
    )


def _hash(context: Context, samples: Samples, codebooks: Sequence[int]) -> str:
    """Return what the numbers follow from: data, representation, and what is asked for."""
    parts = (
        VERSION,
        context.data.fingerprint,
        context.models[0].restored.data.order,
        list(samples.type_names),
        samples.normalizer.to_state(),
        [samples.train.n_events, samples.train.n_tokens, samples.test.n_events, samples.test.n_tokens],
        context.config.baselines,
        codebooks,
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def measure_kind(
    name: str, samples: Samples, codebooks: Sequence[int], most_s: float = math.inf
) -> Iterator[Reference]:
    """Yield the references of one kind, at each number of bits.

    Args:
        name: One of `inference.baselines`.
        samples: What they are fitted to and measured on.
        codebooks: Numbers of centres of K-means.
        most_s: Most seconds for K-means.
    """
    train, test = samples.encode(samples.train), samples.encode(samples.test)
    if name == "per_feature":
        columns, _ = separate_columns(samples.normalizer, train, samples.train.types)
        wanted, join = separate_columns(samples.normalizer, test, samples.test.types)
        scalars = ScalarCodes(columns, wanted)
        for bits in SCALAR_BITS:
            coded = scalars.code(bits)
            yield _summarise(name, coded._replace(features=join(coded.features)), samples, test)
    elif name == "residual_kmeans":
        try:
            for coded in code_residuals(train, test, N_STAGES):
                yield _summarise(name, coded, samples, test)
        except TooFewTokensError as error:
            yield Reference(name, math.log2(STAGE_CODES), remark=f"not fitted: {error}")
    else:
        yield from _measure_kmeans(name, samples, (train, test), codebooks, most_s)


def _measure_kmeans(
    name: str,
    samples: Samples,
    encoded: tuple[Float[NDArray[Any], "N F"], Float[NDArray[Any], "P F"]],
    codebooks: Sequence[int],
    most_s: float,
) -> Iterator[Reference]:
    train, test = encoded
    spent_s, s_per_code = 0.0, 0.0
    for n_codes in codebooks:
        # A fit takes as long as there are codes, or somewhat longer.
        if spent_s + s_per_code * n_codes > most_s:
            yield Reference(name, math.log2(n_codes), remark=f"{NO_TIME} than {most_s:g} s")
            continue
        start_s = time.monotonic()
        try:
            if name == "kmeans":
                coded = code_kmeans(train, test, n_codes)
            else:
                places = (samples.train.token_places, samples.test.token_places)
                coded = code_places((train, places[0]), (test, places[1]), n_codes)
        except TooFewTokensError as error:
            yield Reference(name, math.log2(n_codes), remark=f"not fitted: {error}")
            continue
        yield _summarise(name, coded, samples, test)
        taken_s = time.monotonic() - start_s
        spent_s, s_per_code = spent_s + taken_s, taken_s / n_codes


def _summarise(name: str, coded: Coded, samples: Samples, test: Float[NDArray[Any], "P F"]) -> Reference:
    differences = torch.from_numpy((coded.features - test).astype(np.float32))
    reference = Reference(
        name=name,
        bits=coded.bits,
        rec_mse=float(wrap_differences(differences, samples.dims).square().mean()),
        entropy_bits=coded.entropy_bits,
        type_bits=measure_entropy(samples.test.types),
    )
    features = torch.from_numpy(coded.features.astype(np.float32))
    decoded = samples.normalizer.decode_features(features, torch.from_numpy(samples.test.types)).double().numpy()
    if not set(FOUR_MOMENTUM) <= set(samples.normalizer.features):
        return reference
    rebuilt = samples.test.with_features(**dict(zip(samples.normalizer.features, decoded.T, strict=True)))
    jet_mass, m_jj, two_sample = _compare(samples.test, rebuilt, samples.type_names)
    return replace(reference, jet_mass=jet_mass, m_jj=m_jj, two_sample=two_sample)


def _compare(real: Events, rebuilt: Events, type_names: Sequence[str]) -> tuple[float, float, float]:
    """Return the resolution of jet masses, the distance of m_jj, and how well trees tell the events apart."""
    masses, true = compute_masses(rebuilt.features), compute_masses(real.features)
    is_jet = np.isin(real.types, list_jets(type_names)) & (true > LEAST_MASS_GEV)
    low, high = np.quantile(masses[is_jet] / true[is_jet] - 1, (0.16, 0.84)) if is_jet.any() else (math.nan, math.nan)
    pair = [measure_events(one.features, one.types, one.lengths, type_names)["m_jj"] for one in (rebuilt, real)]
    known = np.isfinite(pair).all(axis=0)
    described = [describe_events(one, type_names) for one in (real, rebuilt)]
    bare = [{name: one[name] for name in one if name not in OF_MET} for one in described]
    numbers = np.arange(real.n_events)
    test = compare_samples(bare[0], bare[1], (numbers, numbers), 0) if real.n_events > 2 * len(bare[0]) else None
    distance = compute_wasserstein(pair[0][known], pair[1][known])
    return float(high - low) / 2, distance, math.nan if test is None else test.auroc.value
