"""Whether a run begins, resumes, is finished already, or is refused: decided once, before anything is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thesis_ml.errors import ConfigError
from thesis_ml.facts.builders import to_json
from thesis_ml.facts.lines import find_config, find_test_end, read_events
from thesis_ml.facts.recorder import holds_facts
from thesis_ml.training_loops.settings import RunSettings
from thesis_ml.utils.paths import FACTS_FOLDER

FREE_KEYS = ("logging", "data.name", "data.path")
"""Keys that change no number: where the data lies is free, the fingerprint identifies it."""

FREE_TRAINER_KEYS = (
    "epochs",
    "device",
    "n_threads",
    "num_workers",
    "compile",
    "early_stopping",
    "checkpoint_every_s",
    "max_time_s",
)
"""Keys of a trainer that a start may change without making another run of it."""

MAX_NAMED_CHANGES = 5


@dataclass(frozen=True)
class New:
    """The folder holds no run, or there is no folder."""


@dataclass(frozen=True)
class Resume:
    """The folder holds this run, which is not finished; warnings are those of another number of epochs.

    `has_started` says whether the run got as far as its data; otherwise only its error is recorded.
    """

    has_started: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """The folder holds this run, complete, with its result."""

    result: Mapping[str, Any]


Start = New | Resume | Finished


def decide_start(settings: RunSettings, fingerprint: str | None = None) -> Start:
    """Return how a run starts in its folder; the fingerprint of its data is read unless it is given.

    Call it once for each start, where nobody else may change the folder: under the lock of `RunFolder`.

    Raises:
        ConfigError: The folder holds a run of another model, other data or another seed, or one with more epochs.
        FactsError: Its facts cannot be read.
    """
    if settings.run_dir is None:
        return New()
    folder = settings.run_dir / FACTS_FOLDER
    if not holds_facts(folder):
        return New()
    facts = read_events(folder)
    stored = find_config(facts)
    _refuse_other_run(settings.run_dir, facts, stored, settings, fingerprint or settings.read_fingerprint())
    final = find_test_end(facts)
    is_extended = settings.trainer.epochs > _count_asked_epochs(stored)
    if final is not None and isinstance(final.get("result"), Mapping) and not is_extended:
        return Finished(dict(final["result"]))
    has_started = any(fact["moment"] == "on_start" for fact in facts)
    return Resume(has_started, _describe_extension(stored, settings))


def _refuse_other_run(
    run_dir: Path,
    facts: list[dict[str, Any]],
    stored: Mapping[str, Any],
    settings: RunSettings,
    fingerprint: str,
) -> None:
    remedy = "a run resumes with the configuration it was started with; choose another hydra.run.dir"
    changes = list(list_changes(stored, to_json(settings.to_plain())) if stored else ())
    if changes:
        named = ", ".join(
            f"{key} is {_show(old)} there and {_show(new)} here" for key, old, new in changes[:MAX_NAMED_CHANGES]
        )
        rest = f" and {len(changes) - MAX_NAMED_CHANGES} more" if len(changes) > MAX_NAMED_CHANGES else ""
        raise ConfigError(f"{run_dir}: holds another run: {named}{rest}; {remedy}")
    found = _find_fingerprint(facts)
    if found is not None and found != fingerprint:
        raise ConfigError(
            f"{run_dir}: holds a run on other data: fingerprint {found} there, {fingerprint} here; {remedy}"
        )
    n_epochs = 1 + max((fact["epoch"] for fact in facts if _is_epoch(fact)), default=-1)
    if settings.trainer.epochs < n_epochs:
        raise ConfigError(
            f"{settings.trainer_key}.epochs: {settings.trainer.epochs} is fewer than the {n_epochs} epochs of the run "
            f"in {run_dir}; give at least as many or choose another hydra.run.dir"
        )


def list_changes(stored: Any, asked: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield key and both values wherever two plain configurations describe another run.

    A key that the stored configuration does not know yet, because its program did not, is no change.
    """
    if _is_free(key) or stored == asked:
        return
    if not (_is_group(stored) and _is_group(asked)):
        yield key, stored, asked
        return
    for name in stored:
        yield from list_changes(stored[name], asked.get(name), f"{key}.{name}".lstrip("."))


def _is_group(value: Any) -> bool:
    """Tell a group of keys from a value that happens to be a mapping, such as the weights of features."""
    return isinstance(value, Mapping) and ("name" in value or any(isinstance(part, Mapping) for part in value.values()))


def _is_free(key: str) -> bool:
    *groups, name = key.split(".")
    if key in FREE_KEYS:
        return True
    return bool(groups) and groups[-1] == "trainer" and name in FREE_TRAINER_KEYS


def _describe_extension(stored: Mapping[str, Any], settings: RunSettings) -> tuple[str, ...]:
    """Return the consequences of another number of epochs: the schedule, unless constant, and those of the loop."""
    before = _count_asked_epochs(stored)
    now = settings.trainer.epochs
    if before in (0, now):
        return ()
    schedule = (
        f"{settings.trainer_key}.epochs: was {before}, is {now}; from here on the learning rate follows the schedule "
        f"of {now} epochs, so the numbers are not those of a run that was started with it"
    )
    more = settings.describe_extension(before)
    return (*(() if settings.trainer.schedule == "constant" else (schedule,)), *(() if more is None else (more,)))


def _show(value: Any) -> str:
    """Return a value as a user would type it, cut where it is long."""
    return "null" if value is None else f"{value!r:.80}"


def _find_fingerprint(facts: list[dict[str, Any]]) -> str | None:
    metas = [fact["meta"] for fact in facts if isinstance(fact.get("meta"), Mapping)]
    found = [meta["dataset_fingerprint"] for meta in metas if isinstance(meta.get("dataset_fingerprint"), str)]
    return found[-1] if found else None


def _count_asked_epochs(stored: Mapping[str, Any]) -> int:
    """Return how many epochs the newest start asked for, 0 when it is not known."""
    trainer = next(
        (group["trainer"] for group in stored.values() if isinstance(group, Mapping) and "trainer" in group), None
    )
    epochs = trainer.get("epochs") if isinstance(trainer, Mapping) else None
    return epochs if isinstance(epochs, int) else 0


def _is_epoch(fact: Mapping[str, Any]) -> bool:
    return fact["moment"] == "on_epoch_end" and isinstance(fact.get("epoch"), int)
