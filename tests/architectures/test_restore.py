"""A checkpoint alone gives the model back, and nothing but a checkpoint does."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from thesis_ml.architectures.restore import restore_model
from thesis_ml.data.config import DataConfig, SyntheticConfig
from thesis_ml.data.splits import iterate_batches
from thesis_ml.data.tokens import load_tokens
from thesis_ml.errors import DataError
from thesis_ml.utils.checkpoints import load_checkpoint


def test_a_restored_model_reconstructs_as_it_did(finished_run) -> None:
    restored = restore_model(finished_run.path / "model.pt")
    data = load_tokens(DataConfig(limit_events=300, synthetic=SyntheticConfig()), 300)
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


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("checkpoint_version", 1, "has checkpoint_version 1; this version of thesis-ml reads 2"),
        ("config", None, "does not describe a model"),
        ("config.phase1", [], "does not describe a model"),
        ("config.phase1.encoder.name", "os.system", "unknown name 'os.system'"),
        ("config.phase1.encoder.enc_hidden", [10**9], "enc_hidden"),
        ("config.phase1.encoder.enc_hidden", [17], "size mismatch|Error"),
        ("config.data.train_classes", "all", "does not describe a model"),
        ("normalizer", {"features": ["E"]}, "normaliser"),
        ("normalizer.features", ["pt", "E", "eta", "phi"], "normaliser|dims"),
        ("dims", {}, "does not describe a model"),
        ("dims.columns", ["a"] * 5, "dims: columns are"),
        ("dims.type_names", ["a"] * 10**6, "type_names"),
        ("dims.type_names", "jet", "does not describe a model"),
        ("dims.max_tokens", 10**12, "max_tokens"),
        ("dims.angle_columns", [0], "angle columns"),
        ("dims.surprise", 1, "does not describe a model"),
        ("model", {}, "does not describe a model"),
        ("model", 3, "does not describe a model"),
    ],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(finished_run, path: str, value: Any, message: str) -> None:
    file = finished_run.path / "best_val.pt"
    torch.save(change(load_checkpoint(file), path, value), file)

    with pytest.raises(DataError, match=message):
        restore_model(file)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"checkpoint_version": 2, "config": Trap()}, tmp_path / "model.pt")

    with pytest.raises(DataError, match="not a readable checkpoint"):
        restore_model(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()
