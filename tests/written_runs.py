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
