"""Further columns of objects, beyond their four-momentum: how each enters a model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from thesis_ml.data.units import UNITS
from thesis_ml.errors import ConfigError
from thesis_ml.utils.arrays import NDArray

Encoding = Literal["linear", "log", "log1p", "angle", "category"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)
MOST_CATEGORIES = 20
"""Each takes a column of the model."""
MOST_GUESSED_CATEGORIES = 5
"""Whole numbers of more values, such as counts of hits, have an order that categories would lose."""
WIDEST_LINEAR = 20.0
"""How many half-widths of the central 68% the 0.1% and 99.9% quantiles may span before a logarithm is taken."""

LONGEST_UNIT = 20

_NAME = re.compile(r"(?!(log|log1p|cos|sin|flat)_)[A-Za-z_][A-Za-z0-9_]{0,59}")


@dataclass(frozen=True)
class FurtherColumn:
    """One further column of a data set.

    Args:
        name: As in `data.features`.
        unit: 1 for none.
        columns: Names of the columns that models see, which tell the encoding: `log_x`, `cos_x` and `sin_x`, `x=1`.
    """

    name: str
    unit: str
    columns: tuple[str, ...]


def check_name(name: str, where: str) -> None:
    """Refuse what cannot be the name of a further column.

    Raises:
        ConfigError: It is taken, no plain name, or would be taken for an encoded column.
    """
    if name in UNITS:
        raise ConfigError(f"{where}: {name!r} is a name of our own; choose another one")
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{where}: {name!r} is no name of a column; use letters, digits and _, and begin with none of log_, "
            "log1p_, cos_, sin_, flat_"
        )


def choose_encoding(values: Float[NDArray[Any], " P"], unit: str) -> Encoding:
    """Return how a column enters models unless the file says it: by its unit and the values of the training split.

    Radian are angles, a few whole numbers are categories, long tails are taken as log1p, all else is linear.
    """
    known = values[np.isfinite(values)]
    if unit == "rad":
        return "angle"
    if not len(known):
        return "linear"
    distinct = np.unique(known)
    if len(distinct) <= MOST_GUESSED_CATEGORIES and (distinct == np.round(distinct)).all():
        return "category"
    first, low, high, last = np.quantile(known, (0.001, 0.16, 0.84, 0.999))
    return "log1p" if last - first > WIDEST_LINEAR * (high - low) / 2 else "linear"


def build_further_column(name: str, values: Float[NDArray[Any], " P"], unit: str, encoding: str) -> FurtherColumn:
    """Return a column of these values of the training split.

    Raises:
        ConfigError: The values do not fit the encoding.
    """
    known = np.unique(values[np.isfinite(values)])
    if not len(known):
        raise ConfigError(f"{name}: no object of the training split has a value")
    if len(known) == 1:
        raise ConfigError(f"{name}: is {known[0]:.4g} for all objects, which tells nothing; leave it out")
    if encoding == "angle" and unit != "rad":
        raise ConfigError(f"{name}: has the unit {unit!r}; an angle is in rad")
    if encoding == "log" and known[0] <= 0:
        raise ConfigError(f"{name}: is {known[0]:.4g} for an object, whose logarithm is not finite; use log1p")
    if encoding == "category" and len(known) > MOST_CATEGORIES:
        raise ConfigError(f"{name}: has {len(known):,} different values; a category has at most {MOST_CATEGORIES}")
    names = {
        "linear": [name],
        "log": [f"log_{name}"],
        "log1p": [f"log1p_{name}"],
        "angle": [f"cos_{name}", f"sin_{name}"],
        # Nine digits give back every number in single precision.
        "category": [f"{name}={value:.9g}" for value in known],
    }
    return FurtherColumn(name, unit, tuple(names[encoding]))


def is_known_encoding(name: str, columns: Sequence[str]) -> bool:
    """Say whether these are the columns of some encoding of a feature."""
    if len(columns) == 1 and columns[0] in (name, f"log_{name}", f"log1p_{name}"):
        return True
    if list(columns) == [f"cos_{name}", f"sin_{name}"]:
        return True
    return 0 < len(columns) <= MOST_CATEGORIES and all(read_category(column) is not None for column in columns)


def read_category(column: str) -> float | None:
    """Return the value that a column such as `charge=-1` stands for, None of other columns."""
    _, mark, text = column.partition("=")
    try:
        return float(text) if mark else None
    except ValueError:
        return None
