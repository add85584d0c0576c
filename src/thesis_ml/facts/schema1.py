"""Facts of schema 1, as old run folders hold them, in the form of schema 2."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from thesis_ml.facts.history import HistoryTable, read_epoch_number
from thesis_ml.facts.schema import EPOCH_FIELDS
from thesis_ml.utils.paths import HYDRA_FOLDER
from thesis_ml.utils.plain_values import as_float, as_mapping
from thesis_ml.utils.plain_yaml import read_plain_yaml

NEW_NAMES = {"perplex": "perplexity"}
SHARED = (*EPOCH_FIELDS, "train_loss", "val_loss")
HISTORY_PREFIX = "history_"
BETA_KEY = "phase1.decoder.globals_beta"


class OldEpochs:
    """Collect epoch lines of schema 1; several lines of one epoch complete each other."""

    def __init__(self) -> None:
        self._epochs: dict[int, dict[str, Any]] = {}
        self._last: Mapping[str, Any] = {}

    @property
    def n_lines(self) -> int:
        return len(self._epochs)

    def add(self, fact: Mapping[str, Any]) -> None:
        """Add one epoch line.

        Raises:
            ValueError: Its epoch is no whole number, or no likely one.
        """
        epoch = read_epoch_number(fact)
        known = self._epochs.setdefault(epoch, {"epoch": epoch, "metrics": {"train": {}, "val": {}}})
        known |= {name: fact[name] for name in SHARED if fact.get(name) is not None}
        for split, numbers in _split_metrics(fact).items():
            known["metrics"][split] |= numbers
        # Every line repeats the histories in full, so only the newest one is kept.
        self._last = fact

    def convert(self, globals_beta: float | None) -> HistoryTable:
        """Return the epochs in the form of schema 2.

        Args:
            globals_beta: The weight that `rec_globals` was recorded with; None when it is not known.
        """
        self._fill_from_histories()
        table = HistoryTable()
        for _, fact in sorted(self._epochs.items()):
            metrics = {split: restore_metrics(values, globals_beta) for split, values in fact["metrics"].items()}
            table.add({**fact, "metrics": metrics})
        return table

    def _fill_from_histories(self) -> None:
        """Add the numbers that only the histories hold, if they have one number per epoch."""
        epochs = [fact for _, fact in sorted(self._epochs.items())]
        for name, values in _list_histories(self._last):
            if len(values) != len(epochs):
                continue
            for fact, value in zip(epochs, values, strict=True):
                if name in SHARED:
                    fact.setdefault(name, value)
                else:
                    split, _, metric = name.partition("_")
                    is_split = split in ("train", "val") and bool(metric)
                    fact["metrics"][split if is_split else "val"].setdefault(metric if is_split else name, value)


def restore_metrics(numbers: Mapping[str, Any], globals_beta: float | None) -> dict[str, Any]:
    """Return metrics of schema 1 by today's names: unweighted, and blank where 0 stood for `not measured`."""
    restored = {NEW_NAMES.get(name, name): value for name, value in numbers.items()}
    if as_float(restored.get("perplexity")) == 0:
        restored["perplexity"] = None
    if "rec_globals" in restored:
        weighted = as_float(restored["rec_globals"])
        restored["rec_globals"] = weighted / globals_beta if globals_beta else None
    return restored


def read_old_config(run: Path) -> tuple[dict[str, Any], dict[str, str], tuple[str, ...], list[str]]:
    """Return the configuration of a run of schema 1 from its `.hydra/`, as far as it can be read.

    Returns:
        The composed values, the option of each group, the overrides of the user, and remarks on unreadable files.
    """
    texts: dict[str, Any] = {}
    remarks = []
    for name in ("config", "overrides", "hydra"):
        path = run / HYDRA_FOLDER / f"{name}.yaml"
        if not path.is_file() or not path.resolve().is_relative_to(run.resolve()):
            remarks.append(f"{HYDRA_FOLDER}/{name}.yaml is missing")
            continue
        try:
            texts[name] = read_plain_yaml(path)
        except (OSError, ValueError) as error:
            remarks.append(f"{HYDRA_FOLDER}/{name}.yaml cannot be read ({error})")
    lines = texts.get("overrides")
    overrides = tuple(line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()
    runtime = as_mapping(as_mapping(as_mapping(texts.get("hydra")).get("hydra")).get("runtime"))
    choices = {str(key): value for key, value in as_mapping(runtime.get("choices")).items() if isinstance(value, str)}
    return dict(as_mapping(texts.get("config"))), choices | dict(_list_choices(overrides)), overrides, remarks


def _list_choices(overrides: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in overrides:
        if match := re.fullmatch(r"[+]{0,2}(?P<group>[\w/]+)=(?P<option>\w+)", line):
            yield match["group"], match["option"]


def _split_metrics(fact: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the metrics by split; schema 1 mostly records the validation split without naming it."""
    metrics = as_mapping(fact.get("metrics"))
    if isinstance(metrics.get("train"), Mapping) or isinstance(metrics.get("val"), Mapping):
        return {split: as_mapping(metrics.get(split)) for split in ("train", "val")}
    split = "train" if fact.get("split") == "train" else "val"
    return {split: {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}}


def _list_histories(fact: Mapping[str, Any]) -> Iterable[tuple[str, list[Any]]]:
    """Yield every history of a line by a name such as `val_loss`, from its flat and its nested form."""
    waiting: list[Mapping[str, Any]] = [as_mapping(fact.get("histories"))]
    waiting.append({key.removeprefix(HISTORY_PREFIX): fact[key] for key in fact if key.startswith(HISTORY_PREFIX)})
    while waiting:
        for name, values in waiting.pop(0).items():
            if isinstance(values, Mapping):
                start = f"{name}_" if name in ("train", "val") else ""
                waiting.append({f"{start}{inner}": entries for inner, entries in values.items()})
            elif isinstance(values, list):
                yield name, values
