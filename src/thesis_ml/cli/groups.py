"""The groups of the configuration and their options, read from its folders without composing anything."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from thesis_ml.training_loops.registry import LOOPS, is_below
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


def find_full_keys(last: str, folder: str = ".") -> list[str]:
    """Return the keys whose last part is `last`, as thesis-train or the configurations in `folder` know them."""
    if "." in last or "/" in last:
        return []
    if folder != ".":
        files = {
            "": list((find_configs() / folder).glob("*.yaml")),
            "env.": list((find_configs() / "env").glob("*.yaml")),
        }
        return sorted({prefix + key for prefix, paths in files.items() for key in _find_in(paths, last)})
    reads = tuple(key for loop in LOOPS.values() for key in loop.all_keys)
    found = [
        f"{group.replace('/', '.')}.{key}"
        for group, options in list_groups().items()
        if not group.startswith("general/")
        for option in options
        for key in _find_in(list_bases(group, option), last)
    ]
    return sorted({key for key in found if is_below(key, reads)} | set(_find_in([find_configs() / "train.yaml"], last)))


def _find_in(paths: Sequence[Path], last: str) -> list[str]:
    """Return the full keys in files whose last part is `last`."""
    return [key for path in paths for key in _list_keys(yaml.safe_load(path.read_text(encoding="utf-8")), last)]


def _list_keys(content: Any, last: str) -> list[str]:
    if not isinstance(content, dict):
        return []
    below = [f"{name}.{key}" for name, value in content.items() for key in _list_keys(value, last)]
    return below + ([last] if last in content and last not in ("defaults", "hydra") else [])
