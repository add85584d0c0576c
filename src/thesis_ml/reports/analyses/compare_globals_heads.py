"""Compare weights of the loss on MET: what the tokens pay for the globals of the event."""

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from thesis_ml.reports.config import parse_report
from thesis_ml.reports.plots import choose_figures
from thesis_ml.reports.report import assemble, compare, infer, use_threads_of
from thesis_ml.reports.runs import build_runs
from thesis_ml.reports.terminal import print_report
from thesis_ml.reports.training import build_training
from thesis_ml.reports.utils.collection import collect_runs
from thesis_ml.reports.verdict import judge_globals
from thesis_ml.reports.writing import check_place, write_report


def run_report(cfg: DictConfig) -> Path:
    """Find and read the runs, group and test them, run their models on events, write the report, return its folder.

    Raises:
        ReportError: There is no run that can be used, or none has a loss on MET.
        ConfigError: A figure is unknown, or the folder cannot be written, which is tried before models are run.
    """
    config = parse_report(cfg)
    figures = choose_figures(config.outputs.which_figures)
    comparison = compare(collect_runs(config.inputs), config)
    comparison = replace(comparison, verdict=judge_globals(comparison))
    check_place(config)
    with use_threads_of(config.inference):
        inference = infer(comparison, config.inference)
        references = () if inference is None else inference.references
        sections = (build_training(comparison, figures, references), build_runs(comparison))
        report = assemble(comparison, sections, inference)
        folder = write_report(report, config)
    print_report(report, folder, config)
    return folder
