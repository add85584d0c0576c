"""Send the events of a split once through all models and corruptions; only numbers per event are kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, iterate_blocks
from thesis_ml.data.splits import iterate_batches
from thesis_ml.errors import DataError
from thesis_ml.reports.inference.changes.corruptions import corrupt
from thesis_ml.reports.inference.changes.nulls import NullPlan, apply_null
from thesis_ml.reports.inference.config import InferenceConfig
from thesis_ml.reports.inference.scoring.density import DENSITIES, Score
from thesis_ml.reports.inference.scoring.event_scores import CLEAN, RawScores, Variant
from thesis_ml.reports.inference.scoring.model_output import ModelOutput, count_not_finite
from thesis_ml.reports.inference.scoring.scores import (
    estimate_log_shares,
    pool_latents,
    score_codes,
    score_errors,
)
from thesis_ml.utils.arrays import NDArray

BLOCK_EVENTS = 2048
"""Events in memory at a time."""


class Scorer(Protocol):
    """Whatever gives each event scores of its own."""

    def run(self, events: Events) -> ModelOutput:
        """Return what becomes of some events."""
        ...


class RawOutput(NamedTuple):
    """What a model gives for events."""

    errors: Mapping[str, Float[Tensor, " B"]]
    pooled: Float[Tensor, "B V"]
    features: Float[Tensor, "P F"]
    lengths: Int[Tensor, " B"]
    types: Int[Tensor, " P"] | None
    globals: Float[Tensor, "B G"] | None
    codes: Int[Tensor, "P Q"] | None


@dataclass(frozen=True)
class PassOptions:
    """How models are run.

    Args:
        batch_size: Events per batch.
        seed: For models that sample, and for fits that start at random.
        autocast: Run models in bfloat16; scores are computed in float32 all the same.
    """

    batch_size: int = 512
    seed: int = 0
    autocast: bool = False


def choose_pass_options(config: InferenceConfig) -> PassOptions:
    """Return how a report runs its models."""
    return PassOptions(config.batch_size, config.seed, config.autocast)


class ModelScorer:
    """The scores of one model; `fit` tells it what an ordinary event is.

    Args:
        restored: The model.
        options: How it is run.
    """

    def __init__(self, restored: RestoredModel, options: PassOptions) -> None:
        self.restored = restored
        self._options = options
        self._model = restored.model
        self._densities: dict[str, Score] = {}
        self._log_shares: list[Tensor] | None = None

    def fit(self, background: Events) -> None:
        """Fit the densities of pooled latents and the shares of codes to `background`.

        Raises:
            DataError: What the model makes of them is not finite, or cannot be fitted to.
        """
        outputs = self.reconstruct(background)
        pooled = outputs.pooled.double().numpy()
        for name, values in {"latent": pooled, **{key: part.numpy() for key, part in outputs.errors.items()}}.items():
            n_wrong = int((~np.isfinite(values.reshape(len(values), -1))).any(axis=1).sum())
            if n_wrong:
                raise DataError(
                    f"its {name} of {n_wrong} of {len(values)} background events is not finite; train it again"
                )
        kinematics, predicted = self._decode(outputs)
        if n_wrong := count_not_finite(kinematics, predicted, background.lengths):
            raise DataError(
                f"its decoded values of {n_wrong} of {len(pooled)} background events are not finite; train it again"
            )
        try:
            self._densities = {name: fit(pooled, self._options.seed) for name, fit in DENSITIES.items()}
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise DataError(f"no density can be fitted to its latents ({reason:.200}); train it again") from None
        if outputs.codes is not None:
            sizes = self.restored.config.latent_space.codebook_sizes
            counts = [torch.bincount(outputs.codes[:, q], minlength=size) for q, size in enumerate(sizes)]
            self._log_shares = [estimate_log_shares(count) for count in counts]

    def run(self, events: Events) -> ModelOutput:
        """Return the scores of each event, as far as `fit` gave them a meaning, and its reconstruction."""
        outputs = self.reconstruct(events)
        scores = {name: values.double().numpy() for name, values in outputs.errors.items()}
        pooled = outputs.pooled.double().numpy()
        is_known = np.isfinite(pooled).all(axis=1)
        rows = np.where(is_known[:, None], pooled, 0.0)
        scores |= {f"latent_{name}": np.where(is_known, score(rows), np.nan) for name, score in self._densities.items()}
        if self._log_shares is not None and outputs.codes is not None:
            rare = score_codes(outputs.codes, outputs.lengths, self._log_shares)
            scores |= {name: values.numpy() for name, values in rare.items()}
        kinematics, predicted = self._decode(outputs)
        return ModelOutput(
            scores=scores,
            kinematics=kinematics,
            types=None if outputs.types is None else outputs.types.numpy(),
            globals=predicted,
            codes=None if outputs.codes is None else outputs.codes.numpy(),
        )

    @torch.no_grad()
    def reconstruct(self, events: Events) -> RawOutput:
        """Return what the model makes of events, in order."""
        split = encode_events(events, self.restored.normalizer)
        parts = [self._step(batch) for batch in iterate_batches(split, self._options.batch_size, generator=None)]
        return _join(parts)

    def _decode(self, outputs: RawOutput) -> tuple[Float[NDArray[Any], "P C"], Float[NDArray[Any], "B 2"] | None]:
        """Return features and globals in GeV and radian."""
        normalizer = self.restored.normalizer
        kinematics = normalizer.decode_features(outputs.features, outputs.types).double().numpy()
        if outputs.globals is None:
            return kinematics, None
        return kinematics, normalizer.decode_globals(outputs.globals).double().numpy()

    def _step(self, batch: TokenBatch) -> RawOutput:
        generator = torch.Generator().manual_seed(self._options.seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=self._options.autocast):
            output: Reconstruction = self._model.reconstruct(batch, generator)
        return RawOutput(
            errors=score_errors(output, batch, self.restored.dims),
            pooled=pool_latents(output.latent.values.float(), batch.lengths),
            features=output.features,
            lengths=batch.lengths,
            types=output.types,
            globals=output.globals,
            codes=output.latent.codes,
        )


Observer = Callable[[str, Events, ModelOutput], None]
"""Told of every block of clean events and what a model, by its name, made of it."""

Progress = Callable[[int], None]
"""Told how many events more are done."""


@dataclass(frozen=True)
class StreamPlan:
    """What a split is sent through.

    Args:
        scorers: By name.
        variants: Corruptions and nulls; the clean events come first whether named or not.
        type_names: Names of the object ids 1, 2, ...
        pool: Background events that corruptions may take tokens from.
    """

    scorers: Mapping[str, Scorer]
    variants: Sequence[Variant]
    type_names: Sequence[str]
    pool: Events


def stream_split(
    events: Events,
    plan: StreamPlan,
    observe: Observer | None = None,
    progress: Progress | None = None,
) -> RawScores:
    """Return the scores of all events in all variants.

    Args:
        events: The split, in GeV.
        plan: What it is sent through.
        observe: Told of the clean events, block by block.
        progress: Told how many events each pass of a model was over.
    """
    blocks: dict[tuple[str, str], list[Mapping[str, NDArray[Any]]]] = {}
    variants = [CLEAN, *(variant for variant in plan.variants if variant != CLEAN)]
    for block in iterate_blocks(events, BLOCK_EVENTS):
        for variant in variants:
            changed = _change(block, variant, plan)
            for name, scorer in plan.scorers.items():
                passed = scorer.run(changed)
                blocks.setdefault((name, variant.name), []).append(passed.scores)
                if variant == CLEAN and observe is not None:
                    observe(name, block, passed)
                if progress is not None:
                    progress(block.n_events)
    # Taken out one by one, so that scores are not held twice.
    return {key: _join_scores(blocks.pop(key)) for key in list(blocks)}


def _change(block: Events, variant: Variant, plan: StreamPlan) -> Events:
    if variant.plan is None:
        return block
    if isinstance(variant.plan, NullPlan):
        return apply_null(block, variant.plan)
    return corrupt(block, variant.plan, type_names=plan.type_names, pool=plan.pool)


def _join_scores(parts: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    return {name: round_scores(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def round_scores(values: Float[NDArray[Any], " N"]) -> Float[NDArray[np.float64], " N"]:
    """Return scores to the digits that `scores.h5` keeps.

    Means of equal numbers differ in their last bit by how many there are: rounding must not rank events.
    """
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _join(parts: Sequence[RawOutput]) -> RawOutput:
    def join(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else torch.cat(values)

    errors = {name: torch.cat([part.errors[name] for part in parts]) for name in parts[0].errors}
    return RawOutput(errors, **{name: join(name) for name in RawOutput._fields if name != "errors"})
