"""Which reconstructed token of an event stands for which true one, where their order says nothing."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]


def match_within_events(
    predicted: Array, true: Array, lengths: npt.NDArray[np.integer], angle_columns: Sequence[int], period: float
) -> npt.NDArray[np.int64]:
    """Return the order of the predicted tokens that has the least squared distance to the true ones, event by event.

    Args:
        predicted: Standardised features [P F] as encoded.
        true: The same from the data.
        lengths: Tokens of each event [B].
        angle_columns: Columns whose differences wrap.
        period: A full turn in the units of those columns.

    Returns:
        Numbers of tokens [P]: `predicted[order]` stands beside `true`. As it is where a number is not finite.
    """
    # Half a second that only runs with a set loss should wait for.
    from scipy.optimize import linear_sum_assignment

    order = np.arange(len(predicted), dtype=np.int64)
    if not np.isfinite(predicted).all():
        return order
    stops = np.cumsum(lengths)
    for start, stop in zip(stops - lengths, stops, strict=True):
        if stop - start > 1:
            differences = true[start:stop, None] - predicted[None, start:stop]
            for column in angle_columns:
                differences[..., column] -= period * np.round(differences[..., column] / period)
            order[start:stop] = start + linear_sum_assignment(np.square(differences).sum(axis=-1))[1]
    return order
