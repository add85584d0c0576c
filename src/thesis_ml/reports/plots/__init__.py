"""The figures of a report: for each name a table of numbers, and the figure that is drawn from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.figure import Figure

from thesis_ml.config import choose
from thesis_ml.facts.schema import LOSS
from thesis_ml.facts.summary import REC_MSE
from thesis_ml.reports.comparison import Comparison, Group
from thesis_ml.reports.contents import GroupStyle, Reference, ResultFigure
from thesis_ml.reports.plots import codebook, compression, curves, difference, grids, pareto, scatter, times
from thesis_ml.reports.plots.style import choose_colours
from thesis_ml.reports.utils.table import MissingFigure, Table


@dataclass(frozen=True)
class FigureSpec:
    """One figure of a report.

    Args:
        title: What it shows, as its heading on the page.
        tabulate: Makes its numbers, or says why there are none.
        draw: Makes the figure from these numbers and the styles of the groups.
    """

    title: str
    tabulate: Callable[[Comparison], Table | MissingFigure]
    draw: Callable[[Table, Mapping[str, GroupStyle]], Figure]


KEY_FIGURE = "pareto_error_vs_compression"
"""The figure beside the scoreboard."""

NO_REC_MSE = "no run records rec_mse of the validation split"

FIGURES: Mapping[str, FigureSpec] = {
    "rec_mse_curves": FigureSpec(
        "Validation error per epoch, mean and standard deviation over seeds",
        curves.tabulate_curves("val", [REC_MSE], NO_REC_MSE),
        curves.draw_mean_curves([curves.REC_MSE_LABEL]),
    ),
    "val_mse_vs_time": FigureSpec(
        "Validation error against time", curves.tabulate_error_against_time, curves.draw_error_against_time
    ),
    "time_to_threshold": FigureSpec(
        "Time until the validation error reaches the threshold",
        times.tabulate_time_to_threshold,
        times.draw_time_to_threshold,
    ),
    KEY_FIGURE: FigureSpec(
        "Test error against bits per token, mean and standard deviation over seeds",
        compression.tabulate_compression,
        pareto.draw_compression,
    ),
    "throughput_vs_best_val": FigureSpec(
        "Best validation error against training speed",
        scatter.tabulate_throughput,
        scatter.draw_scatter("training speed [events/s]", "best rec_mse (val)"),
    ),
    "vq_perplexity_boxplot": FigureSpec(
        "Perplexity (effective number of codes) of every run", codebook.tabulate_perplexity, codebook.draw_perplexity
    ),
    "codebook_usage": FigureSpec(
        "Use of the codebook per epoch, mean and standard deviation over seeds",
        curves.tabulate_curves("val", ["perplexity", "usage"], codebook.NO_CODES),
        curves.draw_mean_curves(["perplexity (val)", "codes used (val) [%]"], scale=100.0),
    ),
    "tradeoff_scatter": FigureSpec(
        "Tokens against globals, at the best epoch",
        scatter.tabulate_tradeoff,
        scatter.draw_scatter("rec_tokens (val)", "rec_globals (val)"),
    ),
    "grid_best_val_loss": FigureSpec(
        "Validation loss at the best epoch; it holds weights and ranks nothing across objectives",
        grids.tabulate_grid(LOSS),
        grids.draw_grid("loss (val)"),
    ),
    "grid_best_rec_tokens": FigureSpec(
        "Loss of the tokens at the best epoch", grids.tabulate_grid("rec_tokens"), grids.draw_grid("rec_tokens (val)")
    ),
    "grid_best_rec_globals": FigureSpec(
        "Loss of the globals at the best epoch",
        grids.tabulate_grid("rec_globals"),
        grids.draw_grid("rec_globals (val)"),
    ),
    "all_val_curves": FigureSpec(
        "Validation loss of every run",
        curves.tabulate_curves("val", [LOSS], "no run has finished an epoch"),
        curves.draw_all_curves("loss (val)"),
    ),
    "all_train_curves": FigureSpec(
        "Training loss of every run",
        curves.tabulate_curves("train", [LOSS], "no run has finished an epoch"),
        curves.draw_all_curves("loss (train)"),
    ),
    "learning_rate": FigureSpec(
        "Learning rate at the end of every epoch",
        curves.tabulate_curves("train", ["lr"], "no run records a learning rate"),
        curves.draw_learning_rates,
    ),
    "time_breakdown": FigureSpec("Where the time went", times.tabulate_time_breakdown, times.draw_time_breakdown),
    "curve_difference": FigureSpec(
        "Difference of two runs per epoch", difference.tabulate_difference, difference.draw_difference
    ),
}
"""All figures by the name that `outputs.which_figures` gives them, in the order of the page."""


def choose_figures(names: Sequence[str] | None, where: str = "outputs.which_figures") -> tuple[str, ...]:
    """Return the names of the figures to draw, in the order of FIGURES; None means all.

    Raises:
        ConfigError: A name is unknown.
    """
    if names is None:
        return tuple(FIGURES)
    for name in names:
        choose(name, FIGURES, where)
    return tuple(name for name in FIGURES if name in names)


def plan_figures(
    comparison: Comparison, names: Iterable[str], references: Sequence[Reference] = ()
) -> tuple[ResultFigure, ...]:
    """Return the named figures with their numbers, or why they have none.

    Args:
        comparison: The runs.
        names: Of the figures.
        references: Compressions without a model, which stand beside the groups in the key figure.
    """
    specs = {name: FIGURES[name] for name in names}
    if KEY_FIGURE in specs:
        tabulate = partial(compression.tabulate_compression, references=references)
        specs[KEY_FIGURE] = replace(specs[KEY_FIGURE], tabulate=tabulate)
    return tuple(ResultFigure(name, spec.title, spec.tabulate(comparison), spec.draw) for name, spec in specs.items())


def draw_figures(figures: Iterable[ResultFigure], groups: Sequence[Group]) -> dict[str, Figure]:
    """Return the figures that have something to show, drawn in the styles of the groups, by name."""
    styles = choose_colours(groups)
    return {figure.name: figure.draw(figure.table, styles) for figure in figures if isinstance(figure.table, Table)}
