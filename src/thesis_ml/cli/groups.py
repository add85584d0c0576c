"""The groups of the configuration and their options, read from its folders without composing anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from thesis_ml.utils.paths import find_configs

OTHER_COMMANDS = ("report", "convert")
"""Folders that hold whole configurations of another command, not options of a group."""


def list_groups(configs: Path | None = None) -> Mapping[str, Sequence[str]]:
    """Return the options of every group below `configs`, by default our own, by group such as `phase1/encoder`."""
    root = configs or find_configs()
    groups: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.yaml")):
        group = path.parent.relative_to(root).as_posix()
        if group != "." and group not in OTHER_COMMANDS:
            groups.setdefault(group, []).append(path.stem)
    return groups


def list_bases(group: str, option: str) -> list[Path]:
    """Return the yaml file of an option of ours and the files that it inherits from, nearest first."""
    path = find_configs() / group / f"{option}.yaml"
    if not path.is_file():
        return []
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    bases = content.get("defaults", []) if isinstance(content, dict) else []
    names = [base.partition("@")[0] for base in bases if isinstance(base, str) and base != "_self_"]
    places = [name.removeprefix("/") if name.startswith("/") else f"{group}/{name}" for name in names]
    return [path, *(file for place in places for file in list_bases(*place.rsplit("/", 1)))]
