"""The figures and the page of a report: the one place where a comparison becomes something to look at."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from matplotlib.figure import Figure

from thesis_ml.config import choose
from thesis_ml.reports.comparison import Cell, Comparison

FIGURE_NAMES = (
    "val_mse_vs_time",
    "pareto_error_vs_compression",
    "vq_perplexity_boxplot",
    "throughput_vs_best_val",
    "tradeoff_scatter",
    "grid_best_val_loss",
    "grid_best_rec_tokens",
    "grid_best_rec_globals",
    "all_val_curves",
    "all_train_curves",
)


class Drawn(Protocol):
    """A figure and the numbers that it was drawn from."""

    @property
    def name(self) -> str: ...

    @property
    def figure(self) -> Figure: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> Sequence[tuple[Cell, ...]]: ...


@dataclass(frozen=True, eq=False)
class Presentation:
    """What a reader looks at: figures, and the page that holds them."""

    figures: Sequence[Drawn]
    page: str


def choose_figures(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the figures to draw; None means all.

    Raises:
        ConfigError: A name is unknown.
    """
    for name in names or ():
        choose(name, dict.fromkeys(FIGURE_NAMES), "outputs.which_figures")
    return tuple(name for name in FIGURE_NAMES if names is None or name in names)


def present(comparison: Comparison, which: Sequence[str] | None, about: Mapping[str, str]) -> Presentation:
    """Draw the figures of a comparison and build its page.

    Args:
        comparison: What is shown.
        which: Names of figures; None means all that have something to show.
        about: What the page says of the report itself, by label.
    """
    choose_figures(which)
    lines = [*comparison.verdict.banners, *comparison.verdict.sentences]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    head = "".join(f"<p>{html.escape(label)}: {html.escape(text)}</p>" for label, text in about.items())
    title = html.escape(comparison.report_name)
    page = f'<!doctype html><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{head}<ul>{items}</ul>\n'
    return Presentation((), page)
