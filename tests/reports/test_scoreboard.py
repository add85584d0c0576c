"""The scoreboard: means with errors, the best ranked group, and letters from the tests."""

from dataclasses import replace

from comparisons import make_comparison, summarise_groups
from thesis_ml.metrics.significance import PairTest
from thesis_ml.metrics.uncertain import Measured
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import Section
from thesis_ml.reports.scoreboard import COLUMNS, build_scoreboard
from thesis_ml.reports.verdict import judge


def make_judged(n_groups: int = 3, n_seeds: int = 3) -> Comparison:
    comparison = summarise_groups(make_comparison(n_groups, n_seeds))
    return replace(comparison, verdict=judge(comparison.groups))


def test_best_group_has_letter_a_and_significantly_worse_ones_another() -> None:
    board = build_scoreboard(make_judged())

    scores = {label: row["rec_mse"] for label, row in board.rows.items()}
    assert [score.is_best for score in scores.values()] == [True, False, False]
    assert [score.letters for score in scores.values()] == ["a", "b", "c"]
    assert [row["seeds"].value for row in board.rows.values()] == [3, 3, 3]


def test_unranked_group_is_neither_best_nor_lettered() -> None:
    comparison = make_judged()
    verdict = replace(comparison.verdict, unranked={"vq": "it copies"})

    board = build_scoreboard(replace(comparison, verdict=verdict))

    assert (board.rows["vq"]["rec_mse"].is_best, board.rows["vq"]["rec_mse"].letters) == (False, "")
    assert board.rows["linear"]["rec_mse"].is_best


def test_one_seed_has_no_letters_and_column_that_nobody_has_is_gone() -> None:
    board = build_scoreboard(make_judged(n_seeds=1))

    assert {score.letters for row in board.rows.values() for score in row.values() if score} == {""}
    assert "rec_mse" in board.columns
    assert not {"downstream_loss", "lead", "jet_mass", "parameters"} & set(board.columns)


def test_section_adds_its_column_with_its_own_tests() -> None:
    lost = {"vq": Measured(0.011, 0.002), "linear": Measured(0.012, 0.002)}
    tests = (PairTest("downstream_loss", "vq", "linear", Measured(0.001, 0.001), 0.4, 0.3),)
    section = Section("downstream", "Downstream", scores={"downstream_loss": lost}, tests=tests)

    board = build_scoreboard(make_judged(), [section])

    column = {label: row["downstream_loss"] for label, row in board.rows.items()}
    assert (column["vq"].value, column["vq"].is_best, column["none"]) == (Measured(0.011, 0.002), True, None)
    assert [column[label].letters for label in ("vq", "linear")] == ["a", "a"]


def test_table_has_value_and_error_of_every_column() -> None:
    table = build_scoreboard(make_judged()).to_table()

    split = table.split_errors()
    assert split.columns[:4] == ("group", "seeds", "bits_per_token", "bits_per_token_sd")
    assert split.rows[0][split.columns.index("rec_mse_sd")] == table.rows[0][table.columns.index("rec_mse")].sd
    assert set(table.columns[1:]) <= set(COLUMNS)
