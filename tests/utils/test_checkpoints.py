"""Checkpoints are whole or not there, and never code."""

import copy
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from thesis_ml.errors import DataError, FactsError
from thesis_ml.utils.checkpoints import link_model, load_checkpoint, save_checkpoint

CONTENT = {"model": {"weight": torch.arange(4.0)}, "config": {"hidden": [8, 8], "name": None}, "epoch": 3}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(CONTENT, tmp_path / "last.pt")
    return tmp_path / "last.pt"


def test_checkpoint_comes_back_as_it_was(checkpoint: Path) -> None:
    content = load_checkpoint(checkpoint)

    assert torch.equal(content["model"]["weight"], CONTENT["model"]["weight"])
    assert content["config"] == CONTENT["config"]
    assert content["epoch"] == 3


def test_save_checkpoint_replaces_the_previous_one_and_leaves_no_other_file(checkpoint: Path) -> None:
    save_checkpoint({"epoch": 4}, checkpoint)

    assert load_checkpoint(checkpoint) == {"epoch": 4}
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.pt"]


def test_save_checkpoint_keeps_the_one_before_where_it_is_told(checkpoint: Path) -> None:
    before = checkpoint.with_name("last_previous.pt")

    save_checkpoint({"epoch": 4}, checkpoint, previous=before)

    assert load_checkpoint(checkpoint) == {"epoch": 4}
    assert load_checkpoint(before)["epoch"] == 3


@pytest.mark.parametrize("seed", range(20))
def test_a_changed_bit_never_passes_for_another_number(checkpoint: Path, seed: int) -> None:
    generator = random.Random(seed)
    raw = bytearray(checkpoint.read_bytes())
    raw[generator.randrange(len(raw))] ^= 1 << generator.randrange(8)
    checkpoint.write_bytes(raw)

    try:
        content = load_checkpoint(checkpoint)
    except DataError as error:
        assert str(checkpoint) in str(error)
    else:
        assert torch.equal(content["model"]["weight"], CONTENT["model"]["weight"])
        assert content["epoch"] == 3


@pytest.mark.parametrize("step", ["torch.save", "os.fsync", "pathlib.Path.replace"])
def test_save_checkpoint_keeps_the_previous_one_when_a_step_fails(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def run_out_of_space(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, run_out_of_space)

    with pytest.raises(FactsError, match=r"last\.pt: the checkpoint cannot be written \(.*No space left.*\); free"):
        save_checkpoint({"epoch": 4}, checkpoint)

    assert load_checkpoint(checkpoint)["epoch"] == 3
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.pt"]


def test_save_checkpoint_names_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FactsError, match=r"nowhere/last\.pt: the checkpoint cannot be written"):
        save_checkpoint({}, tmp_path / "nowhere/last.pt")


class TouchWhenRead:
    """Pickles to a call: a reader that runs code leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def test_load_checkpoint_runs_no_code(tmp_path: Path) -> None:
    torch.save({"model": TouchWhenRead(tmp_path / "ran")}, tmp_path / "bad.pt")

    with pytest.raises(DataError, match=r"bad\.pt: not a readable checkpoint"):
        load_checkpoint(tmp_path / "bad.pt")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.95, 0.999])
def test_load_checkpoint_refuses_a_cut_file(checkpoint: Path, share: float) -> None:
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(share * len(whole))])

    with pytest.raises(DataError, match=r"last\.pt: not a readable checkpoint \(.+\); use another one"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("content", [b"epoch,loss\n1,2\n", b"\x00" * 64, b"PK\x03\x04", b"\x80\x02J\x00", b"\x80\x02."])
def test_load_checkpoint_refuses_a_foreign_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.pt").write_bytes(content)

    with pytest.raises(DataError, match=r"notes\.pt: not a readable checkpoint"):
        load_checkpoint(tmp_path / "notes.pt")


def test_load_checkpoint_refuses_packed_entries_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint({"weight": torch.zeros(10**6)}, tmp_path / "whole.pt")
    with (
        zipfile.ZipFile(tmp_path / "whole.pt") as whole,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry))
    assert (tmp_path / "packed.pt").stat().st_size < 10**4
    monkeypatch.setattr(zipfile.ZipFile, "open", fail)

    with pytest.raises(
        DataError, match=r"packed\.pt: not a readable checkpoint \('archive/data.pkl' is compressed, which"
    ):
        load_checkpoint(tmp_path / "packed.pt")


def fail(*_: Any, **__: Any) -> None:
    raise AssertionError("an entry was read")


def test_load_checkpoint_refuses_entries_that_share_their_bytes(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint({"weight": torch.zeros(10**5)}, checkpoint)
    with zipfile.ZipFile(checkpoint, "a") as archive:
        archive.filelist += [copy.copy(archive.getinfo("archive/data/0")) for _ in range(500)]
        archive.writestr("one more", b"so that the directory is written again")
    monkeypatch.setattr(zipfile.ZipFile, "open", fail)

    with pytest.raises(
        DataError, match=r"last\.pt: not a readable checkpoint \(its entries are larger than the file\)"
    ):
        load_checkpoint(checkpoint)


class MakeMemory:
    """Pickles to a call that torch lets through and that takes a hundred megabytes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (10**8,)


def test_load_checkpoint_makes_no_memory_out_of_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"model": MakeMemory()}, tmp_path / "small.pt")
    assert (tmp_path / "small.pt").stat().st_size < 10**4
    monkeypatch.setattr(torch, "load", fail)

    with pytest.raises(DataError, match=r"small\.pt: not a readable checkpoint \(it holds more than tensors and plain"):
        load_checkpoint(tmp_path / "small.pt")


def test_load_checkpoint_refuses_a_plain_pickle_of_an_object(tmp_path: Path) -> None:
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(TouchWhenRead(tmp_path / "ran"), protocol=2))

    with pytest.raises(DataError, match=r"plain\.pt: not a readable checkpoint"):
        load_checkpoint(tmp_path / "plain.pt")


def test_load_checkpoint_refuses_what_is_no_dict(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")

    with pytest.raises(DataError, match=r"list\.pt: holds a list; a checkpoint is a dict"):
        load_checkpoint(tmp_path / "list.pt")


def test_load_checkpoint_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such checkpoint"):
        load_checkpoint(tmp_path)


def test_load_checkpoint_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"best_val\.pt: no such checkpoint; give the path"):
        load_checkpoint(tmp_path / "best_val.pt")


def test_link_model_is_relative_so_that_the_folder_can_move(checkpoint: Path, tmp_path: Path) -> None:
    link_model(checkpoint, tmp_path / "model.pt")

    assert (tmp_path / "model.pt").readlink() == Path("last.pt")


def test_link_model_copies_where_the_system_refuses_links(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)

    link_model(checkpoint, tmp_path / "model.pt")

    assert not (tmp_path / "model.pt").is_symlink()
    assert load_checkpoint(tmp_path / "model.pt")["epoch"] == 3


def test_link_model_replaces_an_older_one(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"old")
    link_model(checkpoint, tmp_path / "model.pt")
    link_model(checkpoint, tmp_path / "model.pt")

    assert load_checkpoint(tmp_path / "model.pt")["epoch"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "model.pt"]
