"""Texts such as `pt > 25 and abs(eta) < 2.5`: a closed grammar in Python's notation, evaluated on columns of events."""

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import awkward as ak
import numpy as np

from thesis_ml.config import hint_nearest
from thesis_ml.errors import ConfigError

Function = Callable[..., Any]
Compute = Callable[[Mapping[str, Any]], Any]

LONGEST_TEXT = 2000
DEEPEST = 50
"""Levels of nesting, or terms of a sum; far below Python's limit of recursion."""
LARGEST_EXACT = 2**53
"""Larger whole numbers are not exact in floating point."""
BEYOND_INT64 = 2**63
ALLOWED = (
    "allowed are numbers, columns, + - * / % **, & | ^ ~, comparisons, in [1, 2], and, or, not, x[0], "
    "column('any name') and functions such as abs(x)"
)
UNFIT = (ArithmeticError, AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError)
"""What numpy and awkward raise for arrays that do not fit each other."""


@dataclass(frozen=True)
class Expression:
    """A text that was parsed, the columns it reads, and the parts of it that give one number for each event."""

    text: str
    names: tuple[str, ...]
    reductions: tuple[str, ...]
    where: str
    compute: Compute = field(repr=False, compare=False)

    def evaluate(self, columns: Callable[[str], Any]) -> Any:
        """Return an array of the structure of the columns, which may hold nan or inf; without columns, a number.

        Args:
            columns: Returns the numpy or awkward array of a column, or raises KeyError.

        Raises:
            ConfigError: A column is unknown, holds no numbers, or does not fit the others.
        """
        shown = _shorten(self.text)
        try:
            found = {name: columns(name) for name in self.names}
        except KeyError as error:
            raise ConfigError(f"{self.where}: there is no column {error}; correct {shown!r}") from None
        try:
            with np.errstate(all="ignore"):
                return self.compute({name: _widen(values) for name, values in found.items()})
        except ConfigError as error:
            raise ConfigError(f"{self.where}: {error}") from None
        except UNFIT as error:
            reason = _shorten(" ".join(str(error).split()).partition(" (in compiled code")[0], 160)
            needed = "needs columns of numbers, in lists of the same lengths, and x[k] within every list"
            raise ConfigError(f"{self.where}: cannot be evaluated ({reason}); {shown!r} {needed}") from error


def parse_expression(text: str, where: str, *, functions: Mapping[str, Function] | None = None) -> Expression:
    """Return the expression of a text; `Jet.PT` is the name of one column.

    Args:
        text: The text.
        where: Its key, for messages.
        functions: Further functions by name, which are called with texts, as in `count('jet')`.

    Raises:
        ConfigError: The text is not an expression, or contains something that is not allowed.
    """
    grammar = _Grammar(text.strip(), where, functions or {})
    compute = grammar.build(grammar.parse())
    return Expression(text, tuple(grammar.names), tuple(grammar.reductions), where, compute)


class _Grammar:
    """The parts that a text may have, each of which becomes a function of the columns."""

    def __init__(self, text: str, where: str, functions: Mapping[str, Function]) -> None:
        self.text, self.where, self.functions = text, where, functions
        self.names: dict[str, None] = {}
        self.reductions: list[str] = []

    def parse(self) -> ast.expr:
        """Return the tree of the text."""
        if len(self.text) > LONGEST_TEXT:
            raise self._refuse(f"has {len(self.text)} characters, more than {LONGEST_TEXT}")
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._refuse(f"cannot be read ({getattr(error, 'msg', type(error).__name__)})") from None
        level: list[ast.AST] = [tree]
        for _ in range(DEEPEST):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
        if level:
            raise self._refuse(f"has more than {DEEPEST} levels or terms")
        return tree

    def build(self, node: ast.expr) -> Compute:
        """Return the function that computes a node."""
        match node:
            case ast.Constant(value=bool(value)):
                return lambda columns: value
            case ast.Constant():
                number = self._read_number(node)
                return lambda columns: number
            case ast.Name() | ast.Attribute():
                return self._take_column(self._join_name(node))
            case ast.UnaryOp(op=op, operand=operand):
                return self._apply(OPERATORS[type(op)], operand)
            case ast.BinOp(op=op) if type(op) in OPERATORS:
                return self._build_binary(node)
            case ast.BoolOp():
                return self._build_logical(node)
            case ast.Compare():
                return self._build_comparison(node)
            case ast.Subscript(value=value, slice=place):
                entry = self._read_number(place, (int,))
                self.reductions.append(ast.unparse(node))
                return self._apply(lambda values: values[:, entry], value)
            case ast.Call(keywords=[]):
                return self._build_call(node)
        raise self._refuse_part(node)

    def _build_binary(self, node: ast.BinOp) -> Compute:
        compute = self._apply(OPERATORS[type(node.op)], node.left, node.right)
        is_constant = not any(isinstance(part, ast.Name) for part in ast.walk(node))
        if isinstance(node.op, ast.Pow) and is_constant:
            with np.errstate(all="ignore"):
                if np.isinf(compute({})):
                    raise self._refuse_part(node, "is too large a number")
        return compute

    def _build_logical(self, node: ast.BoolOp) -> Compute:
        for value in node.values:
            if isinstance(value, ast.Constant) and not isinstance(value.value, bool):
                raise self._refuse_part(value, "is no condition (write x in [1, 2] or x == 1 or x == 2)")
        return self._apply(lambda *values: reduce(OPERATORS[type(node.op)], values), *node.values)

    def _build_comparison(self, node: ast.Compare) -> Compute:
        operands = [node.left, *node.comparators]
        for middle in operands[1:-1]:
            if isinstance(middle, ast.BinOp) and isinstance(middle.op, ast.BitAnd | ast.BitOr):
                raise self._refuse_part(middle, "is computed before the comparisons (write and, or)")
        parts = [self._compare(*part) for part in zip(node.ops, operands[:-1], operands[1:], strict=True)]
        return lambda columns: _to_python(reduce(np.logical_and, [part(columns) for part in parts]))

    def _compare(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Compute:
        if type(op) in OPERATORS:
            return self._apply(OPERATORS[type(op)], left, right)
        if isinstance(op, ast.Is | ast.IsNot):
            raise self._refuse("compares with is (write ==)")
        entries = right.elts if isinstance(right, ast.List | ast.Tuple) else []
        if not entries:
            raise self._refuse_part(right, "is not a list of numbers such as [1, -1]")
        numbers, is_in = [self._read_number(entry) for entry in entries], isinstance(op, ast.In)
        return self._apply(lambda values: np.equal(_find(values, numbers), is_in), left)

    def _build_call(self, node: ast.Call) -> Compute:
        name, n_args = self._join_name(node.func), len(node.args)
        texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if len(texts) == n_args > 0 and name in self.functions:
            return lambda columns: self.functions[name](*texts)
        if len(texts) == n_args == 1 and name == "column":
            return self._take_column(texts[0])
        known = sorted({"column", *self.functions, *(one for one, _ in FUNCTIONS)})
        if name not in known:
            hint = hint_nearest(name, known)
            raise ConfigError(f"{self.where}: unknown function {name!r}; available: {', '.join(known)}{hint}")
        if (name, n_args) not in FUNCTIONS:
            raise self._refuse_part(node, f"has arguments that {name} does not take")
        if (name, n_args) in PER_EVENT:
            self.reductions.append(ast.unparse(node))
        return self._apply(FUNCTIONS[name, n_args], *node.args)

    def _apply(self, function: Function, *operands: ast.expr) -> Compute:
        """Return the function of columns that applies another one to its operands."""
        parts = [self.build(operand) for operand in operands]
        return lambda columns: _to_python(function(*(part(columns) for part in parts)))

    def _take_column(self, name: str) -> Compute:
        self.names[name] = None
        return lambda columns: columns[name]

    def _join_name(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name) if not name.startswith("__"):
                return name
            case ast.Attribute(value=value, attr=name) if not name.startswith("__"):
                return f"{self._join_name(value)}.{name}"
        raise self._refuse_part(node)

    def _read_number(self, node: ast.expr, kinds: Sequence[type] = (int, float)) -> Any:
        """Return a number, which may have a sign."""
        try:
            value = ast.literal_eval(node)
        except (ValueError, TypeError):
            value = None
        if type(value) not in kinds or (isinstance(value, int) and abs(value) >= BEYOND_INT64):
            raise self._refuse_part(node)
        return value

    def _refuse_part(self, node: ast.expr, problem: str = "is not allowed") -> ConfigError:
        part = ast.get_source_segment(self.text, node) or ""
        place = f", in {_shorten(self.text)!r}" if part != self.text else ""
        return ConfigError(f"{self.where}: {_shorten(part)!r} {problem}{place}; {ALLOWED}")

    def _refuse(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.where}: {_shorten(self.text)!r} {problem}; {ALLOWED}")


def _shorten(text: str, letters: int = 60) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _to_python(values: Any) -> Any:
    """Return a number of numpy as one of Python, which does not turn columns of float32 into float64."""
    return values.item() if isinstance(values, np.generic) else values


def _flatten(values: Any) -> Any:
    """Return the numbers of the lists of an array in one numpy array."""
    return ak.to_numpy(ak.flatten(values, axis=None)) if isinstance(values, ak.Array) else values


def _widen(values: Any) -> Any:
    """Return whole numbers as int64, which do not wrap at zero, half precision as float32, and slots as lists."""
    flat = _flatten(values)
    kind = flat.dtype
    if kind.kind not in "biuf":
        raise TypeError("a column of texts")
    if kind.kind == "f":
        kind = np.result_type(kind, np.float32)
    elif kind.kind in "iu" and flat.max(initial=0) < BEYOND_INT64:
        kind = np.dtype(np.int64)
    wide = ak.values_astype(values, kind) if isinstance(values, ak.Array) else values.astype(kind)
    return wide if wide.ndim == 1 else ak.from_regular(wide, axis=None)


def _on_numbers(function: Function) -> Function:
    """Return a function that takes truth values as 0 and 1; numpy adds two of them to True."""
    return lambda *values: function(*(1 * one for one in values))


def _power(base: Any, exponent: Any) -> Any:
    """Return a power, that of whole numbers in floating point, where it cannot wrap and exponents may be negative."""
    power = np.power(1.0 * base, exponent)
    is_whole = isinstance(base, int) and isinstance(exponent, int) and power.is_integer()
    return int(power) if is_whole and abs(power) < LARGEST_EXACT else power


def _find(values: Any, numbers: Sequence[float]) -> Any:
    return reduce(np.logical_or, [np.equal(values, number) for number in numbers])


def _choose(condition: Any, first: Any, second: Any) -> Any:
    """Return `first` where the condition holds, else `second`, in the precision of their sum."""
    parts = (np.not_equal(condition, 0), first, second)
    if not any(isinstance(part, ak.Array) for part in parts):
        return np.where(*parts)[()]
    return ak.values_astype(ak.where(*ak.broadcast_arrays(*parts)), _flatten(np.add(first, second)).dtype)


def _per_event(function: Function) -> Function:
    """Return a function of the list of each event, or of the innermost lists of lists in lists."""

    def apply(values: Any) -> Any:
        if not isinstance(values, ak.Array) or values.ndim == 1:
            raise TypeError("one number in each event where a list is expected")
        return function(values, axis=-1)

    return apply


def _count(values: Any, axis: int) -> Any:
    if _flatten(values).dtype == bool:
        raise TypeError("count(condition) would count all objects; sum(condition) counts those that pass")
    return ak.count(values, axis=axis)


OPERATORS: Mapping[type[ast.AST], Function] = {
    ast.Add: _on_numbers(np.add),
    ast.Sub: _on_numbers(np.subtract),
    ast.Mult: _on_numbers(np.multiply),
    ast.Div: _on_numbers(np.divide),
    ast.Mod: _on_numbers(np.remainder),
    ast.Pow: _on_numbers(_power),
    ast.UAdd: _on_numbers(np.positive),
    ast.USub: _on_numbers(np.negative),
    ast.BitAnd: np.bitwise_and,
    ast.BitOr: np.bitwise_or,
    ast.BitXor: np.bitwise_xor,
    ast.Invert: np.invert,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Not: np.logical_not,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
UFUNCS: Mapping[str, np.ufunc] = {
    **{"abs": np.absolute, "min": np.minimum, "max": np.maximum, "arctan2": np.arctan2, "hypot": np.hypot},
    **{"sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10},
    **{"sin": np.sin, "cos": np.cos, "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh},
}
PER_EVENT: Mapping[tuple[str, int], Function] = {
    ("sum", 1): _per_event(ak.sum),
    ("any", 1): _per_event(ak.any),
    ("all", 1): _per_event(ak.all),
    ("count", 1): _per_event(_count),
    # In floating point, where the minimum of no objects is inf and the maximum -inf, so that no veto rejects the event.
    ("min", 1): _per_event(lambda values, axis: ak.min(1.0 * values, axis, mask_identity=False)),
    ("max", 1): _per_event(lambda values, axis: ak.max(1.0 * values, axis, mask_identity=False)),
}
"""By name and number of arguments, functions of a list that give one number for each event."""

FUNCTIONS: Mapping[tuple[str, int], Function] = {
    **{(name, function.nin): _on_numbers(function) for name, function in UFUNCS.items()},
    ("where", 3): _on_numbers(_choose),
    **PER_EVENT,
}
"""By name and number of arguments."""
