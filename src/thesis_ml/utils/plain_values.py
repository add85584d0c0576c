"""Values of others, such as those of JSON, as the kind that is expected, or as nothing."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_int(value: Any) -> int | None:
    """Return a whole number as it is, and anything else as None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_float(value: Any) -> float:
    """Return a number as float; anything else, such as untrusted text, gives nan."""
    if type(value) is float:
        return value
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan
