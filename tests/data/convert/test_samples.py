"""Acceptances of many files of one class: those are compared whose ranges differ most."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data.convert.conversions import run_recipe
from data.convert.files import write_frame
from thesis_ml.data.convert import parts, samples

pytestmark = pytest.mark.usefixtures("unchecked_shapes")
N_FILES, N_EVENTS = 12, 400
WIDE, NARROW = 2.5, 1.5


def write_files(folder: Path, ends: Mapping[int, float], *, end: float = WIDE, n_files: int = N_FILES) -> list[Path]:
    """Write files of one jet in each event, whose |eta| ends at `end`, or elsewhere for some of them."""
    paths = []
    for number in range(n_files):
        generator = np.random.default_rng(number)
        largest = ends.get(number, end)
        columns = {
            "pt": generator.exponential(40, N_EVENTS) + 20,
            "eta": generator.uniform(-largest, largest, N_EVENTS),
        }
        columns |= {"phi": generator.uniform(-3, 3, N_EVENTS), "mass": generator.uniform(1, 9, N_EVENTS)}
        frame = pd.DataFrame({f"jet1_{name}": values for name, values in columns.items()})
        paths.append(write_frame(folder / f"{number}.parquet", frame, "parquet"))
    return paths


def list_gaps(paths: list[Path], output: Path, **keys: Any) -> list[str]:
    warnings = run_recipe("table", paths, output, **keys)["warnings"]
    return [text for text in warnings if "lie where" in text]


def test_equal_files_have_no_gap(tmp_path: Path) -> None:
    assert list_gaps(write_files(tmp_path, {}), tmp_path / "out.h5") == []


def test_a_file_that_ends_early_is_named(tmp_path: Path) -> None:
    (gap,) = list_gaps(write_files(tmp_path, {7: NARROW}), tmp_path / "out.h5")

    assert gap.endswith("lie where 7.parquet has none; equal with abs(eta) <= 1.497")


def test_a_file_that_ends_late_is_named(tmp_path: Path) -> None:
    (gap,) = list_gaps(write_files(tmp_path, {7: WIDE}, end=NARROW), tmp_path / "out.h5")

    assert "of 7.parquet lie where" in gap


def test_few_of_many_files_that_end_a_little_later_are_named(tmp_path: Path) -> None:
    (gap,) = list_gaps(write_files(tmp_path, {3: 1.6, 7: 1.6}, end=NARROW, n_files=40), tmp_path / "out.h5")

    assert "of 3.parquet lie where" in gap or "of 7.parquet lie where" in gap


def test_many_differences_are_told_in_one_line(tmp_path: Path) -> None:
    (gap,) = list_gaps(write_files(tmp_path, dict.fromkeys(range(6), NARROW)), tmp_path / "out.h5")

    assert "equal with abs(eta) <= 1.4" in gap


def test_files_of_one_name_are_told_with_their_folders(tmp_path: Path) -> None:
    paths = []
    for path in write_files(tmp_path, {7: NARROW}):
        folder = tmp_path / path.stem
        folder.mkdir()
        paths.append(path.rename(folder / "events.parquet"))

    (gap,) = list_gaps(paths, tmp_path / "out.h5")

    assert f"where {tmp_path / '7' / 'events.parquet'} has none" in gap


@pytest.mark.parametrize("n_files", [12, 40])
def test_few_files_are_read_for_it(n_files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[Path] = Counter()

    def count(path: Path) -> Any:
        reads[path] += 1
        return parts.read_part(path)

    monkeypatch.setattr(samples, "read_part", count)

    list_gaps(write_files(tmp_path, {}, n_files=n_files), tmp_path / "out.h5")

    # Each once for constant columns, and two for each of pT and eta.
    assert len(reads) == n_files
    assert sum(reads.values()) <= n_files + 4
