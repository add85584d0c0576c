"""From a run folder or a checkpoint to a tokenizer."""

import subprocess
import sys
from pathlib import Path

import pytest

import thesis_ml
from guides import ROOT, read_blocks
from thesis_ml.errors import ConfigError, DataError


@pytest.mark.parametrize("path", [None, 5, ["a"], b"a", "x" * 5000, "~nobody_of_this_name/run"])
def test_paths_that_are_none_are_refused(unchecked, finished_run, path: object) -> None:
    tokenizer = thesis_ml.load_tokenizer(finished_run.path)

    with pytest.raises(DataError, match=r"path: .*; expected|cannot be read \(File name too long\); give"):
        thesis_ml.load_tokenizer(path)
    with pytest.raises(DataError, match=r"path: .*; expected|cannot be read \(.*File name too long"):
        tokenizer.read_events(path)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", None, [1]])
def test_devices_that_are_none_are_refused(unchecked, finished_run, device: object) -> None:
    with pytest.raises(ConfigError, match=r"device: .* is not available here; expected cpu, cuda or mps"):
        thesis_ml.load_tokenizer(finished_run.path, device)


def test_run_folder_and_checkpoint_give_the_same_tokenizer(finished_run, tmp_path: Path) -> None:
    by_folder = thesis_ml.load_tokenizer(finished_run.path)
    by_file = thesis_ml.load_tokenizer(str(finished_run.path / "model.pt"))

    assert by_folder.describe() == by_file.describe()
    assert by_folder.describe()["vocabulary"] == {
        "codebook_sizes": [16],
        "offsets": [0],
        "start": 16,
        "stop": 17,
        "pad": 18,
        "size": 19,
    }
    assert by_folder.units == {"E": "GeV", "pt": "GeV", "eta": "1", "phi": "rad", "met": "GeV", "met_phi": "rad"}
    with pytest.raises(DataError, match=r"holds neither best_val.pt nor model.pt; give the folder of a trained run"):
        thesis_ml.load_tokenizer(tmp_path)
    with pytest.raises(DataError, match="no such checkpoint"):
        thesis_ml.load_tokenizer(tmp_path / "nothing.pt")


def test_folders_that_are_no_trained_run_are_named(tmp_path: Path) -> None:
    kinds = {
        "multirun.yaml": "is a sweep, which holds a folder for each of its runs; give one of them",
        "manifest.yaml": "is a report; give the folder of one of the runs that it compares",
        "last.pt": r"its training has no best weights yet; let it go on with thesis-train resume=.*, or give",
    }
    for name, message in kinds.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).touch()
        with pytest.raises(DataError, match=message):
            thesis_ml.load_tokenizer(folder)


def test_a_link_out_of_the_folder_is_no_tokenizer(finished_run, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "best_val.pt").symlink_to(finished_run.path / "best_val.pt")

    with pytest.raises(DataError, match="holds neither"):
        thesis_ml.load_tokenizer(folder)


def test_package_offers_the_tokenizer_without_importing_torch() -> None:
    code = "import sys, thesis_ml; print('torch' in sys.modules, 'load_tokenizer' in thesis_ml.__all__)"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed == "False True\n"
    with pytest.raises(AttributeError, match="no attribute 'load_tokeniser'"):
        _ = thesis_ml.load_tokeniser


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/use-a-tokenizer.md"])
def test_python_of_the_pages_encodes_and_decodes(
    page: str, finished_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (block,) = [block for block in read_blocks(page) if "load_tokenizer" in block.code and block.language == "python"]
    (tmp_path / "outputs").mkdir()
    finished_run.path.rename(tmp_path / "outputs" / "my_run")
    monkeypatch.chdir(tmp_path)

    exec(compile(block.code.replace('"src/', f'"{ROOT.as_posix()}/src/'), block.place, "exec"), {})

    assert "[[" in capsys.readouterr().out
