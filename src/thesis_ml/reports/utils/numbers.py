"""A number with its error, both rounded to what the error says of the number."""

import math
from typing import NamedTuple

ERROR_DIGITS = 2
"""Significant digits of an error, as the Particle Data Group keeps for most."""
VALUE_DIGITS = 4
"""Significant digits of a number whose error is zero or not known."""
RESIDUE = 1e-12
"""An error that is smaller in units of its number is what rounding left of zero."""
LONGEST = 7
"""Digits before or behind the point up to which a number is written without an exponent."""


class Rounded(NamedTuple):
    """A number and its error in digits, both in units of the same power of ten.

    Args:
        value: The number.
        error: Its error; blank where there is none.
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


def drop_residue(value: float, error: float) -> float:
    """Return an error, 0 where it is what rounding left."""
    return 0.0 if abs(error) <= RESIDUE * abs(value) else error


def round_with_error(value: float, error: float) -> Rounded:
    """Return a number to the digit to which its error is known: 0.97 and 0.00063 become 0.97000 ± 0.00063.

    Args:
        value: The number.
        error: Its standard error or deviation; nan where it is not known.
    """
    if not math.isfinite(value):
        return Rounded(f"{value:g}", "", 0)
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
        return Rounded(digits, f"{round(error, -last) / 10**exponent:.{decimals}f}", exponent)
    shortest = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return Rounded(shortest, "0" if is_known else "", exponent)


def _find_place(value: float, n_digits: int = VALUE_DIGITS) -> int:
    """Return the power of ten of the first digit of a number that is rounded to so many."""
    return int(f"{value:.{n_digits - 1}e}".partition("e")[2]) if value else 0
