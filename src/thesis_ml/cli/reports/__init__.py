"""thesis-report: compose the configuration of a report and call its module."""

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from thesis_ml.cli.exit_codes import DONE, FAILURES, WRONG_INPUT_ERRORS, RefusalError, report_exit
from thesis_ml.cli.reports.help_text import describe_reports, list_reports
from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.utils.paths import REPORT_CONFIGS, find_configs

ReportFunction = Callable[[DictConfig], None]

OUR_HYDRA = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=stdout")
"""Hydra itself writes nothing, also for a user's own file that says nothing of it."""
GO_ON = "nothing was written; start the report again"


class SharedGroups(SearchPathPlugin):
    """Let reports use the groups of thesis-train, such as `env`, and a user's own folder of reports."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for provider, folder in (("thesis-ml", find_configs()), *(("user", path) for path in list_own_folders())):
            search_path.append(provider, f"file://{folder.resolve().as_posix()}")


def find_report(name: str) -> ReportFunction:
    """Return `run_report` of the module `name` of reports/analyses; a new file there needs no registration.

    Raises:
        ReportError: There is no such module, or it has no `run_report`.
    """
    available = list_reports()
    if name not in available:
        listed = ", ".join(available)
        raise ReportError(
            f"report_name: there is no report {name!r} in reports/analyses; available: {listed}"
            f"{hint_nearest(name, available)}"
        )
    module = importlib.import_module(f"thesis_ml.reports.analyses.{name}")
    report: ReportFunction | None = getattr(module, "run_report", None)
    if not callable(report):
        raise ReportError(f"{module.__file__}: has no function run_report; write run_report(cfg: DictConfig) -> None")
    return report


def check_command_line(arguments: Sequence[str]) -> None:
    """Refuse a start that chooses no report, or asks for more than one job.

    Raises:
        ConfigError: The name is missing or unknown, or a flag does not fit.
    """
    flags = get_args_parser().parse_args(arguments)
    if flags.hydra_help:
        return
    if flags.multirun:
        raise ConfigError("--multirun: a report compares any number of runs in one job; leave it out")
    if flags.config_dir is not None and not Path(flags.config_dir).is_dir():
        raise ConfigError(f"--config-dir: there is no folder {flags.config_dir!r}; name one with yaml files")
    available = list_configs()
    if flags.config_name is None:
        raise ConfigError(f"--config-name: missing; available: {', '.join(available)}")
    name = flags.config_name.removesuffix(".yaml")
    if name not in available:
        hint = hint_nearest(name, available)
        raise ConfigError(f"--config-name: unknown name {name!r}; available: {', '.join(available)}{hint}")


def add_overrides(arguments: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """Return the arguments with further overrides, which Hydra wants in one piece: behind those that were typed."""
    typed = get_args_parser().parse_args(arguments).overrides
    place = len(arguments) - list(reversed(arguments)).index(typed[-1]) if typed else len(arguments)
    return [*arguments[:place], *overrides, *arguments[place:]]


def list_configs() -> list[str]:
    """Return the names that `--config-name` takes."""
    folders = [find_configs() / REPORT_CONFIGS, *list_own_folders()]
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})


def list_own_folders() -> list[Path]:
    """Return the folders of reports that `--config-dir` names: itself, and `report/` in one laid out like configs/."""
    own = get_args_parser().parse_known_args(sys.argv[1:])[0].config_dir
    return [] if own is None else [Path(own), Path(own) / REPORT_CONFIGS]


Plugins.instance().register(SharedGroups)


@hydra.main(config_path=str(find_configs() / REPORT_CONFIGS), config_name=None, version_base="1.3")
def _compose_and_run(cfg: DictConfig) -> None:
    name = cfg.get("report_name") or HydraConfig.get().job.config_name
    try:
        find_report(str(name))(cfg)
    except (*WRONG_INPUT_ERRORS, *FAILURES) as error:
        # Hydra would print a line of its own before it raises the error.
        raise RefusalError from error


def _describe_top_key(error: ConfigCompositionException) -> str | None:
    """Return the error of a key at the top, whose neighbours are not those of thesis-train."""
    cause = error.__cause__
    if not isinstance(cause, ConfigAttributeError | ConfigKeyError) or not isinstance(cause.parent_node, DictConfig):
        return None
    key = str(cause.full_key or cause.key)
    if "." in key or "/" in key:
        return None
    allowed = sorted(str(name) for name in cause.parent_node if name != "hydra")
    return f"{key}: unknown key; allowed: {', '.join(allowed)}{hint_nearest(key, allowed)}"


def main() -> None:
    """Run the command and exit with 0 (done), 1 (failed), 2 (wrong input), 85 (stopped) or 130 (Ctrl-C)."""
    # Hydra would need a report to compose before it could list them.
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(describe_reports(list_configs()))
        sys.exit(DONE)
    with report_exit(go_on=GO_ON):
        check_command_line(sys.argv[1:])
        sys.argv[1:] = add_overrides(sys.argv[1:], OUR_HYDRA)
        try:
            _compose_and_run()
        except ConfigCompositionException as error:
            if (message := _describe_top_key(error)) is not None:
                raise ConfigError(message) from error
            raise
