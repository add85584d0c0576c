"""The histograms of a run count every token once, in bins that all splits share."""

import numpy as np
import pytest
import torch

from thesis_ml.data.splits import TokenSplit, iterate_batches
from thesis_ml.data.tokens import TokenData
from thesis_ml.training_loops.arrays import RunArrays
from thesis_ml.training_loops.evaluation import SplitEvaluation
from thesis_ml.training_loops.tally import ResidualTally
from thesis_ml.training_loops.task import StepResult

KINDS = ("true", "rec", "residual")


def tally_residuals(data: TokenData, split: TokenSplit, noise: float, batch_size: int = 64) -> ResidualTally:
    """Go over a split with a reconstruction that is off by noise."""
    shifts = noise * torch.randn(split.features.shape, generator=torch.Generator().manual_seed(3))
    tally, start = ResidualTally(data.normalizer), 0
    for batch in iterate_batches(split, batch_size, generator=None):
        features = batch.features + shifts[start : start + batch.n_tokens]
        tally.add(StepResult(torch.zeros(()), {}, features, types=batch.types), batch)
        start += batch.n_tokens
    return tally


@pytest.fixture
def arrays(event_data: TokenData) -> dict[str, np.ndarray]:
    run = RunArrays(event_data)
    for split, noise in (("val", 0.1), ("test", 0.3)):
        residuals = tally_residuals(event_data, event_data.splits()[split], noise)
        n_types = event_data.dims.n_types
        counts = {"codes": torch.arange(5), "type_confusion": torch.eye(n_types, dtype=torch.long)}
        run.add_split(split, SplitEvaluation({}, residuals, counts, {}))
    return run.to_dict()


def test_histograms_count_every_token_once(arrays: dict[str, np.ndarray], event_data: TokenData) -> None:
    for split in ("val", "test"):
        n_tokens = event_data.splits()[split].n_tokens
        totals = {
            (feature, kind): int(arrays[f"{split}_hist_{feature}_{kind}"].sum())
            for feature in event_data.normalizer.features
            for kind in KINDS
        }
        assert set(totals.values()) == {n_tokens}, totals


def test_histograms_have_a_bin_below_and_one_above_their_edges(arrays: dict[str, np.ndarray]) -> None:
    for feature in ("E", "pt", "eta", "phi"):
        assert len(arrays[f"test_hist_{feature}_true"]) == len(arrays[f"edges_{feature}"]) + 1
        assert len(arrays[f"test_hist_{feature}_residual"]) == len(arrays[f"edges_{feature}_residual"]) + 1


def test_residuals_of_all_splits_share_the_bins_of_the_first(event_data: TokenData) -> None:
    residuals = {split: tally_residuals(event_data, event_data.splits()[split], 0.1) for split in ("val", "test")}
    run, alone = RunArrays(event_data), RunArrays(event_data)
    for split, tally in residuals.items():
        run.add_split(split, SplitEvaluation({}, tally, {}, {}))
    alone.add_split("val", SplitEvaluation({}, residuals["val"], {}, {}))

    assert (run.to_dict()["edges_pt_residual"] == alone.to_dict()["edges_pt_residual"]).all()


def test_histograms_of_a_copy_are_those_of_the_truth(event_data: TokenData) -> None:
    run = RunArrays(event_data)
    run.add_split("val", SplitEvaluation({}, tally_residuals(event_data, event_data.val, 0.0), {}, {}))

    arrays = run.to_dict()
    for feature in event_data.normalizer.features:
        assert (arrays[f"val_hist_{feature}_true"] == arrays[f"val_hist_{feature}_rec"]).all()
        assert arrays[f"val_hist_{feature}_residual"].max() == event_data.val.n_tokens


def test_counts_are_kept_by_split(arrays: dict[str, np.ndarray]) -> None:
    assert arrays["val_codes"].tolist() == arrays["test_codes"].tolist() == [0, 1, 2, 3, 4]


def test_confusion_comes_with_the_names_of_its_types(arrays: dict[str, np.ndarray], event_data: TokenData) -> None:
    assert arrays["test_type_confusion"].shape == (event_data.dims.n_types, event_data.dims.n_types)
    assert tuple(arrays["type_names"]) == event_data.dims.type_names


def test_arrays_do_not_grow_with_the_data(arrays: dict[str, np.ndarray]) -> None:
    assert sum(array.nbytes for array in arrays.values()) < 20_000
