"""Rebuild a model from its checkpoint alone; the file is checked, because anybody may have written it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thesis_ml.architectures.autoencoder.base import Autoencoder
from thesis_ml.architectures.build import ModelConfig, build_model, parse_model
from thesis_ml.config import parse_config
from thesis_ml.data.batch import DataDims
from thesis_ml.data.config import EARLIER_DEFAULTS, DataConfig
from thesis_ml.data.normalizer import Normalizer
from thesis_ml.errors import ConfigError, DataError
from thesis_ml.utils.checkpoints import CHECKPOINT_VERSION, load_checkpoint


@dataclass(frozen=True)
class RestoredModel:
    """A trained model with the meaning of its input and output.

    Args:
        model: The model with its best weights, in evaluation mode, on the CPU.
        config: Its parsed components.
        dims: The sizes and names of its data, object types among them.
        train_classes: Classes that it was trained on; None: all that its data had.
        dataset_fingerprint: The data that it was trained on.
        code_version: The version of thesis-ml that wrote it.
        epoch: The epoch of its weights.
        data: The options of its data; the path in it is where the data was then.
        loop: The loop that trained it.
        seed: The seed of that run.
        metrics: The numbers of its weights on the validation split.
    """

    model: Autoencoder
    config: ModelConfig
    dims: DataDims
    train_classes: tuple[int, ...] | None
    dataset_fingerprint: str | None
    code_version: str | None
    epoch: int | None
    data: DataConfig
    loop: str | None = None
    seed: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def normalizer(self) -> Normalizer:
        """The encoding of its columns."""
        assert isinstance(self.dims.normalizer, Normalizer), "tables have no autoencoder"
        return self.dims.normalizer


def restore_model(path: Path) -> RestoredModel:
    """Return the model that the checkpoint at `path` describes.

    Raises:
        DataError: The file is no checkpoint of an autoencoder, is damaged, or of another version.
        FactsError: The disk does not give it.
    """
    content = load_checkpoint(path)
    found = content.get("checkpoint_version")
    if not isinstance(found, int) or found != CHECKPOINT_VERSION:
        shown = f"{found!r:.40}" if isinstance(found, int) else type(found).__name__
        raise DataError(
            f"{path}: has checkpoint_version {shown}; this version of thesis-ml reads {CHECKPOINT_VERSION}, "
            "which holds what the weights mean"
        )
    try:
        return _restore(content)
    except (ConfigError, DataError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join(lines[:2]) or type(error).__name__
        raise DataError(f"{path}: does not describe a model ({reason:.300}); use another checkpoint") from error


def _restore(content: Mapping[str, Any]) -> RestoredModel:
    plain = _take_mapping(content, "config")
    if "phase1" not in plain and isinstance(plain.get("loop"), str):
        raise DataError(
            f"config: loop is {plain['loop']!r:.40}, which trains no autoencoder; ae, gan_ae and diffusion_ae do"
        )
    phase1 = _take_mapping(plain, "phase1")
    config = parse_model(phase1, "phase1")
    normalizer = Normalizer.from_state(_take_mapping(content, "normalizer"))
    dims = DataDims.from_state(_take_mapping(content, "dims"), normalizer)
    weights = _take_mapping(content, "model")
    _check_weights(weights, config, dims)
    model = build_model(config, dims)
    model.load_state_dict(weights)
    data = parse_config(DataConfig, {**EARLIER_DEFAULTS, **_take_mapping(plain, "data")}, "data")
    trainer = phase1.get("trainer")
    return RestoredModel(
        model=model.eval(),
        config=config,
        dims=dims,
        train_classes=data.train_classes,
        dataset_fingerprint=_read_text(content.get("dataset_fingerprint")),
        code_version=_read_text(content.get("code_version")),
        epoch=_read_whole(content.get("epoch")),
        data=data,
        loop=_read_text(plain.get("loop")),
        seed=_read_whole(trainer.get("seed")) if isinstance(trainer, Mapping) else None,
        metrics=_read_numbers(content.get("metrics")),
    )


def _take_mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key)
    if not isinstance(value, Mapping):
        raise DataError(f"{key}: is {type(value).__name__ if key in content else 'missing'}; expected a mapping")
    return value


def _check_weights(weights: Mapping[str, Any], config: ModelConfig, dims: DataDims) -> None:
    """Refuse weights that are not finite or not those of the model, before it takes any memory.

    Raises:
        DataError: They are none.
    """
    with torch.device("meta"):
        expected = build_model(config, dims).state_dict()
    if set(weights) != set(expected):
        name = min(set(weights) ^ set(expected), key=str)
        raise DataError(f"model: {name!r:.100} is {'missing' if name in expected else 'unknown'}; the config differs")
    for name, wanted in expected.items():
        found = weights[name]
        if not isinstance(found, Tensor):
            raise DataError(f"model.{name}: is {type(found).__name__}; expected a tensor")
        if found.shape != wanted.shape:
            raise DataError(f"model.{name}: has shape {tuple(found.shape)}; the config says {tuple(wanted.shape)}")
        # load_state_dict would turn numbers of another kind into other numbers
        if found.dtype != wanted.dtype:
            kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in (found, wanted)]
            raise DataError(f"model.{name}: holds {kinds[0]}; the config says {kinds[1]}")
    stored = {weight.untyped_storage().data_ptr(): weight.untyped_storage().nbytes() for weight in weights.values()}
    # a view may repeat one number to any size
    if sum(weight.numel() * weight.element_size() for weight in weights.values()) > sum(stored.values()):
        raise DataError("model: has fewer numbers than its shapes say; expected one for each weight")
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise DataError(f"model.{name}: holds NaN or infinity; every weight must be finite")


def _read_numbers(values: Any) -> dict[str, float]:
    """Return the entries of a mapping that are finite numbers under a text."""
    entries = values.items() if isinstance(values, Mapping) else ()
    return {
        name: value for name, value in entries if isinstance(name, str) and isinstance(value, float) and isfinite(value)
    }


def _read_whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
