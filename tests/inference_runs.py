"""Checkpoints that were changed, and what a report says of its models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from thesis_ml.reports.contents import Check, InferenceResult
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.checkpoints import load_checkpoint, save_checkpoint


def list_reasons(result: InferenceResult) -> dict[str, str | None]:
    """Return why each model could not be scored, by the name of its folder."""
    return {name.rpartition("/")[2]: model.get("not_possible") for name, model in result.models.items()}


def list_checks(result: InferenceResult) -> list[Check]:
    """Return the checks of the section on models and events."""
    (section,) = [section for section in result.sections if section.name == "inference"]
    return list(section.checks)


def read_inference(report: Path) -> dict[str, Any]:
    """Return the numbers of inference of a report."""
    return json.loads((report / "inference" / "summary.json").read_text(encoding="utf-8"))


def change_checkpoint(run: Path, change: Callable[[dict], object]) -> None:
    """Change what the checkpoint of a run says."""
    content = load_checkpoint(run / "best_val.pt")
    change(content)
    save_checkpoint(content, run / "best_val.pt")


def take_objects_away(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the rows of a table with MET alone."""
    is_met = np.isin(np.arange(rows.shape[1]), (18, 19))
    return np.where(is_met, rows, 0)
