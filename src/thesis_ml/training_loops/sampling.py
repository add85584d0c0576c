"""Errors and coverage of the samples of a diffusion autoencoder, over the events of a split."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Reconstruction
from thesis_ml.architectures.autoencoder.diffusion.event_noise import derive_seed
from thesis_ml.architectures.autoencoder.diffusion.model import DiffusionAutoencoder
from thesis_ml.data.batch import TokenBatch
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.data.splits import TokenSplit, iterate_batches, select_events
from thesis_ml.facts.schema import (
    COVERAGE_PREFIX,
    DENOISING,
    MEAN_ERROR,
    N_MEAN,
    NARROW,
    RANKS_PREFIX,
    SAMPLE_ERROR,
    STRIP,
    STRIP_REC,
    STRIP_TRUE,
    WIDE,
)
from thesis_ml.metrics.coverage import count_ranks, measure_coverage, rank_truth
from thesis_ml.training_loops.task import SplitMeasurement

N_RANKED = 16
"""Samples of an event that the truth is ranked among."""
SUBSET_EVENTS = 2000
"""First events of a split that stand for all of it, where all of them would cost too much."""
N_TIME_BINS = 10
N_SHOWN = 5
LEAST_SHOWN_TOKENS, MOST_SHOWN_TOKENS = 3, 18
"""Of the event whose way from noise to a sample is kept for the figure."""

CheckStops = Callable[[], None]


@dataclass(frozen=True)
class SampleMeter:
    """Draws samples of the events of a split and compares them with the truth.

    Args:
        model: In evaluation mode.
        normalizer: The encoding of its columns.
        batch_size: Events per batch, which changes no number.
        seed: Of the samples.
        check_stops: Called after every batch.
    """

    model: DiffusionAutoencoder
    normalizer: Normalizer
    batch_size: int
    seed: int
    check_stops: CheckStops = field(default=lambda: None)

    @torch.no_grad()
    def measure_errors(self, split: TokenSplit) -> dict[str, float]:
        """Return the mean squared errors of one sample, and of the mean of N_MEAN samples; nothing without tokens."""
        single, mean, n_values = 0.0, 0.0, 0
        for batch, output in self._iterate(split):
            samples = self.draw_samples(output, batch, N_MEAN)
            single += float((samples - batch.features).square().sum()) / N_MEAN
            mean += float((samples.mean(dim=0) - batch.features).square().sum())
            n_values += batch.features.numel()
        return {SAMPLE_ERROR: single / n_values, MEAN_ERROR: mean / n_values} if n_values else {}

    @torch.no_grad()
    def count_ranks(self, split: TokenSplit) -> Mapping[str, np.ndarray]:
        """Return for each physical feature how often the truth had each rank among N_RANKED samples [2 S+1].

        The first row is of the half of the tokens whose samples lie closest together, the second of the others.
        """
        features = self.normalizer.features
        ranks, spreads = [np.zeros((0, len(features)), dtype=np.int64)], [np.zeros((0, len(features)))]
        for batch, output in self._iterate(split):
            drawn = self.draw_samples(output, batch, N_RANKED)
            samples = np.stack([self._decode(one, output.types) for one in drawn])
            true = self._decode(batch.features, batch.types)
            ranked = rank_truth(samples, true, features, self.normalizer.angles)
            ranks.append(ranked.ranks)
            spreads.append(ranked.spreads)
        all_ranks, all_spreads = np.concatenate(ranks), np.concatenate(spreads)
        halves = [place < len(all_ranks) / 2 for place in all_spreads.argsort(axis=0).argsort(axis=0).T]
        return {
            feature: np.stack([count_ranks(column[part, None], N_RANKED)[0] for part in (half, ~half)])
            for feature, column, half in zip(features, all_ranks.T, halves, strict=True)
        }

    @torch.no_grad()
    def measure_times(self, split: TokenSplit) -> np.ndarray:
        """Return the mean squared error of the denoiser by time; nan where a bin is empty."""
        sums, counts = torch.zeros(2, N_TIME_BINS, dtype=torch.float64)
        for batch, output in self._iterate(split):
            found = self.model.measure_denoising(output, batch, self.seed)
            bins = (found.time * N_TIME_BINS).long().clamp(max=N_TIME_BINS - 1).cpu()
            sums += torch.bincount(bins, found.squares.cpu().double(), minlength=N_TIME_BINS)
            counts += torch.bincount(bins, minlength=N_TIME_BINS)
        return np.asarray((sums / counts).numpy())

    @torch.no_grad()
    def trace_event(self, split: TokenSplit) -> Mapping[str, np.ndarray]:
        """Return how one event goes from noise to a sample, in physical units; nothing when none has enough tokens."""
        is_shown = (split.lengths >= LEAST_SHOWN_TOKENS).nonzero()[:1, 0]
        for batch, output in self._iterate(select_events(split, is_shown)):
            steps = [self._decode(step, output.types) for step in self.model.iterate_sample(output, batch, self.seed)]
            shown = np.unique(np.linspace(0, len(steps) - 1, N_SHOWN).round().astype(int))
            kept = slice(MOST_SHOWN_TOKENS)
            return {
                STRIP: np.stack([steps[number][kept] for number in shown]),
                STRIP_TRUE: self._decode(batch.features, batch.types)[kept],
                STRIP_REC: self._decode(output.features, output.types)[kept],
            }
        return {}

    def draw_samples(self, output: Reconstruction, batch: TokenBatch, n_samples: int) -> Float[Tensor, "S P F"]:
        """Return several samples of a batch."""
        seeds = (derive_seed(self.seed, number) for number in range(n_samples))
        return torch.stack([self.model.draw_sample(output, batch, seed) for seed in seeds])

    def _decode(self, features: Float[Tensor, "P F"], types: Int[Tensor, " P"] | None) -> np.ndarray:
        return np.asarray(self.normalizer.decode_features(features, types).cpu().numpy())

    def _iterate(self, split: TokenSplit) -> Iterator[tuple[TokenBatch, Reconstruction]]:
        for batch in iterate_batches(split, self.batch_size, generator=None):
            yield batch, self.model(batch)
            self.check_stops()


def measure_fully(meter: SampleMeter, split: TokenSplit, n_events: int = SUBSET_EVENTS) -> SplitMeasurement:
    """Return the errors of samples of all events, coverage of the first ones, and the arrays of the figure."""
    first = take_first(split, n_events)
    ranks = meter.count_ranks(first)
    parts = {"": slice(None), NARROW: slice(0, 1), WIDE: slice(1, 2)}
    coverage = {
        f"{COVERAGE_PREFIX}{half}{feature}": measure_coverage(counts[part].sum(axis=0))
        for half, part in parts.items()
        for feature, counts in ranks.items()
    }
    arrays = {DENOISING: meter.measure_times(split), **meter.trace_event(first)}
    arrays |= {RANKS_PREFIX + feature: counts.sum(axis=0) for feature, counts in ranks.items()}
    has_tokens = first.n_tokens > 0
    return SplitMeasurement(meter.measure_errors(split) | (coverage if has_tokens else {}), arrays)


def take_first(split: TokenSplit, n_events: int) -> TokenSplit:
    """Return the first events of a split, which are the same at every epoch."""
    return select_events(split, torch.arange(min(n_events, split.n_events), device=split.index.device))
