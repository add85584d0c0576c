"""The facts of one run as plain data, as a report gets them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.facts.lines import RunState, read_arrays
from thesis_ml.facts.marks import Marks
from thesis_ml.facts.schema import History
from thesis_ml.facts.silence import SILENT_AFTER_S


@dataclass(frozen=True)
class ComparisonKey:
    """Properties that two runs must share before their standardised errors are comparable; None where unknown."""

    dataset_fingerprint: str | None
    features: tuple[str, ...] | None
    phi: str | None
    normalizer: str | None
    train_classes: tuple[int, ...] | None
    limit_events: int | None
    matching: str | None
    n_tokens: int | None = None


@dataclass(frozen=True, eq=False)
class RunFacts:
    """The facts of one run as read from its folder; every text in it is untrusted.

    Args:
        name: Name of the run in the report: unique among those read together, such as `exp_..._vq/003`.
        path: The folder of the run as it was found, not as it was recorded.
        schema_version: 1 or 2, of its facts.
        state: State of the run.
        history: All numbers per epoch, of the test, and the arrays, which are read when they are asked for.
        choices: The option of each group by its column: `loop`, `encoder`, `decoder`, `latent_space`, `loss`,
            `critic`, `trainer`, `data`; only the groups that the run has.
        config: Every value of the parsed configuration by its full key, such as `phase1.trainer.lr`.
        overrides: Overrides on the command line of the run.
        seed: The seed of the run.
        meta: Code, machine, versions and hashes, of the newest start.
        sheet: The data sheet.
        result: Result of `train`; empty for a run that is not complete.
        warnings: Texts of `on_warning`.
        key: Properties that runs must share to be compared.
        marks: Tags and notes of the user.
        started_at: When the run first started.
        silent_after_s: The time without a fact after which it is called silent.
        checkpoint_hash: The sha256 of its best weights, None without any.
        remarks: Defects that do not prevent the use of the folder, such as a missing csv.
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
    marks: Marks = field(default_factory=Marks)
    started_at: datetime | None = None
    silent_after_s: float = SILENT_AFTER_S
    checkpoint_hash: str | None = None
    remarks: tuple[str, ...] = field(default=())


class StoredArrays(Mapping[str, np.ndarray]):
    """The arrays of a run, read on first access: most reports need none, and they dominate the reading time.

    Raises:
        FactsError: On first access, when the file is damaged.
    """

    def __init__(self, facts: Path) -> None:
        self._facts = facts
        self._arrays: dict[str, np.ndarray] | None = None

    def __getitem__(self, name: str) -> np.ndarray:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def _load(self) -> dict[str, np.ndarray]:
        if self._arrays is None:
            self._arrays = read_arrays(self._facts)
        return self._arrays
