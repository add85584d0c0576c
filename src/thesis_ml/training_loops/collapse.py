"""Warnings of a model that has collapsed at the epoch that was chosen, and of losses that leave it no choice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from thesis_ml.architectures.autoencoder.base import Autoencoder, Fitted
from thesis_ml.data.batch import wrap_differences
from thesis_ml.data.tokens import TokenData
from thesis_ml.facts.schema import History, Metrics
from thesis_ml.metrics.codebook import COLLAPSED_PERPLEXITY, COLLAPSED_SHARE, has_collapsed, measure_entropies
from thesis_ml.training_loops.best import is_better
from thesis_ml.training_loops.settings import RunSettings

LEAST_BITS = 0.05
"""A latent that holds less of a token, on average, has collapsed."""

LARGEST_SHARE = 0.98
"""A model with a larger share of the error of the mean of all tokens gives hardly more than the mean."""

DWARFING_WEIGHT = 5.0
"""The largest weight of a loss of the bottleneck beside that of rec_tokens, 1, which is about 1 before training."""


@dataclass(frozen=True)
class Scale:
    """The sizes that numbers are compared with.

    Args:
        codebook_sizes: Codes of each quantiser that is trained, none where latents are continuous or codes are fitted.
        n_tokens: Tokens of the validation split.
        mean_error: Their rec_mse for a decoder that gives the mean of all tokens: 1 of standardised columns.
    """

    codebook_sizes: tuple[int, ...]
    n_tokens: int
    mean_error: float


def find_scale(model: nn.Module, data: TokenData) -> Scale:
    """Return the sizes that the numbers of a model are compared with."""
    features = data.val.features
    if not isinstance(model, Autoencoder):
        return Scale((), data.val.n_tokens, math.nan)
    error = float(wrap_differences(features, data.dims).square().mean()) if len(features) else math.nan
    # Codes that are fitted, not trained, stay where the data are.
    sizes = () if isinstance(model.bottleneck, Fitted) else model.codebook_sizes
    return Scale(sizes, data.val.n_tokens, error)


def describe_new_collapse(history: History, epoch: int, scale: Scale, settings: RunSettings) -> str | None:
    """Return a warning when the model of `epoch` is the first that has collapsed; the first epoch may be unfinished."""
    first = max(settings.n_warmup_epochs, 1)
    if epoch < first or (found := describe_collapsed_split(_read(history, epoch), scale)) is None:
        return None
    if any(describe_collapsed_split(_read(history, one), scale) for one in history.epochs if first <= one < epoch):
        return None
    return f"phase1.latent_space: {found}, in epoch {epoch + 1}"


def describe_collapse(
    history: History, epoch: int, settings: RunSettings, scale: Scale, *, counts: np.ndarray | None, test: Metrics
) -> str | None:
    """Return a warning when the model of `epoch` has collapsed, with the best epoch that has not.

    Args:
        history: The numbers of all epochs.
        epoch: The one that was chosen, from 0.
        settings: Of the run.
        scale: What the numbers are compared with.
        counts: How often test tokens chose each code, a row per quantiser where there are several; None: not counted.
        test: Numbers of the test split, with the bits of a token.
    """
    found = describe_collapsed_codebook(scale.codebook_sizes, counts)
    found = found or describe_collapsed_split(_read(history, epoch), scale) or _describe_lost_bits(test)
    if found is None:
        return None
    monitor, key = settings.trainer.monitor, settings.trainer_key
    healthy = [
        number
        for number in history.epochs
        if number >= settings.n_warmup_epochs
        and number != epoch
        and describe_collapsed_split(_read(history, number), scale) is None
    ]
    chosen = f"phase1.latent_space: {found}, at epoch {epoch + 1}, which {key}.monitor={monitor} chose"
    if not healthy:
        lever = "with fewer codes" if scale.codebook_sizes else "with a smaller beta"
        return f"{chosen}; no other epoch is without a collapse: train for more steps or on more events, or {lever}"
    best = healthy[0]
    for number in healthy[1:]:
        if is_better(monitor, _read(history, number)[monitor], _read(history, best)[monitor]):
            best = number
    value = _read(history, best)[monitor]
    other = f"{chosen}; the best epoch without a collapse is {best + 1} ({monitor} {value:.4g})"
    if len(scale.codebook_sizes) != 1:
        return f"{other}; a smaller beta may help"
    least = math.ceil(max(COLLAPSED_SHARE * scale.codebook_sizes[0], COLLAPSED_PERPLEXITY))
    return f"{other}: choose it by {key}.require_perplexity={least}"


def describe_collapsed_codebook(codebook_sizes: tuple[int, ...], counts: np.ndarray | None) -> str | None:
    """Return which codebook has collapsed, None when none has; `counts` are those of `describe_collapse`."""
    if not codebook_sizes or counts is None:
        return None
    rows = np.atleast_2d(counts)
    perplexities = np.exp(measure_entropies(rows))
    worst = int(np.nanargmin(perplexities)) if np.isfinite(perplexities).any() else 0
    if not has_collapsed(float(perplexities[worst]), codebook_sizes[worst], int(rows[worst].clip(min=0).sum())):
        return None
    which = f"codebook {worst} of {len(codebook_sizes)}" if len(codebook_sizes) > 1 else "the codebook"
    return (
        f"{which} has collapsed: test tokens use {codebook_sizes[worst]} codes like {perplexities[worst]:.3g} equally "
        "frequent ones"
    )


def describe_collapsed_split(numbers: Mapping[str, float], scale: Scale) -> str | None:
    """Return how the numbers of a validation split show a collapse, or None."""
    perplexity, bits = numbers.get("perplexity", math.nan), numbers.get("kl", math.nan) / math.log(2)
    sizes, error = scale.codebook_sizes, numbers.get("rec_mse", math.nan)
    if sizes and has_collapsed(perplexity, min(sizes), scale.n_tokens):
        return f"the codebook has collapsed: its perplexity is {perplexity:.3g} of {min(sizes)}"
    if bits < LEAST_BITS:
        return f"the latent has collapsed: it holds {bits:.2g} bits of a token, as its posterior is the prior"
    if error >= LARGEST_SHARE * scale.mean_error:
        return (
            f"the model reconstructs no better than the mean of all tokens: rec_mse is {error:.4g}, that of the mean "
            f"{scale.mean_error:.4g}"
        )
    return None


def _describe_lost_bits(test: Metrics) -> str | None:
    """Return how the bits of a test token show a collapse, or None."""
    known = [test.get(name) for name in ("bits_per_token", "entropy_bits", "kl_bits")]
    bits = min((value for value in known if value is not None), default=math.nan)
    return f"the latent has collapsed: it holds {bits:.2g} bits of a token" if bits < LEAST_BITS else None


def describe_heavy_loss(weights: Mapping[str, float]) -> str | None:
    """Return a warning when a loss of the bottleneck weighs so much that the reconstruction hardly counts.

    `weights` are those of the bottleneck by term.
    """
    heavy = {name: weight for name, weight in weights.items() if weight > DWARFING_WEIGHT}
    if not heavy:
        return None
    name, weight = max(heavy.items(), key=lambda pair: pair[1])
    return (
        f"phase1.latent_space: {name} counts {weight:g} times as much as rec_tokens, whose loss is about 1 before "
        "training: it dwarfs the reconstruction; lower beta"
    )


def _read(history: History, epoch: int) -> dict[str, float]:
    """Return the numbers of the validation split of an epoch."""
    place = history.epochs.index(epoch)
    return {name: history.series("val", name)[place] for name in ("loss", *history.names("val"))}
