"""A checkpoint alone gives the model back, and nothing but a checkpoint does."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from thesis_ml.architectures.autoencoder.bottlenecks import BOTTLENECKS
from thesis_ml.architectures.autoencoder.decoders import DECODERS
from thesis_ml.architectures.autoencoder.encoders import ENCODERS
from thesis_ml.architectures.build import build_model, parse_model
from thesis_ml.architectures.restore import _check_weights, restore_model
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import DataError
from thesis_ml.utils.checkpoints import load_checkpoint


def test_a_restored_model_reconstructs_as_it_did(finished_run) -> None:
    restored = restore_model(finished_run.path / "model.pt")
    data = load_tokens(DataConfig(limit_events=300, synthetic=SyntheticConfig()))
    (batch,) = iterate_batches(data.test, 300, generator=None)

    with torch.no_grad():
        output = restored.model.reconstruct(batch, torch.Generator())

    assert (output.features - batch.features).square().mean().item() == pytest.approx(
        finished_run.result["rec_mse"], rel=1e-5
    )
    assert restored.dims == data.dims
    assert restored.dataset_fingerprint == data.fingerprint
    assert not restored.model.training


def change(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of `content` with the entry at `path`, such as `dims.columns`, replaced."""
    changed = copy.deepcopy(content)
    *parents, last = path.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    place[last] = value
    return changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("checkpoint_version", 1, "has checkpoint_version 1; this version of thesis-ml reads 2"),
        ("checkpoint_version", torch.tensor([2, 2]), "has checkpoint_version Tensor; this version"),
        ("config", None, "config: is NoneType; expected a mapping"),
        ("config.phase1", [], "does not describe a model"),
        ("config.phase1.encoder.name", "os.system", "unknown name 'os.system'"),
        ("config.phase1.encoder.enc_hidden", [10**9], "enc_hidden"),
        (
            "config.phase1.encoder.enc_hidden",
            [10] * 100_000,
            "enc_hidden: must be a list of at most 100 entries, got one",
        ),
        ("config.phase1", None, "phase1: is NoneType; expected a mapping"),
        ("config.phase1.encoder.enc_hidden", [17], r"has shape \(16, 16\); the config says \(17, 16\)"),
        ("config.data.train_classes", "all", "does not describe a model"),
        ("normalizer", {"features": ["E"]}, "normaliser"),
        ("normalizer.features", ["pt", "E", "eta", "phi"], "normaliser|dims"),
        ("dims", {}, "does not describe a model"),
        ("dims.columns", ["a"] * 5, "dims: columns are"),
        ("dims.type_names", ["a"] * 10**6, "type_names"),
        ("dims.type_names", "jet", "does not describe a model"),
        ("dims.max_tokens", 10**12, "max_tokens"),
        ("dims.angle_columns", [0], "dims: angle_columns are"),
        ("dims.surprise", 1, "does not describe a model"),
        ("dims", None, "dims: is NoneType; expected a mapping"),
        ("model", {}, "is missing; the config differs"),
        ("model", 3, "model: is int; expected a mapping"),
        ("model.surprise", torch.ones(3), "'surprise' is unknown; the config differs"),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(finished_run, path: str, value: Any, message: str) -> None:
    file = finished_run.path / "best_val.pt"
    torch.save(change(load_checkpoint(file), path, value), file)

    with pytest.raises(DataError, match=message):
        restore_model(file)


def test_a_checkpoint_says_which_run_it_is_of(finished_run) -> None:
    restored = restore_model(finished_run.path / "best_val.pt")

    assert (restored.loop, restored.seed) == ("ae", 42)
    assert restored.metrics["rec_mse"] == finished_run.result["best_monitor"]


def test_the_model_of_a_loop_without_an_autoencoder_is_named(finished_run) -> None:
    file = finished_run.path / "best_val.pt"
    content = load_checkpoint(file)
    content["config"] = {"loop": "test_mlp", "general": {}}
    torch.save(content, file)

    with pytest.raises(
        DataError, match=r"loop is 'test_mlp', which trains no autoencoder; ae, gan_ae and diffusion_ae"
    ):
        restore_model(file)


def test_a_missing_config_is_named(finished_run) -> None:
    file = finished_run.path / "best_val.pt"
    content = load_checkpoint(file)
    del content["config"]
    torch.save(content, file)

    with pytest.raises(DataError, match=r"does not describe a model \(config: is missing; expected a mapping\)"):
        restore_model(file)


@pytest.mark.parametrize(
    ("change_weight", "message"),
    [
        (lambda weight: weight * torch.nan, "holds NaN or infinity; every weight must be finite"),
        (lambda weight: weight / 0, "holds NaN or infinity"),
        (lambda weight: weight[:1, :1].clone().expand(weight.shape), "has fewer numbers than its shapes say"),
        (lambda weight: weight.tolist(), "is list; expected a tensor"),
        (lambda weight: weight.long(), "holds int64; the config says float32"),
        (lambda weight: weight.bool(), "holds bool; the config says float32"),
        (lambda weight: weight.double(), "holds float64; the config says float32"),
        (lambda weight: weight.to(torch.complex64), "holds complex64; the config says float32"),
    ],
)
def test_weights_that_are_none_are_refused(finished_run, change_weight, message: str) -> None:
    file = finished_run.path / "best_val.pt"
    content = load_checkpoint(file)
    name = next(name for name, weight in content["model"].items() if weight.dim() == 2)
    content["model"][name] = change_weight(content["model"][name])
    torch.save(content, file)

    with pytest.raises(DataError, match=message):
        restore_model(file)


def test_a_model_larger_than_its_weights_is_never_built(finished_run, monkeypatch: pytest.MonkeyPatch) -> None:
    file = finished_run.path / "best_val.pt"
    torch.save(change(load_checkpoint(file), "config.phase1.encoder.enc_hidden", [4096] * 8), file)
    monkeypatch.setattr(Tensor, "uniform_", refuse_memory(Tensor.uniform_))

    with pytest.raises(DataError, match=r"the config differs|the config says"):
        restore_model(file)


def refuse_memory(fill: Any) -> Any:
    """Return `fill` for tensors that are small or take no memory."""

    def checked(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        assert tensor.is_meta or tensor.numel() < 10**6, "built before the weights were looked at"
        return fill(tensor, *args, **kwargs)

    return checked


@pytest.mark.parametrize(
    ("group", "name"),
    [
        *(("encoder", name) for name in ENCODERS),
        *(("decoder", name) for name in DECODERS),
        *(("latent_space", name) for name in BOTTLENECKS),
    ],
)
def test_every_component_can_be_compared_without_memory(dims, group: str, name: str) -> None:
    extra = {"latent_space": {"latent_dim": 4}, "fsq": {"levels": [5, 4, 3]}, "scalar": {"levels": [5, 4, 3]}}
    groups = {"encoder": {"name": "mlp"}, "decoder": {"name": "mlp"}, "loss": {"name": "mse"}}
    groups["latent_space"] = {"name": "linear", "latent_dim": 4}
    groups[group] = {"name": name, **extra.get(name, extra.get(group, {}))}
    if name == "identity":
        groups["latent_space"]["latent_dim"] = dims.n_features + (group == "decoder")
    config = parse_model(groups, "phase1")

    _check_weights(build_model(config, dims).state_dict(), config, dims)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"checkpoint_version": 2, "config": Trap()}, tmp_path / "model.pt")

    with pytest.raises(DataError, match=r"\(it holds more than tensors and plain values, such as code\)"):
        restore_model(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()
