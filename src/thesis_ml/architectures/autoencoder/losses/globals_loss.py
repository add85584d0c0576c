"""The loss on the globals of an event: MET and its direction."""

import torch
from jaxtyping import Float
from torch import Tensor


def globals_loss(
    predicted: Float[Tensor, "B 3"], true: Float[Tensor, "B 3"], log_met_scale: float
) -> Float[Tensor, " B"]:
    """Return the mean squared error of ln MET and of the unit vector of METphi, the latter weighted by MET.

    Args:
        predicted: log_met, cos_met_phi and sin_met_phi, standardised.
        true: The same from the data.
        log_met_scale: Standard deviation of ln MET that `log_met` was divided by.
    """
    squares = (predicted - true).square()
    # A direction matters as much as the vector is long; for a log-normal MET this weight averages to 1.
    weight = torch.exp(log_met_scale * true[:, 0] - log_met_scale**2 / 2)
    return (squares[:, 0] + weight * (squares[:, 1] + squares[:, 2])) / 3
