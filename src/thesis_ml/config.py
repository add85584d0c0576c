"""Turn a plain configuration into frozen dataclasses, and choose components by name.

All that is known of a key stands in its field: type, default, limits and meaning. The parser checks them, and the
comments of the yaml files, `--help` and docs/reference/keys.md are made from them (docs/make_reference.py):

    epochs: Annotated[int, at_least(1), "passes over the training split"] = 10

Conditions on several keys are checked in `__post_init__` with `require`.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar, Union, get_args, get_origin, get_type_hints

from thesis_ml.errors import ConfigError

T = TypeVar("T")
ConfigT = TypeVar("ConfigT", covariant=True)

SYNONYMS = {"gpu": "cuda"}
"""Names that users type, and ours."""
LARGEST_FLOAT = 3.4e38
"""Beyond it a 32-bit number is infinite."""


class Component(Protocol[ConfigT]):
    """A class that is built from an instance of its dataclass `Config`."""

    @property
    def Config(self) -> type[ConfigT]:  # noqa: N802  # a class inside the class
        """The dataclass of its keys."""
        ...


def choose(name: str, choices: Mapping[str, T], where: str) -> T:
    """Return the entry of `choices` called `name`.

    Raises:
        ConfigError: There is no such entry.
    """
    if name in choices:
        return choices[name]
    available = ", ".join(sorted(choices))
    raise ConfigError(f"{where}: unknown name {name!r}; available: {available}{hint_nearest(name, choices)}")


def hint_nearest(name: str, choices: Iterable[str]) -> str:
    """Return `; did you mean ...?` for the entry of `choices` that resembles `name`, or nothing."""
    choices = list(choices)
    known = SYNONYMS.get(str(name))
    near = [known] if known in choices else difflib.get_close_matches(str(name), choices, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def parse_config(kind: type[T], values: Any, where: str) -> T:
    """Build the frozen dataclass `kind` from plain `values`.

    Args:
        kind: A dataclass whose fields are bool, int, float, str, Literal, tuple, Mapping, Optional or dataclasses, with
            limits in `Annotated`.
        values: A mapping of plain values; fields it leaves out keep their default.
        where: The full key of the mapping, for messages.

    Raises:
        ConfigError: A key is unknown or missing, or a value has the wrong type or range.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: expected a group of keys, got {values!r}{_hint_slash(values, where)}")
    known = dataclasses.fields(kind)  # type: ignore[arg-type]  # only dataclasses come here
    fields = {field.name: field for field in known}
    for key in values:
        if key not in fields:
            allowed = ", ".join(sorted(fields))
            raise ConfigError(f"{_join(where, str(key))}: unknown key; allowed: {allowed}{hint_nearest(key, fields)}")
    hints = read_annotations(kind)
    parsed = {key: _parse_value(hints[key], value, _join(where, key)) for key, value in values.items()}
    missing = [name for name, field in fields.items() if name not in parsed and _is_required(field)]
    if missing:
        raise ConfigError(f"{_join(where, missing[0])}: missing; give it a value")
    try:
        return kind(**parsed)
    except ConfigError as error:
        raise ConfigError(_join(where, str(error))) from None


def read_annotations(kind: type) -> dict[str, Any]:
    """Return the annotations of the fields of a dataclass, with limits and meanings.

    A class that only gives a field of its base another default keeps the annotation of the base.
    """
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        own = get_type_hints(base, include_extras=True) if dataclasses.is_dataclass(base) else {}
        found |= {name: hint for name, hint in own.items() if name not in found or get_origin(hint) is Annotated}
    return found


def parse_choice(components: Mapping[str, type[Component[ConfigT]]], values: Any, where: str) -> ConfigT:
    """Return the `Config` of the component that `values["name"]` chooses.

    Raises:
        ConfigError: The name is missing or unknown, or a value does not fit the chosen dataclass.
    """
    available = ", ".join(sorted(components))
    if not isinstance(values, Mapping | None):
        hint = _hint_slash(values, where)
        raise ConfigError(f"{where}: expected a group of keys, got {values!r}; available: {available}{hint}")
    if values is None or not isinstance(values.get("name"), str):
        raise ConfigError(f"{where}.name: missing; available: {available}")
    try:
        component = choose(values["name"], components, f"{where}.name")
    except ConfigError as error:
        remedy = "beside its yaml file a component needs its class in the dict of its package (docs/how-to)"
        raise ConfigError(f"{error}; {remedy}") from None
    kind: type[ConfigT] = component.Config  # type: ignore[assignment]  # a class inside the class, no property
    return parse_config(kind, values, where)


def to_plain(config: Any) -> Any:
    """Return a parsed configuration as plain dicts, lists and values, fit for JSON and checkpoints."""
    if dataclasses.is_dataclass(config):
        return {field.name: to_plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {str(key): to_plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [to_plain(value) for value in config]
    return config


def _hint_slash(value: object, where: str) -> str:
    """Return how an option of a group is chosen, for a user who set the group like a key."""
    return (
        f"; an option of a group is chosen with a slash: {where.replace('.', '/')}={value}"
        if isinstance(value, str)
        else ""
    )


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _parse_value(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is Annotated:
        return _parse_limited(args[0], args[1:], value, where)
    if origin in (Union, types.UnionType):
        return None if value is None else _parse_value(_first_kind(args), value, where)
    if origin is Literal:
        if value not in args or isinstance(value, bool) != any(isinstance(arg, bool) for arg in args):
            choices = [str(arg) for arg in args]
            allowed = ", ".join(choices)
            raise ConfigError(f"{where}: unknown value {value!r}; available: {allowed}{hint_nearest(value, choices)}")
        return value
    if origin is tuple:
        return _parse_tuple(args[0], value, where)
    if origin is not None and issubclass(origin, Mapping):
        return _parse_mapping(args[1], value, where)
    if dataclasses.is_dataclass(kind):
        return parse_config(typing.cast(type, kind), value, where)
    return _parse_scalar(kind, value, where)


def _parse_limited(kind: Any, marks: tuple[Any, ...], value: Any, where: str) -> Any:
    """Parse a value and check its limits; None, where it is allowed, has none."""
    parsed = _parse_value(kind, value, where)
    for mark in marks:
        if not isinstance(mark, str) and parsed is not None:
            mark.refuse(where, parsed)
    return parsed


def _first_kind(args: tuple[Any, ...]) -> Any:
    return next(arg for arg in args if arg is not type(None))


def _parse_tuple(kind: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        example = f"[{value}]" if isinstance(value, str | int | float) else "[1,2]"
        raise ConfigError(f"{where}: expected a list such as {example}, got {value!r}")
    return tuple(_parse_value(kind, entry, f"{where}[{number}]") for number, entry in enumerate(value))


def _parse_mapping(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a mapping such as {{pt: 2}}, got {value!r}")
    return {str(key): _parse_value(kind, entry, _join(where, str(key))) for key, entry in value.items()}


def _parse_scalar(kind: type, value: Any, where: str) -> Any:
    """Accept exactly the type asked for; a whole number may stand for a float."""
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ConfigError(f"{where}: must be below 2^63 in size, got a larger whole number")
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if kind is float and isinstance(value, str):
        value = _parse_exponent(value, where)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _refuse_beyond_float32(float(value), where)
    if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{where}: expected {names[kind]}, got {value!r}{_hint_quotes(kind, value, where)}")


def _hint_quotes(kind: type, value: Any, where: str) -> str:
    """Return how a value that yaml takes for a number or a truth value is given as a text."""
    if kind is not str or not isinstance(value, bool | int | float):
        return ""
    typed = str(value).lower() if isinstance(value, bool) else str(value)
    return f"; to give it as a text quote it twice: {where}='\"{typed}\"'"


def _refuse_beyond_float32(value: float, where: str) -> float:
    """Let nan and infinity pass: the limits of the key refuse them with the right range."""
    if math.isfinite(value) and abs(value) > LARGEST_FLOAT:
        raise ConfigError(f"{where}: must be below {LARGEST_FLOAT} in size, got {value!r}")
    return value


def _parse_exponent(value: str, where: str) -> float:
    """Read `1e-3`, which YAML 1.1 takes for a text because it has no dot."""
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{where}: expected a number, got {value!r}") from None
