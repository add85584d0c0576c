"""Labels written at their points, where they cover neither each other nor the points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from thesis_ml.monitoring import io_utils
from thesis_ml.reports.plots import style
from thesis_ml.utils.arrays import NDArray

SIZE = io_utils.FONT_SIZE - 1
LINE_IN = 0.125
"""Height of a line of a label."""

THIN_IN = 0.02
MARK_IN = 0.05
"""From the middle of a marker to its edge."""

DISTANCES_IN = (0.07, 0.13, 0.2, 0.28, 0.38, 0.5)
"""From a point to its label, the nearest that is free first."""

DIRECTIONS = tuple((math.cos(turn), math.sin(turn)) for turn in np.arange(16) * math.tau / 16)
FAR_IN = 0.2
"""Labels further away have a line to their point."""

ROUNDS = 4
OUTSIDE_COST, TOUCH_COST = 50.0, 0.02


Extents = NDArray[np.float64]
"""Boxes as rows of x0, y0, x1, y1, in inches."""


@dataclass(frozen=True)
class PointLabel:
    """A text beside a point.

    Args:
        text: What is written, possibly on several lines.
        place: The point in units of the axes' data.
        errors: Half lengths of its error bars along x and y, in the same units.
        colour: Of the text.
    """

    text: str
    place: tuple[float, float]
    errors: tuple[float, float]
    colour: str


def write_labels(axes: Axes, labels: Sequence[PointLabel], *, others: Sequence[tuple[float, float]] = ()) -> None:
    """Write each label where it covers least; the limits and scales of the axes have to be final.

    Args:
        axes: The panel.
        labels: The labels.
        others: Further points that labels shall not cover, in units of the data.
    """
    marks = [box for label in labels for box in _list_marks(axes, label)]
    marks += [_box_around(_find_inches(axes, place), THIN_IN) for place in others]
    panel, points = _find_panel(axes), [_find_inches(axes, label.place) for label in labels]
    boxes: dict[int, Bbox] = {}
    # The first labels take the best places; later rounds let each make room for the others.
    for place, label in list(enumerate(labels)) * ROUNDS:
        rest = [box for other, box in boxes.items() if other != place]
        boxes[place] = _find_free(points[place], label.text, [*marks, *rest, *rest], panel)
    for place, label in enumerate(labels):
        _write(axes, label, boxes[place])


def _write(axes: Axes, label: PointLabel, box: Bbox) -> None:
    figure = axes.get_figure(root=True)
    assert figure is not None
    start = _find_inches(axes, label.place)
    nearest = (float(np.clip(start[0], box.x0, box.x1)), float(np.clip(start[1], box.y0, box.y1)))
    is_far = math.dist(start, nearest) > FAR_IN
    line = {"arrowstyle": "-", "color": label.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    axes.annotate(
        label.text,
        label.place,
        xytext=((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2),
        textcoords=figure.dpi_scale_trans,
        ha="center",
        va="center",
        multialignment="left",
        fontsize=SIZE,
        color=label.colour,
        linespacing=1.0,
        arrowprops=line if is_far else None,
        zorder=5,
    )


def _find_free(point: NDArray[np.float64], text: str, taken: Sequence[Bbox], panel: Bbox) -> Bbox:
    """Return the place of a text near a point that overlaps the least with what is there, the nearest of those."""
    width, height = style.measure_text(text, SIZE) + 0.02, LINE_IN * (1 + text.count("\n"))
    half = np.array([width, height]) / 2
    distances, turns = np.repeat(DISTANCES_IN, len(DIRECTIONS)), np.tile(DIRECTIONS, (len(DISTANCES_IN), 1))
    middles = point + turns * (distances[:, None] + half)
    boxes = np.concatenate((middles - half, middles + half), axis=1)
    ranks = np.repeat(np.arange(len(DISTANCES_IN)), len(DIRECTIONS))
    best = int(np.argmin(_measure_costs(boxes, np.array([box.extents for box in taken]), panel) + 1e-3 * ranks))
    return Bbox.from_extents(*boxes[best])


def _measure_costs(boxes: Extents, taken: Extents, panel: Bbox) -> NDArray[np.float64]:
    """Return for each box the covered area with TOUCH_COST for each thing covered, and what sticks out, dearly."""
    covered, touches = _intersect(boxes, taken)
    inside, _ = _intersect(boxes, np.array([panel.extents]))
    outside = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) - inside[:, 0]
    costs: NDArray[np.float64] = OUTSIDE_COST * outside + (covered + TOUCH_COST * touches).sum(axis=1)
    return costs


def _intersect(boxes: Extents, others: Extents) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the common area of each box with each other one, and whether they touch."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    touches: NDArray[np.bool_] = np.all(high >= low, axis=2)
    return np.where(touches, np.prod(high - low, axis=2), 0.0), touches


def _list_marks(axes: Axes, label: PointLabel) -> list[Bbox]:
    """Return the boxes of a marker and of its error bars."""
    (x, y), (x_error, y_error) = label.place, label.errors
    middle = _find_inches(axes, label.place)
    low, high = axes.get_xlim()[0], axes.get_ylim()[0]
    left, right = (_find_inches(axes, (max(x + step, low), y))[0] for step in (-x_error, x_error))
    bottom, top = (_find_inches(axes, (x, max(y + step, high)))[1] for step in (-y_error, y_error))
    return [
        _box_around(middle, MARK_IN),
        Bbox.from_extents(left, middle[1] - THIN_IN, right, middle[1] + THIN_IN),
        Bbox.from_extents(middle[0] - THIN_IN, bottom, middle[0] + THIN_IN, top),
    ]


def _find_inches(axes: Axes, place: tuple[float, float]) -> NDArray[np.float64]:
    figure = axes.get_figure(root=True)
    assert figure is not None
    return np.asarray(axes.transData.transform(place), dtype=np.float64) / figure.dpi


def _find_panel(axes: Axes) -> Bbox:
    figure = axes.get_figure(root=True)
    assert figure is not None
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    edge = 0.03
    return Bbox.from_extents(
        box.x0 * width + edge, box.y0 * height + edge, box.x1 * width - edge, box.y1 * height - edge
    )


def _box_around(middle: NDArray[np.float64], half: NDArray[np.float64] | float) -> Bbox:
    """Return the box around a point with half its width and height."""
    return Bbox(np.stack((middle - half, middle + half)))
