"""Names of the classes of events, and their cross-sections."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from thesis_ml.config import choose
from thesis_ml.errors import ConfigError
from thesis_ml.reports.inference.config import Rates
from thesis_ml.utils.arrays import NDArray

SIGNAL_FILE = "signal_file"
"""The name of the events of `inference.signal_file`, also where cross-sections are given."""

OF_FILE = -2
"""The label that they have here, whatever theirs are."""


def name_label(label: int, names: Mapping[int, str]) -> str:
    """Return the name of a label."""
    if label == OF_FILE:
        return SIGNAL_FILE
    return names.get(label) or (f"label {label}" if label >= 0 else "events without a label")


def check_rates(
    rates: Rates, labels: Int[NDArray[Any], " N"], label_names: Mapping[int, str], has_signal_file: bool
) -> None:
    """Check that every label of the events has one cross-section.

    Raises:
        ConfigError: One has none or two, or a name is that of no label.
    """
    key = "inference.cross_sections_pb"
    present = [int(label) for label in np.unique(labels)] + ([OF_FILE] if has_signal_file else [])
    known = {name: label for label in present for name in (name_label(label, label_names), str(label))}
    named: dict[int, str] = {}
    for name in rates.cross_sections_pb:
        label = choose(name, known, key)
        if label in named:
            raise ConfigError(f"{key}: {named[label]!r} and {name!r} are the same label; give one of them")
        named[label] = name
    missing = [name_label(label, label_names) for label in present if label not in named]
    if missing:
        raise ConfigError(f"{key}: no value for {', '.join(missing[:20])}; give every label of the events one")
