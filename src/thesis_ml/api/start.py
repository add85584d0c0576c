"""Start a training or a report from Python: what the commands do, in the same folders."""

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.initialize import initialize_config_dir
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from thesis_ml.api.run import Report, Run
from thesis_ml.cli.exit_codes import RefusalError
from thesis_ml.cli.hydra_errors import describe_error
from thesis_ml.cli.named_configs import OUR_HYDRA, name_top_keys
from thesis_ml.cli.reports import REPORTS, run_chosen_report
from thesis_ml.cli.train import DISPATCH
from thesis_ml.cli.train.guardrails import check_command_line
from thesis_ml.cli.train.jobs import run_job
from thesis_ml.cli.train.resume import expand_resume
from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.limits import require
from thesis_ml.utils.paths import REPORT_CONFIGS, expand_home, find_configs
from thesis_ml.utils.stops import restart_clock
from thesis_ml.utils.texts import quote_value

_start_lock = threading.RLock()
"""Seeds, threads of torch and Hydra's state belong to the process: a second start waits for the first one."""


def train(overrides: Sequence[str] = (), output: str | Path | None = None) -> Run:
    """Train one model as `thesis-train` does, and return its run.

    Args:
        overrides: What the command takes, such as `phase1/latent_space=fsq`, `data.limit_events=2000` or
            `resume=<run folder>`.
        output: The folder of the run; one that holds this run already is resumed. None: a new one in outputs/runs.

    Raises:
        ConfigError: A key or value is wrong, or the folder holds another run.
        DataError: The events cannot be read.
        FactsError: Facts or checkpoints cannot be read or written.
        TrainingError: A loss is not finite.
        RunInterrupted: An interrupt of the kernel or the time limit stopped the run, which can be resumed.
    """
    lines = _check_overrides(overrides)
    if output is not None:
        lines.append(f"hydra.run.dir={quote_value(str(expand_home(output)))}")
    with _start_hydra(find_configs()) as hydra, _show_log():
        lines = expand_resume(lines)
        check_command_line(lines)
        if hydra.get_mode("train", lines) == RunMode.MULTIRUN:
            raise ConfigError("overrides: ask for a sweep, which only thesis-train starts; choose one run")
        restart_clock()
        return Run(hydra.run("train", _train_in_folder, lines, with_log_configuration=False).return_value)


def report(name: str, overrides: Sequence[str] = (), output: str | Path | None = None) -> Report:
    """Make the report `name` as `thesis-report` does.

    Args:
        name: What `--config-name` takes, such as compare_runs.
        overrides: What the command takes, such as `inputs.sweep_dir=outputs/multiruns/exp_..._first`.
        output: The folder that gets reports/; None: that which holds the runs.

    Raises:
        ConfigError: A key or value is wrong, or the folder cannot be written.
        DataError: Events cannot be read.
        ReportError: There is no run that can be used.
    """
    lines = [*_check_overrides(overrides), *OUR_HYDRA]
    if output is not None:
        lines.append(f"env.output_root={quote_value(str(output))}")
    with _start_hydra(find_configs() / REPORT_CONFIGS) as hydra, _show_log(), name_top_keys():
        REPORTS.check_command_line([f"--config-name={name}", *lines])
        folder = hydra.run(name, run_chosen_report, lines, with_log_configuration=False).return_value
    if folder is None:
        raise ReportError(f"{name}: is written, but its run_report returns no folder; let it end with `return folder`")
    return Report(folder)


def _train_in_folder(cfg: DictConfig) -> Path:
    require(cfg.logging.save_artifacts, "logging.save_artifacts", "true, because the folder is returned as Run", False)
    run_job(cfg, DISPATCH)
    return Path(HydraConfig.get().runtime.output_dir)


def _check_overrides(overrides: Sequence[str]) -> list[str]:
    if isinstance(overrides, str):
        raise ConfigError(f"overrides: {overrides!r} is one text; give a list of them, as [{overrides!r}]")
    if isinstance(overrides, DictConfig):
        raise ConfigError(
            "overrides: a composed configuration does not name its loop; give a list of texts, or give it with run_dir "
            "to the train of a loop, such as thesis_ml.training_loops.autoencoder.train"
        )
    for line in overrides:
        # Argparse would leave the process for a flag that it does not know.
        if not isinstance(line, str) or line.startswith("-"):
            raise ConfigError(f"overrides: {line!r} is no override; give texts such as 'group=option' or 'key=value'")
    return list(overrides)


@contextmanager
def _start_hydra(configs: Path) -> Iterator[Hydra]:
    """Give Hydra with a folder of configurations, one start at a time; its errors become ours, never an exit."""
    with _start_lock, _raise_named(), initialize_config_dir(str(configs.resolve()), "thesis_ml", version_base="1.3"):
        hydra: Any = GlobalHydra.instance().hydra
        yield hydra


@contextmanager
def _raise_named() -> Iterator[None]:
    try:
        yield
    except RefusalError as refusal:
        cause = refusal.__cause__
        assert cause is not None
        raise _name_error(cause) from cause.__cause__
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise _name_error(error) from error


def _name_error(error: BaseException) -> BaseException:
    is_foreign = isinstance(error, HydraException | OmegaConfBaseException | YAMLError)
    return ConfigError(describe_error(error)) if is_foreign else error


@contextmanager
def _show_log() -> Iterator[None]:
    """Print the lines that the command prints, or leave them to the user's own logging, where there is one."""
    ours = logging.getLogger("thesis_ml")
    before, handler = ours.level, None
    if not ours.hasHandlers():
        handler = logging.StreamHandler(sys.stdout)
        ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)
        if handler is not None:
            ours.removeHandler(handler)
