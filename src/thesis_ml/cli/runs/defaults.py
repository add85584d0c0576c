"""The values of a run that are not those of the configuration files of its loop and components."""

import importlib
from collections.abc import Mapping
from typing import Any

from thesis_ml.facts.runs import GROUPS, flatten_config
from thesis_ml.runs.row import RunRow
from thesis_ml.utils.paths import find_configs

LEFT_OUT = ("env", "hydra", "name", "run_dir", "job_id", "overrides", "warnings")
"""Keys that say where a run lies."""


def compare_with_defaults(row: RunRow) -> Mapping[str, Any]:
    """Return the values that differ from those that the same loop and components have today."""
    found = _compose_defaults(row)
    if found is None:
        return {}
    return {
        key: value
        for key, value in row.config.items()
        if key.partition(".")[0] not in LEFT_OUT and key in found and found[key] != value
    }


def _compose_defaults(row: RunRow) -> Mapping[str, Any] | None:
    """Return the configuration of a start with the options of the run alone; None where there is none today."""
    hydra, errors, omegaconf = (importlib.import_module(name) for name in ("hydra", "hydra.errors", "omegaconf"))
    # The resolvers of folders are not to claim any: nothing below env and hydra is resolved.
    options = [f"{group}={row.choices[column]}" for column, group in GROUPS.items() if column in row.choices]
    options += [f"loop={row.choices['loop']}"] * ("loop" in row.choices)
    try:
        with hydra.initialize_config_dir(str(find_configs()), version_base="1.3"):
            composed = hydra.compose("train", options)
        values = omegaconf.OmegaConf.to_container(composed, resolve=False)
    except (errors.HydraException, omegaconf.errors.OmegaConfBaseException):
        return None
    return flatten_config(values) if isinstance(values, dict) else None
