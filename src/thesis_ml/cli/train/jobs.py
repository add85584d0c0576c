"""One job of thesis-train in its folder."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.train.sweeps import FailureNote
from thesis_ml.config import choose
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.facts.lines import read_result
from thesis_ml.utils.paths import FACTS_FOLDER, FolderState, RunFolder

log = logging.getLogger(__name__)

TrainFunction = Callable[[DictConfig], dict[str, Any]]


def run_job(cfg: DictConfig, dispatch: Mapping[str, TrainFunction]) -> float | None:
    """Run the chosen loop in the folder that Hydra made, and return what an optimising sweeper minimises."""
    hydra_config = HydraConfig.get()

    def train(job_cfg: DictConfig) -> dict[str, Any]:
        return choose(hydra_config.runtime.choices.get("loop") or "", dispatch, "loop")(job_cfg)

    if not cfg.logging.save_artifacts:
        return _take_monitor(train(cfg))
    return _take_monitor(_run_in_folder(Path(hydra_config.runtime.output_dir), train, cfg))


def _run_in_folder(path: Path, train: TrainFunction, cfg: DictConfig) -> Mapping[str, Any]:
    """Return the result of the run that `path` holds, after training it when there is none."""
    result = read_result(path / FACTS_FOLDER)
    if result is not None:
        log.info("%s: this run is finished; nothing is done", path)
        return result
    with RunFolder(path) as folder:
        return _train_in(folder, train, cfg)


def _train_in(folder: RunFolder, train: TrainFunction, cfg: DictConfig) -> dict[str, Any]:
    if folder.state is FolderState.UNFINISHED:
        raise ConfigError(
            f"{folder.path}: holds a run that did not finish, and going on with it is not possible yet; "
            "choose another hydra.run.dir"
        )
    is_job = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        folder.write_hydra(_describe_start(cfg))
        with folder.open_log(), FailureNote(folder.path / FACTS_FOLDER, keeps_refusals=is_job):
            return train(cfg)
    except (ConfigError, DataError):
        if not is_job:
            folder.discard_if_new()
        raise


def _describe_start(cfg: DictConfig) -> dict[str, str]:
    """Return the texts of .hydra/: the composed config, Hydra's own, and what the user typed."""
    hydra_config = HydraConfig.get()
    return {
        "config.yaml": OmegaConf.to_yaml(cfg),
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_config})),
        "overrides.yaml": OmegaConf.to_yaml(hydra_config.overrides.task),
    }


def _take_monitor(result: Mapping[str, Any]) -> float | None:
    value = result.get("best_monitor")
    return None if value is None else float(value)
