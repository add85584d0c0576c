"""One row per event from the rows of its tokens."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from thesis_ml.data.batch import sum_over_events


def pool_events(hidden: Float[Tensor, "P H"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B H+1"]:
    """Return the mean over the tokens of every event and ln(1 + N): a mean alone forgets how many there were."""
    n_tokens = lengths.to(torch.float32).unsqueeze(1)
    mean = sum_over_events(hidden.float(), lengths) / n_tokens.clamp(min=1)
    return torch.cat((mean, torch.log1p(n_tokens)), dim=1)
