"""Plain values become frozen dataclasses, or one line that names the key."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from thesis_ml.config import choose, parse_choice, parse_config, to_plain
from thesis_ml.errors import ConfigError
from thesis_ml.limits import between
from thesis_ml.training_loops.settings import TrainerConfig


@dataclass(frozen=True)
class Inner:
    width: Annotated[int, between(1, 10), "an annotation may say what the key means"] = 3
    rate: float = 0.5


@dataclass(frozen=True)
class Outer:
    size: int
    name: str = "outer"
    lr: float = 1e-3
    is_on: bool = True
    mode: Literal["fast", "exact"] = "fast"
    hidden: tuple[int, ...] = (8,)
    modes: tuple[Literal["fast", "exact"], ...] = ()
    weights: Mapping[str, float] | None = None
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)


class OuterPart:
    Config = Outer


class InnerPart:
    Config = Inner


def parse(**values: Any) -> Outer:
    return parse_config(Outer, {"size": 1, **values}, "top")


def test_parse_config_keeps_defaults_of_keys_left_out() -> None:
    assert parse_config(Outer, {"size": 4}, "top") == Outer(size=4)


def test_parse_config_builds_nested_groups() -> None:
    assert parse(inner={"width": 7}).inner == Inner(width=7)


def test_parse_config_gives_a_frozen_result() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse().size = 2


@pytest.mark.parametrize(
    ("key", "given", "expected"),
    [
        ("lr", 2, 2.0),
        ("lr", "1e-3", 1e-3),
        ("lr", -0.5, -0.5),
        ("is_on", False, False),
        ("mode", "exact", "exact"),
        ("hidden", [4, 5], (4, 5)),
        ("hidden", [], ()),
        ("hidden", (4,), (4,)),
        ("modes", ["exact"], ("exact",)),
        ("weights", {"pt": 2, "E": "1e-1"}, {"pt": 2.0, "E": 0.1}),
        ("weights", None, None),
        ("limit", None, None),
        ("limit", 5, 5),
    ],
)
def test_parse_config_reads(key: str, given: Any, expected: Any) -> None:
    value = getattr(parse(**{key: given}), key)

    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": True}, "top.size: expected a whole number, got True"),
        ({"size": 2.5}, "top.size: expected a whole number, got 2.5"),
        ({"size": 2.0}, "top.size: expected a whole number, got 2.0"),
        ({"size": float("nan")}, "top.size: expected a whole number, got nan"),
        ({"size": "2"}, "top.size: expected a whole number, got '2'"),
        ({"size": None}, "top.size: expected a whole number, got None"),
        ({"lr": True}, "top.lr: expected a number, got True"),
        ({"lr": "fast"}, "top.lr: expected a number, got 'fast'"),
        ({"lr": [1e-3]}, "top.lr: expected a number, got [0.001]"),
        ({"is_on": 1}, "top.is_on: expected true or false, got 1"),
        ({"is_on": "true"}, "top.is_on: expected true or false, got 'true'"),
        ({"name": 3}, "top.name: expected a text, got 3"),
        ({"name": True}, "top.name: expected a text, got True"),
        ({"mode": "exakt"}, "top.mode: unknown value 'exakt'; available: fast, exact; did you mean 'exact'?"),
        ({"mode": 1}, "top.mode: unknown value 1; available: fast, exact"),
        ({"mode": ["fast"]}, "top.mode: unknown value ['fast']; available: fast, exact"),
        ({"hidden": 8}, "top.hidden: expected a list such as [8], got 8"),
        ({"hidden": "8"}, "top.hidden: expected a list such as [8], got '8'"),
        ({"hidden": [8, 2.5]}, "top.hidden[1]: expected a whole number, got 2.5"),
        ({"modes": ["fast", "slow"]}, "top.modes[1]: unknown value 'slow'; available: fast, exact"),
        ({"weights": [1.0]}, "top.weights: expected a mapping such as {pt: 2}, got [1.0]"),
        ({"weights": {"pt": "two"}}, "top.weights.pt: expected a number, got 'two'"),
        ({"limit": 2.5}, "top.limit: expected a whole number, got 2.5"),
        ({"inner": None}, "top.inner: expected a group of keys, got None"),
        ({"inner": 3}, "top.inner: expected a group of keys, got 3"),
        ({"inner": {"width": "3"}}, "top.inner.width: expected a whole number, got '3'"),
        ({"inner": {"width": 0}}, "top.inner.width: must be between 1 and 10, got 0"),
        (
            {"inner": {"widht": 3}},
            "top.inner.widht: unknown key; allowed: rate, width; did you mean 'width'?",
        ),
    ],
)
def test_parse_config_names_key_value_and_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(**values)

    assert str(caught.value).startswith(message)


def test_parse_config_names_the_nearest_known_key() -> None:
    with pytest.raises(ConfigError, match=r"^top\.hiden: unknown key; allowed: .*; did you mean 'hidden'\?$"):
        parse(hiden=[1])


def test_parse_config_takes_a_key_that_is_no_text() -> None:
    with pytest.raises(ConfigError, match=r"^top\.3: unknown key"):
        parse_config(Outer, {"size": 1, 3: 4}, "top")


def test_parse_config_names_a_missing_key() -> None:
    with pytest.raises(ConfigError, match=r"^top\.size: missing; give it a value$"):
        parse_config(Outer, {}, "top")


def test_parse_config_needs_no_prefix_at_the_top() -> None:
    with pytest.raises(ConfigError, match=r"^size: missing"):
        parse_config(Outer, {}, "")


def test_parse_choice_builds_the_class_of_that_name() -> None:
    parsed = parse_choice({"outer": OuterPart}, {"name": "outer", "size": 2}, "group")

    assert parsed == Outer(size=2)


def test_parse_choice_says_how_an_option_is_chosen() -> None:
    with pytest.raises(
        ConfigError, match=r"^group: expected a group .*; available: inner, outer; .* slash: group=outer$"
    ):
        parse_choice({"outer": OuterPart, "inner": InnerPart}, "outer", "group")


@pytest.mark.parametrize("values", [None, {}, {"name": None}, {"name": 3}])
def test_parse_choice_lists_the_names_when_none_is_given(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"^group\.name: missing; available: inner, outer$"):
        parse_choice({"outer": OuterPart, "inner": InnerPart}, values, "group")


def test_parse_choice_names_the_nearest_choice() -> None:
    with pytest.raises(ConfigError, match=r"^group\.name: unknown name 'outr'; available: outer; did you mean 'outer'"):
        parse_choice({"outer": OuterPart}, {"name": "outr"}, "group")


def test_choose_returns_the_entry() -> None:
    assert choose("b", {"a": 1, "b": 2}, "here") == 2


def test_choose_lists_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"^here: unknown name 'zzz'; available: a, b$"):
        choose("zzz", {"b": 2, "a": 1}, "here")


def test_to_plain_is_read_back_by_parse_config() -> None:
    config = parse(hidden=[1, 2], weights={"pt": 2}, inner={"width": 9}, mode="exact")

    plain = to_plain(config)

    assert plain["hidden"] == [1, 2]
    assert plain["inner"] == {"width": 9, "rate": 0.5}
    assert parse_config(Outer, plain, "top") == config


@pytest.mark.parametrize("value", [2**63, -(10**400)])
def test_parse_config_refuses_whole_numbers_beyond_the_machine(value: int) -> None:
    with pytest.raises(ConfigError, match=r"phase1\.trainer\.epochs: must be below 2\^63"):
        parse_config(TrainerConfig, {"epochs": value}, "phase1.trainer")


def test_parse_config_knows_what_a_user_means_by_gpu() -> None:
    with pytest.raises(ConfigError, match=r"unknown value 'gpu'; .*; did you mean 'cuda'\?$"):
        parse_config(TrainerConfig, {"device": "gpu"}, "phase1.trainer")


@pytest.mark.parametrize(("value", "typed"), [(float("nan"), "nan"), (True, "true"), (5, "5")])
def test_parse_config_says_how_a_number_is_given_as_a_text(value: Any, typed: str) -> None:
    with pytest.raises(ConfigError, match=rf"""expected a text, got .*quote it twice: top\.name='"{typed}"'$"""):
        parse(name=value)
