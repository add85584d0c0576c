"""The limits of a value are checked where it is parsed, and a message says them."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from thesis_ml.config import parse_config
from thesis_ml.errors import ConfigError
from thesis_ml.limits import Count, Entries, HiddenWidths, Positive, Share, Text, Width, above, at_least


@dataclass(frozen=True)
class Limited:
    count: Count | None = None
    weight: Annotated[float, at_least(0)] = 1.0
    share: Share = 0.5
    rate: Positive = 1.0
    power: Annotated[float, above(0, at_most=4.0)] = 1.0
    hidden: HiddenWidths = (8,)
    names: Annotated[tuple[str, ...], Entries(at_most=2, are_distinct=True)] = ()
    title: Annotated[str, Text("a title")] = "title"
    weights: tuple[Annotated[Width, "an annotation inside another"], ...] | None = None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("count", 0, "top.count: must be at least 1, got 0"),
        ("weight", -0.1, "top.weight: must be at least 0, got -0.1"),
        ("weight", float("nan"), "top.weight: must be finite and at least 0, got nan"),
        ("weight", float("inf"), "top.weight: must be finite and at least 0, got inf"),
        ("share", 1.1, "top.share: must be between 0 and 1, got 1.1"),
        ("rate", 0, "top.rate: must be above 0, got 0.0"),
        ("power", 4.5, "top.power: must be above 0 and at most 4, got 4.5"),
        ("power", 0.0, "top.power: must be above 0 and at most 4, got 0.0"),
        ("hidden", [], "top.hidden: must be a list of at least one entry, got []"),
        ("hidden", [8] * 101, "top.hidden: must be a list of at most 100 entries, got one of 101"),
        ("hidden", [8, 0], "top.hidden[1]: must be between 1 and 16384, got 0"),
        ("names", ["a", "b", "c"], "top.names: must be a list of at most 2 entries, got one of 3"),
        ("names", ["a", "a"], "top.names: must be a list without duplicates, got ['a', 'a']"),
        ("title", "  ", "top.title: must be a title, got '  '"),
        ("weights", [16385], "top.weights[0]: must be between 1 and 16384, got 16385"),
    ],
)
def test_parse_config_refuses_a_value_outside_its_limits(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(Limited, {key: value}, "top")

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("key", "value"),
    [("count", None), ("count", 1), ("weight", 0.0), ("share", 0), ("share", 1), ("power", 4.0), ("weights", None)],
)
def test_parse_config_takes_the_ends_of_a_range_and_null_where_it_is_allowed(key: str, value: Any) -> None:
    assert getattr(parse_config(Limited, {key: value}, "top"), key) == value


@dataclass(frozen=True)
class OtherDefault(Limited):
    rate: float = 2.0
    count: Annotated[int, at_least(5)] = 7  # type: ignore[assignment]  # never None, unlike in the base


def test_a_class_that_changes_only_the_default_keeps_the_limits_of_its_base() -> None:
    assert parse_config(OtherDefault, {}, "top").rate == 2.0
    with pytest.raises(ConfigError, match=r"^top\.rate: must be above 0"):
        parse_config(OtherDefault, {"rate": 0}, "top")
    with pytest.raises(ConfigError, match=r"^top\.count: must be at least 5"):
        parse_config(OtherDefault, {"count": 4}, "top")
