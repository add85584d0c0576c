"""Inference on a sweep that really trained: what a report says and leaves, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from omegaconf import DictConfig

from thesis_ml.reports.analyses import compare_tokenizers

Compose = Callable[..., DictConfig]
ON = ("inference.enabled=true", "inference.corruption_strategies={energy_scale: 1.0}", "inference.batch_size=64")


@pytest.fixture
def infer(sweep: Path, outputs: Path, compose_report: Compose) -> Callable[..., Path]:
    """Make a report with inference and return its folder."""

    def make(*overrides: str) -> Path:
        compare_tokenizers.run_report(
            compose_report("compare_tokenizers", f"inputs.sweep_dir={sweep}", *ON, *overrides)
        )
        return max((outputs / "reports").iterdir())

    return make


def read_inference(report: Path) -> dict:
    return json.loads((report / "inference" / "summary.json").read_text(encoding="utf-8"))


def test_report_with_inference_leaves_what_it_promises(infer: Callable[..., Path]) -> None:
    report = infer("inference.persist_raw_scores=true")

    summary = read_inference(report)
    assert summary["data"]["n_events"] == 300
    manifest = yaml.safe_load((report / "manifest.yaml").read_text(encoding="utf-8"))
    first = manifest["runs"][0]
    assert first["model"]["checkpoint_hash"] == first["checkpoint_hash"]
    assert manifest["inference"]["fingerprint"] == first["fingerprint"]
    with h5py.File(report / "inference" / "scores.h5") as file:
        assert len(file["index"]) == 300
        groups = {(group.attrs["scorer"], group.attrs["variant"]): group for group in file["scores"].values()}
        assert len(groups) == 7 * 2
        assert np.isfinite(groups["vq, seed 1", "energy_scale 1"]["error_mean"][:]).all()
    assert not list(report.parent.glob(".*partial"))
