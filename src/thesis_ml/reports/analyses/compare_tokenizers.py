"""Compare latent spaces: what each loses, at how many bits, and how its codes are used."""

from omegaconf import DictConfig

from thesis_ml.reports.assemble import run_comparison
from thesis_ml.reports.config import parse_report


def run_report(cfg: DictConfig) -> None:
    """Write the report; see `run_comparison`."""
    run_comparison(parse_report(cfg))
