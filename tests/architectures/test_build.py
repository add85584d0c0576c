"""From groups of keys to components, and the warning of a bottleneck that copies."""

from typing import Any

import pytest
import torch

from thesis_ml.architectures.build import build_loss, build_model, describe_copying, parse_model
from thesis_ml.data.batch import DataDims
from thesis_ml.errors import ConfigError

NAMES = {"encoder": "mlp", "decoder": "mlp", "latent_space": "linear", "loss": "huber"}


def make_groups(**changes: Any) -> dict[str, Any]:
    return {**{group: {"name": name} for group, name in NAMES.items()}, **changes}


def test_parse_model_chooses_components_by_name() -> None:
    config = parse_model(make_groups(), "phase1")

    assert {group: getattr(config, group).name for group in NAMES} == NAMES


@pytest.mark.parametrize("group", sorted(NAMES))
def test_parse_model_names_an_unknown_component(group: str) -> None:
    with pytest.raises(ConfigError, match=rf"^phase1\.{group}\.name: unknown name 'perceiver'; available: "):
        parse_model(make_groups(**{group: {"name": "perceiver"}}), "phase1")


@pytest.mark.parametrize("group", sorted(NAMES))
def test_parse_model_names_a_missing_group(group: str) -> None:
    groups = make_groups()
    del groups[group]

    with pytest.raises(ConfigError, match=rf"^phase1\.{group}\.name: missing; available: "):
        parse_model(groups, "phase1")


def test_parse_model_names_a_key_in_full() -> None:
    with pytest.raises(ConfigError, match=r"^phase1\.encoder\.enc_hiden: unknown key; .*did you mean 'enc_hidden'"):
        parse_model(make_groups(encoder={"name": "mlp", "enc_hiden": [8]}), "phase1")


def test_parse_model_names_a_value_out_of_range_in_full() -> None:
    with pytest.raises(ConfigError, match=r"^phase1\.decoder\.dec_hidden\[0\]: must be between 1 and 16384, got 0$"):
        parse_model(make_groups(decoder={"name": "mlp", "dec_hidden": [0]}), "phase1")


def test_build_model_starts_from_the_seed(dims: DataDims) -> None:
    config = parse_model(make_groups(), "phase1")
    torch.manual_seed(3)
    first = build_model(config, dims).state_dict()
    torch.manual_seed(3)
    again = build_model(config, dims).state_dict()

    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_build_loss_names_a_feature_that_the_data_lacks(dims: DataDims) -> None:
    config = parse_model(make_groups(loss={"name": "mse", "weights": {"E": 1.0}}), "phase1")

    with pytest.raises(ConfigError, match=r"^phase1\.loss\.weights\.E: unknown feature; available: pt, eta, phi, mass"):
        build_loss(config, dims)


@pytest.mark.parametrize(
    ("name", "latent_dim", "is_warned_of"),
    [
        ("none", 4, True),
        ("none", 32, True),
        ("none", 3, False),
        ("linear", 4, True),
        ("linear", 3, False),
        ("vq", 32, False),
    ],
)
def test_a_bottleneck_as_wide_as_a_token_is_warned_of(name: str, latent_dim: int, is_warned_of: bool) -> None:
    config = parse_model(make_groups(latent_space={"name": name, "latent_dim": latent_dim}), "phase1")

    assert (describe_copying(config, n_features=4) is not None) == is_warned_of
