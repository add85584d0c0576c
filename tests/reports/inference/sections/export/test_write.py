"""A file of codes, latents or reconstructions holds what it says, reads back, and is there whole or not at all."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import SMALL, compose_train
from data_files import limit_file_size
from stored_events import stack_features
from thesis_ml.data.checks import Place
from thesis_ml.data.config import DataConfig
from thesis_ml.data.events import EventSplits
from thesis_ml.data.h5_loader import join_rows, split_rows
from thesis_ml.data.tokens import load_events
from thesis_ml.errors import ReportError
from thesis_ml.reports.inference.sections.export import write as export
from thesis_ml.reports.inference.sections.export.plan import ExportPlan, rebuild
from thesis_ml.reports.inference.sections.export.write import write_export
from thesis_ml.training_loops.autoencoder import train

MakePlan = Callable[..., ExportPlan]
SMALL_BLOCKS = {"block_events": 70}
"""Every split has several of them."""


def read_all(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


def test_rows_come_back_as_the_events_that_they_were_made_of(stored: EventSplits) -> None:
    events = stored.splits["train"]

    rows = join_rows(events, 18)

    assert rows.shape == (300, 92)
    again = split_rows(rows, 7, Place(Path("x")))
    for name in ("ids", "lengths"):
        np.testing.assert_array_equal(getattr(again, name), getattr(events, name))
    np.testing.assert_allclose(stack_features(again), stack_features(events), rtol=1e-6)
    np.testing.assert_allclose(again.met, events.met, rtol=1e-6)


@pytest.mark.slow
def test_reconstruction_is_a_data_file_that_a_training_reads(
    make_plan: MakePlan, stored: EventSplits, tmp_path: Path
) -> None:
    plan, path = make_plan("reconstruction", **SMALL_BLOCKS), tmp_path / "again.h5"

    write_export(plan, path)

    read = load_events(DataConfig(path=str(path)))
    assert (read.n_slots, read.type_names, read.label_names) == (18, stored.type_names, stored.label_names)
    assert (read.encoding.name, read.encoding.decided_by) == ("gev", "attribute energy_unit")
    for split, events in stored.splits.items():
        expected, found = rebuild(plan, events), read.splits[split]
        for name in ("ids", "lengths", "labels", "weights"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_allclose(stack_features(found), stack_features(expected), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.met, expected.met, rtol=1e-4, atol=1e-5)
    run = tmp_path / "trained"
    run.mkdir()
    of_file = ("data=h5_tokens", f"data.path={path}", *SMALL[1:], "phase1.trainer.epochs=1")
    assert np.isfinite(train(compose_train(f"run_dir={run}", *of_file))["rec_mse"])


@pytest.mark.parametrize("kind", ["codes", "latents"])
def test_file_of_tokens_decodes_to_the_reconstruction(
    make_plan: MakePlan, stored: EventSplits, tmp_path: Path, kind: str
) -> None:
    plan = make_plan(kind, **SMALL_BLOCKS)

    write_export(plan, tmp_path / "tokens.h5")

    content = read_all(tmp_path / "tokens.h5")
    assert set(content) == {
        f"{name}_{split}"
        for name in (kind, "types", "lengths", "labels", "weights", "index")
        for split in ("train", "val", "test")
    }
    events = stored.splits["test"]
    decoded = plan.tokenizer.decode(content[f"{kind}_test"], content["lengths_test"])
    expected = rebuild(plan, events)
    np.testing.assert_allclose(decoded.features["pt"], stack_features(expected)[:, 1], rtol=1e-4)
    np.testing.assert_array_equal(decoded.ids, expected.ids)
    for name, values in (("types", events.ids), ("labels", events.labels), ("index", events.index)):
        np.testing.assert_array_equal(content[f"{name}_test"], values)


def test_attributes_say_what_the_numbers_mean(make_plan: MakePlan, tmp_path: Path) -> None:
    plan = make_plan("codes")

    write_export(plan, tmp_path / "codes.h5")

    with h5py.File(tmp_path / "codes.h5") as file:
        attributes = dict(file.attrs)
    assert [attributes[f"{name}_id"] for name in ("start", "stop", "pad")] == [16, 17, 18]
    assert json.loads(attributes["vocabulary"])["codebook_sizes"] == [16]
    assert json.loads(attributes["features"]) == ["E", "pt", "eta", "phi"]
    assert json.loads(attributes["tokenizer"])["units"]["pt"] == "GeV"
    assert attributes["checkpoint_hash"] == plan.tokenizer.fingerprint
    assert attributes["fingerprint"] == plan.tokenizer.restored.dataset_fingerprint
    assert attributes["content"] == "codes"


def test_content_depends_neither_on_blocks_nor_on_other_events(make_plan: MakePlan, tmp_path: Path) -> None:
    write_export(make_plan("codes"), tmp_path / "whole.h5")
    write_export(make_plan("codes", max_events=100, block_events=33), tmp_path / "first.h5")

    whole, first = read_all(tmp_path / "whole.h5"), read_all(tmp_path / "first.h5")

    assert len(first["lengths_val"]) == 100
    for name, values in first.items():
        np.testing.assert_array_equal(values, whole[name][: len(values)], err_msg=name)


def test_interrupted_export_leaves_what_was_there(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "codes.h5"
    path.write_bytes(b"before")
    whole, seen = export.iterate_blocks, []

    def interrupted(events, n_events):
        for block in whole(events, n_events):
            seen.append(block)
            if len(seen) == 3:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(export, "iterate_blocks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_export(make_plan("codes", **SMALL_BLOCKS), path)

    assert path.read_bytes() == b"before"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["codes.h5"]


@pytest.mark.parametrize(
    ("kind", "dataset", "message"),
    [
        ("codes", "codes_val", "codes_val reads back otherwise than it was written"),
        ("codes", None, "labels_new reads back otherwise"),
        ("reconstruction", "X_test", "X_test reads back otherwise"),
    ],
)
def test_file_that_the_disk_changed_is_not_kept(
    make_plan: MakePlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    dataset: str | None,
    message: str,
) -> None:
    whole = export._write

    def write_and_damage(plan, path):
        written = whole(plan, path)
        with h5py.File(path, "r+") as file:
            if dataset is None:
                file["labels_new"] = np.zeros(3)
            else:
                file[dataset][0] = 0 if file[dataset][0].any() else 1
        return written

    monkeypatch.setattr(export, "_write", write_and_damage)
    with pytest.raises(ReportError, match=message):
        write_export(make_plan(kind), tmp_path / "file.h5")

    assert not [entry for entry in tmp_path.iterdir() if entry.is_file()]


@pytest.mark.parametrize("kind", ["codes", "latents", "reconstruction"])
def test_full_disk_leaves_nothing_and_one_line(make_plan: MakePlan, tmp_path: Path, kind: str) -> None:
    message = f"{kind}.h5: cannot be written (File too large); free space or set env.output_root"

    for n_bytes in (0, 3000, 8000):
        with pytest.raises(ReportError, match=f"^{re.escape(message)}$"), limit_file_size(n_bytes):
            write_export(make_plan(kind, **SMALL_BLOCKS), tmp_path / f"{kind}.h5")

    assert not [entry for entry in tmp_path.iterdir() if entry.is_file()]


def test_folder_that_cannot_be_written_is_named(make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"codes.h5: cannot be written \(No such file or directory\); free space or"):
        write_export(make_plan("codes"), tmp_path / "nowhere" / "codes.h5")
