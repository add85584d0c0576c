"""Every figure of a report is drawn from its table, for few and many runs and for names that mean harm."""

import csv
import io
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from comparisons import HOSTILE, make_comparison, make_history, make_run, replace_first_history
from thesis_ml.errors import ConfigError
from thesis_ml.facts.history import build_history
from thesis_ml.facts.lines import load_history
from thesis_ml.monitoring.io_utils import COLUMN_WIDTH_IN
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.contents import Reference, ResultFigure
from thesis_ml.reports.plots import FIGURES, KEY_FIGURE, choose_figures, draw_figures, plan_figures
from thesis_ml.reports.plots.style import COLOURS, choose_colours, choose_style, make_plain
from thesis_ml.reports.utils.table import MissingFigure, Table, format_csv

DARK, LIGHT = "#15181c", "#ffffff"
SIGHTS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "red-blind": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "green-blind": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear channels."""

NEEDS_TWO_RUNS = "curve_difference"
GRIDS = ("grid_best_val_loss", "grid_best_rec_tokens", "grid_best_rec_globals")


def tabulate(comparison: Comparison, name: str) -> Table:
    """Return the numbers of one figure."""
    (figure,) = plan_figures(comparison, [name])
    assert isinstance(figure.table, Table)
    return figure.table


def draw(comparison: Comparison, *names: str, references: tuple[Reference, ...] = ()) -> dict[str, Figure]:
    """Return the named figures, or all."""
    return draw_figures(plan_figures(comparison, names or choose_figures(None), references), comparison.groups)


def save_svg(figure: Figure) -> str:
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(stream, format="svg")
    return stream.getvalue()


def list_names(figure: Figure) -> list[str]:
    """Return every text of the legends."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def list_texts(figure: Figure) -> list[str]:
    """Return every text of the legends and of the ticks."""
    return [*list_names(figure), *(tick.get_text() for panel in figure.axes for tick in panel.get_yticklabels())]


def list_labels(figure: Figure) -> list[Annotation]:
    """Return the labels at the points of a figure."""
    return [child for child in figure.axes[0].get_children() if isinstance(child, Annotation)]


def test_all_figures_but_those_of_two_runs_are_drawn_for_27_runs() -> None:
    comparison = make_comparison(9, 3)

    planned = {figure.name: figure.table for figure in plan_figures(comparison, choose_figures(None))}

    assert set(draw(comparison)) == set(FIGURES) - {NEEDS_TWO_RUNS}
    assert isinstance(planned.pop(NEEDS_TWO_RUNS), MissingFigure)
    assert all(table.rows and len(table.columns) == len(table.rows[0]) for table in planned.values())


def test_a_really_trained_run_is_drawn_beside_others() -> None:
    comparison = make_comparison(3, 1, is_real=True)

    losses = [row[-1] for row in tabulate(comparison, "all_val_curves").rows if row[1] == comparison.runs[0].name]

    assert set(draw(comparison)) == set(FIGURES) - {NEEDS_TWO_RUNS, *GRIDS}
    assert losses == comparison.runs[0].history.series("val", "loss")


def test_a_run_that_was_just_trained_is_drawn(finished_run) -> None:
    comparison = make_comparison(2, 1)
    first, second = comparison.groups
    trained = replace_first_history(first, load_history(finished_run.path / "facts"))
    both = replace(comparison, groups=(trained, second), runs=(trained.runs[0], *second.runs), threshold=None)

    assert set(draw(both)) == set(FIGURES) - {*GRIDS, "time_to_threshold"}


def test_figures_without_numbers_are_explained() -> None:
    comparison = make_comparison(3, 1)
    nothing = make_run("exp_x/empty", build_history([]), seed=0)
    groups = (Group("empty", {}, (nothing,), {}),)
    empty = replace(comparison, groups=groups, runs=(nothing,), rows={}, threshold=None)

    tables = {figure.name: figure.table for figure in plan_figures(empty, choose_figures(None))}
    reasons = [table.reason for table in tables.values() if isinstance(table, MissingFigure)]

    assert draw(empty) == {}
    assert set(tables) == set(FIGURES)
    assert len(reasons) == len(FIGURES)
    assert all(reason and "\n" not in reason for reason in reasons)


def test_unmeasured_and_infinite_numbers_leave_gaps() -> None:
    comparison = make_comparison(2, 2)
    broken = make_history(0.1, seed=0)
    broken._series["val", "rec_mse"][3] = math.nan
    broken._series["val", "rec_mse"][4] = math.inf
    broken._fields["throughput"][2] = math.nan
    broken._fields["total_time_s"][5] = math.nan
    group = replace_first_history(comparison.groups[0], broken)
    damaged = replace(comparison, groups=(group, comparison.groups[1]))

    epochs = [row[3] for row in tabulate(damaged, "rec_mse_curves").rows if row[1] == group.runs[0].name]

    assert epochs == [0, 1, 2, 5, 6, 7, 8, 9]
    assert set(draw(damaged)) >= {"rec_mse_curves", "val_mse_vs_time", "throughput_vs_best_val"}


def test_each_figure_is_drawn_before_the_next_is_read() -> None:
    """So that a progress bar around them tells the truth."""
    done = []
    comparison = make_comparison(2, 1)

    def iterate_figures() -> Iterator[ResultFigure]:
        for figure in plan_figures(comparison, ("learning_rate", "all_val_curves")):
            done.append(f"read {figure.name}")
            yield replace(figure, draw=lambda *_, name=figure.name: done.append(f"draw {name}") or Figure())

    draw_figures(iterate_figures(), comparison.groups)

    assert done == ["read learning_rate", "draw learning_rate", "read all_val_curves", "draw all_val_curves"]


def test_chosen_figures_keep_the_order_of_the_page() -> None:
    assert choose_figures(["all_val_curves", "val_mse_vs_time"]) == ("val_mse_vs_time", "all_val_curves")


def test_an_unknown_figure_is_refused_with_what_exists() -> None:
    with pytest.raises(
        ConfigError, match=r"outputs\.which_figures: unknown name 'all_val_curve'.*did you mean"
    ) as error:
        choose_figures(["all_val_curve"])

    assert all(name in str(error.value) for name in FIGURES)


@pytest.mark.slow
def test_names_of_runs_are_written_and_not_obeyed() -> None:
    comparison = make_comparison(9, 1, names=HOSTILE)

    for figure in draw(comparison).values():
        svg = save_svg(figure)

        assert "<script" not in svg
        assert "onerror" not in svg.replace("onerror=alert(2)&gt;", "")


def test_a_formula_in_a_name_stays_its_source() -> None:
    figure = draw(make_comparison(9, 1, names=HOSTILE), "time_to_threshold")["time_to_threshold"]

    shown = {text.replace(r"\$", "$") for text in list_texts(figure)}

    assert r"$\frac{1}{0}$ _{x}^" in shown
    assert r"$\frac{1}{0}$ _{x}^" in save_svg(figure)


def test_a_name_with_an_underscore_in_front_has_its_place_in_the_legend() -> None:
    figure = draw(make_comparison(9, 1, names=HOSTILE), "all_val_curves")["all_val_curves"]

    assert len(figure.legends) == 1
    assert " _hidden \\$ and \\$" in list_texts(figure)


@pytest.mark.slow
@pytest.mark.parametrize("text", [*HOSTILE, "a" * 5000, "$" * 99, r"\$\$\\$", "\ud800", ""])
def test_any_text_can_be_drawn(text: str) -> None:
    for figure in draw(make_comparison(2, 1, names=[text, "other"]), "rec_mse_curves", KEY_FIGURE).values():
        figure.canvas.draw()


def test_letters_that_the_font_lacks_raise_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    figure = draw(make_comparison(2, 1, names=["日本 \U0001f680 run", "other"]), "time_breakdown")["time_breakdown"]

    figure.canvas.draw()

    assert "?? ? run" in list_texts(figure)
    assert not recwarn.list


def test_hundreds_of_groups_are_cut_and_counted() -> None:
    groups = tuple(Group(f"group {place}", {}, make_comparison(2, 1).groups[0].runs, {}) for place in range(100))
    comparison = replace(make_comparison(2, 1), groups=groups)

    drawn = draw(comparison, "rec_mse_curves", "time_breakdown")

    assert list_names(drawn["rec_mse_curves"])[-1] == "and 60 more groups"
    assert "(40 more groups in the csv)" in drawn["time_breakdown"].axes[0].get_xlabel()
    assert len(tabulate(comparison, "time_breakdown").split("group")) == 100


def test_text_is_shortened_in_its_middle() -> None:
    assert make_plain("abcdefghij", letters=7) == "abc…hij"


@pytest.mark.parametrize("n_groups", [1, 3, 9])
def test_figures_have_the_width_of_a_column_and_their_panels_use_it(n_groups: int) -> None:
    for name, figure in draw(make_comparison(n_groups, 3)).items():
        boxes = [panel.get_position() for panel in figure.axes]

        assert figure.get_figwidth() == pytest.approx(COLUMN_WIDTH_IN), name
        assert max(box.x1 for box in boxes) - min(box.x0 for box in boxes) > 0.6, name


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [1, 3, 9])
def test_no_text_sticks_out_of_a_figure_or_overlaps_a_tick(n_groups: int) -> None:
    for name, figure in draw(make_comparison(n_groups, 3)).items():
        figure.canvas.draw()
        page = figure.bbox.padded(1)

        for panel in figure.axes:
            ticks = [text.get_window_extent() for text in panel.get_xticklabels() if text.get_text()]
            low, high = sorted(panel.get_window_extent().intervalx)
            shown = [box for box in ticks if low - 1 <= (box.x0 + box.x1) / 2 <= high + 1]
            shown.sort(key=lambda box: box.x0)
            assert all(first.x1 <= second.x0 for first, second in itertools.pairwise(shown)), name
            labels = [panel.xaxis.label, panel.yaxis.label, *list_labels(figure)]
            for box in (*shown, *(label.get_window_extent() for label in labels if label.get_text())):
                assert page.x0 <= box.x0 <= box.x1 <= page.x1, name
                assert page.y0 <= box.y0 <= box.y1 <= page.y1, name


def test_legends_lie_within_the_figure_and_below_its_panels() -> None:
    comparison = make_comparison(9, 3, names=["a group with a rather long name " * 3] * 9)

    for figure in draw(comparison, "rec_mse_curves", "all_val_curves", KEY_FIGURE).values():
        figure.canvas.draw()
        legend = figure.legends[0].get_window_extent()
        page = figure.bbox

        assert legend.y1 <= figure.axes[-1].xaxis.label.get_window_extent().y0
        assert page.x0 <= legend.x0 <= legend.x1 <= page.x1
        assert legend.y0 >= page.y0


@pytest.mark.slow
def test_thirty_groups_fit() -> None:
    groups = make_comparison(9, 1).groups
    many = tuple(
        Group(f"{group.label}, width {number}", group.values, group.runs, {})
        for number, group in itertools.product(range(4), groups)
    )
    drawn = draw(replace(make_comparison(9, 1), groups=many), "rec_mse_curves", "time_breakdown", KEY_FIGURE)

    for figure in drawn.values():
        figure.canvas.draw()

    assert len(list_names(drawn["rec_mse_curves"])) == 36
    assert set(list_names(drawn["rec_mse_curves"])) <= set(list_names(drawn[KEY_FIGURE]))


def test_a_group_looks_the_same_in_every_figure() -> None:
    comparison = make_comparison(9, 3)
    styles = choose_colours(comparison.groups)

    for figure in draw(comparison, "rec_mse_curves", "all_val_curves", "tradeoff_scatter").values():
        (legend,) = figure.legends
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
    rows = tabulate(make_comparison(9, 3), KEY_FIGURE).to_records()
    stored = [row for row in rows if row["measure"] == "bits_per_token"]

    assert [row["bits"] for row in stored] == [7, 9, 11] * 3
    assert all(row["n_runs"] == 3 and row["rec_mse_sd"] > 0 for row in rows)
    assert [row["group"] for row in rows if row["is_on_front"]] == ["codebook_size 128, latent_dim 2"]


def test_groups_that_are_not_ranked_are_on_no_front_and_hollow() -> None:
    comparison = make_comparison(9, 3)
    first = comparison.groups[0].label
    verdict = replace(comparison.verdict, ranking=comparison.verdict.ranking[1:], unranked={first: "it can copy"})
    unranked = replace(comparison, verdict=verdict)

    rows = tabulate(unranked, KEY_FIGURE).to_records()
    figure = draw(unranked, KEY_FIGURE)[KEY_FIGURE]

    assert {row["remark"] for row in rows if row["group"] == first} == {"not ranked: it can copy"}
    assert [row["group"] for row in rows if row["is_on_front"]] == [
        "codebook_size 512, latent_dim 2",
        "codebook_size 128, latent_dim 8",
    ]
    assert "not ranked" in list_names(figure)
    assert "not ranked" not in list_names(draw(comparison, KEY_FIGURE)[KEY_FIGURE])


@pytest.mark.parametrize("n_on_front", [2, 3])
def test_a_front_is_drawn_through_three_groups_or_more(n_on_front: int) -> None:
    comparison = make_comparison(3, 1)
    rows = {
        run.name: {**comparison.rows[run.name], "bits_per_token": 9.0 - min(place, n_on_front - 1)}
        for place, run in enumerate(comparison.runs)
    }

    figure = draw(replace(comparison, rows=rows), KEY_FIGURE)[KEY_FIGURE]

    assert ("smallest error for its bits" in list_names(figure)) == (n_on_front == 3)


def test_each_group_is_named_at_its_point_without_touching_another_name() -> None:
    figure = draw(make_comparison(9, 3), KEY_FIGURE)[KEY_FIGURE]
    figure.canvas.draw()
    labels = list_labels(figure)
    # Without the line from a label to its point.
    boxes = [Text.get_window_extent(label) for label in labels]

    assert {label.get_text().replace("\n", " ") for label in labels} == {
        group.label for group in make_comparison(9, 3).groups
    }
    assert not any(first.overlaps(second) for first, second in itertools.combinations(boxes, 2))


def test_compressions_without_a_model_are_references_and_missing_ones_keep_their_remark() -> None:
    references = (Reference("kmeans", 7.0, 0.2), Reference("kmeans", 9.0, math.nan, "not fitted: too few tokens"))
    comparison = make_comparison(3, 1)

    (planned,) = plan_figures(comparison, [KEY_FIGURE], references)
    assert isinstance(planned.table, Table)
    rows = [row for row in planned.table.to_records() if row["is_reference"]]
    figure = draw(comparison, KEY_FIGURE, references=references)[KEY_FIGURE]

    assert [(row["group"], row["bits"], row["rec_mse"]) for row in rows] == [("k-means", 7, 0.2), ("k-means", 9, None)]
    assert rows[1]["remark"] == "not fitted: too few tokens"
    assert "k-means" in {label.get_text() for label in list_labels(figure)}
    assert [line.get_xdata().tolist() for line in figure.axes[0].get_lines() if line.get_marker() == "x"] == [[7.0]]


def test_perplexity_names_the_codebook_and_keeps_equal_values_apart() -> None:
    comparison = make_comparison(1, 3)
    sized = tuple(replace(run, config={"phase1.latent_space.codebook_size": 512}) for run in comparison.runs)
    comparison = replace(comparison, groups=(replace(comparison.groups[0], runs=sized),), runs=sized)

    axes = draw(comparison, "vq_perplexity_boxplot")["vq_perplexity_boxplot"].axes[0]
    points = next(line for line in axes.get_lines() if len(line.get_xdata()) == 3)

    assert "512 codes" in axes.get_xlabel()
    assert axes.get_xlim()[0] > 0.5 * min(points.get_xdata())
    assert len(set(points.get_ydata())) == 3


def test_time_to_threshold_is_blank_where_it_was_not_reached() -> None:
    times_s = {row[1]: row[4] for row in tabulate(make_comparison(9, 3), "time_to_threshold").rows}

    assert times_s["exp_x/000"] == pytest.approx(2.0)
    assert times_s["exp_x/026"] is None


def test_time_to_threshold_of_the_summary_counts() -> None:
    comparison = make_comparison(2, 1)
    rows = {name: {**row, "time_to_threshold_s": 7.0} for name, row in comparison.rows.items()}

    table = tabulate(replace(comparison, rows=rows), "time_to_threshold")

    assert [row[4] for row in table.rows] == [7.0, 7.0]


def test_time_of_a_run_is_split_without_losing_any() -> None:
    comparison = make_comparison(2, 2)
    table = tabulate(comparison, "time_breakdown")

    for run, row in zip(comparison.runs, table.rows, strict=True):
        assert sum(row[3:]) == pytest.approx(run.history.latest_value("total_time_s"))


def test_grid_holds_the_mean_over_seeds() -> None:
    comparison = make_comparison(9, 3)
    table = tabulate(comparison, "grid_best_rec_tokens")
    expected = np.mean([run.history.latest("val", "rec_tokens") for run in comparison.groups[4].runs])
    row = next(row for row in table.rows if row[:2] == (512, 8))

    assert row[2] == pytest.approx(expected)
    assert row[4] == 3


def test_difference_is_the_ratio_of_the_second_run_to_the_first() -> None:
    comparison = make_comparison(2, 1)
    table = tabulate(comparison, NEEDS_TWO_RUNS)
    first, second = (run.history.series("val", "rec_mse") for run in comparison.runs)

    assert [row[-1] for row in table.rows] == pytest.approx([b / a for a, b in zip(first, second, strict=True)])


def test_difference_names_both_runs_and_which_is_over_which() -> None:
    figure = draw(make_comparison(2, 1), NEEDS_TWO_RUNS)[NEEDS_TWO_RUNS]

    assert list_names(figure) == ["vq", "linear", "ratio: linear over vq"]


def test_two_seeds_of_one_group_are_named_by_their_seed() -> None:
    figure = draw(make_comparison(1, 2), NEEDS_TWO_RUNS)[NEEDS_TWO_RUNS]

    assert list_names(figure)[:2] == ["vq, seed 0", "vq, seed 1"]


def test_csv_reads_back_and_holds_no_formula() -> None:
    table = Table(("name", "value"), (("=cmd()", 0.1), ("a,b\n", None), ('"', math.pi)))

    rows = list(csv.reader(io.StringIO(format_csv(table.columns, table.rows))))

    assert rows == [["name", "value"], ["'=cmd()", "0.1"], ["a,b ", ""], ['"', repr(math.pi)]]
