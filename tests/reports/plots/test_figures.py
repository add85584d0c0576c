"""Every figure of a report is drawn from its table, for few and many runs and for names that mean harm."""

import csv
import io
import itertools
import math
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
from matplotlib.legend import Legend

from comparisons import HOSTILE, make_comparison, make_history, make_run, replace_first_history
from thesis_ml.errors import ConfigError
from thesis_ml.facts.history import build_history
from thesis_ml.facts.lines import load_history
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.plots import FIGURES, DrawnFigure, choose_figures, draw_figures, explain_missing
from thesis_ml.reports.plots.style import COLOURS, choose_colours, choose_style, make_plain
from thesis_ml.reports.utils.table import Table, format_csv

DARK, LIGHT = "#15181c", "#ffffff"
SIGHTS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "red-blind": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "green-blind": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear channels."""

NEEDS_TWO_RUNS = "curve_difference"
GRIDS = ("grid_best_val_loss", "grid_best_rec_tokens", "grid_best_rec_globals")


def save_svg(figure: DrawnFigure) -> str:
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.figure.savefig(stream, format="svg")
    return stream.getvalue()


def list_texts(figure: DrawnFigure) -> list[str]:
    """Return every text of the legends and of the ticks."""
    axes = figure.figure.axes
    legends = [text for panel in axes for text in (panel.get_legend().get_texts() if panel.get_legend() else [])]
    return [text.get_text() for text in [*legends, *(tick for panel in axes for tick in panel.get_yticklabels())]]


def test_all_figures_but_those_of_two_runs_are_drawn_for_27_runs() -> None:
    comparison = make_comparison(9, 3)

    drawn = draw_figures(comparison, choose_figures(None))

    assert {figure.name for figure in drawn} == set(FIGURES) - {NEEDS_TWO_RUNS}
    assert all(figure.rows and len(figure.columns) == len(figure.rows[0]) for figure in drawn)


def test_a_really_trained_run_is_drawn_beside_others() -> None:
    comparison = make_comparison(3, 1, is_real=True)

    drawn = {figure.name: figure for figure in draw_figures(comparison, choose_figures(None))}

    assert set(drawn) == set(FIGURES) - {NEEDS_TWO_RUNS, *GRIDS}
    losses = [row[-1] for row in drawn["all_val_curves"].rows if row[1] == comparison.runs[0].name]
    assert losses == comparison.runs[0].history.series("val", "loss")


def test_a_run_that_was_just_trained_is_drawn(finished_run) -> None:
    comparison = make_comparison(2, 1)
    first, second = comparison.groups
    trained = replace_first_history(first, load_history(finished_run.path / "facts"))
    both = Comparison(
        **{**vars(comparison), "groups": (trained, second), "runs": (trained.runs[0], *second.runs), "threshold": None}
    )

    drawn = draw_figures(both, choose_figures(None))

    assert {figure.name for figure in drawn} == set(FIGURES) - {*GRIDS, "time_to_threshold"}


def test_figures_without_numbers_are_explained() -> None:
    comparison = make_comparison(3, 1)
    nothing = make_run("exp_x/empty", build_history([]), seed=0)
    groups = (Group("empty", {}, (nothing,), {}),)
    empty = Comparison(**{**vars(comparison), "groups": groups, "runs": (nothing,), "rows": {}, "threshold": None})

    reasons = explain_missing(empty, choose_figures(None))

    assert draw_figures(empty, choose_figures(None)) == []
    assert set(reasons) == set(FIGURES)
    assert all(reason and "\n" not in reason for reason in reasons.values())


def test_unmeasured_and_infinite_numbers_leave_gaps() -> None:
    comparison = make_comparison(2, 2)
    broken = make_history(0.1, seed=0)
    broken._series["val", "rec_mse"][3] = math.nan
    broken._series["val", "rec_mse"][4] = math.inf
    broken._fields["throughput"][2] = math.nan
    broken._fields["total_time_s"][5] = math.nan
    group = replace_first_history(comparison.groups[0], broken)

    drawn = draw_figures(
        Comparison(**{**vars(comparison), "groups": (group, comparison.groups[1])}), choose_figures(None)
    )

    curve = next(figure for figure in drawn if figure.name == "rec_mse_curves")
    epochs = [row[3] for row in curve.rows if row[1] == group.runs[0].name]
    assert epochs == [0, 1, 2, 5, 6, 7, 8, 9]


def test_each_figure_is_drawn_before_the_next_name_is_read() -> None:
    """So that a progress bar around the names tells the truth."""
    read = []

    def iterate_names() -> Iterator[str]:
        for name in ("learning_rate", "all_val_curves"):
            read.append(name)
            yield name

    drawn = draw_figures(make_comparison(2, 1), iterate_names())

    assert [figure.name for figure in drawn] == read == ["learning_rate", "all_val_curves"]


def test_chosen_figures_keep_the_order_of_the_page() -> None:
    assert choose_figures(["all_val_curves", "val_mse_vs_time"]) == ("val_mse_vs_time", "all_val_curves")


def test_an_unknown_figure_is_refused_with_what_exists() -> None:
    with pytest.raises(
        ConfigError, match=r"outputs\.which_figures: unknown name 'all_val_curve'.*did you mean"
    ) as error:
        choose_figures(["all_val_curve"])

    assert all(name in str(error.value) for name in FIGURES)


def test_names_of_runs_are_written_and_not_obeyed() -> None:
    comparison = make_comparison(9, 1, names=HOSTILE)

    for figure in draw_figures(comparison, choose_figures(None)):
        svg = save_svg(figure)

        assert "<script" not in svg
        assert "onerror" not in svg.replace("onerror=alert(2)&gt;", "")


def test_a_formula_in_a_name_stays_its_source() -> None:
    (figure,) = draw_figures(make_comparison(9, 1, names=HOSTILE), ["time_to_threshold"])

    shown = {text.replace(r"\$", "$") for text in list_texts(figure)}

    assert r"$\frac{1}{0}$ _{x}^" in shown
    assert r"$\frac{1}{0}$ _{x}^" in save_svg(figure)


def test_a_name_with_an_underscore_in_front_has_its_place_in_the_legend() -> None:
    (figure,) = draw_figures(make_comparison(9, 1, names=HOSTILE), ["all_val_curves"])

    assert len([child for child in figure.figure.axes[0].get_children() if isinstance(child, Legend)]) == 1
    assert " _hidden \\$ and \\$" in list_texts(figure)


@pytest.mark.parametrize("text", [*HOSTILE, "a" * 5000, "$" * 99, r"\$\$\\$", "\ud800", ""])
def test_any_text_can_be_drawn(text: str) -> None:
    (figure,) = draw_figures(make_comparison(2, 1, names=[text, "other"]), ["rec_mse_curves"])

    figure.figure.canvas.draw()


def test_letters_that_the_font_lacks_raise_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    (figure,) = draw_figures(make_comparison(2, 1, names=["日本 \U0001f680 run", "other"]), ["time_breakdown"])

    figure.figure.canvas.draw()

    assert "?? ? run" in list_texts(figure)
    assert not recwarn.list


def test_hundreds_of_groups_are_cut_and_counted() -> None:
    groups = tuple(Group(f"group {place}", {}, make_comparison(2, 1).groups[0].runs, {}) for place in range(100))
    comparison = Comparison(**{**vars(make_comparison(2, 1)), "groups": groups})

    curves, times = draw_figures(comparison, ["rec_mse_curves", "time_breakdown"])

    assert curves.figure.axes[0].get_legend().get_texts()[-1].get_text() == "and 60 more groups"
    assert "(40 more groups in the csv)" in times.figure.axes[0].get_xlabel()
    assert len({row[0] for row in times.rows}) == 100


def test_text_is_shortened_in_its_middle() -> None:
    assert make_plain("abcdefghij", letters=7) == "abc…hij"


def test_legends_lie_within_the_figure_and_beside_its_panels() -> None:
    comparison = make_comparison(9, 3, names=["a group with a rather long name " * 3] * 9)

    for figure in draw_figures(comparison, ["rec_mse_curves", "all_val_curves", "pareto_error_vs_compression"]):
        figure.figure.canvas.draw()
        axes = figure.figure.axes[0]
        legend = axes.get_legend().get_window_extent()
        page = figure.figure.bbox

        assert legend.x0 >= axes.get_window_extent().x1
        assert (legend.x1, legend.y1) <= (page.x1, page.y1)
        assert legend.y0 >= page.y0


def test_thirty_groups_fit() -> None:
    groups = make_comparison(9, 1).groups
    many = tuple(
        Group(f"{group.label}, width {number}", group.values, group.runs, {})
        for number, group in itertools.product(range(4), groups)
    )
    comparison = Comparison(**{**vars(make_comparison(9, 1)), "groups": many})

    for figure in draw_figures(comparison, ["rec_mse_curves", "time_breakdown"]):
        figure.figure.canvas.draw()

    legend = draw_figures(comparison, ["rec_mse_curves"])[0].figure.axes[0].get_legend()
    assert len(legend.get_texts()) == 36


def test_a_group_looks_the_same_in_every_figure() -> None:
    comparison = make_comparison(9, 3)
    styles = choose_colours(comparison.groups)

    for figure in draw_figures(comparison, ["rec_mse_curves", "all_val_curves", "tradeoff_scatter"]):
        legend = figure.figure.axes[0].get_legend()
        shown = {
            text.get_text(): (handle.get_color(), handle.get_marker())
            for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
        }

        assert shown == {label: (style.colour, style.marker) for label, style in styles.items()}


def test_thirty_groups_differ_in_colour_or_marker() -> None:
    looks = {(choose_style(number).colour, choose_style(number).marker) for number in range(30)}

    assert len(looks) == 30


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("background", [LIGHT, DARK])
def test_colours_can_be_seen_on_light_and_dark_pages(colour: str, background: str) -> None:
    high, low = sorted((find_luminance(colour), find_luminance(background)), reverse=True)

    assert (high + 0.05) / (low + 0.05) >= 2.6


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_differ_for_every_sight(sight: str) -> None:
    seen = [find_lab(np.array(SIGHTS[sight]) @ find_linear(colour)) for colour in COLOURS]

    assert min(np.linalg.norm(first - second) for first, second in itertools.combinations(seen, 2)) > 25


def find_luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, as WCAG defines it."""
    return float(find_linear(colour) @ [0.2126, 0.7152, 0.0722])


def find_linear(colour: str) -> np.ndarray:
    """Return the linear channels of `#rrggbb`."""
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def find_lab(linear: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* of linear sRGB channels under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    relative = to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_compression_marks_the_front_and_counts_runs() -> None:
    (figure,) = draw_figures(make_comparison(9, 3), ["pareto_error_vs_compression"])
    rows = [dict(zip(figure.columns, row, strict=True)) for row in figure.rows]
    stored = [row for row in rows if row["measure"] == "bits_per_token"]

    assert [row["bits"] for row in stored] == [7, 9, 11] * 3
    assert all(row["n_runs"] == 3 and row["rec_mse_sd"] > 0 for row in rows)
    assert [row["group"] for row in rows if row["is_on_front"]] == ["codebook_size 128, latent_dim 2"]


def test_time_to_threshold_is_blank_where_it_was_not_reached() -> None:
    (figure,) = draw_figures(make_comparison(9, 3), ["time_to_threshold"])
    times_s = {row[1]: row[4] for row in figure.rows}

    assert times_s["exp_x/000"] == pytest.approx(2.0)
    assert times_s["exp_x/026"] is None


def test_time_to_threshold_of_the_summary_counts() -> None:
    comparison = make_comparison(2, 1)
    rows = {name: {**row, "time_to_threshold_s": 7.0} for name, row in comparison.rows.items()}

    (figure,) = draw_figures(Comparison(**{**vars(comparison), "rows": rows}), ["time_to_threshold"])

    assert [row[4] for row in figure.rows] == [7.0, 7.0]


def test_time_of_a_run_is_split_without_losing_any() -> None:
    comparison = make_comparison(2, 2)
    (figure,) = draw_figures(comparison, ["time_breakdown"])

    for run, row in zip(comparison.runs, figure.rows, strict=True):
        assert sum(row[3:]) == pytest.approx(run.history.latest_value("total_time_s"))


def test_grid_holds_the_mean_over_seeds() -> None:
    comparison = make_comparison(9, 3)
    (figure,) = draw_figures(comparison, ["grid_best_rec_tokens"])
    expected = np.mean([run.history.latest("val", "rec_tokens") for run in comparison.groups[4].runs])
    row = next(row for row in figure.rows if row[:2] == (512, 8))

    assert row[2] == pytest.approx(expected)
    assert row[4] == 3


def test_difference_is_the_ratio_of_the_second_run_to_the_first() -> None:
    comparison = make_comparison(2, 1)
    (figure,) = draw_figures(comparison, [NEEDS_TWO_RUNS])
    first, second = (run.history.series("val", "rec_mse") for run in comparison.runs)

    assert [row[-1] for row in figure.rows] == pytest.approx([b / a for a, b in zip(first, second, strict=True)])


def test_csv_reads_back_and_holds_no_formula() -> None:
    table = Table(("name", "value"), (("=cmd()", 0.1), ("a,b\n", None), ('"', math.pi)))

    rows = list(csv.reader(io.StringIO(format_csv(table.columns, table.rows))))

    assert rows == [["name", "value"], ["'=cmd()", "0.1"], ["a,b ", ""], ['"', repr(math.pi)]]
