"""Commands of tex have names of letters, each once, and cells print what they say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparisons import make_comparison
from thesis_ml.reports.comparison import Spread
from thesis_ml.reports.contents import ResultTable, Section
from thesis_ml.reports.utils.tex import (
    MOST_ROWS,
    build_numbers,
    build_section_tables,
    build_table,
    format_spread,
    format_tex,
    name_commands,
    spell_name,
)


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
    ("value", "text"),
    [
        (0.0309, r"\ensuremath{0.0309}"),
        (6.7e-5, r"\ensuremath{6.7\times 10^{-5}}"),
        (float("nan"), ""),
        (12.0, r"\ensuremath{12}"),
    ],
)
def test_number_has_three_digits(value: float, text: str) -> None:
    assert format_tex(value) == text


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        (Spread(0.97, 0.000634, 3), r"\ensuremath{0.97000 \pm 0.00063}"),
        (Spread(2.21e-5, 1.2e-7, 3), r"\ensuremath{(2.210 \pm 0.012)\times 10^{-5}}"),
        (Spread(0.5, math.nan, 1), r"\ensuremath{0.5}"),
        (Spread(math.nan, math.nan, 0), ""),
    ],
)
def test_mean_has_the_digits_that_its_spread_leaves(spread: Spread, text: str) -> None:
    assert format_spread(spread) == text


def test_error_in_a_text_is_printed_as_such() -> None:
    table = ResultTable("one", "One", "", ("cut",), (("0.054 ± 0.01 (19)",),))

    assert (
        r"0.054 \ensuremath{\pm} 0.01 (19) \\"
        in build_section_tables([Section("a", "A", tables=(table,))])["inference_one.tex"]
    )


def test_table_is_booktabs() -> None:
    assert build_table("lr", ["a", None], [["x", "1"]]).splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a &  \\",
        r"\midrule",
        r"x & 1 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_numbers_of_sections_are_commands_named_after_their_rows() -> None:
    columns = ("group", "form", "lost", "error", "outcome")
    rows = (("vq 512", "events", 0.0113, 0.002, "worse"), ("none", "tokens", 0.5, None, "p 3"))
    sections = [Section("one", "One", tables=(ResultTable("downstream", "Lost", "", columns, rows),))]

    text = build_numbers(make_comparison(n_groups=1), sections)

    assert r"\newcommand{\DownstreamVqFiveOneTwoEventsLost}{\ensuremath{0.0113}}" in text
    assert r"\newcommand{\DownstreamNoneTokensLost}{\ensuremath{0.5}}" in text
    assert "Outcome" not in text and "NoneTokensError" not in text


def test_number_that_says_which_row_it_is_stands_in_the_name_and_the_column_is_never_cut() -> None:
    rows = (("a" * 200, 0.01, 5.0), ("b", 1.0, 6.0))
    table = ResultTable("cuts", "Cuts", "", ("group", "eps_B", "events"), rows, n_keys=2)

    text = build_numbers(make_comparison(n_groups=1), [Section("one", "One", tables=(table,))])

    assert r"\newcommand{\CutsBOneEvents}{\ensuremath{6}}" in text
    assert "aEvents}{" in text and "EpsB" not in text


def test_tables_of_sections_are_written_unless_they_fill_pages() -> None:
    few = ResultTable("few", "Few", "", ("group", "H_T^miss"), (("a_b", 0.5), ("c", None), ("d", math.nan)))
    many = ResultTable("many", "Many", "", ("group",), (("a",),) * (MOST_ROWS + 1))
    hidden = ResultTable("hidden", "Hidden", "", ("group",), (("a",),), is_printed=False)

    tables = build_section_tables([Section("one", "One", tables=(few, many, hidden))])

    assert list(tables) == ["inference_few.tex"]
    assert r"a\_b & \ensuremath{0.5} \\" in tables["inference_few.tex"]
    assert tables["inference_few.tex"].startswith(r"\begin{tabular}{lr}")
