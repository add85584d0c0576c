"""thesis-train: compose the configuration, open the run's folder and call the chosen loop."""

import sys
from collections.abc import Mapping
from typing import Any

import hydra
from omegaconf import DictConfig

from thesis_ml.cli.exit_codes import run_command
from thesis_ml.cli.train.folders import register_folder_resolvers
from thesis_ml.cli.train.guardrails import PARSERS, check_command_line
from thesis_ml.cli.train.help_text import register_help_resolver
from thesis_ml.cli.train.jobs import TrainFunction, run_job
from thesis_ml.cli.train.resume import expand_resume
from thesis_ml.cli.train.sweeps import print_job_table
from thesis_ml.utils.paths import find_configs


def _ae(cfg: DictConfig) -> dict[str, Any]:
    from thesis_ml.training_loops.autoencoder import train

    return train(cfg)


def _gan_ae(cfg: DictConfig) -> dict[str, Any]:
    from thesis_ml.training_loops.gan_autoencoder import train

    return train(cfg)


def _diffusion_ae(cfg: DictConfig) -> dict[str, Any]:
    from thesis_ml.training_loops.diffusion_autoencoder import train

    return train(cfg)


def _test_mlp(cfg: DictConfig) -> dict[str, Any]:
    from thesis_ml.training_loops.simple_mlp import train

    return train(cfg)


DISPATCH: Mapping[str, TrainFunction] = {
    "ae": _ae,
    "gan_ae": _gan_ae,
    "diffusion_ae": _diffusion_ae,
    "test_mlp": _test_mlp,
}

register_folder_resolvers()
register_help_resolver(list(DISPATCH))


@hydra.main(config_path=str(find_configs()), config_name="train", version_base="1.3")
def _compose_and_run(cfg: DictConfig) -> float | None:
    return run_job(cfg, DISPATCH, PARSERS)


def _check_and_run() -> None:
    sys.argv[1:] = expand_resume(sys.argv[1:])
    check_command_line(sys.argv[1:])
    _compose_and_run()


def main() -> None:
    """Run the command and exit.

    The exit code is 0 (done), 1 (failed), 2 (wrong input), 85 (stopped, to be started again) or 130 (Ctrl-C).
    """
    run_command(_check_and_run, at_end=print_job_table)
