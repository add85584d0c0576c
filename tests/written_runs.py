"""Run folders of schema 2 with chosen numbers, as the recorder would write them, for what no training gives."""

import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_RUN = ROOT / "docs" / "default_run"


def read_lines(folder: Path = DEFAULT_RUN) -> list[dict[str, Any]]:
    """Return the facts of a run, by default of the one that docs/ holds."""
    text = (folder / "facts" / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def write_lines(folder: Path, facts: list[Any]) -> Path:
    """Write the facts of a run, with the arrays of the default one, and return its folder."""
    shutil.copytree(DEFAULT_RUN / "facts", folder / "facts", dirs_exist_ok=True)
    (folder / "facts" / "scalars.csv").write_text("epoch,split\n", encoding="utf-8")
    lines = [fact if isinstance(fact, str) else json.dumps(fact) for fact in facts]
    (folder / "facts" / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_run(folder: Path, *, seed: int = 0, rec_mse: float = 0.07, run_id: str | None = None, **config: Any) -> Path:
    """Write a complete run with these numbers; keys of `config` have double underscores for dots."""
    facts = read_lines()
    for fact in facts:
        fact["meta"]["run_id"] = run_id or f"id-{folder.parent.name}-{folder.name}"
    start, final = facts[0], facts[-1]
    start["config"]["phase1"]["trainer"]["seed"] = start["meta"]["seed"] = seed
    for key, value in config.items():
        set_key(start["config"], key.split("__"), value)
    final["metrics"]["test"]["rec_mse"] = final["result"]["rec_mse"] = rec_mse
    return write_lines(folder, facts)


def set_key(values: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value in nested mappings."""
    for part in path[:-1]:
        values = values.setdefault(part, {})
    values[path[-1]] = value


def write_outputs(root: Path) -> Path:
    """Write two single runs, a sweep of three jobs of which one failed, a report, and folders that hold no run."""
    write_run(root / "runs" / "good", seed=1, rec_mse=0.02)
    write_run(root / "runs" / "worse", seed=2, rec_mse=0.09, phase1__trainer__lr=0.5)
    sweep = root / "multiruns" / "exp_1"
    for number in (0, 1):
        write_run(sweep / f"{number:03d}", seed=number, rec_mse=0.05 + number / 100)
    (sweep / "multirun.yaml").write_text("hydra: {}\n", encoding="utf-8")
    failure = {**read_lines()[-1], "moment": "on_exception", "error_type": "RuntimeError", "message": "out of memory"}
    write_lines(sweep / "002", [read_lines()[0], failure])
    (root / "reports" / "report_1").mkdir(parents=True)
    (root / "reports" / "report_1" / "manifest.yaml").write_text("{}\n", encoding="utf-8")
    (root / "notes").mkdir()
    (root / "notes" / "a.txt").write_text("x", encoding="utf-8")
    write_lines(root / "runs" / "broken", ["{", "{}"])
    (root / "runs" / "empty" / "facts").mkdir(parents=True)
    return root
