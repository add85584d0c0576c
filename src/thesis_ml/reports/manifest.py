"""The manifest of a report: its code, every folder that was found, and the events that were scored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from thesis_ml.facts.builders import read_git_state, read_versions
from thesis_ml.facts.run_facts import RunFacts
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import InferenceResult
from thesis_ml.reports.utils.escape import strip_controls

EPOCHS_KEYS = ("phase1.trainer.epochs", "general.trainer.epochs")


def build_manifest(comparison: Comparison, folder: Path, inference: InferenceResult | None = None) -> dict[str, Any]:
    """Return what a report was made from: its code, every folder that was found, and the events it scored."""
    commit, is_dirty = read_git_state()
    models = {} if inference is None else inference.models
    runs = [{**describe_run(run), **_name_model(models.get(run.name))} for run in comparison.runs]
    others = [
        {"name": entry.name, "path": str(entry.path), "used": False, "state": entry.state, "reason": entry.reason}
        for entry in comparison.excluded
    ]
    manifest = {
        "report_id": folder.name,
        "report_name": comparison.report_name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": {"version": read_versions()["thesis_ml"], "git_commit": commit, "git_dirty": is_dirty},
        "inputs": list(comparison.inputs),
        "n_found": len(runs) + len(others),
        "n_used": len(runs),
        "n_left_out": len(others),
        **({} if inference is None else {"inference": dict(inference.data)}),
        "runs": runs + others,
    }
    cleaned: dict[str, Any] = _clean(manifest)
    return cleaned


def describe_run(run: RunFacts) -> dict[str, Any]:
    """Return the entry of a run that is used in the manifest."""
    planned = next((run.config[key] for key in EPOCHS_KEYS if isinstance(run.config.get(key), int)), None)
    return {
        "name": run.name,
        "path": str(run.path),
        "used": True,
        "state": run.state.name,
        "reason": run.state.reason,
        "run_id": run.state.run_id,
        "schema_version": run.schema_version,
        "config_hash": _as_text(run.meta.get("config_hash")),
        "checkpoint_hash": run.checkpoint_hash,
        "fingerprint": run.key.dataset_fingerprint,
        "train_classes": None if run.key.train_classes is None else list(run.key.train_classes),
        "git_commit": _as_text(run.meta.get("git_commit")),
        "completeness": {"epochs_recorded": run.history.n_epochs, "epochs_planned": planned},
        "tags": list(run.marks.tags),
        "note": run.marks.note,
        "remarks": list(run.remarks),
        "warnings": list(run.warnings),
    }


def _name_model(model: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if model is None else {"model": dict(model)}


def _as_text(value: Any) -> str | None:
    return value[:100] if isinstance(value, str) else None


def _clean(value: Any) -> Any:
    """Return plain values with every text on one line and fit for UTF-8."""
    if isinstance(value, dict):
        return {key: _clean(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_clean(entry) for entry in value]
    return strip_controls(value).encode(errors="replace").decode() if isinstance(value, str) else value
