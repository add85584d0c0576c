"""Figures of epochs take at most 2% of a run's time so far."""

import sys

import pytest
from matplotlib import figure

from thesis_ml.monitoring.budget import CAUTION, DRAWING_SHARE, IMPORT_S, NEW_FIGURE_S, DrawingBudget


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("epoch_s", "figure_s"), [(2.0, 0.06), (10.0, 0.06), (1.0, 0.5), (120.0, 0.3)])
def test_figures_of_epochs_stay_within_their_share(epoch_s: float, figure_s: float) -> None:
    clock = Clock()
    budget = DrawingBudget(("losses", "recon"), clock=clock)
    n_drawn, shares = 0, []

    for epoch in range(500):
        clock.now_s += epoch_s
        if budget.allows(epoch):
            n_drawn += 1
            for family in ("losses", "recon"):
                with budget.measure(family):
                    clock.now_s += figure_s
        shares.append(budget.spent_s / (clock.now_s - 100.0))

    # Only the first figures may cost more than was expected of them.
    first_excess_s = 2 * max(figure_s - NEW_FIGURE_S, 0)
    assert n_drawn >= 3
    assert budget.spent_s == pytest.approx(2 * figure_s * n_drawn)
    assert max(shares) <= DRAWING_SHARE + first_excess_s / epoch_s
    assert shares[-1] <= DRAWING_SHARE


def test_figures_that_become_slower_stay_within_their_share() -> None:
    clock = Clock()
    budget = DrawingBudget(("losses",), clock=clock)
    figure_s = 0.2

    for epoch in range(2000):
        clock.now_s += 1.0
        if budget.allows(epoch):
            with budget.measure("losses"):
                clock.now_s += figure_s
            figure_s *= 1.2

    assert figure_s > 1
    assert budget.spent_s / (clock.now_s - 100.0) <= DRAWING_SHARE


def test_figures_of_one_epoch_are_drawn_all_or_none() -> None:
    clock = Clock()
    budget = DrawingBudget(("losses", "recon"), clock=clock)
    clock.now_s += 2 * (IMPORT_S + CAUTION * NEW_FIGURE_S) / DRAWING_SHARE

    assert budget.allows(1)
    with budget.measure("losses"):
        clock.now_s += 1e6
    assert budget.allows(1)
    assert not budget.allows(2)


def test_time_of_a_figure_that_failed_counts() -> None:
    clock = Clock()
    budget = DrawingBudget(("losses",), clock=clock)

    with pytest.raises(ZeroDivisionError), budget.measure("losses"):
        clock.now_s += 3.0
        raise ZeroDivisionError

    assert budget.spent_s == pytest.approx(3.0)


def test_first_figure_waits_until_the_import_of_matplotlib_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, figure.__name__)
    clock = Clock()
    budget = DrawingBudget(("losses",), clock=clock)

    clock.now_s += 0.99 * (IMPORT_S + CAUTION * NEW_FIGURE_S) / DRAWING_SHARE
    assert not budget.allows(1)
    clock.now_s += 0.02 * (IMPORT_S + CAUTION * NEW_FIGURE_S) / DRAWING_SHARE
    assert budget.allows(2)
