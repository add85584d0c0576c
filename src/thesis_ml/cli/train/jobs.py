"""One job of thesis-train in its folder."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.train.guardrails import list_typed
from thesis_ml.cli.train.resume import restore_defaults
from thesis_ml.cli.train.sweeps import FailureNote
from thesis_ml.config import choose
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.facts.lines import read_result
from thesis_ml.training_loops.registry import LOOPS
from thesis_ml.training_loops.start import Finished, decide_start
from thesis_ml.utils.paths import FACTS_FOLDER, RunFolder, is_run_folder
from thesis_ml.utils.plain_values import as_float
from thesis_ml.utils.retries import RETRY_S, Patience, use_patience

log = logging.getLogger(__name__)

TrainFunction = Callable[[DictConfig], dict[str, Any]]


def run_job(cfg: DictConfig, dispatch: Mapping[str, TrainFunction]) -> float | None:
    """Run the chosen loop in the folder that Hydra made, and return the number that an optimising sweeper minimises.

    Whether the folder holds a new, a resumed or a finished run is decided once, under its lock. A loop of a user's own
    is called with the composed configuration alone.
    """
    name = HydraConfig.get().runtime.choices.get("loop") or ""
    train, loop = choose(name, dispatch, "loop"), LOOPS.get(name)
    if not cfg.logging.save_artifacts:
        return _take_monitor(train(cfg))
    with _open_folder() as folder, _choose_terminal(folder.path):
        if loop is None or train != loop.train:
            recorded = read_result(folder.path / FACTS_FOLDER)
            if recorded is None:
                with _record_start(folder, cfg):
                    return _take_monitor(train(cfg))
            result: Mapping[str, Any] = recorded
        else:
            cfg = restore_defaults(cfg, folder.path, list_typed(HydraConfig.get().overrides.task))
            settings = loop.load().parse(cfg)
            start = decide_start(settings)
            if not isinstance(start, Finished):
                with _record_start(folder, cfg):
                    return _take_monitor(loop.load().run(settings, start))
            result = start.result
        log.info("%s: this run is finished; nothing is done", folder.path)
        return _take_monitor(result)


def _choose_terminal(folder: Path) -> AbstractContextManager[None]:
    """Return the context of a run or of a job of a sweep, which has one line on the terminal."""
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return nullcontext()
    # Here, not at the top: a start that only checks its configuration loads no torch.
    from thesis_ml.cli.train.quiet_jobs import show_one_line

    return show_one_line(folder)


@contextmanager
def _open_folder() -> Iterator[RunFolder]:
    """Give the locked folder of the job; after a refusal it is as it was before, or gone if it was new.

    A new folder of a job in a sweep stays, with its error in the facts, so that the table of jobs shows it.
    """
    hydra_config = HydraConfig.get()
    with RunFolder(Path(hydra_config.runtime.output_dir)) as folder:
        before = folder.remember()
        try:
            yield folder
        except (ConfigError, DataError):
            if not (before.is_new and hydra_config.mode == RunMode.MULTIRUN):
                folder.undo(before)
            raise


@contextmanager
def _record_start(folder: RunFolder, cfg: DictConfig) -> Iterator[None]:
    """Describe the start in .hydra/, copy all log lines to the folder, and record an error before the first fact."""
    is_new_job = not is_run_folder(folder.path) and HydraConfig.get().mode == RunMode.MULTIRUN
    note = FailureNote(folder.path / FACTS_FOLDER, keeps_refusals=is_new_job)
    with use_patience(Patience(float(cfg.logging.get("retry_s", RETRY_S)))):
        folder.write_hydra(_describe_start(cfg))
    with folder.open_log(), note:
        yield


def _describe_start(cfg: DictConfig) -> dict[str, str]:
    """Return the texts of .hydra/: the composed config, Hydra's own, and the user's overrides."""
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
