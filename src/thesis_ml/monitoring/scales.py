"""Logarithmic axes with ticks that are read as plain numbers."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

MAX_SPAN_OF_PLAIN_TICKS = 50.0
PLAIN_TICKS = (0.001, 10_000.0)
LOG_MARGIN = 1.05


def use_log_scale_if_wide(axes: Axes) -> None:
    """Make the y axis logarithmic when all values drawn are positive and span more than one decade."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()])
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 10 * finite.min():
        set_log_scale(axes, float(finite.max() / finite.min()))


def use_log_scale(axes: Axes) -> None:
    """Make the y axis logarithmic in every run alike, from one of 1, 2 or 5 times a power of ten to another.

    Without a positive value it stays linear.
    """
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()])
    known = values[np.isfinite(values) & (values > 0)]
    if len(known):
        low, high = _round_down(float(known.min()) / LOG_MARGIN), _round_up(float(known.max()) * LOG_MARGIN)
        set_log_scale(axes, high / low)
        axes.set_ylim(low, high)


def _round_down(value: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is at most `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(factor * power for factor in (1.0, 2.0, 5.0) if factor == 1.0 or factor * power <= value)


def _round_up(value: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is at least `value`."""
    power = 10.0 ** math.floor(math.log10(value))
    return min(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor == 10.0 or factor * power >= value)


def set_log_scale(axes: Axes, span: float) -> None:
    """Make the y axis logarithmic, with plain numbers at 1, 2 and 5 where there is room for them.

    Args:
        axes: The panel.
        span: Largest over smallest value drawn.
    """
    axes.set_yscale("log")
    _set_plain_ticks(axes.yaxis, has_room=span < MAX_SPAN_OF_PLAIN_TICKS)


def set_log_x_scale(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers at 1, 2 and 5: a panel is wide enough for two decades of them."""
    axes.set_xscale("log")
    _set_plain_ticks(axes.xaxis, has_room=True)


def _set_plain_ticks(axis: Axis, *, has_room: bool) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if has_room else (1.0,)))
    # Minor ticks would take half of the time of a figure.
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_format_tick))


def _format_tick(value: float, _position: int | None) -> str:
    """Return numbers such as 0.02 or 500 unchanged, and very small or large ones as a power of ten."""
    if PLAIN_TICKS[0] <= value <= PLAIN_TICKS[1]:
        return f"{value:g}"
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = round(value / 10**exponent)
    return rf"$10^{{{exponent}}}$" if factor == 1 else rf"${factor}\cdot 10^{{{exponent}}}$"
