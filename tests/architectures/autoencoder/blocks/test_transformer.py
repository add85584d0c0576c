"""Attention in a padded view gives what attention of every event alone gives."""

import math

import pytest
import torch

from thesis_ml.architectures.autoencoder.blocks.dense_view import view_densely
from thesis_ml.architectures.autoencoder.blocks.transformer import AttentionBlock, AttentionConfig, Transformer

LENGTHS = torch.tensor([2, 0, 3, 1])
CONFIG = AttentionConfig(hidden_dim=8, n_heads=2, ff_hidden=4, n_layers=1)


def draw_tokens(width: int) -> torch.Tensor:
    return torch.randn(6, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("has_bias", [False, True])
def test_block_attends_within_events_only(has_bias: bool) -> None:
    torch.manual_seed(0)
    block, tokens = AttentionBlock(CONFIG), draw_tokens(8)
    bias = torch.randn(4, 2, 3, 3) if has_bias else None

    hidden = block(tokens, view_densely(LENGTHS), bias)

    start = 0
    for event, n_tokens in enumerate(LENGTHS.tolist()):
        mine = tokens[start : start + n_tokens]
        query, key, value = block.project_in(block.norm_attention(mine)).view(n_tokens, 3, 2, 4).unbind(1)
        scores = torch.einsum("ihc,jhc->hij", query, key) / math.sqrt(4)
        scores = scores if bias is None else scores + bias[event, :, :n_tokens, :n_tokens]
        seen = torch.einsum("hij,jhc->ihc", scores.softmax(dim=2), value).reshape(n_tokens, 8)
        mixed = mine + block.gate * block.project_out(seen)
        expected = mixed + block.dense(block.norm_dense(mixed))
        torch.testing.assert_close(hidden[start : start + n_tokens], expected, rtol=0, atol=1e-5)
        start += n_tokens


def test_transformer_with_closed_gates_looks_at_one_token_at_a_time() -> None:
    torch.manual_seed(0)
    transformer, tokens = Transformer(5, CONFIG), draw_tokens(5)
    torch.nn.init.zeros_(transformer.blocks[0].gate)

    together, alone = transformer(tokens, LENGTHS), transformer(tokens, torch.ones(6, dtype=torch.long))

    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
