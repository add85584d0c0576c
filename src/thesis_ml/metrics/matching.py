"""Match the reconstructed tokens of an event to the true ones, where their order has no meaning."""

from collections.abc import Sequence

import numpy as np

from thesis_ml.utils.arrays import NDArray

Array = NDArray[np.floating]

BLOCK = 256
"""Number of events with distances in memory at the same time."""


def match_within_events(
    predicted: Array, true: Array, lengths: NDArray[np.integer], angle_columns: Sequence[int], period: float
) -> NDArray[np.int64]:
    """Return the order of the predicted tokens with the least squared distance to the true ones, event by event.

    Args:
        predicted: Standardised features [P F] as encoded.
        true: The same from the data.
        lengths: Tokens of each event [B].
        angle_columns: Columns whose differences wrap.
        period: A full turn in the units of those columns.

    Returns:
        Indices of tokens [P]: `predicted[order]` matches `true`. The order is unchanged where a number is not finite.
    """
    # The import takes half a second, which only runs with a set loss need.
    from scipy.optimize import linear_sum_assignment

    order = np.arange(len(predicted), dtype=np.int64)
    if not np.isfinite(predicted).all():
        return order
    starts = np.cumsum(lengths) - lengths
    for first in range(0, len(lengths), BLOCK):
        block = slice(first, first + BLOCK)
        costs = _measure_distances(predicted, true, starts[block], lengths[block], angle_columns, period)
        for cost, start, length in zip(costs, starts[block], lengths[block], strict=True):
            if length > 1:
                order[start : start + length] = start + linear_sum_assignment(cost[:length, :length])[1]
    return order


def _measure_distances(
    predicted: Array,
    true: Array,
    starts: NDArray[np.integer],
    lengths: NDArray[np.integer],
    angle_columns: Sequence[int],
    period: float,
) -> Array:
    """Return the squared distance of each true (row) to each predicted token [B T T], arbitrary in padded slots."""
    places = starts[:, None] + np.arange(lengths.max(initial=0))
    places = np.minimum(places, max(len(true) - 1, 0))
    distances = np.zeros((*places.shape, places.shape[1]), dtype=true.dtype)
    if len(true):
        for column in range(true.shape[1]):
            difference = true[places, column][:, :, None] - predicted[places, column][:, None, :]
            if column in angle_columns:
                difference -= period * np.round(difference / period)
            distances += np.square(difference)
    return distances
