"""One job of thesis-train in its folder."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.train.guardrails import ParseFunction
from thesis_ml.cli.train.sweeps import FailureNote
from thesis_ml.config import choose
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.facts.history import as_float
from thesis_ml.facts.lines import read_result
from thesis_ml.utils.paths import FACTS_FOLDER, RunFolder, is_run_folder

log = logging.getLogger(__name__)

TrainFunction = Callable[[DictConfig], dict[str, Any]]


class Loop(NamedTuple):
    """The chosen loop: how it trains and, for a loop of this package, how it parses its configuration."""

    train: TrainFunction
    parse: ParseFunction | None


def run_job(
    cfg: DictConfig, dispatch: Mapping[str, TrainFunction], parsers: Mapping[str, ParseFunction]
) -> float | None:
    """Run the chosen loop in the folder that Hydra made, and return what an optimising sweeper minimises."""
    hydra_config = HydraConfig.get()
    name = hydra_config.runtime.choices.get("loop") or ""
    loop = Loop(choose(name, dispatch, "loop"), parsers.get(name))
    if not cfg.logging.save_artifacts:
        return _take_monitor(loop.train(cfg))
    return _take_monitor(_run_in_folder(Path(hydra_config.runtime.output_dir), loop, cfg))


def _run_in_folder(path: Path, loop: Loop, cfg: DictConfig) -> Mapping[str, Any]:
    """Return the result of the run that `path` holds, after training what is left of it."""
    result = _find_finished(path, loop, cfg)
    if result is not None:
        return result
    with RunFolder(path) as folder:
        # It may have been finished while this start waited for nothing but its turn.
        return _find_finished(path, loop, cfg) or _train_in(folder, loop.train, cfg)


def _find_finished(path: Path, loop: Loop, cfg: DictConfig) -> Mapping[str, Any] | None:
    """Return the result of a finished run; refuse a folder whose run is another one than `cfg` asks for."""
    if not is_run_folder(path):
        return None
    if loop.parse is None:
        result = read_result(path / FACTS_FOLDER)
    else:
        from thesis_ml.training_loops.resume import find_finished

        config = loop.parse(cfg)
        result = find_finished(path, config, config.read_fingerprint())
    if result is not None:
        log.info("%s: this run is finished; nothing is done", path)
    return result


def _train_in(folder: RunFolder, train: TrainFunction, cfg: DictConfig) -> dict[str, Any]:
    start = folder.remember()
    is_new_job = start.is_new and HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        folder.write_hydra(_describe_start(cfg))
        with folder.open_log(), FailureNote(folder.path / FACTS_FOLDER, keeps_refusals=is_new_job):
            return train(cfg)
    except (ConfigError, DataError):
        if not is_new_job:
            folder.undo(start)
        raise


def _describe_start(cfg: DictConfig) -> dict[str, str]:
    """Return the texts of .hydra/: the composed config, Hydra's own, and what the user typed."""
    hydra_config = HydraConfig.get()
    return {
        # First, because without it a run cannot be resumed by name.
        "overrides.yaml": OmegaConf.to_yaml(hydra_config.overrides.task),
        "config.yaml": OmegaConf.to_yaml(cfg),
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_config})),
    }


def _take_monitor(result: Mapping[str, Any]) -> float | None:
    value = result.get("best_monitor")
    return None if value is None else as_float(value)
