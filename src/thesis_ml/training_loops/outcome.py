"""The outcome of a run: its best weights on the validation and test splits, their cost in bits, and the result."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.facts.recorder import FactsRecorder
from thesis_ml.facts.schema import EpochFacts, Metrics
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.training_loops import guards
from thesis_ml.training_loops.arrays import RunArrays
from thesis_ml.training_loops.best import BestEpoch
from thesis_ml.training_loops.checkpoint import ModelState
from thesis_ml.training_loops.collapse import describe_collapse, describe_new_collapse
from thesis_ml.training_loops.compression import measure_codes, measure_rounding
from thesis_ml.training_loops.evaluation import Evaluator
from thesis_ml.training_loops.floors import describe_floors
from thesis_ml.training_loops.recording import warn
from thesis_ml.training_loops.settings import RunSettings, TrainerConfig

log = logging.getLogger(__name__)


def record_outcome(
    evaluator: Evaluator, best_epoch: BestEpoch, losses: Mapping[str, float], recorder: FactsRecorder
) -> dict[str, Any]:
    """Evaluate the best weights on val and test, record the result and return it; `losses` are of the last epoch."""
    settings, best = best_epoch.settings, best_epoch.model
    assert best is not None, "a run has an epoch after its warm-up"
    evaluator.task.model.load_state_dict(best.weights)
    arrays = RunArrays(evaluator.data)
    arrays.add_split("val", evaluator.evaluate("val", best.epoch, is_final=True))
    recorder.save_arrays(arrays.to_dict())
    recorder.record_train_end(best.epoch)
    test = evaluator.evaluate("test", best.epoch, is_final=True)
    arrays.add_split("test", test)
    codes = arrays.to_dict().get("test_codes")
    numbers = {**test.numbers, **_measure_compression(evaluator, test.numbers, codes)}
    result = _build_result(settings, best, losses, numbers)
    recorder.save_arrays(arrays.to_dict())
    collapse = describe_collapse(recorder.history, best.epoch, settings, evaluator.scale, counts=codes, test=numbers)
    if collapse is not None:
        warn(recorder, [collapse], epoch=best.epoch, withdraws=settings.copy_warning)
    recorder.record_test(best.epoch, numbers, result)
    shown = describe_main_number(numbers, settings.trainer.monitor)
    log.info("test: loss %.5g, %s (weights of epoch %d)", numbers["loss"], shown, best.epoch + 1)
    if "rec_mse" in numbers and not settings.job_id:
        sizes = evaluator.task.model.codebook_sizes if isinstance(evaluator.task.model, Autoencoder) else ()
        train_tokens, test_tokens = evaluator.data.train.features, evaluator.data.test.features
        floors = describe_floors(train_tokens, test_tokens, evaluator.data.dims, sizes)
        log.info("for comparison: %s", floors)
    return result


def warn_of_epoch(
    evaluator: Evaluator, settings: RunSettings, recorder: FactsRecorder, metrics: Mapping[str, Mapping[str, float]]
) -> None:
    """Warn of what the task finds wrong with the epoch that was recorded last, and of the first collapse."""
    epoch = recorder.history.last_epoch
    assert epoch is not None, "an epoch was recorded"
    found = list(guards.find_troubles(evaluator.task, epoch, metrics["train"], metrics["val"]))
    if (collapse := describe_new_collapse(recorder.history, epoch, evaluator.scale, settings)) is not None:
        found.append(collapse)
    warn(recorder, found, epoch=epoch)


def _build_result(
    settings: RunSettings, best: ModelState, losses: Mapping[str, float], test: Metrics
) -> dict[str, Any]:
    return {
        "best_monitor": best.metrics[settings.trainer.monitor],
        "best_val_loss": best.metrics["loss"],
        "best_epoch": best.epoch,
        "final_train_loss": losses["train"],
        "final_val_loss": losses["val"],
        "test_loss": test["loss"],
        "rec_mse": test.get("rec_mse"),
        "run_dir": None if settings.run_dir is None else str(settings.run_dir),
    }


def _measure_compression(evaluator: Evaluator, test: Mapping[str, float], codes: Any) -> dict[str, float]:
    """Return the cost of a token in bits; nothing of a model that is no autoencoder."""
    model = evaluator.task.model
    if not isinstance(model, Autoencoder):
        return {}
    if model.codebook_sizes:
        return measure_codes(model.codebook_sizes, codes)
    with evaluator.autocast():
        batch_size, matches = evaluator.trainer.batch_size, evaluator.task.matching == "event"
        split, dims = evaluator.splits["test"], evaluator.data.dims
        numbers = measure_rounding(model, split, dims, batch_size, matches=matches)
    return {**numbers, "kl_bits": test["kl"] / math.log(2)} if "kl" in test else numbers


def describe_main_number(numbers: Metrics, monitor: str) -> str:
    """Return `rec_mse` of a split or, of a task that reconstructs nothing, the monitored number with its error."""
    name = "rec_mse" if "rec_mse" in numbers else monitor
    value, error = numbers[name], numbers.get(f"{name}_error")
    assert value is not None, "the engine refuses numbers that are none"
    return f"{name} {value:.5g}" if error is None else f"{name} {Measured(value, error)}"


def describe_epoch(facts: EpochFacts, trainer: TrainerConfig) -> str:
    """Return one line on an epoch for the terminal and the log."""
    train, val = facts.metrics["train"], facts.metrics["val"]
    return (
        f"epoch {facts.epoch + 1}/{trainer.epochs}: loss {train['loss']:.5g} (train) {val['loss']:.5g} (val), "
        f"{describe_main_number(val, trainer.monitor)}, {facts.throughput:.0f} events/s, {facts.epoch_time_s:.1f} s"
    )
