"""Warnings of a model that has collapsed at the epoch that was chosen, and of losses that leave it no choice."""

import math
from collections.abc import Mapping

import numpy as np

from thesis_ml.facts.schema import History
from thesis_ml.metrics.codebook import COLLAPSED_PERPLEXITY, COLLAPSED_SHARE, has_collapsed, measure_entropies
from thesis_ml.training_loops.best import is_better
from thesis_ml.training_loops.settings import RunSettings

LEAST_BITS = 0.05
"""A variational latent that holds less of a token, on average, has collapsed."""

DWARFING_WEIGHT = 5.0
"""The largest weight of a loss of the bottleneck beside that of rec_tokens, 1, which is about 1 before training."""


def describe_collapse(
    history: History,
    epoch: int,
    settings: RunSettings,
    *,
    codebook_sizes: tuple[int, ...],
    counts: np.ndarray | None,
    n_tokens: int,
) -> str | None:
    """Return a warning when the model of `epoch` has collapsed, with the best epoch that has not.

    Args:
        history: The numbers of all epochs.
        epoch: The one that was chosen, from 0.
        settings: Of the run.
        codebook_sizes: Codes of each quantiser, none where latents are continuous.
        counts: How often test tokens chose each code, a row per quantiser where there are several; None: not counted.
        n_tokens: Tokens of the validation split.
    """
    found = describe_collapsed_codebook(codebook_sizes, counts)
    found = found or describe_collapsed_split(_read(history, epoch), codebook_sizes, n_tokens)
    if found is None:
        return None
    monitor, key = settings.trainer.monitor, settings.trainer_key
    healthy = [
        number
        for number in history.epochs
        if number >= settings.n_warmup_epochs
        and number != epoch
        and describe_collapsed_split(_read(history, number), codebook_sizes, n_tokens) is None
    ]
    chosen = f"phase1.latent_space: {found}, at epoch {epoch + 1}, which {key}.monitor={monitor} chose"
    if not healthy:
        remedy = "train for more steps or on more events, with fewer codes, or with a smaller beta"
        return f"{chosen}; no other epoch is without a collapse: {remedy}"
    best = healthy[0]
    for number in healthy[1:]:
        if is_better(monitor, _read(history, number)[monitor], _read(history, best)[monitor]):
            best = number
    value = _read(history, best)[monitor]
    other = f"{chosen}; the best epoch without a collapse is {best + 1} ({monitor} {value:.4g})"
    if len(codebook_sizes) != 1:
        return f"{other}; a smaller beta may help"
    least = math.ceil(max(COLLAPSED_SHARE * codebook_sizes[0], COLLAPSED_PERPLEXITY))
    return f"{other}: choose it by {key}.require_perplexity={least}"


def describe_collapsed_codebook(codebook_sizes: tuple[int, ...], counts: np.ndarray | None) -> str | None:
    """Return which codebook has collapsed, None when none has; the arguments are those of `describe_collapse`."""
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


def describe_collapsed_split(
    numbers: Mapping[str, float], codebook_sizes: tuple[int, ...], n_tokens: int
) -> str | None:
    """Return how the numbers of a validation split show a collapse, or None."""
    perplexity, divergence = numbers.get("perplexity", math.nan), numbers.get("kl", math.nan)
    if codebook_sizes and has_collapsed(perplexity, min(codebook_sizes), n_tokens):
        return f"the codebook has collapsed: its perplexity is {perplexity:.3g} of {min(codebook_sizes)}"
    if divergence / math.log(2) < LEAST_BITS:
        return f"the latent has collapsed: it holds {divergence / math.log(2):.2g} bits of a token"
    return None


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
