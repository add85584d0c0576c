"""A padded view of the tokens of a batch, for modules that work on all pairs of an event at once."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class DenseView(NamedTuple):
    """The places of tokens in a tensor [B T ...]; T is the longest event of this batch, at least 1.

    Args:
        slots: Place of each token in [B * T].
        is_token: Whether a place holds a token; an event without any counts its first place, so that
            no softmax is empty.
    """

    slots: Int[Tensor, " P"]
    is_token: Bool[Tensor, "B T"]

    def pad(self, tokens: Float[Tensor, "P C"]) -> Float[Tensor, "B T C"]:
        """Return the tokens in their places, 0 elsewhere."""
        n_events, longest = self.is_token.shape
        places = tokens.new_zeros(n_events * longest, tokens.shape[1])
        return places.index_copy_(0, self.slots, tokens).view(n_events, longest, tokens.shape[1])

    def unpad(self, places: Float[Tensor, "B T C"]) -> Float[Tensor, "P C"]:
        """Return the tokens back to back."""
        return places.flatten(0, 1).index_select(0, self.slots)


def view_densely(lengths: Int[Tensor, " B"]) -> DenseView:
    """Return the dense view of a batch of events of these lengths."""
    n_events = lengths.shape[0]
    longest = max(int(lengths.max()) if n_events else 0, 1)
    events = torch.repeat_interleave(torch.arange(n_events, device=lengths.device), lengths)
    first_token = torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
    ranks = torch.arange(events.shape[0], device=lengths.device) - first_token
    places = torch.arange(longest, device=lengths.device)
    return DenseView(events * longest + ranks, places < lengths.clamp(min=1).unsqueeze(1))
