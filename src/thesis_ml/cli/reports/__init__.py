"""thesis-report: compose the configuration of a report and call its module."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from thesis_ml.cli.arguments import quote_homes
from thesis_ml.cli.exit_codes import DONE, FAILURES, WRONG_INPUT_ERRORS, RefusalError, report_exit
from thesis_ml.cli.named_configs import OUR_HYDRA, NamedConfigs, add_overrides, name_top_keys, remember_config_dir
from thesis_ml.cli.reports.help_text import describe_reports, list_reports
from thesis_ml.config import hint_nearest
from thesis_ml.errors import ReportError
from thesis_ml.utils.memory import memory_errors
from thesis_ml.utils.paths import REPORT_CONFIGS, find_configs

ReportFunction = Callable[[DictConfig], Path | None]
"""From a composed configuration to the folder that was written; a user's own may return nothing."""

WAYS_OUT = "compare fewer runs, take smaller batches (inference.batch_size), or ask for more memory"
GO_ON = "nothing was written; start the report again"


REPORTS = NamedConfigs(
    "thesis-report", REPORT_CONFIGS, "a report compares any number of runs in one job", "set env.output_root"
)


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
        raise ReportError(f"{module.__file__}: has no function run_report; write run_report(cfg: DictConfig) -> Path")
    return report


def run_chosen_report(cfg: DictConfig) -> Path | None:
    """Make the report that a composed configuration chooses and return its folder.

    Raises:
        RefusalError: It cannot be made; Hydra would print a line of its own before it raises the error itself.
    """
    name = cfg.get("report_name") or HydraConfig.get().job.config_name
    try:
        with memory_errors(WAYS_OUT):
            return find_report(str(name))(cfg)
    except (*WRONG_INPUT_ERRORS, *FAILURES) as error:
        raise RefusalError from error


@hydra.main(config_path=str(find_configs() / REPORT_CONFIGS), config_name=None, version_base="1.3")
def _compose_and_run(cfg: DictConfig) -> None:
    run_chosen_report(cfg)


def main() -> None:
    """Run the command and exit with 0 (done), 1 (failed), 2 (wrong input), 85 (stopped) or 130 (Ctrl-C)."""
    remember_config_dir(sys.argv[1:])
    # Hydra would need a report to compose before it could list them.
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(describe_reports(REPORTS.list_names()))
        sys.exit(DONE)
    with report_exit(go_on=lambda: GO_ON):
        REPORTS.check_command_line(sys.argv[1:])
        sys.argv[1:] = add_overrides(quote_homes(sys.argv[1:]), OUR_HYDRA)
        with name_top_keys():
            _compose_and_run()
