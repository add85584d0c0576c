"""Conditions, dates and orders: what they choose, and what is refused."""

from pathlib import Path

import pytest

from thesis_ml.errors import ConfigError
from thesis_ml.facts.marks import Marks, write_marks
from thesis_ml.runs.filters import choose_rows, find_value, parse_condition, parse_since, sort_rows
from thesis_ml.runs.index import RunIndex
from thesis_ml.runs.row import RunRow


@pytest.fixture
def rows(outputs: Path) -> list[RunRow]:
    write_marks(outputs / "runs" / "good", Marks(("ch5", "best"), "keep", is_stale=False))
    write_marks(outputs / "runs" / "worse", Marks((), "", is_stale=True))
    with RunIndex(outputs) as index:
        return index.list_newest()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("rec_mse<0.03", {"good"}),
        ("rec_mse >= 0.06", {"exp_1/001", "worse"}),
        ("state=failed", {"exp_1/002"}),
        ("state!=complete", {"broken", "empty", "exp_1/002"}),
        ("name=exp_1/*", {"exp_1/000", "exp_1/001", "exp_1/002"}),
        ("tag=ch5", {"good"}),
        ("tag!=ch*", {"worse", "broken", "empty", "exp_1/000", "exp_1/001", "exp_1/002"}),
        ("stale=true", {"worse"}),
        ("phase1.trainer.lr=0.5", {"worse"}),
        ("lr=5e-1", {"worse"}),
        ("seed=1", {"good", "exp_1/001"}),
        ("reason=*memory*", {"exp_1/002"}),
    ],
)
def test_a_condition_chooses(rows: list[RunRow], text: str, names: set[str]) -> None:
    assert {row.name for row in choose_rows(rows, [parse_condition(text)], None)} == names


def test_all_conditions_must_hold(rows: list[RunRow]) -> None:
    conditions = [parse_condition(text) for text in ("seed=1", "rec_mse<0.03")]

    assert [row.name for row in choose_rows(rows, conditions, None)] == ["good"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rec_mse", "cannot be read; write such as latent_space=vq"),
        ("rec_mse<", "cannot be read"),
        ("rec_mse<small", "'small' is no number, which < needs"),
        ("tag<3", "tags are not ordered"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_condition(text)


def test_an_unknown_key_is_refused_with_the_nearest(rows: list[RunRow]) -> None:
    with pytest.raises(ConfigError, match="--where: no run has 'rec_mes'; did you mean 'rec_mse'"):
        choose_rows(rows, [parse_condition("rec_mes<1")], None)
    with pytest.raises(ConfigError, match="--sort: no run has 'speed'"):
        sort_rows(rows, "speed")


def test_runs_without_the_number_stand_last_in_both_orders(rows: list[RunRow]) -> None:
    rising, falling = ([row.name for row in sort_rows(rows, key)] for key in ("rec_mse", "-rec_mse"))

    assert rising[:4] == ["good", "exp_1/000", "exp_1/001", "worse"] == falling[:4][::-1]
    assert set(rising[4:]) == set(falling[4:]) == {"broken", "empty", "exp_1/002"}


def test_a_date_is_local_and_others_are_refused() -> None:
    assert parse_since("2026-11-01T00:00+00:00") == 1793491200.0
    assert parse_since("2026-11-02") - parse_since("2026-11-01") == 86400
    with pytest.raises(ConfigError, match="--since: 'yesterday' is no date"):
        parse_since("yesterday")


def test_an_end_of_a_key_that_two_keys_share_is_none(rows: list[RunRow]) -> None:
    (good,) = (row for row in rows if row.name == "good")

    assert find_value(good, "phase1.latent_space.name") is not None and find_value(good, "phase1.nothing") is None
    names = [key for key in good.config if key.endswith(".name")]
    assert len(names) > 1 and find_value(good, "latent_space.name") == good.config["phase1.latent_space.name"]
