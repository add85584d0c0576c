"""Expressions equal what Python computes of each event, objects follow their events, and nothing else is allowed."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import awkward as ak
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thesis_ml.data.convert.expressions import ALLOWED, DEEPEST, LONGEST_TEXT, parse_expression
from thesis_ml.errors import ConfigError

PYTHON = {"abs": abs, "min": min, "max": max, "hypot": math.hypot, "where": lambda is_first, a, b: a if is_first else b}
EVENTS = {
    "x": np.array([1.5, -2.0, 0.0, 30.25]),
    "n": np.array([0, 3, -4, 7]),
    "is_good": np.array([True, False, True, True]),
    "Jet.PT": np.array([20.0, 50.0, 0.5, 7.0]),
}
OBJECTS = {
    "pt": ak.Array([[30.0, 20.0], [], [60.0]]),
    "eta": ak.Array([[1.0, -3.0], [], [0.5]]),
    "is_tight": ak.Array([[True, True], [], [False]]),
    "bits": ak.values_astype(ak.Array([[1, 6], [], [2]]), np.uint8),
    "met": np.array([10.0, 20.0, 70.0]),
    "weights": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
    "process": ak.Array(["ttbar", "ttH", "ttH"]),
    "codes": np.array(["a", "b", "c"], dtype=object),
}

VALUES = st.sampled_from(["x", "n", "Jet.PT", "is_good", "2", "0.5", "-3"])
POWERS = st.builds("({}) ** {}".format, st.sampled_from(["x", "n", "3"]), st.sampled_from(["2", "3"]))
BITS = st.builds("(n {} {})".format, st.sampled_from("&|^"), st.integers(0, 7))
NUMBERS = st.recursive(
    VALUES | POWERS | BITS | st.just("~n"),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner)
        | st.builds("({} {} {})".format, inner, st.sampled_from("/%"), st.sampled_from(["4", "2.5"]))
        | st.builds("{}({})".format, st.sampled_from(["-", "+", "abs"]), inner)
        | st.builds("{}({}, {})".format, st.sampled_from(["min", "max", "hypot"]), inner, inner)
        | st.builds("where({}, {}, {})".format, st.sampled_from(["is_good", "x > 1"]), inner, inner)
    ),
    max_leaves=6,
)
ORDERS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
CONDITIONS = st.recursive(
    st.sampled_from(["is_good", "True", "x in [1.5, 0]", "n not in (3, -4)"])
    | st.builds("{} {} {}".format, NUMBERS, ORDERS, NUMBERS)
    | st.builds("{} {} {} {} {}".format, NUMBERS, ORDERS, VALUES, ORDERS, NUMBERS),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=4,
)


class Namespace:
    """The parts of a name with dots, for Python."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def evaluate(text: str, columns: Mapping[str, Any] = OBJECTS) -> Any:
    return parse_expression(text, "event").evaluate(columns.__getitem__)


def evaluate_in_python(text: str) -> list[Any]:
    rows = [dict(zip(EVENTS, row, strict=True)) for row in zip(*(v.tolist() for v in EVENTS.values()), strict=True)]
    return [eval(text, {**PYTHON, **row, "Jet": Namespace(PT=row["Jet.PT"])}) for row in rows]


@settings(deadline=None)
@given(NUMBERS | CONDITIONS)
def test_evaluate_equals_what_python_computes_of_each_event(text: str) -> None:
    found = np.broadcast_to(evaluate(text, EVENTS), 4)

    np.testing.assert_allclose(found.astype(float), np.array(evaluate_in_python(text), float), rtol=1e-12)


@settings(deadline=None)
@given(NUMBERS | CONDITIONS)
def test_evaluate_gives_objects_the_result_of_events_of_the_same_values(text: str) -> None:
    lists = {name: ak.unflatten(values, [3, 0, 1]) for name, values in EVENTS.items()}

    found = evaluate(text, lists)

    flat = ak.flatten(found) if isinstance(found, ak.Array) else found
    np.testing.assert_array_equal(np.broadcast_to(flat, 4), np.broadcast_to(evaluate(text, EVENTS), 4))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pt > 25 and abs(eta) < 2.5", [[True, False], [], [True]]),
        ("25 < pt < 40", [[True, False], [], [False]]),
        ("not (is_tight == 0) or eta in [0.5, 7]", [[True, True], [], [True]]),
        ("(bits & 2) > 0", [[False, True], [], [True]]),
        ("is_tight & ~(pt > 25)", [[False, True], [], [False]]),
        ("pt + met", [[40, 30], [], [130]]),
        ("met < pt", [[True, True], [], [False]]),
        ("where(is_tight, pt, met)", [[30, 20], [], [70]]),
        ("bits - 3", [[-2, 3], [], [-1]]),
        ("met * weights", [[10, 20], [60, 80], [350, 420]]),
        ("weights[1]", [2, 4, 6]),
        ("weights[-2] * met", [10, 60, 350]),
        ("sum(pt) > 50", [False, False, True]),
        ("sum(pt > 25)", [1, 0, 1]),
        ("any(is_tight)", [True, False, False]),
        ("all(is_tight)", [True, True, False]),
        ("count(pt)", [2, 0, 1]),
        ("min(pt)", [20, math.inf, 60]),
        ("max(bits)", [6, -math.inf, 2]),
        ("max(met, 15)", [15, 20, 70]),
        ("column('weights')[0]", [1, 3, 5]),
        (" 2 ** 3 & 12 ", 8),
    ],
)
def test_evaluate_of_objects(text: str, expected: Any) -> None:
    found = evaluate(text)

    assert (ak.to_list(found) if isinstance(found, ak.Array | np.ndarray) else found) == expected


def test_names_are_the_columns_in_the_order_of_the_text() -> None:
    expression = parse_expression("sqrt(b.c) + a > column('d/e') + b.c", "weight")

    assert expression.names == ("b.c", "a", "d/e")


def test_functions_of_the_caller_are_called_with_texts() -> None:
    expression = parse_expression(
        "count('jet', 'b-jet') >= 4 and count(pt) > 1",
        "event",
        functions={"count": lambda *names: np.array([len("".join(names)), 4, 0])},
    )

    assert expression.names == ("pt",)
    assert ak.to_list(expression.evaluate(OBJECTS.__getitem__)) == [True, False, False]


def test_error_of_a_function_of_the_caller_names_the_key() -> None:
    def refuse(name: str) -> None:
        raise ConfigError(f"count: unknown object {name!r}; available: jet")

    with pytest.raises(ConfigError, match=r"^event: count: unknown object 'jets'; available: jet$"):
        parse_expression("count('jets')", "event", functions={"count": refuse}).evaluate(OBJECTS.__getitem__)


@pytest.mark.parametrize("make", [np.asarray, lambda values: ak.unflatten(values, 1)])
@pytest.mark.parametrize("limit", ["0.2783", "sqrt(0.2783 ** 2)", "max(0.1, 0.2783)"])
def test_a_constant_is_compared_in_the_precision_of_the_column(make: Any, limit: str) -> None:
    columns = {"x": make(np.array([0.2783, 0.2784], np.float32))}

    above, at_least = evaluate(f"x > {limit}", columns), evaluate(f"where(x > 0, x, 0.0) >= {limit}", columns)

    assert np.ravel(above).tolist() == [False, True]
    assert np.ravel(at_least).tolist() == [True, True]


@pytest.mark.parametrize(
    ("values", "text", "expected"),
    [
        (np.array([2, 9], np.uint32), "x - 5", [-3, 4]),
        (np.array([2, 2**63], np.uint64), "x % 2", [0, 0]),
        (np.array([2, 2**40], np.uint64), "x - 5", [-3, 2**40 - 5]),
        (np.array([100, 3], np.int8), "x + x", [200, 6]),
        (np.array([3000, 3], np.int16), "x ** 10 > 1e34", [True, False]),
        (np.array([300, 2], np.float16), "x * x", [90000, 4]),
        (np.array([1, 2], ">f4"), "x / 2", [0.5, 1]),
        (np.array([True, False]), "x + x == 2", [True, False]),
        (np.array([2, 4]), "x ** -1", [0.5, 0.25]),
    ],
)
def test_small_types_neither_wrap_nor_overflow(values: np.ndarray, text: str, expected: list[Any]) -> None:
    assert evaluate(text, {"x": values}).tolist() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 / x", [math.inf, -1.0]),
        ("log(x)", [-math.inf, math.nan]),
        ("exp(-1000 * x)", [1, math.inf]),
        ("x % 0", [math.nan] * 2),
        ("1 / 0 + 0 * x", [math.inf] * 2),
    ],
)
def test_impossible_numbers_are_nan_or_infinite_without_warnings(text: str, expected: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        found = evaluate(text, {"x": np.array([0.0, -1.0])})

    np.testing.assert_array_equal(found, expected)


def test_parse_shows_no_warnings_of_python() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        expression = parse_expression(r"column('\d') > 1and x < 2", "event")

    assert expression.names == (r"\d", "x")


TOKENS = [
    "pt",
    ".",
    "(",
    ")",
    "[",
    "]",
    "1",
    "'a'",
    ",",
    "**",
    "9",
    "-",
    "not ",
    " in ",
    "<",
    "&",
    ":",
    "=",
    "__",
    "abs",
    "\n",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=15).map("".join) | st.text(max_size=30))
def test_any_other_text_is_a_config_error(text: str) -> None:
    try:
        expression = parse_expression(text, "event")
    except ConfigError as error:
        assert str(error).startswith("event: ")
    else:
        assert all(name for name in expression.names)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("lambda: 0", "lambda: 0"),
        ("[x for x in pt]", "[x for x in pt]"),
        ("sum(x for x in pt)", "(x for x in pt)"),
        ("f'{pt}' == 1", "f'{pt}'"),
        ("(y := 5) > 1", "y := 5"),
        ("sqrt(x=pt)", "sqrt(x=pt)"),
        ("sqrt(*pt)", "*pt"),
        ("pt if is_tight else 0", "pt if is_tight else 0"),
        ("pt // 2", "pt // 2"),
        ("pt @ pt", "pt @ pt"),
        ("1 << 60", "1 << 60"),
        ("process == 'ttH'", "'ttH'"),
        ("count('jet') > 1", "'jet'"),
        ("pt > b'1'", "b'1'"),
        ("pt + 1j", "1j"),
        ("None", "None"),
        ("...", "..."),
        ("[1, 2]", "[1, 2]"),
        ("pt < [1]", "[1]"),
        ("pt in [1, eta]", "eta"),
        ("pt in [True]", "True"),
        ("pt[0:2]", "0:2"),
        ("pt[eta]", "eta"),
        ("pt[1.5]", "1.5"),
        ("pt[True]", "True"),
        ("pt[0, 1]", "0, 1"),
        ("pt > 9223372036854775808", "9223372036854775808"),
        ("abs(pt).real", "abs(pt)"),
        ("pt[0].real", "pt[0]"),
        ("abs(pt)(1)", "abs(pt)"),
        ("pt.__class__", "pt.__class__"),
        ("__builtins__", "__builtins__"),
        ("().__class__", "().__class__"),
        ("__import__('os').system('x')", "__import__('os')"),
        ("getattr.__call__(pt)", "getattr.__call__"),
    ],
)
def test_parse_refuses_every_other_part(text: str, part: str) -> None:
    place = f", in {text!r}" if part != text else ""

    with pytest.raises(ConfigError) as caught:
        parse_expression(text, "objects.jet.select")

    assert str(caught.value) == f"objects.jet.select: {part!r} is not allowed{place}; {ALLOWED}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' cannot be read (invalid syntax)"),
        ("pt > 25 && eta < 2", "'pt > 25 && eta < 2' cannot be read (invalid syntax)"),
        ("pt = 25", "'pt = 25' cannot be read ("),
        ("import os", "'import os' cannot be read (invalid syntax)"),
        ("pt\0", "'pt\\x00' cannot be read ("),
        ("\ud800", "'\\ud800' cannot be read ("),
        ("a" * 10**6, f"'{'a' * 59}…' has 1000000 characters, more than {LONGEST_TEXT}"),
        ("(" * 900 + "1" + ")" * 900, f"'{'(' * 59}…' cannot be read (too many nested parentheses)"),
        ("-" * 1999 + "1", f"'{'-' * 59}…' has more than {DEEPEST} levels or terms"),
        ("a" + "+a" * 999, f"has more than {DEEPEST} levels or terms"),
        ("a" + ".a" * 999, f"has more than {DEEPEST} levels or terms"),
        ("a" + "[0]" * 600, f"has more than {DEEPEST} levels or terms"),
        ("9**9**9**9", "'9**9**9' is too large a number, in '9**9**9**9'"),
        ("pt > -9**(2 * 999)", "'9**(2 * 999)' is too large a number"),
        ("pt is 1", "'pt is 1' compares with is (write ==)"),
        ("pt in eta", "'eta' is not a list of numbers such as [1, -1]"),
        ("pt in []", "'[]' is not a list of numbers such as [1, -1]"),
        ("bits > 4 & bits < 7", "'4 & bits' is computed before the comparisons (write and, or)"),
        ("bits == 11 or 13", "'13' is no condition (write x in [1, 2] or x == 1 or x == 2)"),
        ("sqrt(pt, eta)", "'sqrt(pt, eta)' has arguments that sqrt does not take"),
        ("count()", "'count()' has arguments that count does not take"),
        ("column(pt)", "'column(pt)' has arguments that column does not take"),
    ],
)
def test_parse_refuses_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, "event")

    message = str(caught.value)
    assert message.startswith("event: ")
    assert problem in message
    assert message.endswith(f"; {ALLOWED}")
    assert len(message) < 400


def test_parse_names_the_function_that_resembles_an_unknown_one() -> None:
    with pytest.raises(
        ConfigError, match=r"event: unknown function 'np.sqrt'; available: abs, .*; did you mean 'sqrt'\?"
    ):
        parse_expression("np.sqrt(pt)", "event")


def test_the_deepest_expression_is_evaluated() -> None:
    text = "met" + " + met" * (DEEPEST - 2)

    assert evaluate(text).tolist() == [(DEEPEST - 1) * met for met in (10, 20, 70)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("process + 1", "a column of texts"),
        ("codes * 1000000000", "a column of texts"),
        ("weights[2]", "index out of range"),
        ("weights[-3]", "index out of range"),
        ("pt[0]", "index out of range"),
        ("met[0]", "too many indices"),
        ("pt + weights", "cannot broadcast nested list"),
        ("pt & 1", "not supported for the input types"),
        ("sum(met)", "one number in each event where a list is expected"),
        ("any(True)", "one number in each event where a list is expected"),
        ("count(pt > 25)", "sum(condition) counts those that pass"),
    ],
)
def test_evaluate_refuses_columns_that_do_not_fit(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        evaluate(text)

    message = str(caught.value)
    assert message.startswith("event: cannot be evaluated (")
    assert reason in message
    assert f"; {text!r} needs columns of numbers, in lists of the same lengths" in message


def test_evaluate_refuses_an_unknown_column() -> None:
    with pytest.raises(ConfigError, match=r"^event: there is no column 'Jet.mass'; correct 'Jet.mass > 1'$"):
        evaluate("Jet.mass > 1")


def test_evaluate_passes_on_errors_of_reading() -> None:
    def read(name: str) -> Any:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        parse_expression("pt", "event").evaluate(read)


def test_an_event_does_not_depend_on_the_others() -> None:
    text = "sum(pt) + met * weights[0] > 70 and count(pt) > 0"
    alone = [
        evaluate(text, {name: values[row : row + 1] for name, values in OBJECTS.items()}).tolist()[0]
        for row in range(3)
    ]

    assert evaluate(text).tolist() == alone
