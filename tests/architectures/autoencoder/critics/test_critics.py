"""What holds for every critic: the score of an event depends on all of that event and on nothing else."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from thesis_ml.architectures.autoencoder.critics import CRITICS
from thesis_ml.architectures.autoencoder.critics.base import norm_per_event, normalise_angles, pair_events
from thesis_ml.config import to_plain
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.utils.paths import find_configs
from token_batches import draw_batch, join_batches, permute_tokens, replace_columns, reverse_within_events, take_event

EVENT, TOKEN = 2, 5
"""An event of 6 tokens, and the place in the batch of one of them."""


@pytest.fixture(params=sorted(CRITICS))
def critic(request: pytest.FixtureRequest, dims: DataDims) -> nn.Module:
    torch.manual_seed(0)
    return CRITICS[request.param](CRITICS[request.param].Config(), dims)


def find_changed(critic: nn.Module, batch: TokenBatch, other: TokenBatch) -> list[int]:
    return (critic(batch).scores != critic(other).scores).nonzero().flatten().tolist()


def test_critic_gives_each_event_a_score_and_a_state(critic: nn.Module, token_batch: TokenBatch) -> None:
    critique = critic(token_batch)

    assert critique.scores.shape == (5,)
    assert critique.states.shape == (5, 64)
    assert critique.scores.isfinite().all()


def test_critic_does_not_depend_on_the_order_of_tokens(critic: nn.Module, token_batch: TokenBatch) -> None:
    reversed_ = permute_tokens(token_batch, reverse_within_events(token_batch))

    torch.testing.assert_close(critic(reversed_).scores, critic(token_batch).scores, rtol=0, atol=1e-5)


@pytest.mark.parametrize("event", range(5))
def test_critic_ignores_batch_mates(
    critic: nn.Module, token_batch: TokenBatch, long_event: TokenBatch, event: int
) -> None:
    alone = critic(take_event(token_batch, event)).scores

    together, padded = critic(token_batch).scores, critic(join_batches(token_batch, long_event)).scores

    torch.testing.assert_close(together[event : event + 1], alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(padded[event : event + 1], alone, rtol=0, atol=1e-5)


def test_critic_sees_features_types_and_globals_of_the_event(
    critic: nn.Module, token_batch: TokenBatch, dims: DataDims
) -> None:
    moved = token_batch._replace(features=token_batch.features.clone())
    moved.features[TOKEN, 0] += 0.5
    retyped = token_batch._replace(types=token_batch.types.clone())
    retyped.types[TOKEN] = (retyped.types[TOKEN] + 1) % dims.n_types
    other = token_batch._replace(globals=token_batch.globals.clone())
    other.globals[EVENT] += 1

    assert find_changed(critic, token_batch, moved) == [EVENT]
    assert find_changed(critic, token_batch, retyped) == [EVENT]
    assert find_changed(critic, token_batch, other) == [EVENT]


@pytest.mark.parametrize("n_events", [0, 1, 3])
def test_critic_takes_a_batch_without_any_token(critic: nn.Module, dims: DataDims, n_events: int) -> None:
    scores = critic(draw_batch(torch.zeros(n_events, dtype=torch.int64), dims, seed=1)).scores

    assert scores.shape == (n_events,)
    assert scores.isfinite().all()


def test_critic_draws_no_random_number(critic: nn.Module, token_batch: TokenBatch) -> None:
    before = torch.get_rng_state()

    critic.train()(token_batch)

    assert torch.equal(torch.get_rng_state(), before)


def test_length_of_a_direction_does_not_reach_the_critic(
    critic: nn.Module, token_batch: TokenBatch, dims: DataDims
) -> None:
    pair = [dims.columns.index("cos_phi"), dims.columns.index("sin_phi")]
    features = token_batch.features.clone()
    features[:, pair] *= 2 / features[:, pair].norm(dim=1, keepdim=True)
    longer = features.clone()
    longer[:, pair] *= 1.5

    scores, others = (critic(token_batch._replace(features=part)).scores for part in (features, longer))

    torch.testing.assert_close(scores, others, rtol=0, atol=1e-5)


def test_angles_on_the_circle_stay_and_short_vectors_stay_short(dims: DataDims) -> None:
    pair = [dims.columns.index("cos_phi"), dims.columns.index("sin_phi")]
    features = torch.zeros(2, dims.n_features)
    features[:, pair[0]] = torch.tensor([math.sqrt(2), 0.1 * math.sqrt(2)])

    normalised = normalise_angles(features, dims)

    torch.testing.assert_close(normalised[0], features[0])
    torch.testing.assert_close(normalised[1], 2 * features[1])


def test_an_angle_of_one_column_is_wrapped(dims: DataDims) -> None:
    wrapped = replace_columns(dims, "log_pt", "phi")
    turn = wrapped.angle_period

    normalised = normalise_angles(torch.tensor([[5.0, 0.5], [5.0, turn + 0.5], [5.0, 0.75 - turn]]), wrapped)

    torch.testing.assert_close(normalised, torch.tensor([[5.0, 0.5], [5.0, 0.5], [5.0, 0.75]]))


def test_paired_events_are_judged_like_those_of_two_batches(critic: nn.Module, token_batch: TokenBatch) -> None:
    features = token_batch.features + 0.3

    both = critic(pair_events(token_batch, features)).scores

    torch.testing.assert_close(both[:5], critic(token_batch).scores, rtol=0, atol=1e-5)
    torch.testing.assert_close(both[5:], critic(token_batch._replace(features=features)).scores, rtol=0, atol=1e-5)


def test_norm_per_event_is_that_of_all_its_values_and_has_a_gradient_at_zero() -> None:
    values = torch.tensor([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]], requires_grad=True)

    norms = norm_per_event(values, torch.tensor([2, 0, 1]))
    norms.sum().backward()

    assert norms.tolist() == pytest.approx([5.0, 0.0, 0.0], abs=1e-5)
    torch.testing.assert_close(values.grad, torch.tensor([[0.6, 0.0], [0.0, 0.8], [0.0, 0.0]]))


@pytest.mark.parametrize("name", sorted(CRITICS))
def test_yaml_file_of_a_critic_lists_every_key_with_its_default(name: str) -> None:
    folder: Path = find_configs() / "phase1/critic"

    assert yaml.safe_load((folder / f"{name}.yaml").read_text(encoding="utf-8")) == to_plain(CRITICS[name].Config())
    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(CRITICS)
