"""thesis-train: compose the configuration, open the run's folder and call the chosen loop."""

import sys
from collections.abc import Mapping

import hydra
from omegaconf import DictConfig

from thesis_ml.cli.arguments import check_words, quote_homes
from thesis_ml.cli.exit_codes import report_exit
from thesis_ml.cli.train.closing import print_closing, print_opening
from thesis_ml.cli.train.folders import register_folder_resolvers
from thesis_ml.cli.train.guardrails import check_command_line
from thesis_ml.cli.train.help_text import register_loop_resolvers
from thesis_ml.cli.train.jobs import TrainFunction, run_job
from thesis_ml.cli.train.planned import take_sweep_options
from thesis_ml.cli.train.resume import expand_resume
from thesis_ml.cli.train.sweeps import describe_resume, print_job_table
from thesis_ml.training_loops.registry import LOOPS
from thesis_ml.utils.memory import memory_errors
from thesis_ml.utils.paths import find_configs

DISPATCH: Mapping[str, TrainFunction] = {
    **{name: loop.train for name, loop in LOOPS.items()},
}
"""The function that trains each loop, from a composed configuration to its result; open for loops of your own."""

register_folder_resolvers()
register_loop_resolvers(DISPATCH)


@hydra.main(config_path=str(find_configs()), config_name="train", version_base="1.3")
def _compose_and_run(cfg: DictConfig) -> float | None:
    with memory_errors():
        print_opening()
        monitor = run_job(cfg, DISPATCH)
        print_closing()
        return monitor


def main() -> None:
    """Run the command and exit.

    The exit code is 0 (done), 1 (failed), 2 (wrong input), 85 (stopped, to be started again) or 130 (Ctrl-C).
    """
    with report_exit(at_end=print_job_table, go_on=describe_resume):
        check_words(sys.argv[1:])
        sys.argv[1:] = quote_homes(take_sweep_options(expand_resume(sys.argv[1:])))
        check_command_line(sys.argv[1:])
        _compose_and_run()
