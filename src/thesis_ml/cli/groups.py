"""The groups of the configuration and their options, read from its folders without composing anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from thesis_ml.utils.paths import find_configs

OTHER_COMMANDS = ("report",)
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
