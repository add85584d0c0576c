"""Limits of the values of keys, which stand in `Annotated` beside the type of a field; the parser checks them."""

import math
from dataclasses import dataclass
from typing import Annotated

from thesis_ml.errors import ConfigError

LARGEST_WIDTH = 16_384
"""Of a layer; one between two of this width takes 1 GiB. More is a typing error rather than a wish."""
MAX_LAYERS = 100
"""Of a stack; the cost of refusing a longer one grows with its length."""


@dataclass(frozen=True)
class Range:
    """Limits of a number, which must be finite; `at_least`, `above` and `between` build it.

    Args:
        low: The smallest value.
        high: The largest value; None: no limit.
        excludes_low: The value must be larger than `low`.
    """

    low: float
    high: float | None = None
    excludes_low: bool = False

    def refuse(self, key: str, value: float) -> None:
        """Raise a ConfigError for a value outside the limits."""
        is_above = value > self.low if self.excludes_low else value >= self.low
        is_finite = math.isfinite(value)
        holds = is_finite and is_above and (self.high is None or value <= self.high)
        require(holds, key, self.expected if is_finite else f"finite and {self.expected}", value)

    @property
    def expected(self) -> str:
        """The right values, for an error message."""
        low = f"{'above' if self.excludes_low else 'at least'} {_show(self.low)}"
        if self.high is None:
            return low
        return f"{low} and at most {_show(self.high)}" if self.excludes_low else f"between {self._ends(' and ')}"

    def __str__(self) -> str:
        if self.high is not None:
            return self.expected if self.excludes_low else self._ends(" to ")
        return f"{'>' if self.excludes_low else '>='} {_show(self.low)}"

    def _ends(self, joint: str) -> str:
        return f"{_show(self.low)}{joint}{_show(self.high or 0)}"


def at_least(low: float) -> Range:
    """Return the limit of a number that may not be below `low`."""
    return Range(low)


def above(low: float, at_most: float | None = None) -> Range:
    """Return the limits of a number that must be above `low`."""
    return Range(low, at_most, excludes_low=True)


def between(low: float, high: float) -> Range:
    """Return the limits of a number from `low` to `high`, both included."""
    return Range(low, high)


@dataclass(frozen=True)
class Entries:
    """Limits of a list: how many entries it has, and whether one may occur twice."""

    at_least: int = 0
    at_most: int = MAX_LAYERS
    are_distinct: bool = False

    def refuse(self, key: str, value: tuple[object, ...]) -> None:
        """Raise a ConfigError for a list outside the limits; a long one is counted, not shown."""
        if len(value) > self.at_most:
            raise ConfigError(f"{key}: must be a list of at most {self.at_most} entries, got one of {len(value)}")
        least = "one entry" if self.at_least == 1 else f"{self.at_least} entries"
        require(len(value) >= self.at_least, key, f"a list of at least {least}", list(value))
        is_distinct = not self.are_distinct or len(set(value)) == len(value)
        require(is_distinct, key, "a list without duplicates", list(value))

    def __str__(self) -> str:
        if self.are_distinct:
            return ""
        return f"{self.at_least} to {self.at_most} of them" if self.at_least else f"at most {self.at_most}"


@dataclass(frozen=True)
class Text:
    """A text that may not be blank; `expected` names the right text in an error message."""

    expected: str

    def refuse(self, key: str, value: str) -> None:
        """Raise a ConfigError for a blank text."""
        require(bool(value.strip()), key, self.expected, value)

    def __str__(self) -> str:
        return ""


Count = Annotated[int, at_least(1)]
Width = Annotated[int, between(1, LARGEST_WIDTH)]
Widths = Annotated[tuple[Width, ...], Entries()]
"""Of a stack of layers that may be empty."""
HiddenWidths = Annotated[tuple[Width, ...], Entries(at_least=1)]
"""Of a stack of at least one layer."""
Share = Annotated[float, between(0, 1)]
Weight = Annotated[float, at_least(0)]
"""Of a term of the loss."""
Positive = Annotated[float, above(0)]
Seed = Annotated[int, at_least(0)]
Threads = Annotated[int, between(1, 1024)]


def require(holds: bool, key: str, expected: str, value: object) -> None:
    """Raise a ConfigError `key: must be expected, got value` unless `holds`."""
    if not holds:
        raise ConfigError(f"{key}: must be {expected}, got {value!r}")


def _show(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
