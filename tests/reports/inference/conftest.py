"""Inference on a sweep that really trained, with the report that it leaves or without."""

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from thesis_ml.architectures.restore import RestoredModel, restore_model
from thesis_ml.reports.analyses import compare_tokenizers
from thesis_ml.reports.config import parse_report
from thesis_ml.reports.contents import InferenceResult
from thesis_ml.reports.inference.run import run_inference
from thesis_ml.reports.report import compare
from thesis_ml.reports.utils.collection import collect_runs

Compose = Callable[..., DictConfig]
ON = (
    "inference.enabled=true",
    "inference.batch_size=64",
    "inference.two_sample=false",
    "outputs.which_figures=[rec_mse_curves]",
)
ONE = ("inference.corruption_strategies={energy_scale: 1.0}",)


@pytest.fixture
def infer(sweep: Path, outputs: Path, compose_report: Compose) -> Callable[..., Path]:
    """Make a report with inference and return its folder."""

    def make(*overrides: str, corruptions: tuple[str, ...] = ONE) -> Path:
        compare_tokenizers.run_report(
            compose_report("compare_tokenizers", f"inputs.sweep_dir={sweep}", *ON, *corruptions, *overrides)
        )
        return max((outputs / "reports").iterdir())

    return make


@pytest.fixture
def score(sweep: Path, compose_report: Compose) -> Callable[..., InferenceResult]:
    """Run the models of a sweep as a report does, and write nothing."""

    def run(*overrides: str, corruptions: tuple[str, ...] = ONE) -> InferenceResult:
        keys = (f"inputs.sweep_dir={sweep}", *ON, *corruptions, *overrides)
        config = parse_report(compose_report("compare_tokenizers", *keys))
        return run_inference(compare(collect_runs(config.inputs), config).groups, config.inference)

    return run


@pytest.fixture
def restored_run(finished_run) -> RestoredModel:
    return restore_model(finished_run.path / "model.pt")
