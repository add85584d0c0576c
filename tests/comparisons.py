"""Comparisons of runs as a report makes them, for the tests of figures and of the page."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from thesis_ml.facts.history import build_history
from thesis_ml.facts.lines import RunState, load_history
from thesis_ml.facts.run_facts import ComparisonKey, RunFacts
from thesis_ml.facts.schema import EpochFacts, History
from thesis_ml.facts.summary import Cell
from thesis_ml.metrics.significance import PairTest
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.comparison import Comparison, ExcludedRun, Group, Verdict

DEFAULT_RUN = Path(__file__).resolve().parents[1] / "docs" / "default_run" / "facts"
KEY = ComparisonKey("e53a20276101840b", ("E", "pt", "eta", "phi"), "cos_sin", "f00d", None, None, None)
COLUMNS = (
    "run",
    "state",
    "latent_space",
    "seed",
    "rec_mse",
    "best_val_rec_mse",
    "best_val_loss",
    "best_epoch",
    "bits_per_token",
    "entropy_bits",
    "throughput",
    "total_time_s",
)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "javascript:alert(3)",
    "$\\frac{1}{0}$ _{x}^",
    "</script><script>alert(4)</script>",
    "=cmd()|' /C calc'!A0",
    "_hidden $ and $",
    "{{ 7*7 }}\u202egnp\ud800",
    "\\input{/etc/passwd} 'onmouseover=alert(5) x='",
)


def make_epochs(level: float, *, seed: int, n_epochs: int = 10, n_codes: int | None = 512) -> list[EpochFacts]:
    """Return epochs whose error falls to about `level`."""
    noise = np.random.default_rng(seed)
    epochs = []
    for epoch in range(n_epochs):
        fall = 1.5 * level * (math.exp(-3 * epoch / n_epochs) + 0.03 * noise.normal()) + level * (1 + 0.02 * seed % 0.1)
        shared = {"rec_mse": fall, "rec_tokens": fall, "rec_globals": 0.8 + fall, "rec_types": 0.3 * fall}
        codes = {"perplexity": n_codes * 0.9 / (1 + 3 * fall), "usage": 0.97 / (1 + fall)} if n_codes else {}
        train = {"loss": 2 * fall + 0.1, **shared, **codes, "lr": 1e-3 * (1 - epoch / n_epochs), "data_wait_s": 0.05}
        val = {"loss": 2.2 * fall + 0.1, **shared, **codes, "type_accuracy": 0.99}
        epochs.append(
            EpochFacts(
                epoch=epoch,
                step=250 * (epoch + 1),
                metrics={"train": train, "val": val},
                epoch_time_s=1.8 + 0.05 * seed,
                total_time_s=(2.0 + 0.05 * seed) * (epoch + 1),
                throughput=21_000.0 - 300 * seed,
                max_memory_mib=387.0,
            )
        )
    return epochs


def make_history(level: float, *, seed: int, n_epochs: int = 10, n_codes: int | None = 512) -> History:
    """Return the history of a finished run whose error falls to about `level`."""
    epochs = make_epochs(level, seed=seed, n_epochs=n_epochs, n_codes=n_codes)
    return build_history(epochs, best_epoch=n_epochs - 1, test=dict(epochs[-1].metrics["val"]))


def make_run(
    name: str, history: History, *, seed: int, choices: Mapping[str, str] | None = None, overrides: Sequence[str] = ()
) -> RunFacts:
    """Return a complete run with this history."""
    return RunFacts(
        name=name,
        path=Path("outputs/multiruns/exp_x") / "run",
        schema_version=2,
        state=RunState("complete", n_epochs=history.n_epochs),
        history=history,
        choices=choices or {"loop": "ae", "latent_space": "vq"},
        config={"phase1.trainer.lr": 0.001, "phase1.trainer.seed": seed},
        overrides=tuple(overrides),
        seed=seed,
        meta={"git_commit": "3c7a3a5d1", "git_dirty": False, "versions": {"python": "3.11.7", "torch": "2.13.0"}},
        sheet={"splits": {"train": {"n_events": 32200}}},
        result={"rec_mse": history.test.get("rec_mse")},
        key=KEY,
    )


def make_comparison(
    n_groups: int = 3, n_seeds: int = 1, *, names: Sequence[str] = (), n_epochs: int = 10, is_real: bool = False
) -> Comparison:
    """Return a comparison of `n_groups` groups of `n_seeds` runs.

    Args:
        n_groups: Up to three differ in the latent space, more in codebook size and latent width.
        n_seeds: Runs of each group.
        names: Labels of the groups instead of the usual ones.
        n_epochs: Of every run.
        is_real: Give the first run the facts of a run that was really trained.
    """
    groups = [make_group(number, n_groups, n_seeds, names, n_epochs) for number in range(n_groups)]
    if is_real:
        groups[0] = replace_first_history(groups[0], load_history(DEFAULT_RUN))
    runs = tuple(run for group in groups for run in group.runs)
    rows = {run.name: make_row(run, group) for group in groups for run in group.runs}
    swept = tuple(dict.fromkeys(key for group in groups for key in group.values))
    return Comparison(
        report_name="compare_tokenizers",
        inputs=("outputs/multiruns/exp_20261125-010000_tokenizers",),
        runs=runs,
        excluded=(
            ExcludedRun("exp_x/030", Path("outputs/exp_x/030"), "failed", "TrainingError: the loss is not finite"),
            ExcludedRun(HOSTILE[0], Path(HOSTILE[0]), "damaged", f"line 3: {HOSTILE[1]}"),
        ),
        swept=swept,
        groups=tuple(groups),
        columns=COLUMNS,
        rows=rows,
        threshold=0.08,
        verdict=make_verdict(groups),
    )


def make_group(number: int, n_groups: int, n_seeds: int, names: Sequence[str], n_epochs: int) -> Group:
    """Return one group; its error grows with its number."""
    values: dict[str, Cell]
    if n_groups <= 3:
        values = {"latent_space": ("vq", "linear", "none")[number]}
    else:
        values = {
            "phase1.latent_space.codebook_size": (128, 512, 2048)[number % 3],
            "phase1.latent_space.latent_dim": (2, 8, 32)[number // 3 % 3],
        }
    label = ", ".join(f"{key.removeprefix('phase1.latent_space.')} {value}" for key, value in values.items())
    label = names[number] if number < len(names) else label.removeprefix("latent_space ")
    level = 0.03 * 1.5**number
    n_codes = None if label in ("linear", "none") else 512
    runs = tuple(
        make_run(
            f"exp_x/{n_seeds * number + seed:03d} {label if names else ''}".strip(),
            make_history(level, seed=seed, n_epochs=n_epochs, n_codes=n_codes),
            seed=seed,
            overrides=[f"{key}={value}" for key, value in values.items()],
        )
        for seed in range(n_seeds)
    )
    return Group(label, values, runs, numbers={})


def replace_first_history(group: Group, history: History) -> Group:
    """Return the group with another history of its first run."""
    first, *rest = group.runs
    return Group(group.label, group.values, (make_run(first.name, history, seed=42), *rest), group.numbers)


def make_row(run: RunFacts, group: Group) -> dict[str, Cell]:
    """Return the row of the summary of one run."""
    has_codes = bool(run.history.test.get("perplexity"))
    size = group.values.get("phase1.latent_space.codebook_size", 512)
    return {
        "run": run.name,
        "state": "complete",
        "latent_space": str(group.values.get("latent_space", "vq")),
        "seed": run.seed,
        "rec_mse": run.history.test.get("rec_mse"),
        "best_val_rec_mse": run.history.latest("val", "rec_mse"),
        "best_val_loss": run.history.latest("val", "loss"),
        "best_epoch": run.history.best_epoch,
        "bits_per_token": math.log2(float(size)) if has_codes else 40.0,
        "entropy_bits": math.log2(run.history.test["perplexity"]) if has_codes else None,
        "throughput": run.history.latest_value("throughput"),
        "total_time_s": run.history.latest_value("total_time_s"),
    }


def make_verdict(groups: Sequence[Group]) -> Verdict:
    """Return a verdict in which each group is worse than the one before."""
    tests = tuple(
        PairTest("rec_mse", first.label, second.label, Measured(0.01 * (place + 1), 0.002), 0.004 * (place + 1))
        for number, first in enumerate(groups)
        for place, second in enumerate(groups[number + 1 :])
    )
    return Verdict("rec_mse", tuple(group.label for group in groups), {}, tests)


def summarise_groups(comparison: Comparison) -> Comparison:
    """Return the comparison with the spreads of every numeric column."""
    groups = []
    for group in comparison.groups:
        numbers = {}
        for column in comparison.columns:
            values = [comparison.rows[run.name][column] for run in group.runs]
            known = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
            if known:
                sd = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
                numbers[column] = Spread(float(np.mean(known)), sd, len(known))
        groups.append(Group(group.label, group.values, group.runs, numbers))
    return Comparison(**{**vars(comparison), "groups": tuple(groups)})
