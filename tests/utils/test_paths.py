"""Names that every file system takes, folders that nobody else has, and the lock of a run."""

import logging
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_files import limit_file_size
from thesis_ml.errors import ConfigError
from thesis_ml.utils import paths
from thesis_ml.utils.paths import (
    RunFolder,
    check_place,
    claim_folder,
    expand_home,
    explain_no_file,
    find_configs,
    is_run_folder,
    make_name_safe,
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("vq512", "vq512"),
        ("lr=1e-3", "lr=1e-3"),
        ("a/b\\c", "a-b-c"),
        ("one, two  three", "one-two-three"),
        ("12:30", "12-30"),
        ("../../etc", "etc"),
        ("größe_η", "größe_η"),
        ("Q?*<>|\"'", "Q"),
        ("line\nbreak\ttab", "line-break-tab"),
        ("trailing. ", "trailing"),
        ("///", "unnamed"),
        ("", "unnamed"),
        ("x" * 79 + ".y", "x" * 79),
    ],
)
def test_make_name_safe_keeps_what_every_file_system_takes(name: str, safe: str) -> None:
    assert make_name_safe(name) == safe


@pytest.mark.parametrize("letter", ["x", "é", "名"])
def test_claim_folder_takes_names_of_any_length(tmp_path: Path, letter: str) -> None:
    assert claim_folder(tmp_path, "run", f"a{300 * letter}").is_dir()


def test_check_place_leaves_nothing_and_refuses_a_full_disk(tmp_path: Path) -> None:
    check_place(tmp_path / "new" / "reports")

    message = r"new/reports: cannot be written \(File too large\); free space or set env.output_root"
    with pytest.raises(ConfigError, match=message), limit_file_size(1000):
        check_place(tmp_path / "new" / "reports")
    with pytest.raises(ConfigError, match=r"cannot be written \(File name too long\)"):
        check_place(tmp_path / ("x" * 5000))

    assert list(tmp_path.iterdir()) == []


def test_home_of_nobody_stays_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert expand_home("~/a") == tmp_path / "a"
    assert expand_home("~nobody-has-this-name/a") == Path("~nobody-has-this-name/a")


def test_explain_no_file_says_what_is_there_instead(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")

    found = [explain_no_file(path) for path in (tmp_path / "a", tmp_path, tmp_path / "b", tmp_path / ("x" * 5000))]

    assert found == [None, "is no file", "there is no such file", "cannot be used (File name too long)"]


def test_claim_folder_is_named_after_prefix_time_and_name(tmp_path: Path) -> None:
    folder = claim_folder(tmp_path / "new/parent", "run", "beta=0.1, ema/é")

    assert folder.parent == tmp_path / "new/parent"
    assert folder.is_dir()
    assert re.fullmatch(r"run_\d{8}-\d{6}_beta=0\.1-ema-é", folder.name)


def test_claim_folder_gives_nobody_the_same_folder_in_one_second(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: claim_folder(tmp_path, "run", "ae"), range(40)))

    assert len(set(claimed)) == 40


def test_claim_folder_numbers_a_folder_whose_second_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FrozenTime(paths.datetime):
        @classmethod
        def now(cls, tz: object = None) -> "FrozenTime":
            return cls(2024, 5, 6, 7, 8, 9)

    monkeypatch.setattr(paths, "datetime", FrozenTime)

    names = [claim_folder(tmp_path, "exp", "x").name for _ in range(3)]

    assert names == ["exp_20240506-070809_x", "exp_20240506-070809_x-2", "exp_20240506-070809_x-3"]


def test_claim_folder_names_the_remedy_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"cannot make an output folder .*; set env\.output_root"):
        claim_folder(tmp_path / "file", "run", "ae")


def test_find_configs_is_the_folder_of_the_checkout() -> None:
    assert find_configs() == Path(__file__).resolve().parents[2] / "configs"


def test_find_configs_of_an_installed_package_lies_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "site-packages/thesis_ml/utils/paths.py"))

    assert find_configs() == tmp_path / "site-packages/thesis_ml/configs"


def test_run_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a/b") as folder:
        assert folder.path.is_dir()


def test_run_folder_refuses_a_second_run(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path / "run"),
        pytest.raises(ConfigError, match=r"run: another run is using this folder; wait for it"),
        RunFolder(tmp_path / "run"),
    ):
        pass


TRY_TO_ENTER = """
import sys
from pathlib import Path
from thesis_ml.errors import ConfigError
from thesis_ml.utils.paths import RunFolder
try:
    with RunFolder(Path(sys.argv[1])):
        print("entered")
except ConfigError as error:
    print(error)
"""


def enter_in_another_process(path: Path) -> str:
    command = [sys.executable, "-c", TRY_TO_ENTER, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_run_folder_is_locked_against_other_processes(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run"):
        assert "another run is using this folder" in enter_in_another_process(tmp_path / "run")


def test_run_folder_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), RunFolder(tmp_path / "run"):
        raise ValueError("stop")

    assert enter_in_another_process(tmp_path / "run") == "entered\n"


def test_run_folder_that_cannot_be_made_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError, match=r"cannot be written .*; choose another hydra\.run\.dir"):
        RunFolder(tmp_path / "file/run").__enter__()


def test_run_folder_keeps_what_describes_the_start(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.write_hydra({"config.yaml": "name: größe\n"})

    assert (tmp_path / ".hydra/config.yaml").read_text(encoding="utf-8") == "name: größe\n"


def test_run_folder_log_holds_lines_of_its_context_only(tmp_path: Path) -> None:
    log = logging.getLogger("thesis_ml.somewhere")
    with RunFolder(tmp_path) as folder:
        with folder.open_log():
            log.warning("inside")
        log.warning("outside")

    lines = (tmp_path / "train.log").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("[thesis_ml.somewhere][WARNING] inside")


def test_run_folder_is_new_until_it_describes_a_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        assert folder.remember().is_new
        folder.write_hydra({})
        assert not folder.remember().is_new


@pytest.mark.parametrize(("name", "is_run"), [("facts", True), (".hydra", True), ("figures", False)])
def test_is_run_folder_knows_a_run_by_facts_or_description(tmp_path: Path, name: str, is_run: bool) -> None:
    (tmp_path / name).mkdir()

    assert is_run_folder(tmp_path) == is_run


def test_undo_removes_a_new_folder_that_holds_only_its_description(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        start = folder.remember()
        folder.write_hydra({"config.yaml": ""})
        with folder.open_log():
            pass
        folder.undo(start)

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["facts", "best_val.pt", "notes.txt"])
def test_undo_keeps_a_folder_that_holds_anything_else(tmp_path: Path, name: str) -> None:
    with RunFolder(tmp_path / "run") as folder:
        start = folder.remember()
        folder.write_hydra({"config.yaml": ""})
        (folder.path / name).mkdir()
        folder.undo(start)

    assert (tmp_path / "run" / name).exists()
    assert (tmp_path / "run/.hydra/config.yaml").exists()


def test_undo_leaves_the_run_that_was_there_as_it_was(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as folder:
        folder.write_hydra({"config.yaml": "first"})
        with folder.open_log():
            logging.getLogger().warning("first")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

        start = folder.remember()
        folder.write_hydra({"config.yaml": "second"})
        with folder.open_log():
            logging.getLogger().warning("second")
        folder.undo(start)

    assert {path: path.read_bytes() for path in before} == before
