"""One job of thesis-train in its folder, and the table of jobs of a sweep."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from thesis_ml.config import choose
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.facts.lines import read_result, read_state
from thesis_ml.facts.recorder import record_failed_start
from thesis_ml.utils.paths import FACTS_FOLDER, RunFolder, is_run_folder

log = logging.getLogger(__name__)

TrainFunction = Callable[[DictConfig], dict[str, Any]]
ParseFunction = Callable[[DictConfig], Any]
"""Returns the typed configuration of a loop; importing it is what costs, so it is imported when it is called."""

_sweep_folders: list[Path] = []


class SweepFolder(Callback):
    """Remember where a sweep goes, so that its jobs can be listed whatever becomes of them."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        _sweep_folders.append(Path(config.hydra.sweep.dir))


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


def print_job_table() -> int:
    """Print the state of every job of the sweep that just ended and return how many failed."""
    if not _sweep_folders or not _sweep_folders[-1].is_dir():
        return 0
    jobs = sorted(path for path in _sweep_folders[-1].iterdir() if path.is_dir() and path.name.isdigit())
    states = [(path, read_state(path / FACTS_FOLDER)) for path in jobs]
    print(f"{_sweep_folders[-1]}: {len(jobs)} jobs")
    for path, state in states:
        print(f"  {path.name}  {state.name:<12} {state.reason}")
    # A user's own loop may record no facts: its folder is empty, and its error is the one that Hydra raised.
    return sum(state.name not in ("complete", "empty") for _, state in states)


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
    try:
        folder.write_hydra(_describe_start(cfg))
        with folder.open_log():
            return train(cfg)
    except (ConfigError, DataError) as error:
        is_job = HydraConfig.get().mode == RunMode.MULTIRUN
        if is_job and start.is_new and read_state(folder.path / FACTS_FOLDER).name == "empty":
            record_failed_start(folder.path / FACTS_FOLDER, error)
        else:
            folder.undo(start)
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
