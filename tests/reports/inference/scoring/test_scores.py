"""Scores of events counted by hand, of events without tokens, and of events in other company."""

import math

import pytest
import torch

from thesis_ml.architectures.autoencoder.base import Latent, Reconstruction
from thesis_ml.data.batch import DataDims, TokenBatch, find_largest
from thesis_ml.reports.inference.scoring.scores import (
    estimate_log_shares,
    pool_latents,
    score_codes,
    score_errors,
)


def reconstruct(batch: TokenBatch, offsets: torch.Tensor) -> Reconstruction:
    return Reconstruction(batch.features + offsets[:, None], None, None, Latent(batch.features))


def test_errors_are_mean_largest_and_sum_over_the_tokens(token_batch: TokenBatch, dims: DataDims) -> None:
    offsets = torch.arange(float(token_batch.n_tokens))

    scores = score_errors(reconstruct(token_batch, offsets), token_batch, dims)

    squares = offsets.square().split(token_batch.lengths.tolist())
    assert scores["error_sum"].tolist() == pytest.approx([part.sum().item() for part in squares])
    assert scores["error_max"].tolist() == pytest.approx([4.0, 0.0, 64.0, 81.0, 121.0])
    assert scores["error_mean"][1] == 0


def test_pooled_latents_are_mean_largest_and_number() -> None:
    latents = torch.tensor([[1.0, -5.0], [3.0, -1.0], [2.0, 2.0]])

    pooled = pool_latents(latents, torch.tensor([2, 0, 1]))

    assert pooled.tolist() == [[2, -3, 3, -1, 2], [0, 0, 0, 0, 0], [2, 2, 2, 2, 1]]


def test_rare_codes_score_higher() -> None:
    shares = estimate_log_shares(torch.tensor([98, 2, 0]))

    scores = score_codes(torch.tensor([[0], [0], [1], [2]]), torch.tensor([2, 1, 0, 1]), [shares])

    assert scores["code_mean"][0] < scores["code_mean"][1] < scores["code_mean"][3]
    assert scores["code_sum"][0] == pytest.approx(2 * scores["code_mean"][0])
    assert scores["code_mean"][2] == 0
    assert shares.exp().sum() == pytest.approx(1)
    assert scores["code_mean"][3] == pytest.approx(-math.log(0.5 / 101.5))


def test_codes_of_several_quantisers_add_up() -> None:
    shares = [estimate_log_shares(torch.tensor([3, 1])), estimate_log_shares(torch.tensor([1, 1]))]

    both = score_codes(torch.tensor([[1, 0]]), torch.tensor([1]), shares)

    assert both["code_sum"].item() == pytest.approx(-(shares[0][1] + shares[1][0]).item())


def test_largest_of_negative_values_is_negative() -> None:
    assert find_largest(torch.tensor([[-3.0], [-2.0]]), torch.tensor([2])).item() == -2
