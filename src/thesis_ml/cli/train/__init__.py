"""thesis-train: compose the configuration, open the run's folder and call the chosen loop."""

import sys
from collections.abc import Mapping
from typing import Any

import hydra
from omegaconf import DictConfig

from thesis_ml.cli.exit_codes import run_command
from thesis_ml.cli.train.folders import register_folder_resolvers
from thesis_ml.cli.train.jobs import ParseFunction, TrainFunction, print_job_table, run_job
from thesis_ml.cli.train.resume import expand_resume
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import find_configs


def _ae(cfg: DictConfig) -> dict[str, Any]:
    from thesis_ml.training_loops.autoencoder import train

    return train(cfg)


def _test_mlp(cfg: DictConfig) -> dict[str, Any]:
    from thesis_ml.training_loops.simple_mlp import train

    return train(cfg)


def _not_there_yet(cfg: DictConfig) -> dict[str, Any]:
    raise ConfigError("loop: this loop is planned but does not exist yet; available: ae, test_mlp")


DISPATCH: Mapping[str, TrainFunction] = {
    "ae": _ae,
    "gan_ae": _not_there_yet,
    "diffusion_ae": _not_there_yet,
    "test_mlp": _test_mlp,
}


def _parse_tokens(cfg: DictConfig) -> Any:
    from thesis_ml.training_loops.experiment import parse_experiment

    return parse_experiment(cfg)


def _parse_tables(cfg: DictConfig) -> Any:
    from thesis_ml.training_loops.table_experiment import parse_table_experiment

    return parse_table_experiment(cfg)


PARSERS: Mapping[str, ParseFunction] = {"ae": _parse_tokens, "test_mlp": _parse_tables}
"""How the loops of this package parse their configuration; a loop without an entry reads its own keys."""

register_folder_resolvers()


@hydra.main(config_path=str(find_configs()), config_name="train", version_base="1.3")
def _compose_and_run(cfg: DictConfig) -> float | None:
    return run_job(cfg, DISPATCH, PARSERS)


def main() -> None:
    """Run the command and exit.

    The exit code is 0 (done), 1 (failed), 2 (wrong input), 85 (stopped, to be started again) or 130 (Ctrl-C).
    """
    run_command(_resume_or_start, at_end=print_job_table)


def _resume_or_start() -> None:
    sys.argv[1:] = expand_resume(sys.argv[1:])
    _compose_and_run()
