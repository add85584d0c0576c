"""thesis-data: compose a recipe and convert the files of an experiment, or say what a file is."""

import importlib
import sys
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from thesis_ml.cli.arguments import quote_homes
from thesis_ml.cli.data.help_text import describe_recipes
from thesis_ml.cli.exit_codes import DONE, FAILURES, WRONG_INPUT_ERRORS, RefusalError, report_exit
from thesis_ml.cli.named_configs import OUR_HYDRA, NamedConfigs, add_overrides, name_top_keys, remember_config_dir
from thesis_ml.errors import ConfigError
from thesis_ml.utils.memory import memory_errors
from thesis_ml.utils.paths import find_configs

RECIPES = NamedConfigs("thesis-data", "convert", "a conversion takes any number of files in one job", "set output")
INSPECT = "inspect"
OPEN_MAPPINGS = ("objects", "reader", "label_names", "extra_columns", "event_extra")
WAYS_OUT = "take fewer processes (n_workers), or ask for more memory"
GO_ON = "the same command goes on from the parts that were converted"
LIBRARIES = ("awkward", "pyarrow", "uproot")


@hydra.main(config_path=str(find_configs() / RECIPES.folder), config_name=None, version_base="1.3")
def _compose_and_run(cfg: DictConfig) -> None:
    try:
        _check_libraries()
        command = importlib.import_module("thesis_ml.cli.data.commands")
        values = OmegaConf.to_container(cfg, resolve=True)
        with memory_errors(WAYS_OUT):
            if HydraConfig.get().job.config_name == INSPECT:
                command.run_inspect(values)
            else:
                command.run_convert(values)
    except (*WRONG_INPUT_ERRORS, *FAILURES) as error:
        # Hydra would print a line of its own before it raises the error.
        raise RefusalError from error


def open_mappings(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `++` before keys of open mappings, which a recipe need not name to have them.

    Our parser refuses the wrong ones among them.

    Raises:
        ConfigError: A key holds a +, which Hydra cannot read.
    """
    starts = tuple(f"{name}{mark}" for name in OPEN_MAPPINGS for mark in ".=")
    for key in (one.partition("=")[0] for one in arguments if one.startswith(starts)):
        if "+" in key:
            raise ConfigError(f"{key}: a name with + cannot be typed; write a recipe in a folder of --config-dir")
    return [f"++{one}" if one.startswith(starts) and "=" in one else one for one in arguments]


def _check_libraries() -> None:
    """Refuse to go on without the libraries of the extra `data`."""
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"thesis-data: cannot import {name} ({error}); install the libraries of other formats with "
                'pip install "thesis-ml[data]"'
            ) from error


def main() -> None:
    """Run the command and exit with 0 (done), 1 (failed), 2 (wrong input) or 130 (Ctrl-C)."""
    remember_config_dir(sys.argv[1:])
    # Hydra would need a recipe to compose before it could list them.
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(describe_recipes(RECIPES))
        sys.exit(DONE)
    with report_exit(go_on=lambda: GO_ON):
        RECIPES.check_command_line(sys.argv[1:])
        sys.argv[1:] = add_overrides(quote_homes(open_mappings(sys.argv[1:])), OUR_HYDRA)
        with name_top_keys():
            _compose_and_run()
