"""Compose the real configurations: Hydra takes a fifth of a second, so each choice of groups is composed once."""

import copy
import functools
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig


def compose_config(folder: Path, name: str, overrides: Sequence[str], *, keeps_hydra: bool = False) -> DictConfig:
    """Return what Hydra composes of the configuration `name` in `folder`.

    Hydra composes the groups first and then sets the keys, one after another. So do we, but the groups from memory.

    Args:
        folder: Where the configuration lies.
        name: Its file.
        overrides: As on the command line.
        keeps_hydra: Keep the part that is Hydra's own, as the checks of a job need it.
    """
    keys = [override for override in overrides if _is_key(override)]
    groups = tuple(override for override in overrides if not _is_key(override))
    composed = copy.deepcopy(_compose_groups(folder, name, groups, keeps_hydra))
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(keys), composed)
    if keeps_hydra:
        composed.hydra.overrides.task = [text for text in overrides if not text.startswith("hydra")]
    return composed


def _is_key(override: str) -> bool:
    """Return whether an override sets a key below a group, or the folder of the run, which is another in every test."""
    key = override.partition("=")[0]
    return key == "run_dir" or ("." in key and not key.startswith("hydra"))


@functools.cache
def _compose_groups(folder: Path, name: str, groups: tuple[str, ...], keeps_hydra: bool) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder), version_base="1.3"):
        return compose(name, overrides=list(groups), return_hydra_config=keeps_hydra)
