"""Read the facts of one untrusted run folder as plain data, in any state of the run."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.errors import FactsError, UnusableRunError
from thesis_ml.facts.history import HistoryTable
from thesis_ml.facts.lines import RunState, StateWatch, has_arrays, iterate_events, parse_time
from thesis_ml.facts.marks import read_marks
from thesis_ml.facts.run_facts import ComparisonKey, RunFacts, StoredArrays
from thesis_ml.facts.schema import ARRAYS_FILE, LOSS, MOMENTS, SCALARS_FILE, History
from thesis_ml.facts.schema1 import BETA_KEY, OldEpochs, read_old_config, restore_metrics
from thesis_ml.utils.paths import (
    BEST_FILES,
    EVENTS_FILE,
    FACTS_FOLDER,
    HYDRA_FOLDER,
    SWEEP_FILE,
    find_best,
    find_run_folder,
    hash_file,
    is_run_folder,
    stays_inside,
)
from thesis_ml.utils.plain_values import as_float, as_int, as_mapping

SCHEMAS = (1, 2)
GROUPS = {
    "encoder": "phase1/encoder",
    "decoder": "phase1/decoder",
    "latent_space": "phase1/latent_space",
    "loss": "phase1/loss",
    "critic": "phase1/critic",
    "trainer": "phase1/trainer",
    "data": "data",
}
"""The configuration group of each column of choices; `loop` is added separately."""
SEED_KEYS = ("phase1.trainer.seed", "general.trainer.seed")

MAX_EVENTS_BYTES = 2**30
LONGEST_TEXT = 500
MOST_TEXTS = 200
MOST_NAMED = 10
MOST_KEYS = 5000
MAX_DEPTH = 20


def read_run(folder: str | Path, name: str | None = None, *, opens_files: bool = True) -> RunFacts:
    """Return the facts of a run; links out of its folder are not followed, and no code in it is run.

    Args:
        folder: The run folder or its facts folder.
        name: Its name in messages and tables; None: that of the folder.
        opens_files: Whether its arrays and its checkpoint are looked at too.

    Raises:
        UnusableRunError: The folder is damaged, foreign or empty; its `state` and `reason` say so.
    """
    path = find_run_folder(folder)
    return RunReader(path, path.resolve().name if name is None else name, opens_files=opens_files).read()


class RunReader:
    """Read one run folder in a single pass over its facts."""

    def __init__(self, folder: Path, name: str, *, opens_files: bool = True) -> None:
        self._folder = folder
        self._opens_files = opens_files
        self._name = name
        self._watch = StateWatch()
        self._schema = 2
        self._epochs: HistoryTable | OldEpochs = HistoryTable()
        self._starts: list[Mapping[str, Any]] = []
        self._newest: Mapping[str, Any] = {}
        self._meta: Mapping[str, Any] = {}
        self._best_epoch: int | None = None
        self._is_trained = False
        self._final: Mapping[str, Any] | None = None
        self._stop: str | None = None
        self._resumed: dict[str, list[int]] = {}
        self._warnings: list[str] = []
        self._remarks: list[str] = []

    def read(self) -> RunFacts:
        """Return the facts; see `read_run`."""
        self._check_folder()
        self._read_lines()
        if isinstance(self._epochs, OldEpochs):
            return self._build_old(self._epochs)
        values = flatten_config(as_mapping(self._newest.get("config")))
        return self._build(
            table=self._epochs,
            test=as_mapping(as_mapping((self._final or {}).get("metrics")).get("test")),
            values=values,
            choices=choose_columns(values),
            overrides=_list_texts(self._meta.get("overrides")),
        )

    def _check_folder(self) -> None:
        facts = self._folder / FACTS_FOLDER
        events = facts / EVENTS_FILE
        try:
            root = self._folder.resolve(strict=True)
            if not self._folder.is_dir():
                raise UnusableRunError("foreign", "is no folder")
            if not events.resolve().is_relative_to(root):
                raise UnusableRunError("foreign", f"its {FACTS_FOLDER} are a link out of the folder")
            if not events.is_file():
                raise self._explain_absence()
            size, scalars = events.stat().st_size, facts / SCALARS_FILE
            if size > MAX_EVENTS_BYTES:
                raise UnusableRunError(
                    "damaged", f"{EVENTS_FILE} has {size} bytes; at most {MAX_EVENTS_BYTES} are read"
                )
            if not scalars.is_file():
                self._remarks.append(f"{FACTS_FOLDER}/{SCALARS_FILE} is missing")
            if size and not _ends_with_line(events):
                self._remarks.append(f"the last line of {FACTS_FOLDER}/{EVENTS_FILE} was cut off")
        except (OSError, RuntimeError) as error:
            raise UnusableRunError("damaged", f"cannot be read ({error})") from error

    def _explain_absence(self) -> UnusableRunError:
        if is_run_folder(self._folder):
            return UnusableRunError("empty", f"holds no {FACTS_FOLDER}/{EVENTS_FILE}: no facts were recorded")
        if (self._folder / SWEEP_FILE).is_file():
            return UnusableRunError("foreign", "holds a sweep, not a run; give it as inputs.sweep_dir")
        if any(self._folder.iterdir()):
            return UnusableRunError("foreign", f"holds no run: neither {FACTS_FOLDER}/ nor {HYDRA_FOLDER}/")
        return UnusableRunError("empty", "the folder is empty")

    def _read_lines(self) -> None:
        n_known = 0
        try:
            for number, fact in enumerate(iterate_events(self._folder / FACTS_FOLDER), start=1):
                if number == 1:
                    self._choose_schema(fact)
                self._watch.add(fact)
                n_known += fact["moment"] in MOMENTS
                try:
                    self._take(fact)
                except ValueError as error:
                    raise UnusableRunError("damaged", f"{EVENTS_FILE}, line {number}: {error}") from None
        except UnusableRunError:
            raise
        except FactsError as error:
            raise UnusableRunError("damaged", str(error).replace(f"{self._folder}{os.sep}", "")) from error
        if n_known == 0:
            is_blank = self._watch.judge().name == "empty"
            reason = f"{FACTS_FOLDER}/{EVENTS_FILE} holds no fact"
            raise UnusableRunError("empty" if is_blank else "foreign", f"{reason}{'' if is_blank else ' of thesis-ml'}")

    def _choose_schema(self, fact: Mapping[str, Any]) -> None:
        version = fact.get("schema_version", 1)
        if version not in SCHEMAS:
            known = " and ".join(map(str, SCHEMAS))
            raise UnusableRunError("foreign", f"schema_version is {version!r:.40}; {known} are known")
        self._schema = int(version)
        if self._schema == 1:
            self._epochs = OldEpochs()

    def _take(self, fact: Mapping[str, Any]) -> None:
        moment = fact["moment"]
        self._note_stop(fact)
        if moment == "on_epoch_end":
            self._epochs.add(fact)
        elif moment in ("on_start", "on_resume"):
            self._starts += [fact] * (moment == "on_start")
            self._newest, self._meta = fact, as_mapping(fact.get("meta"))
            self._best_epoch, self._is_trained, self._final = None, False, None
        elif moment == "on_train_end":
            self._best_epoch, self._is_trained = as_int(fact.get("best_epoch")), True
        elif moment == "on_test_end":
            self._final = fact
        elif moment == "on_warning" and len(self._warnings) < MOST_TEXTS:
            withdrawn = cut_text(fact.get("withdraws", ""))
            self._warnings = [text for text in self._warnings if text != withdrawn]
            self._warnings.append(cut_text(fact.get("text")))

    def _note_stop(self, fact: Mapping[str, Any]) -> None:
        """Note where a run resumed that no error ended: after a kill nothing is recorded of its end."""
        moment = fact["moment"]
        if moment == "on_resume" and self._stop is not None:
            self._resumed.setdefault(self._stop, []).append((as_int(fact.get("epoch")) or 0) + 1)
        if moment in ("on_start", "on_resume"):
            self._stop = "killed"
        elif moment == "on_interrupt":
            self._stop = f"stopped ({fact.get('reason')!s:.40})"
        elif moment in ("on_test_end", "on_exception"):
            self._stop = None

    def _build_old(self, old: OldEpochs) -> RunFacts:
        config, options, overrides, remarks = read_old_config(self._folder)
        self._remarks += remarks
        values = flatten_config(config)
        beta = find_old_beta(values, overrides)
        table = old.convert(beta)
        if beta is None:
            self._remarks.append("rec_globals is blank: it was recorded with a weight that is not known")
        metrics = as_mapping((self._final or {}).get("metrics"))
        test = restore_metrics({LOSS: metrics.get("test_loss"), **as_mapping(metrics.get("test"))}, beta)
        columns = {column: options[group] for column, group in GROUPS.items() if group in options}
        return self._build(
            table=table, test=test, values=values, choices={**choose_columns(values), **columns}, overrides=overrides
        )

    def _build(
        self,
        *,
        table: HistoryTable,
        test: Mapping[str, Any],
        values: Mapping[str, Any],
        choices: Mapping[str, str],
        overrides: tuple[str, ...],
    ) -> RunFacts:
        table.best_epoch = self._best_epoch
        table.matching = "event" if self._newest.get("matching") == "event" else "tokens"
        table.set_test({name: value for name, value in test.items() if len(name) <= LONGEST_TEXT})
        history, state = replace(table.view(), arrays=self._find_arrays() if self._opens_files else {}), self._judge()
        if state.name == "complete" and history.n_epochs == 0:
            raise UnusableRunError("damaged", "is complete, but no epoch is recorded")
        self._remark_losses(history)
        for stop, epochs in self._resumed.items():
            self._remarks.append(f"was {stop} and resumed in epoch {', '.join(map(str, epochs[:MOST_NAMED]))}")
        sheet = as_mapping((self._starts or [{}])[-1].get("data"))
        return RunFacts(
            name=self._name,
            path=self._folder,
            schema_version=self._schema,
            state=state,
            history=history,
            choices=choices,
            config=values,
            overrides=tuple(map(cut_text, overrides[:MOST_TEXTS])),
            seed=find_seed(values, self._meta),
            meta=self._meta,
            sheet=sheet,
            result=as_mapping((self._final or {}).get("result")),
            key=build_key(values, self._meta, sheet, self._newest),
            warnings=tuple(self._warnings),
            marks=read_marks(self._folder),
            started_at=self._find_start(),
            silent_after_s=self._watch.silent_after_s,
            checkpoint_hash=self._hash_checkpoint() if self._opens_files else None,
            remarks=tuple(map(cut_text, self._remarks)),
        )

    def _find_start(self) -> datetime | None:
        meta = as_mapping((self._starts or [{}])[-1].get("meta"))
        return parse_time(meta.get("timestamp"))

    def _judge(self) -> RunState:
        state = self._watch.judge()
        if self._schema == 1 and self._is_trained and state.name in ("running", "silent"):
            self._remarks.append("was not tested")
            state = replace(state, name="complete", reason="")
        return replace(state, reason=cut_text(state.reason), hostname=cut_text(state.hostname or "") or None)

    def _remark_losses(self, history: History) -> None:
        if len(self._starts) > 1:
            self._remarks.append(f"was started {len(self._starts)} times in one folder; the newest numbers count")
        if history.n_epochs < self._epochs.n_lines:
            n_again = self._epochs.n_lines - history.n_epochs
            self._remarks.append(f"{n_again} epochs are recorded more than once; the newest lines count")
        for split in ("train", "val"):
            bad = [
                epoch for epoch, loss in zip(history.epochs, history.series(split, LOSS), strict=True) if loss != loss
            ]
            if bad:
                self._remarks.append(f"the {split} loss is not finite in {len(bad)} epochs, first in epoch {bad[0]}")

    def _find_arrays(self) -> Mapping[str, np.ndarray]:
        facts = self._folder / FACTS_FOLDER
        if not stays_inside(facts / ARRAYS_FILE, self._folder):
            self._remarks.append(f"{FACTS_FOLDER}/{ARRAYS_FILE} is a link out of the folder and was not read")
            return {}
        try:
            return StoredArrays(facts) if has_arrays(facts) else {}
        except FactsError as error:
            self._remarks.append(str(error).replace(f"{self._folder}{os.sep}", ""))
            return {}

    def _hash_checkpoint(self) -> str | None:
        for name in BEST_FILES:
            if (self._folder / name).is_file() and not stays_inside(self._folder / name, self._folder):
                self._remarks.append(f"{name} is a link out of the folder and was not read")
        path = find_best(self._folder)
        if path is None:
            return None
        try:
            return hash_file(path)
        except OSError as error:
            self._remarks.append(f"{path.name} cannot be read ({error.strerror})")
            return None


def flatten_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value by its full key; lists stay lists, values beyond the limits are excluded."""
    flat: dict[str, Any] = {}
    waiting: list[tuple[str, Mapping[str, Any], int]] = [("", config, 0)]
    while waiting:
        prefix, values, depth = waiting.pop(0)
        for key, value in values.items():
            full = f"{prefix}{cut_text(key)}"
            if isinstance(value, Mapping) and value and depth < MAX_DEPTH:
                waiting.append((f"{full}.", value, depth + 1))
            elif len(flat) < MOST_KEYS:
                flat[full] = cut_text(value) if isinstance(value, str) else value
    return flat


def choose_columns(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the option of each group by its column."""
    keys = {"loop": "loop", **{column: f"{group.replace('/', '.')}.name" for column, group in GROUPS.items()}}
    found = {column: values.get(key) for column, key in keys.items()}
    return {column: option for column, option in found.items() if isinstance(option, str)}


def find_seed(values: Mapping[str, Any], meta: Mapping[str, Any]) -> int | None:
    """Return the seed of a run."""
    for value in (*(values.get(key) for key in SEED_KEYS), meta.get("seed")):
        if (seed := as_int(value)) is not None and abs(seed) < 2**63:
            return seed
    return None


def build_key(
    values: Mapping[str, Any], meta: Mapping[str, Any], sheet: Mapping[str, Any], start: Mapping[str, Any]
) -> ComparisonKey:
    """Return the properties that a run must share with another one to be compared."""
    fingerprint = meta.get("dataset_fingerprint")
    features, classes = values.get("data.features"), values.get("data.train_classes")
    limit, n_tokens = (as_int(values.get(f"data.{name}")) for name in ("limit_events", "n_tokens"))
    phi = values.get("data.phi")
    matching = start.get("matching", "tokens")
    # The normaliser is fitted to the training events: the keys that select and encode them determine it.
    fitted_to = [
        values.get(f"data.{name}") for name in ("features", "phi", "train_classes", "limit_events", "n_tokens")
    ]
    if isinstance(features, list) and "mass" in features:
        fitted_to += [values.get("data.mass", "linear"), values.get("data.mass_weight", 1.0)]
    if values.get("data.coordinates") == "flat":
        fitted_to += ["flat", values.get("data.mass_weight")]
    order = values.get("data.order") if n_tokens is not None else None
    fitted = json.dumps([fingerprint, sheet.get("encoding"), *fitted_to, order], default=str)[:LONGEST_TEXT]
    return ComparisonKey(
        dataset_fingerprint=cut_text(fingerprint) if isinstance(fingerprint, str) else None,
        features=tuple(map(cut_text, features)) if isinstance(features, list) else None,
        phi=phi if isinstance(phi, str) else None,
        normalizer=hashlib.sha256(fitted.encode()).hexdigest()[:16] if fingerprint is not None else None,
        train_classes=tuple(filter(lambda entry: as_int(entry) is not None, classes))
        if isinstance(classes, list)
        else None,
        limit_events=limit,
        matching=matching if isinstance(matching, str) else None,
        n_tokens=n_tokens,
    )


def find_old_beta(values: Mapping[str, Any], overrides: tuple[str, ...]) -> float | None:
    """Return the weight of `rec_globals` in a run of schema 1, None when it is not known or 0."""
    typed = [line.partition("=")[2] for line in overrides if line.lstrip("+").startswith(f"{BETA_KEY}=")]
    try:
        beta = float(typed[-1]) if typed else as_float(values.get(BETA_KEY))
    except ValueError:
        return None
    return beta if math.isfinite(beta) and beta > 0 else None


def cut_text(value: object) -> str:
    """Return an untrusted text, shortened to fit a table."""
    text = value if isinstance(value, str) else str(value)[: LONGEST_TEXT + 1]
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."


def _list_texts(value: Any) -> tuple[str, ...]:
    return tuple(entry for entry in value if isinstance(entry, str)) if isinstance(value, list) else ()


def _ends_with_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
