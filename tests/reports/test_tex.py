"""Commands of tex have names of letters, each once, and tables and numbers have the same digits."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparisons import make_comparison, summarise_groups
from thesis_ml.metrics.uncertain import Measured, Spread
from thesis_ml.reports.comparison import Comparison
from thesis_ml.reports.contents import ResultTable, Section, Value
from thesis_ml.reports.scoreboard import build_scoreboard
from thesis_ml.reports.tex import MOST_ROWS, TexWriter, find_previous_numbers, name_commands, spell_name
from thesis_ml.reports.verdict import judge


@given(st.lists(st.text(max_size=30), max_size=30))
def test_names_are_letters_and_unique(texts: list[str]) -> None:
    commands = name_commands([(text, str(number)) for number, text in enumerate(texts)])

    assert len(commands) == len(texts)
    assert all(name.isascii() and name.isalpha() for name in commands)
    assert list(commands.values()) == [str(number) for number in range(len(texts))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rec_mse Mean vq, codebook_size 512", "RecMseMeanVqCodebookSizeFiveOneTwo"),
        ("lr 1e-3", "LrOneEMinusThree"),
        ("beta 0.25", "BetaZeroPointTwoFive"),
        ("µ", "Value"),
    ],
)
def test_name_spells_digits_and_signs(text: str, name: str) -> None:
    assert spell_name(text) == name


@pytest.mark.parametrize(
    ("value", "plain", "siunitx"),
    [
        (0.0309, r"\ensuremath{0.0309}", r"\num{0.0309}"),
        (6.7e-5, r"\ensuremath{6.7\times 10^{-5}}", r"\num{6.7e-05}"),
        (math.nan, "", ""),
        (512, "512", "512"),
        (Measured(0.97, 0.000634), r"\ensuremath{0.97000 \pm 0.00063}", r"\num{0.97000(63)}"),
        (Spread(2.21e-5, 1.2e-7, 3), r"\ensuremath{(2.210 \pm 0.012)\times 10^{-5}}", r"\num{2.210(12)e-05}"),
        (Spread(0.5, math.nan, 1), r"\ensuremath{0.5}", r"\num{0.5}"),
        (Spread(math.nan, math.nan, 0), "", ""),
        ("0.054 ± 0.01 (19)", r"0.054 \ensuremath{\pm} 0.01 (19)", r"0.054 \ensuremath{\pm} 0.01 (19)"),
        (None, "", ""),
    ],
)
def test_value_has_the_digits_that_its_error_leaves(value: Value, plain: str, siunitx: str) -> None:
    assert (TexWriter().format(value), TexWriter("siunitx").format(value)) == (plain, siunitx)


def test_table_is_booktabs() -> None:
    table = ResultTable("one", "One", "", ("a", "b_c"), (("x", 1),))

    assert TexWriter().build_table(table).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a & b\_c \\",
        r"\midrule",
        r"x & 1 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def make_judged() -> Comparison:
    comparison = summarise_groups(make_comparison(3, 3))
    return replace(comparison, verdict=judge(comparison.groups))


def build(table: ResultTable, previous: Path | None = None) -> str:
    comparison = make_judged()
    sections = [Section("one", "One", tables=(table,))]
    return TexWriter().build_numbers(comparison, build_scoreboard(comparison), sections, previous)


def test_numbers_of_sections_are_commands_named_after_their_rows() -> None:
    rows = (("vq 512", "events", Measured(0.0113, 0.002), "worse"), ("none", "tokens", 0.5, "p 3"))

    text = build(ResultTable("downstream", "Lost", "", ("group", "form", "lost", "outcome"), rows))

    assert r"\newcommand{\DownstreamVqFiveOneTwoEventsLost}{\ensuremath{0.0113}}" in text
    assert r"\newcommand{\DownstreamVqFiveOneTwoEventsLostError}{\ensuremath{0.0020}}" in text
    assert r"\newcommand{\DownstreamNoneTokensLost}{\ensuremath{0.5}}" in text
    assert "Outcome" not in text and "NoneTokensLostError" not in text


def test_number_that_names_its_row_stands_in_the_name_and_the_column_is_never_cut() -> None:
    rows = (("a" * 200, 0.01, 5.0), ("b", 1.0, 6.0))

    text = build(ResultTable("cuts", "Cuts", "", ("group", "eps_B", "events"), rows, n_keys=2))

    assert r"\newcommand{\CutsBOneEvents}{\ensuremath{6}}" in text
    assert "aEvents}{" in text and "EpsB" not in text


def test_numbers_and_tables_agree_to_the_digit() -> None:
    comparison = make_judged()
    board, tex = build_scoreboard(comparison), TexWriter()
    numbers = tex.build_numbers(comparison, board, [])

    shown = re.search(r"^vq & .*$", tex.build_tables(board, [], [])["groups.tex"], re.MULTILINE)[0]

    mean, sd = (re.search(rf"RecMse{part}Vq}}{{\\ensuremath{{(.*)}}}}", numbers)[1] for part in ("Mean", "Sd"))
    assert rf"\ensuremath{{{mean} \pm {sd}}}" in shown


def test_commands_that_are_gone_since_the_last_report_are_listed(tmp_path: Path) -> None:
    for name, command in (("report_20260101-000000_one", "Older"), ("report_20260102-000000_one", "Gone")):
        (tmp_path / name).mkdir()
        text = rf"\newcommand{{\{command}}}{{1}}" + "\n" + r"\newcommand{\NRunsUsed}{9}"
        (tmp_path / name / "numbers.tex").write_text(text, encoding="utf-8")
    table = ResultTable("few", "Few", "", ("group",), ())

    previous = find_previous_numbers(tmp_path, "one")

    lines = build(table, previous).splitlines()
    assert lines[1] == r"% gone since report_20260102-000000_one: \Gone"
    assert not lines[2].startswith("%")
    assert find_previous_numbers(tmp_path, "other") is None


def test_tables_of_sections_are_written_unless_they_fill_pages() -> None:
    few = ResultTable("few", "Few", "", ("group", "H_T^miss"), (("a_b", 0.5), ("c", None), ("d", math.nan)))
    many = ResultTable("many", "Many", "", ("group",), (("a",),) * (MOST_ROWS + 1))
    hidden = ResultTable("hidden", "Hidden", "", ("group",), (("a",),), is_printed=False)

    tables = TexWriter().build_tables(
        build_scoreboard(make_judged()), [], [Section("one", "One", tables=(few, many, hidden))]
    )

    assert list(tables) == ["groups.tex", "inference_few.tex"]
    assert r"a\_b & \ensuremath{0.5} \\" in tables["inference_few.tex"]
    assert tables["inference_few.tex"].startswith(r"\begin{tabular}{lr}")
