"""Numbers with errors: one measurement, and the spread over seeds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

ERROR_DIGITS = 2
"""Significant digits of an error, as the Particle Data Group keeps for most."""

VALUE_DIGITS = 4
"""Significant digits of a number whose error is zero or not known."""

RESIDUE = 1e-12
"""Relative size below which an error counts as zero (floating-point rounding)."""

LONGEST = 7
"""Digits before or behind the point up to which a number is written without an exponent."""


class RoundedNumber(NamedTuple):
    """A number and its error in digits, both in units of the same power of ten.

    Args:
        value: The number.
        error: Its error; blank where it is not known.
        exponent: The power of ten; 0 where the digits are the number itself.
    """

    value: str
    error: str
    exponent: int

    def __str__(self) -> str:
        both = f"{self.value} ± {self.error}" if self.error else self.value
        if not self.exponent:
            return both
        return f"({both})e{self.exponent:+03d}" if self.error else f"{both}e{self.exponent:+03d}"

    @property
    def concise(self) -> str:
        """Return the number with the last digits of its error in parentheses: 0.97000(63)."""
        digits = self.error.replace(".", "").lstrip("0")
        power = f"e{self.exponent:+03d}" if self.exponent else ""
        return f"{self.value}{f'({digits})' if digits else ''}{power}"


@dataclass(frozen=True)
class Measured:
    """A number and its error, nan where it is not known: a standard error, or a deviation where it is of a `Spread`."""

    value: float
    error: float = math.nan

    def __str__(self) -> str:
        return str(self.round())

    def round(self) -> RoundedNumber:
        """Return number and error rounded together: 0.97 and 0.00063 become 0.97000 ± 0.00063."""
        return round_with_error(self.value, self.error)

    def is_above(self, other: float, n_errors: float) -> bool:
        """Return whether the number exceeds `other` by more than `n_errors` errors."""
        return self.value - other > n_errors * self.error


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over the n seeds that have the number; sd is nan below two."""

    mean: float
    sd: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Return the spread of the values that are numbers."""
        known = [value for value in values if value is not None and math.isfinite(value)]
        if not known:
            return cls(math.nan, math.nan, 0)
        mean = math.fsum(known) / len(known)
        if len(known) == 1:
            return cls(mean, math.nan, 1)
        variance = math.fsum((value - mean) ** 2 for value in known) / (len(known) - 1)
        return cls(mean, math.sqrt(variance), len(known))

    @property
    def measured(self) -> Measured:
        """Return the mean with the standard deviation, as tables show it."""
        return Measured(self.mean, self.sd)

    def __str__(self) -> str:
        return str(self.measured)


def round_with_error(value: float, error: float) -> RoundedNumber:
    """Return a number and its error to the digit to which the error is known; nan where the error is not known."""
    if not math.isfinite(value):
        return RoundedNumber(f"{value:g}", "", 0)
    is_known = math.isfinite(error)
    is_rounded = is_known and drop_residue(value, error) != 0
    last = min(_find_place(value) - VALUE_DIGITS + 1, 0)
    if is_rounded:
        last = _find_place(error, ERROR_DIGITS) - ERROR_DIGITS + 1
    first = max(_find_place(value), last)
    exponent = first if -last > LONGEST or first >= LONGEST else 0
    decimals = max(exponent - last, 0)
    # No minus before a zero.
    digits = f"{round(value, -last) / 10**exponent + 0.0:.{decimals}f}"
    if is_rounded:
        return RoundedNumber(digits, f"{round(error, -last) / 10**exponent:.{decimals}f}", exponent)
    shortest = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return RoundedNumber(shortest, "0" if is_known else "", exponent)


def drop_residue(value: float, error: float) -> float:
    """Return the error, or 0 if it is only rounding."""
    return 0.0 if abs(error) <= RESIDUE * abs(value) else error


def _find_place(value: float, n_digits: int = VALUE_DIGITS) -> int:
    """Return the power of ten of the first digit after rounding to `n_digits`."""
    return int(f"{value:.{n_digits - 1}e}".partition("e")[2]) if value else 0
