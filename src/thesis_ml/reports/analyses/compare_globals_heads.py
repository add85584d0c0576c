"""Compare how much the loss on MET may weigh: what the tokens pay for the globals of the event."""

from omegaconf import DictConfig

from thesis_ml.reports.assemble import judge_also, run_comparison
from thesis_ml.reports.config import parse_report


def run_report(cfg: DictConfig) -> None:
    """Write the report, which judges `rec_globals` beside `rec_mse`; see `run_comparison`."""
    run_comparison(parse_report(cfg), lambda comparison: judge_also(comparison, "rec_globals"))
