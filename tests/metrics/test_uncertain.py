"""A number has as many digits as its error knows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thesis_ml.metrics.uncertain import Measured, Spread, round_with_error


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.97, 0.000634, "0.97000 ± 0.00063"),
        (171.0, 18.6, "171 ± 19"),
        (24.8, 0.68, "24.80 ± 0.68"),
        (42.53, 11.0, "43 ± 11"),
        (12345.0, 1234.0, "12300 ± 1200"),
        (9.999, 0.00999, "9.999 ± 0.010"),
        (2.21e-5, 1.2e-7, "(2.210 ± 0.012)e-05"),
        (0.0, 1e-3, "0.0000 ± 0.0010"),
        (-3.2, 0.099, "-3.200 ± 0.099"),
        (0.96, 0.0, "0.96 ± 0"),
        (0.031, 1.4e-18, "0.031 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (-0.004, 0.5, "0.00 ± 0.50"),
        (-0.3, 20.0, "0 ± 20"),
        (math.nan, 0.1, "nan"),
        (5.25, math.nan, "5.25"),
        (12345.6, math.nan, "12346"),
        (2.21e-9, math.nan, "2.21e-09"),
    ],
)
def test_number_is_rounded_to_its_error(value: float, error: float, text: str) -> None:
    assert str(round_with_error(value, error)) == text
    assert str(Measured(value, error)) == text


@given(
    st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-12),
    st.floats(1e-9, 1e9),
)
def test_rounding_stays_within_a_twentieth_of_the_error(value: float, error: float) -> None:
    rounded = round_with_error(value, error)

    if abs(error) > 1e-12 * abs(value):
        assert float(rounded.value) * 10**rounded.exponent == pytest.approx(value, abs=0.0501 * error, rel=1e-12)
        assert float(rounded.error) * 10**rounded.exponent == pytest.approx(error, rel=0.051)


def test_spread_is_mean_and_sample_deviation_of_what_is_known() -> None:
    one = Spread.of([5.0])

    assert Spread.of([1.0, math.nan, 2.0, None, 3.0]) == Spread(2.0, 1.0, 3)
    assert (one.n, math.isnan(one.sd), Spread.of([]).n) == (1, True, 0)
    assert str(Spread(2.0, 0.1, 3)) == "2.00 ± 0.10"


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.97, 0.000634, "0.97000(63)"),
        (171.0, 18.6, "171(19)"),
        (2.21e-5, 1.2e-7, "2.210(12)e-05"),
        (0.031, math.nan, "0.031"),
        (9.0, 0.0, "9"),
    ],
)
def test_concise_form_has_the_error_in_parentheses(value: float, error: float, text: str) -> None:
    assert round_with_error(value, error).concise == text
