"""Compare any runs by what was swept; exactly two runs are put side by side."""

from omegaconf import DictConfig

from thesis_ml.reports.assemble import run_comparison
from thesis_ml.reports.config import parse_report


def run_report(cfg: DictConfig) -> None:
    """Write the report; see `run_comparison`."""
    run_comparison(parse_report(cfg))
