"""Score a split with nine models and all corruptions, against the bare forward passes; fits apart, and peak memory.

Required: passes and scores take less than 3 times the forward passes over the same events, and ten times the events
take no more memory than what they and their scores are.
"""

import itertools
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from _timing import Row, Timing, judge, parse_quick, print_header, print_row, run_rounds, summarise_rounds, time_once
from _workload import configure, load_data
from thesis_ml.architectures.build import build_model
from thesis_ml.architectures.restore import RestoredModel
from thesis_ml.data.encode import encode_events
from thesis_ml.data.events import Events, join_events, take_first
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import TokenData, load_events
from thesis_ml.reports.inference.background import MOST_BACKGROUND
from thesis_ml.reports.inference.changes.corruptions import CORRUPTIONS, DEFAULT_STRENGTHS, CorruptionPlan, corrupt
from thesis_ml.reports.inference.context import stream_events
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer
from thesis_ml.reports.inference.scoring.event_scores import BASELINE
from thesis_ml.reports.inference.scoring.stream import ModelScorer, PassOptions, StreamPlan, Variant
from thesis_ml.reports.inference.scoring.tally import ClosureTally
from thesis_ml.training_loops.autoencoder import AutoencoderSettings

LATENT_SPACES = ("none", "linear", "vq")
N_SEEDS = 3
N_ROUNDS = 3
MOST_RATIO = 3.0
MOST_MIB = 30.0
"""Growth of memory beyond the results, for ten times the events: joining blocks holds those of one scorer twice."""

BATCH_SIZE = 512
POLL_S = 0.002


def make_models(data: TokenData, configs: list[AutoencoderSettings]) -> dict[str, RestoredModel]:
    """Return models as a checkpoint gives them, with fresh weights: what they cost does not depend on training."""
    models = {}
    for config, seed in itertools.product(configs, range(N_SEEDS)):
        torch.manual_seed(seed)
        model = build_model(config.phase1, data.dims)
        if config.phase1.latent_space.codebook_sizes:
            # A codebook places its codes in its first step of training.
            model.train()(next(iterate_batches(data.train, BATCH_SIZE, generator=None)))
        models[f"{config.phase1.latent_space.name}, seed {seed}"] = RestoredModel(
            model=model.eval(),
            config=config.phase1,
            dims=data.dims,
            train_classes=None,
            dataset_fingerprint=data.fingerprint,
            code_version=None,
            epoch=None,
            data=config.data,
        )
    return models


def list_variants() -> list[Variant]:
    """Return every corruption at the middle one of its default strengths."""
    return [Variant(name, CorruptionPlan(name, sorted(DEFAULT_STRENGTHS[name])[1], 0)) for name in CORRUPTIONS]


def build_plan(models: dict[str, RestoredModel], background: Events, type_names: tuple[str, ...]) -> StreamPlan:
    """Return what the events are sent through, densities fitted."""
    scorers = {BASELINE: BaselineScorer(background, type_names)}
    for name, restored in models.items():
        scorers[name] = ModelScorer(restored, PassOptions(BATCH_SIZE))
        scorers[name].fit(background)
    return StreamPlan(scorers, list_variants(), type_names, background)


def start_tallies(models: dict[str, RestoredModel]) -> dict[str, ClosureTally]:
    """Return what counts the closure of every model."""
    return {
        name: ClosureTally(
            restored.normalizer.features,
            restored.dims.type_names,
            [0, 1],
            restored.config.latent_space.codebook_sizes,
        )
        for name, restored in models.items()
    }


def encode_variants(events: Events, plan: StreamPlan, data: TokenData) -> list[list]:
    """Return the batches of the events as they are and of every corruption, encoded."""
    changed = [
        events if variant.plan is None else corrupt(events, variant.plan, type_names=plan.type_names, pool=plan.pool)
        for variant in (Variant("clean"), *plan.variants)
    ]
    splits = [encode_events(part, data.normalizer) for part in changed]
    return [list(iterate_batches(split, BATCH_SIZE, generator=None)) for split in splits]


@torch.no_grad()
def pass_forward(models: dict[str, RestoredModel], batches: list[list]) -> None:
    """Run every model over every batch, and keep nothing."""
    generator = torch.Generator()
    for restored in models.values():
        for batch in itertools.chain.from_iterable(batches):
            restored.model.reconstruct(batch, generator)


class PeakMemory:
    """The most memory of this process beyond what it had, watched from another thread; Linux only."""

    def __init__(self) -> None:
        self.grown_mib = 0.0
        self._stop = threading.Event()
        self._before = self._read()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            self.grown_mib = max(self.grown_mib, self._read() - self._before)

    @staticmethod
    def _read() -> float:
        return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * 4096 / 2**20


def repeat_events(events: Events, times: int) -> Events:
    """Return the events `times` times over, each with a row of its own."""
    return replace(join_events([events] * times), index=np.arange(times * events.n_events))


def measure_memory(events: Events, plan: StreamPlan, models: dict[str, RestoredModel]) -> tuple[float, float]:
    """Return the peak in MiB, and that of it which is one number per event, score, variant and quantity."""
    tallies = start_tallies(models)
    with PeakMemory() as peak:
        table = stream_events(events, plan, tallies)
        summaries = [tally.summarise() for tally in tallies.values()]
    kept = sum(values.nbytes for scores in table.values() for values in scores.values())
    for summary in summaries:
        kept += sum(values.nbytes for side in (summary.true, summary.reconstructed) for values in side.values())
        kept += sum(values.nbytes for values in summary.met or ())
    return peak.grown_mib, kept / 2**20


def time_passes(
    events: Events, plan: StreamPlan, models: dict[str, RestoredModel], batches: list[list]
) -> list[Callable[[], float]]:
    """Return the clocks of the bare passes and of ours."""
    return [
        lambda: time_once(lambda: pass_forward(models, batches)),
        lambda: time_once(lambda: stream_events(events, plan, start_tallies(models))),
    ]


def main() -> int:
    """Print the tables; return 1 when something is not reached."""
    is_quick = parse_quick(__doc__)
    configs = [configure(f"phase1/latent_space={name}") for name in LATENT_SPACES]
    data, stored = load_data(configs[0]), load_events(configs[0].data)
    events, background = stored.splits["test"], stored.splits["train"]
    if is_quick:
        events = take_first(events, 300)
        background = take_first(background, 1000)
    models = make_models(data, configs)
    background = take_first(background, MOST_BACKGROUND)
    start = time.perf_counter()
    plan = build_plan(models, background, stored.type_names)
    print(f"fits of {len(models)} models to {background.n_events} events: {time.perf_counter() - start:.1f} s")
    batches = encode_variants(events, plan, data)
    pass_forward(models, batches[:1])
    rounds = run_rounds(time_passes(events, plan, models, batches), 1 if is_quick else N_ROUNDS)
    timing = summarise_rounds(rounds)
    times = Timing(timing.reference_s, timing.ours_s, 1 / timing.ratio)
    print_header("forward", "with scores")
    name = f"{len(models)} models, {len(batches)} variants"
    rows = [Row(name, times, times.ratio, MOST_RATIO, is_at_most=True)]
    print_row(rows[0])
    if not is_quick:
        del batches
        rows.append(report_memory(events, plan, models))
        print_row(rows[1])
    return judge(rows, is_quick=is_quick)


def report_memory(events: Events, plan: StreamPlan, models: dict[str, RestoredModel]) -> Row:
    """Print the peak memory at one and ten times the events, and return the growth of what is no result.

    A model of each kind and two corruptions tell as much as all of them: whatever else is kept is kept for each.
    """
    models = {name: restored for name, restored in models.items() if name.endswith("seed 0")}
    scorers = {name: scorer for name, scorer in plan.scorers.items() if name == BASELINE or name in models}
    plan = replace(plan, scorers=scorers, variants=plan.variants[:2])
    # The first pass also grows what torch and the allocator keep for good.
    measure_memory(events, plan, models)
    beyond = []
    for times in (1, 10):
        peak, kept = measure_memory(repeat_events(events, times), plan, models)
        beyond.append(peak - kept)
        print(f"{times * events.n_events:>6} events: peak grew by {peak:.0f} MiB, {kept:.0f} of them results per event")
    print(f"beyond results: {beyond[0]:.0f} MiB and {beyond[1]:.0f} MiB")
    # What was freed before is used again, so that few events may seem to take less than nothing.
    growth_mib = beyond[1] - max(beyond[0], 0.0)
    return Row(
        "MiB more beyond results, 10x events", Timing(0.0, 0.0, growth_mib), growth_mib, MOST_MIB, is_at_most=True
    )


if __name__ == "__main__":
    sys.exit(main())
