"""Every encoder, latent space, decoder and loss that configs/phase1 offers fits every other."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.autoencoder.losses import LOSSES
from thesis_ml.architectures.build import build_loss, build_model, parse_model
from thesis_ml.config import to_plain
from thesis_ml.data.batch import DataDims, TokenBatch
from thesis_ml.utils.paths import find_configs

GROUPS = {"encoder": ENCODERS, "latent_space": BOTTLENECKS, "decoder": DECODERS, "loss": LOSSES}


NARROW = ("identity", "scalar")
"""Options that fit only latents of the features themselves: tests/architectures/autoencoder/test_scalar_codes.py."""


def list_options(group: str) -> list[str]:
    """Return the options of a group that fit all others."""
    names = sorted(path.stem for path in (find_configs() / "phase1" / group).glob("*.yaml"))
    return [name for name in names if name not in NARROW]


def read_option(group: str, name: str) -> dict[str, Any]:
    """Return the keys of an option, those that it inherits from others of its group included."""
    path: Path = find_configs() / "phase1" / group / f"{name}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    parents = [parent for parent in values.pop("defaults", []) if parent != "_self_"]
    inherited = [read_option(group, parent) for parent in parents]
    return {key: value for part in (*inherited, values) for key, value in part.items()}


@pytest.mark.parametrize("loss", list_options("loss"))
@pytest.mark.parametrize("decoder", list_options("decoder"))
@pytest.mark.parametrize("latent_space", list_options("latent_space"))
@pytest.mark.parametrize("encoder", list_options("encoder"))
def test_components_fit_each_other(
    dims: DataDims, token_batch: TokenBatch, encoder: str, latent_space: str, decoder: str, loss: str
) -> None:
    names = {"encoder": encoder, "latent_space": latent_space, "decoder": decoder, "loss": loss}
    config = parse_model({group: read_option(group, name) for group, name in names.items()}, "phase1")
    torch.manual_seed(0)

    output = build_model(config, dims)(token_batch)
    losses = build_loss(config, dims)(output.features, token_batch.features, token_batch.lengths)

    assert output.latent.values.shape == (token_batch.n_tokens, config.latent_space.latent_dim)
    assert output.globals.isfinite().all()
    assert losses.shape == (token_batch.n_tokens,)
    assert losses.isfinite().all()


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_component_has_a_yaml_file(group: str) -> None:
    assert list_options(group) == sorted(set(GROUPS[group]) - set(NARROW))


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in list_options(group)])
def test_yaml_file_lists_every_key_with_its_default(group: str, name: str) -> None:
    values = read_option(group, name)

    assert values == to_plain(GROUPS[group][name].Config())
