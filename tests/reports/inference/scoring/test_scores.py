"""Scores of events counted by hand, of events without tokens, and of events in other company."""

import math

import numpy as np
import pytest
import torch

from stored_events import make_events
from thesis_ml.architectures.autoencoder.base import Latent, Reconstruction
from thesis_ml.data.batch import DataDims, TokenBatch, find_largest
from thesis_ml.data.events import order_tokens
from thesis_ml.reports.inference.scoring.scores import (
    compute_baselines,
    estimate_log_shares,
    pool_latents,
    score_codes,
    score_errors,
    summarise_events,
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


def test_baselines_and_summaries_do_not_know_the_order_of_tokens() -> None:
    events = make_events()
    order = np.lexsort((events.features["pt"], events.token_events))
    sorted_events = order_tokens(events, order)

    for name, values in compute_baselines(events).items():
        np.testing.assert_allclose(compute_baselines(sorted_events)[name], values, err_msg=name)
    np.testing.assert_allclose(summarise_events(sorted_events, 3), summarise_events(events, 3))
    assert np.isfinite(summarise_events(events, 3)).all()
    assert (summarise_events(events, 3)[:, -3:].sum(axis=1) == events.lengths).all()
