"""The scores of all events as a file, whole or not at all."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from data_files import limit_file_size
from thesis_ml.data.events import EventSplits
from thesis_ml.errors import ReportError
from thesis_ml.reports.inference.events import LoadedData
from thesis_ml.reports.inference.sections.score_file import save_scores


def test_scores_that_the_disk_does_not_take_are_named(stored: EventSplits, tmp_path: Path) -> None:
    events = stored.splits["test"]
    data = LoadedData(stored, "", "test", events, events, events, (0,), None)
    table = {("model", "clean"): {"error_mean": np.zeros(events.n_events)}}
    message = r"^scores.h5: cannot be written \(File too large\); free space or set env.output_root$"

    for n_bytes in (0, 1000, 5000):
        with pytest.raises(ReportError, match=message), limit_file_size(n_bytes):
            save_scores(data, table, tmp_path / "scores.h5")

    assert not (tmp_path / "scores.h5").exists()


def test_scores_are_read_by_scorer_and_variant(stored: EventSplits, tmp_path: Path) -> None:
    events = stored.splits["test"]
    data = LoadedData(stored, "f00d", "test", events, events, events, (0,), None)
    values = np.arange(float(events.n_events))

    save_scores(data, {("a / b", "clean"): {"error_mean": values}}, tmp_path / "scores.h5")

    with h5py.File(tmp_path / "scores.h5") as file:
        (group,) = file["scores"].values()
        assert (group.attrs["scorer"], group.attrs["variant"], file.attrs["fingerprint"]) == ("a / b", "clean", "f00d")
        np.testing.assert_array_equal(group["error_mean"][:], values)
        np.testing.assert_array_equal(file["label"][:], events.labels)
