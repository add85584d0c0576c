"""The padded view of the tokens of a batch."""

import torch

from thesis_ml.architectures.autoencoder.blocks.dense_view import view_densely

LENGTHS = torch.tensor([2, 0, 3, 1])


def test_dense_view_pads_with_zeros_and_gives_the_tokens_back() -> None:
    tokens, view = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), view_densely(LENGTHS)

    padded = view.pad(tokens)

    assert padded.shape == (4, 3, 2)
    assert torch.equal(padded[2], tokens[2:5])
    assert not padded[0, 2].any() and not padded[1].any() and not padded[3, 1:].any()
    assert torch.equal(view.unpad(padded), tokens)


def test_an_event_without_tokens_still_has_a_place_to_attend_to() -> None:
    assert view_densely(LENGTHS).is_token.sum(dim=1).tolist() == [2, 1, 3, 1]
