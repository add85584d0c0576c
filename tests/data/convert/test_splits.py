"""How events are divided: by a hash that other files do not change, by a column, and never into an empty split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.convert.conversions import read_output, run_recipe
from data.convert.files import draw_events, write_events, write_frame
from thesis_ml.data.convert.config import SplitConfig
from thesis_ml.data.convert.parts import InputFile, PartOverview
from thesis_ml.data.convert.splits import count_repeated, iterate_splits, plan_splits
from thesis_ml.data.convert.tally import ClassTally
from thesis_ml.errors import ConfigError, DataError

pytestmark = pytest.mark.usefixtures("unchecked_shapes")
N_EVENTS = 3000


def write_jets(path: Path, n_events: int = N_EVENTS, seed: int = 0, first: int = 0) -> Path:
    """Write events of one jet each, numbered from `first`."""
    generator = np.random.default_rng(seed)
    columns = {"pt": generator.exponential(40, n_events) + 20, "eta": generator.normal(0, 1, n_events)}
    columns |= {"phi": generator.uniform(-3, 3, n_events), "mass": generator.uniform(1, 9, n_events)}
    frame = pd.DataFrame({f"jet1_{name}": values for name, values in columns.items()})
    return write_frame(path, frame.assign(number=np.arange(first, first + n_events)), "parquet")


def read_splits(folder: Path, inputs: object, *overrides: str, name: str = "out", **keys: object) -> dict[int, str]:
    """Return the splits of events by their numbers, which are different in all files."""
    keys = {"index": "number", "compression": "none", **keys}
    run_recipe("table", inputs, folder / f"{name}.h5", *overrides, **keys)
    found = read_output(folder / f"{name}.h5")
    splits = {number: event.split for (_, number), event in found.items()}
    assert len(splits) == len(found)
    return splits


def count_shares(splits: Sequence[str]) -> list[float]:
    return [float(np.mean([one == name for one in splits])) for name in ("train", "val", "test")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    return [write_jets(folder / f"{seed}.parquet", 400, seed, 1000 * seed) for seed in range(3)]


@pytest.fixture
def alone(files: list[Path], tmp_path: Path) -> dict[int, str]:
    """The splits of all events where each file is converted alone."""
    return {k: v for n, path in enumerate(files) for k, v in read_splits(tmp_path, path, name=f"alone_{n}").items()}


@pytest.mark.parametrize(
    "arrange",
    [
        lambda a, b, c: [a, b, c],
        lambda a, b, c: [c, a, b],
        lambda a, b, c: {"signal": [a], "background": [b, c]},
        lambda a, b, c: {"background": [c, b], "signal": a},
    ],
    ids=["one class", "another order", "two classes", "another order of files and classes"],
)
def test_an_event_keeps_its_split_beside_other_files(arrange, files, alone, tmp_path: Path) -> None:
    assert read_splits(tmp_path, arrange(*files)) == alone


def test_an_event_keeps_its_split_when_objects_are_selected(files, alone, tmp_path: Path) -> None:
    selected = read_splits(tmp_path, files, event="count('jet') > 0", select="pt > 50", max_objects=1)

    assert 0 < len(selected) < len(alone)
    assert selected.items() <= alone.items()


def test_another_seed_divides_anew(files, alone, tmp_path: Path) -> None:
    other = read_splits(tmp_path, files, "split.seed=1")

    # 0.7^2 + 0.15^2 + 0.15^2 of the events stay by chance.
    assert 0.48 < np.mean([other[number] == split for number, split in alone.items()]) < 0.59


def test_the_same_numbers_in_two_files_are_divided_independently(tmp_path: Path) -> None:
    first, second = (
        read_splits(tmp_path, write_jets(tmp_path / f"{seed}.parquet", seed=seed), name=str(seed)) for seed in (0, 1)
    )

    assert 0.48 < np.mean([second[number] == split for number, split in first.items()]) < 0.59


@pytest.mark.parametrize("shares", [(0.7, 0.15, 0.15), (0.5, 0.2, 0.3)])
def test_splits_have_their_shares(shares: tuple[float, float, float], tmp_path: Path) -> None:
    fractions = [
        f"split.fractions.{name}={share}" for name, share in zip(("train", "val", "test"), shares, strict=True)
    ]
    splits = read_splits(tmp_path, write_jets(tmp_path / "a.parquet"), *fractions)

    # Three standard deviations of 3000 events.
    assert count_shares(list(splits.values())) == pytest.approx(shares, abs=0.027)


def test_a_column_divides(tmp_path: Path) -> None:
    splits = read_splits(tmp_path, write_jets(tmp_path / "a.parquet", 60), "split.by=number % 3")

    assert splits == {number: ("train", "val", "test")[number % 3] for number in range(60)}


@pytest.mark.parametrize(
    ("by", "message"),
    [("number", "split.by gives another number than 0, 1, 2"), ("number / 8", "split.by gives 0.125; expected whole")],
)
def test_a_column_that_names_no_split_is_refused(by: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_splits(tmp_path, write_jets(tmp_path / "a.parquet", 60), f"split.by={by}")


def test_files_of_ours_keep_their_splits_or_are_divided_anew(tmp_path: Path) -> None:
    path = write_events(tmp_path / "a.h5", draw_events(60))

    run_recipe("events", path, tmp_path / "kept.h5")
    run_recipe("events", path, tmp_path / "anew.h5", "split.by=null", "split.seed=3")

    # 36 events for training come first in the file, then 12 for each other split.
    kept = {number: event.split for (_, number), event in read_output(tmp_path / "kept.h5").items()}
    anew = {number: event.split for (_, number), event in read_output(tmp_path / "anew.h5").items()}
    assert [kept[number] for number in range(60)] == ["train"] * 36 + ["val"] * 12 + ["test"] * 12
    assert kept != anew


@pytest.mark.parametrize(("n_events", "moved"), [(3, 1), (40, 6)])
def test_an_empty_split_gets_events_with_a_warning(n_events: int, moved: int, tmp_path: Path) -> None:
    path = write_jets(tmp_path / "a.parquet", n_events)

    sheet = run_recipe("table", path, tmp_path / "out.h5", "split.by=0 * number")

    assert sheet["splits"] == {"train": n_events - 2 * moved, "val": moved, "test": moved}
    assert sheet["warnings"] == [
        f"the split {name} was empty: it got {moved} events of train" for name in ("val", "test")
    ]
    splits = [event.split for event in read_output(tmp_path / "out.h5").values()]
    assert {name: splits.count(name) for name in set(splits)} == sheet["splits"]


def write_parts(folder: Path, splits: Sequence[Sequence[int]], hashes: Sequence[Sequence[int]]) -> list[PartOverview]:
    """Return parts of which only the splits and hashes of events are there."""
    parts = []
    for number, (ours, values) in enumerate(zip(splits, hashes, strict=True)):
        path = folder / f"{number}.npz"
        np.savez(path, splits=np.array(ours, np.uint8), hashes=np.array(values, np.uint64))
        counts = tuple(np.bincount(ours, minlength=3).tolist())
        parts.append(PartOverview(InputFile(path, "events", 0), path, counts, 1, ClassTally()))
    return parts


def test_empty_splits_get_the_first_events_over_parts(tmp_path: Path) -> None:
    parts = write_parts(tmp_path, [[2] * 3, [], [2] * 17], [[0] * 3, [], [0] * 17])

    plan = plan_splits(parts, SplitConfig())

    # Train gets 70% of 20 events, and val 15% of 20 from these.
    assert np.concatenate(list(iterate_splits(parts, plan))).tolist() == [1] * 3 + [0] * 11 + [2] * 6
    assert plan.counts == (11, 3, 6)


def test_events_that_occur_again_are_counted_over_parts(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    sizes = (400, 0, 700)
    values = generator.integers(0, 2**64, 600, dtype=np.uint64)
    hashes = [generator.choice(values, n) for n in sizes]
    splits = [generator.integers(0, 3, n) for n in sizes]
    parts = write_parts(tmp_path, splits, hashes)

    counts = count_repeated(parts, plan_splits(parts, SplitConfig()))

    ours, numbers = np.concatenate(splits), np.concatenate(hashes)
    sets = [set(numbers[ours == split].tolist()) for split in range(3)]
    shared = sum(len(sets[first] & sets[second]) for first, second in ((0, 1), (0, 2), (1, 2)))
    assert counts == {"events": len(numbers) - len(set(numbers.tolist())), "in two splits": shared}
    assert shared > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.npz", "1.npz", "2.npz"]


def test_fewer_than_three_events_are_refused(tmp_path: Path) -> None:
    path = write_jets(tmp_path / "a.parquet", 60)

    with pytest.raises(DataError, match="2 of 60 events are left; expected at least 3"):
        run_recipe("table", path, tmp_path / "out.h5", event="number < 2")

    assert list(tmp_path.iterdir()) == [path]
    run_recipe("table", path, tmp_path / "out.h5", event="number < 3")


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (1.1, -0.1, 0.0)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float, float], tmp_path: Path) -> None:
    fractions = [
        f"split.fractions.{name}={share}" for name, share in zip(("train", "val", "test"), shares, strict=True)
    ]

    with pytest.raises(ConfigError, match=r"split\.fractions\.train: must be"):
        run_recipe("table", "a", tmp_path / "out.h5", *fractions)
