"""AUROCs of the anomaly scores of models trained on ttbar alone on the sample's test split, beside required ones.

Trains none, linear with 2 values and vq for 15 epochs without weight on the object types (some 20 s each), streams the
test split through them and prints the AUROCs with errors in markdown, and which required ones are missed. `--folder`
keeps the runs, so that a second start reads them. `--quick` trains one small epoch and checks nothing.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from _workload import train_in
from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import Events, EventSplits, keep_events
from thesis_ml.data.tokens import load_events
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.inference.changes.corruptions import CorruptionPlan
from thesis_ml.reports.inference.changes.nulls import NULLS, NullPlan, is_symmetric
from thesis_ml.reports.inference.scoring.baselines import BaselineScorer
from thesis_ml.reports.inference.scoring.event_scores import BASELINE, EventScores, ScoredModel
from thesis_ml.reports.inference.scoring.stream import (
    CLEAN,
    ModelScorer,
    PassOptions,
    Scorer,
    StreamPlan,
    Variant,
    stream_split,
)
from thesis_ml.reports.inference.sections.anomaly.checks import check_result
from thesis_ml.reports.inference.sections.anomaly.overtraining import KnownEvents, allow_codebooks
from thesis_ml.reports.inference.sections.anomaly.result import AnomalyResult, solve_problems
from thesis_ml.reports.inference.sections.anomaly.tables import tabulate_best
from thesis_ml.reports.utils.table import format_value
from thesis_ml.utils.paths import BEST_CHECKPOINT

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "none": ("phase1/latent_space=none",),
    "linear 2": ("phase1/latent_space=linear", "phase1.latent_space.latent_dim=2"),
    "vq": ("phase1/latent_space=vq",),
}
COMMON = (
    "phase1.decoder.types_beta=0",
    "phase1.trainer.seed=0",
    "phase1.trainer.device=cpu",
    "phase1.trainer.n_threads=1",
    "data.train_classes=[0]",
)
N_EPOCHS = 15
TTBAR = 0
SMEARED, RESONANCE, EXCHANGED = "energy_smearing 0.1", "dijet_resonance 1", "event_mixing 1"
VARIANTS = (SMEARED, RESONANCE, EXCHANGED)


class Limit(NamedTuple):
    """A required AUROC: some of the scores named is to lie in the range, or all of them."""

    problem: str
    scores: tuple[tuple[str, str], ...]
    low: float
    high: float = 1.0
    needs_all: bool = False


LIMITS = (
    Limit(SMEARED, (("none", "error_mean"),), 0.95),
    # 0.987 for vq with ln E as a column and massless jets, which gave the resonance away.
    Limit(RESONANCE, (("linear 2", "error_mean"), ("vq", "error_mean")), 0.93),
    Limit(RESONANCE, (("vq", "latent_neighbours"), ("vq", "latent_mahalanobis")), 0.93),
    # Measured 0.524, 0.495 and 0.513, each ± 0.006: missed for none, whose encoder sees the MET of the event.
    Limit(EXCHANGED, tuple((name, "error_mean") for name in SETTINGS), 0.50, 0.52, needs_all=True),
    Limit("ttH", tuple((name, "error_mean") for name in SETTINGS), 0.51, 0.62, needs_all=True),
    Limit("ttH", ((BASELINE, "ht"),), 0.728, 0.738),
    Limit("ttH", ((BASELINE, "multiplicity"),), 0.729, 0.739),
    Limit("ttH", ((BASELINE, "b_jets"),), 0.677, 0.687),
)


def train_run(name: str, folder: Path, *, is_quick: bool) -> Path:
    """Train one setting, unless that was done before, and return its checkpoint."""
    folder = folder / name.replace(" ", "_")
    size = (f"phase1.trainer.epochs={1 if is_quick else N_EPOCHS}", f"data.limit_events={500 if is_quick else 'null'}")
    train_in(folder, (*COMMON, *size, *SETTINGS[name]))
    return folder / BEST_CHECKPOINT


def score_split(stored: EventSplits, checkpoints: Mapping[str, Path]) -> EventScores:
    """Return the scores of the test split, fitted to three quarters of the ttbar events of the training split."""
    background, aside = divide(keep_label(stored.splits["train"], TTBAR))
    scorers: dict[str, Scorer] = {BASELINE: BaselineScorer(background, stored.type_names)}
    for name, path in checkpoints.items():
        scorer = ModelScorer(restore_model(path), PassOptions())
        scorer.fit(background)
        scorers[name] = scorer
    plans = [(name, *name.split()) for name in VARIANTS]
    variants = [Variant(name, CorruptionPlan(kind, float(strength), 0)) for name, kind, strength in plans]
    variants += [Variant(name, NullPlan(name)) for name in NULLS]
    pool, events = keep_label(stored.splits["val"], TTBAR), stored.splits["test"]
    plan = StreamPlan(scorers, variants, stored.type_names, pool)
    seen = stream_split(aside, replace(plan, variants=()))
    return EventScores(
        models=[ScoredModel(name, name, 0, name, (TTBAR,)) for name in checkpoints],
        variants=variants,
        table=stream_split(events, plan),
        labels=events.labels,
        weights=events.weights,
        label_names={int(label): name for label, name in stored.label_names.items()},
        background=(TTBAR,),
        train_labels=(0, 1),
        signal=None,
        training={name: seen[name, CLEAN.name] for name in scorers},
        is_symmetric=is_symmetric(events),
    )


def keep_label(events: Events, label: int) -> Events:
    """Return the events of one class."""
    return keep_events(events, events.labels == label)


def divide(events: Events) -> tuple[Events, Events]:
    """Return the first three quarters of some events, and the rest."""
    is_first = np.arange(events.n_events) < 0.75 * events.n_events
    return keep_events(events, is_first), keep_events(events, ~is_first)


def print_table(result: AnomalyResult) -> dict[tuple[str, str, str], float]:
    """Print the AUROC of every score of every problem and return them by problem, group and score."""
    problems = [solved.problem.name for solved in result.solved]
    texts: dict[tuple[str, str], dict[str, str]] = {}
    numbers = {}
    for solved in result.solved:
        for measured in solved.measurements:
            names = (measured.group, measured.score)
            texts.setdefault(names, {})[solved.problem.name] = str(Measured(measured.auroc.value, measured.auroc.error))
            numbers[solved.problem.name, *names] = measured.auroc.value
    print(f"| model | score | {' | '.join(problems)} |\n|{' --- |' * (2 + len(problems))}")
    for (group, score), row in texts.items():
        print(f"| {group} | {score} | {' | '.join(row.get(problem, '') for problem in problems)} |")
    return numbers


def print_best(result: AnomalyResult) -> None:
    """Print the best score of every problem beside the best baseline."""
    table = tabulate_best(result.solved)
    for row in (table.columns, ("---",) * len(table.columns), *table.rows):
        print(f"| {' | '.join(map(format_value, row))} |")
    print()


def list_misses(numbers: Mapping[tuple[str, str, str], float], limits: Sequence[Limit]) -> list[str]:
    """Return which required AUROCs are not reached."""
    misses = []
    for limit in limits:
        values = {names: numbers.get((limit.problem, *names), math.nan) for names in limit.scores}
        are_inside = [limit.low <= value <= limit.high for value in values.values()]
        if not (all(are_inside) if limit.needs_all else any(are_inside)):
            found = ", ".join(f"{score} of {group} {value:.3f}" for (group, score), value in values.items())
            misses.append(f"{limit.problem}: {found}; required is {limit.low:g} to {limit.high:g}")
    return misses


def parse_arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one small epoch of each setting, nothing is checked")
    parser.add_argument("--folder", type=Path, help="keep the runs here; finished ones are read instead of trained")
    return parser.parse_args()


def main() -> None:
    """Print the table and exit with 1 when a required number is missed."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    stored = load_events(DataConfig(limit_events=1000 if arguments.quick else None))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        checkpoints = {name: train_run(name, folder, is_quick=arguments.quick) for name in SETTINGS}
        result = solve_problems(score_split(stored, checkpoints), 20 if arguments.quick else 200)
        models = {name: restore_model(path) for name, path in checkpoints.items()}
    train, held_out = stored.splits["train"], keep_label(stored.splits["test"], TTBAR)
    counted, seen = divide(keep_label(train, TTBAR))
    events = KnownEvents(train, counted, seen, held_out)
    result = replace(result, nulls=allow_codebooks(result.nulls, models, events))
    numbers = print_table(result)
    print()
    print_best(result)
    print("\n".join(f"- {check.name} {check.state}: {check.text}" for check in check_result(result)))
    misses = [] if arguments.quick else list_misses(numbers, LIMITS)
    print("\n".join(f"missed: {what}" for what in misses) or "nothing missed")
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
