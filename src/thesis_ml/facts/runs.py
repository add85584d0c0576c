"""What is known of one run folder that somebody else wrote: its facts as plain data, whatever became of the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thesis_ml.facts.lines import RunState
from thesis_ml.facts.schema import History


@dataclass(frozen=True)
class ComparisonKey:
    """What two runs must share before their errors may be compared in standardised units; None where unknown."""

    dataset_fingerprint: str | None
    features: tuple[str, ...] | None
    phi: str | None
    normalizer: str | None
    train_classes: tuple[int, ...] | None
    limit_events: int | None
    matching: str | None


@dataclass(frozen=True, eq=False)
class RunFacts:
    """One run as its folder tells it; every text in it is untrusted.

    Args:
        name: What the report calls the run: unique among those read together, such as `exp_..._vq/003`.
        path: The folder of the run as it was found, not as it was recorded.
        schema_version: 1 or 2, of its facts.
        state: What became of it.
        history: All numbers per epoch, of the test, and the arrays.
        choices: The option of each group by its column: `loop`, `encoder`, `decoder`, `latent_space`, `loss`,
            `trainer`, `data`; a group that the run does not have is left out.
        config: Every value of the parsed configuration by its full key, such as `phase1.trainer.lr`.
        overrides: What the user typed.
        seed: The seed of the run.
        meta: Code, machine, versions and hashes, of the newest start.
        sheet: The data sheet.
        result: What `train` returned; empty for a run that is not complete.
        warnings: Texts of `on_warning`.
        key: What the run may be compared on.
        checkpoint_hash: The sha256 of its best weights, None without any.
        remarks: What is odd about the folder though it can be used, such as a missing csv.
    """

    name: str
    path: Path
    schema_version: int
    state: RunState
    history: History
    choices: Mapping[str, str]
    config: Mapping[str, Any]
    overrides: tuple[str, ...]
    seed: int | None
    meta: Mapping[str, Any]
    sheet: Mapping[str, Any]
    result: Mapping[str, Any]
    key: ComparisonKey
    warnings: tuple[str, ...] = ()
    checkpoint_hash: str | None = None
    remarks: tuple[str, ...] = field(default=())
