"""Compose a recipe as thesis-data does, convert with it, and read the output without our own loader."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from omegaconf import OmegaConf

from composed_configs import compose_config
from thesis_ml.cli.data import open_mappings
from thesis_ml.config import parse_config
from thesis_ml.data.convert.config import ConvertConfig
from thesis_ml.data.convert.run import convert
from thesis_ml.utils.arrays import NDArray
from thesis_ml.utils.paths import find_configs

RECIPES = find_configs() / "convert"


def compose_recipe(name: str, *overrides: str, **keys: Any) -> ConvertConfig:
    """Return a recipe with overrides such as met.pt=x, and other values of the keys at its top."""
    composed = compose_config(RECIPES, name, open_mappings(overrides))
    values: Any = OmegaConf.to_container(composed, resolve=True)
    return parse_config(ConvertConfig, {**values, **keys}, "")


def run_recipe(name: str, inputs: Any, output: Path, *overrides: str, **keys: Any) -> Mapping[str, Any]:
    """Convert files and return the sheet of decisions; `inputs` is a path, a list of paths, or these by class."""
    config = compose_recipe(name, *overrides, inputs=_to_text(inputs), output=str(output), **keys)
    return convert(config)


def _to_text(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {name: _to_text(value) for name, value in inputs.items()}
    return [str(path) for path in inputs] if isinstance(inputs, list) else str(inputs)


class OutputEvent(NamedTuple):
    """An event of the output: objects are rows of id, E, pt, eta, phi."""

    split: str
    objects: NDArray[Any]
    met: float
    met_phi: float
    weight: float


def read_output(path: Path) -> dict[tuple[int, int], OutputEvent]:
    """Return the events of a file of either layout by label and number."""
    found = {}
    with h5py.File(path, "r") as file:
        assert file.attrs["energy_unit"] == "GeV"
        for split in ("train", "val", "test"):
            labels, weights, numbers, objects, met = _read_split(file, split)
            for row, key in enumerate(zip(labels.tolist(), numbers.tolist(), strict=True)):
                assert key not in found, key
                found[key] = OutputEvent(split, objects[row], float(met[row, 0]), float(met[row, 1]), weights[row])
    return found


def _read_split(file: Any, split: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[NDArray[Any]], Any]:
    if isinstance(file[f"X_{split}"], h5py.Group):
        group = file[f"X_{split}"]
        assert json.loads(group["objects"].attrs["columns"])[:4] == ["E", "pt", "eta", "phi"]
        rows = np.column_stack([group["ids"][()], group["objects"][:, :4]])
        objects = np.split(rows, np.cumsum(group["lengths"][()])[:-1])
        return *(group[name][()] for name in ("labels", "weights", "index")), objects, group["globals"][()]
    rows = file[f"X_{split}"][()]
    n_slots = (rows.shape[1] - 2) // 5
    slots = np.dstack([rows[:, :n_slots], rows[:, n_slots + 2 :].reshape(-1, n_slots, 4)])
    objects = [event[event[:, 0] > 0] for event in slots]
    return *(file[f"{name}_{split}"][()] for name in "YWI"), objects, rows[:, n_slots : n_slots + 2]
