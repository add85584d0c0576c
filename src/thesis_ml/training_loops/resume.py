"""Go on with the run that a folder holds: refuse another run, restore the newest state that is whole."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from thesis_ml.errors import ConfigError, DataError
from thesis_ml.facts.builders import to_json
from thesis_ml.facts.lines import find_test_end, read_events, read_history_table
from thesis_ml.facts.recorder import holds_facts
from thesis_ml.facts.writers import cut_facts
from thesis_ml.training_loops.contracts import RunConfig
from thesis_ml.utils.checkpoints import load_checkpoint
from thesis_ml.utils.paths import FACTS_FOLDER, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT

FREE_KEYS = ("logging", "data.name", "data.path")
"""Keys that change no number: where the data lies is free, what it is the fingerprint tells."""

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

DOES_NOT_FIT = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)
"""What restoring raises on the state of another model or another program."""


@runtime_checkable
class Restorable(Protocol):
    """A training whose state can be taken and put back."""

    @property
    def epoch(self) -> int: ...

    def capture(self) -> dict[str, Any]: ...

    def restore(self, state: Mapping[str, Any]) -> None: ...


def find_finished(run_dir: Path, config: RunConfig, fingerprint: str) -> dict[str, Any] | None:
    """Return the result of the finished run that `run_dir` holds, or None when there is something to train.

    Args:
        run_dir: A folder that may hold a run.
        config: What this start asks for.
        fingerprint: That of its data.

    Raises:
        ConfigError: The folder holds a run of another model, other data or another seed.
        FactsError: Its facts cannot be read.
    """
    facts = read_events(run_dir / FACTS_FOLDER)
    stored = _find_config(facts)
    _refuse_other_run(run_dir, facts, stored, config, fingerprint)
    final = find_test_end(facts)
    if final is None or not isinstance(final.get("result"), Mapping):
        return None
    is_extended = config.trainer.epochs > _count_asked_epochs(stored)
    return None if is_extended else dict(final["result"])


def resume_training(training: Restorable, run_dir: Path | None, config: RunConfig) -> Sequence[str] | None:
    """Put `training` where the run in `run_dir` was saved last and cut its facts to that.

    Returns:
        What the user should know of how the run goes on, or None for a new run.

    Raises:
        FactsError: The facts are damaged or cannot be written.
    """
    if run_dir is None or not holds_facts(run_dir / FACTS_FOLDER):
        return None
    extension = _describe_extension(_find_config(read_events(run_dir / FACTS_FOLDER)), config)
    initial = copy.deepcopy(training.capture())
    failures = []
    for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT):
        try:
            _restore(training, run_dir, name)
        except DataError as error:
            failures.append(str(error))
            continue
        used = [f"{failure}; going on from {name}" for failure in failures]
        return (*used, *extension)
    training.restore(initial)
    has_lost = read_history_table(run_dir / FACTS_FOLDER).last_epoch is not None
    cut_facts(run_dir / FACTS_FOLDER, 0)
    lost = [f"{failure}; starting the run afresh" for failure in failures]
    is_worth_saying = has_lost or any((run_dir / name).exists() for name in (LAST_CHECKPOINT, PREVIOUS_CHECKPOINT))
    return (*(lost if is_worth_saying else ()), *extension)


def _restore(training: Restorable, run_dir: Path, name: str) -> None:
    """Restore one checkpoint, provided that the facts hold all epochs that it counts on."""
    path = run_dir / name
    content = load_checkpoint(path)
    try:
        training.restore(content["training"])
    except torch.OutOfMemoryError:
        raise
    except DOES_NOT_FIT as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: does not fit this run ({reason})") from error
    n_held = cut_facts(run_dir / FACTS_FOLDER, training.epoch)
    if n_held < training.epoch:
        raise DataError(f"{path}: is from after epoch {training.epoch}, but the facts hold only {n_held} epochs")


def _refuse_other_run(
    run_dir: Path,
    facts: list[dict[str, Any]],
    stored: Mapping[str, Any],
    config: RunConfig,
    fingerprint: str,
) -> None:
    remedy = "a run goes on with the configuration it was started with; choose another hydra.run.dir"
    changes = list(list_changes(stored, to_json(config.to_plain())) if stored else ())
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
    if config.trainer.epochs < n_epochs:
        raise ConfigError(
            f"{config.trainer_key}.epochs: {config.trainer.epochs} is fewer than the {n_epochs} epochs that the run in "
            f"{run_dir} has; give at least as many or choose another hydra.run.dir"
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


def _describe_extension(stored: Mapping[str, Any], config: RunConfig) -> tuple[str, ...]:
    """Return what another number of epochs changes: the schedule, unless it is constant, and what the loop says."""
    before = _count_asked_epochs(stored)
    now = config.trainer.epochs
    if before in (0, now):
        return ()
    schedule = (
        f"{config.trainer_key}.epochs: was {before}, is {now}; from here on the learning rate follows the schedule of "
        f"{now} epochs, so the numbers are not those of a run that was started with it"
    )
    more = config.describe_extension(before)
    return (*(() if config.trainer.schedule == "constant" else (schedule,)), *(() if more is None else (more,)))


def _find_config(facts: list[dict[str, Any]]) -> Mapping[str, Any]:
    """Return the configuration of the newest start, empty when none was recorded."""
    configs = [fact["config"] for fact in facts if isinstance(fact.get("config"), Mapping)]
    return configs[-1] if configs else {}


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
