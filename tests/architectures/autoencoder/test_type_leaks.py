"""No true type reaches a decoder but through the latents: a type head learns nothing where they carry nothing.

Where all latents are one code, the type head is right as often as the largest class is common, however hard it is
trained. A decoder that were given the type on any other way would tell them apart, as it does where the latents may
hold the type. And where the type head shapes no latent (`types_beta` so small that only the optimiser's own scaling
moves the head, which makes it a read-out of a model with `types_beta` 0), they hold next to nothing of it.
"""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.data.batch import DataDims, TokenBatch
from token_batches import draw_batch, permute_tokens

SHARE_OF_THE_LARGEST = 0.6
READ_OUT_BETA = 1e-4
N_STEPS = 50


def build(dims: DataDims, encoder: str, decoder: str, **latent_space: Any) -> Autoencoder:
    groups = {
        "encoder": {"name": encoder},
        "decoder": {"name": decoder},
        "latent_space": latent_space,
        "loss": {"name": "mse"},
    }
    torch.manual_seed(0)
    return build_model(parse_model(groups, "phase1"), dims)


@pytest.fixture
def events(dims: DataDims) -> TokenBatch:
    """Events whose types follow from nothing else; six in ten tokens have type 0."""
    batch = draw_batch(1 + torch.arange(60) % 9, dims, seed=4)
    generator = torch.Generator().manual_seed(5)
    is_largest = torch.rand(batch.n_tokens, generator=generator) < SHARE_OF_THE_LARGEST
    others = torch.randint(1, dims.n_types, (batch.n_tokens,), generator=generator)
    return batch._replace(types=torch.where(is_largest, 0, others))


def train_types(model: nn.Module, batch: TokenBatch, types_beta: float) -> float:
    """Return the accuracy of the type head after training on a batch, on which it may even overfit."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(N_STEPS):
        output = model(batch)
        loss = functional.mse_loss(output.features, batch.features)
        loss = loss + types_beta * functional.cross_entropy(output.type_logits, batch.types)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return float((model(batch).type_logits.argmax(dim=1) == batch.types).float().mean())


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
@pytest.mark.parametrize("decoder", sorted(DECODERS))
def test_one_code_for_all_tells_a_decoder_nothing(
    encoder: str, decoder: str, dims: DataDims, events: TokenBatch
) -> None:
    model = build(dims, encoder, decoder, name="vq", latent_dim=4, codebook_size=1)
    model(events)
    other = permute_tokens(events, torch.randperm(events.n_tokens, generator=torch.Generator().manual_seed(0)))

    first, second = model.eval()(events), model(other._replace(types=(events.types + 1) % dims.n_types))

    torch.testing.assert_close(first.type_logits, second.type_logits, rtol=0, atol=1e-6)
    torch.testing.assert_close(first.features, second.features, rtol=0, atol=1e-6)


@pytest.mark.parametrize("decoder", sorted(DECODERS))
@pytest.mark.parametrize(
    ("latent_space", "types_beta", "is_learned"),
    [
        ({"name": "vq", "codebook_size": 1, "latent_dim": 4}, 1.0, False),
        ({"name": "none", "latent_dim": 8}, READ_OUT_BETA, False),
        ({"name": "none", "latent_dim": 8}, 1.0, True),
    ],
)
def test_type_head_is_right_beyond_the_largest_class_only_where_latents_hold_the_type(
    decoder: str, latent_space: dict, types_beta: float, is_learned: bool, dims: DataDims, events: TokenBatch
) -> None:
    model = build(dims, "mlp", decoder, **latent_space)

    accuracy = train_types(model, events, types_beta)

    largest = float((events.types == 0).float().mean())
    assert accuracy > 0.95 if is_learned else accuracy < largest + 0.05
