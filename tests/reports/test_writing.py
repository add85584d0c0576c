"""A report leaves everything it promises, or nothing; what runs say is harmless in it."""

import csv
import hashlib
import json
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from omegaconf import DictConfig

from reports.conftest import SWEEP, compose_report_config
from thesis_ml.errors import ConfigError, ReportError
from thesis_ml.reports import writing
from thesis_ml.reports.analyses import compare_globals_heads, compare_runs, compare_tokenizers
from thesis_ml.reports.config import parse_report
from thesis_ml.reports.summary import read_summary as read_any_summary
from thesis_ml.reports.utils.collection import collect_runs
from written_runs import write_run

Compose = Callable[..., DictConfig]
FILES = {
    "index.html",
    "manifest.yaml",
    "numbers.tex",
    "tables/groups.csv",
    "tables/groups.tex",
    "tables/pairs.tex",
    "training/summary.csv",
    "training/summary.json",
}
COMMAND = re.compile(r"\\newcommand\{\\(?P<name>[^}]*)\}\{(?P<value>.*)\}")


FEW_FIGURES = "outputs.which_figures=[rec_mse_curves]"


@pytest.fixture
def compare(compose_report: Compose) -> Callable[[Path], None]:
    """Make the report compare_runs of a sweep, with one figure."""

    def make(sweep: Path) -> None:
        compare_runs.run_report(compose_report("compare_runs", f"inputs.sweep_dir={sweep}", FEW_FIGURES))

    return make


class Compared(NamedTuple):
    """A sweep with an empty folder among its jobs, and the report of it."""

    sweep: Path
    report: Path


@pytest.fixture(scope="module")
def compared(trained_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    outputs = shutil.copytree(trained_sweep, tmp_path_factory.mktemp("compared") / "outputs", symlinks=True)
    sweep = Path(outputs) / "multiruns" / SWEEP
    (sweep / "009").mkdir()
    compare_runs.run_report(compose_report_config("compare_runs", f"inputs.sweep_dir={sweep}", FEW_FIGURES))
    (report,) = find_reports(Path(outputs))
    return Compared(sweep, report)


def find_reports(root: Path) -> list[Path]:
    return sorted((root / "reports").iterdir()) if (root / "reports").is_dir() else []


def list_files(folder: Path) -> set[str]:
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {path for path in paths if not path.startswith("training/figures/")}


def read_summary(report: Path) -> dict:
    return json.loads((report / "training" / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("module", [compare_tokenizers, compare_runs, compare_globals_heads])
def test_report_on_a_trained_sweep_leaves_what_it_promises(
    module, sweep: Path, outputs: Path, compose_report: Compose, capsys: pytest.CaptureFixture
) -> None:
    name = module.__name__.rpartition(".")[2]

    module.run_report(compose_report(name, f"inputs.sweep_dir={sweep}"))

    (report,) = find_reports(outputs)
    assert re.fullmatch(rf"report_\d{{8}}-\d{{6}}_{name}", report.name)
    assert list_files(report) == FILES
    assert f"{name}: 6 expected, 6 used" in capsys.readouterr().out
    summary = read_summary(report)
    assert (summary["summary_schema_version"], summary["swept"], summary["n_used"]) == (2, ["latent_space"], 6)
    assert [(group["label"], group["numbers"]["rec_mse"]["n"]) for group in summary["groups"]] == [
        ("linear", 3),
        ("vq", 3),
    ]


def test_manifest_accounts_for_every_folder(compared: Compared) -> None:
    sweep, report = compared
    manifest = yaml.safe_load((report / "manifest.yaml").read_text(encoding="utf-8"))
    assert manifest["report_id"] == report.name
    assert (manifest["n_found"], manifest["n_used"], manifest["n_left_out"]) == (7, 6, 1)
    first, last = manifest["runs"][0], manifest["runs"][-1]
    weights = hashlib.sha256((sweep / "000" / "best_val.pt").read_bytes()).hexdigest()
    facts = json.loads((sweep / "000" / "facts" / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["checkpoint_hash"] == weights
    assert first["config_hash"] == facts["meta"]["config_hash"]
    assert first["fingerprint"] == facts["meta"]["dataset_fingerprint"]
    assert first["completeness"] == {"epochs_recorded": 2, "epochs_planned": 2}
    assert (last["name"], last["state"], last["reason"]) == (f"{sweep.name}/009", "empty", "the folder is empty")


def test_summary_has_the_numbers_of_the_facts(compared: Compared) -> None:
    sweep, report = compared
    with (report / "training" / "summary.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    last = json.loads((sweep / "003" / "facts" / "events.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert len(rows) == 6
    assert (rows[3]["latent_space"], rows[3]["seed"]) == ("vq", "0")
    assert float(rows[3]["rec_mse"]) == last["metrics"]["test"]["rec_mse"]
    assert float(rows[3]["perplexity"]) == last["metrics"]["test"]["perplexity"]
    assert rows[0]["perplexity"] == ""
    assert all(float(row["time_to_threshold_s"]) <= float(row["total_time_s"]) for row in rows)


def test_numbers_for_tex_have_names_of_letters_once(compared: Compared) -> None:
    lines = (compared.report / "numbers.tex").read_text(encoding="utf-8").splitlines()[1:]
    commands = [COMMAND.fullmatch(line) for line in lines]
    names = [command["name"] for command in commands]
    assert all(name.isalpha() and name.isascii() for name in names)
    assert len(set(names)) == len(names)
    assert {"NRunsUsed", "RecMseMeanVq", "RecMseSdLinear"} <= set(names)
    assert any(name.startswith("PValue") for name in names)


def test_hostile_texts_of_runs_are_harmless(tmp_path: Path, compare: Callable[[Path], None]) -> None:
    evil = r"\input{/etc/passwd}$^_#%&~"
    for number, name in enumerate(("<script>alert(1)<", "=cmd()|' /C calc'!A1")):
        folder = write_run(
            tmp_path / "runs" / f"run{number}",
            phase1__latent_space__name=name,
            phase1__encoder__activation=f"{evil}\u202e{number}\nnext",
        )
        folder.rename(folder.with_name(name.replace("/", "-")))

    compare(tmp_path / "runs")

    (report,) = find_reports(tmp_path)
    page = (report / "index.html").read_text(encoding="utf-8")
    tables = (report / "tables" / "groups.tex").read_text(encoding="utf-8")
    with (report / "training" / "summary.csv").open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert "<script>alert" not in page
    assert r"\input" not in tables
    assert r"\textbackslash{}input\{" in tables
    assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
    assert not any("\u202e" in cell or "\n" in cell for cell in cells)
    assert yaml.safe_load((report / "manifest.yaml").read_text(encoding="utf-8"))["n_used"] == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_report_that_fails_leaves_nothing(
    error: type[BaseException], sweep: Path, outputs: Path, compare: Callable[[Path], None], monkeypatch
) -> None:
    def fail(*_: object) -> str:
        raise error("in the middle")

    monkeypatch.setattr(writing, "build_page", fail)

    with pytest.raises((error, ConfigError)):
        compare(sweep)

    assert find_reports(outputs) == []
    assert not list(outputs.rglob("report_pointer.txt"))


def test_place_that_takes_nothing_is_known_before_models_run(
    sweep: Path, tmp_path: Path, compare: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("THESIS_OUTPUT_ROOT", str(tmp_path / "file" / "outputs"))
    monkeypatch.setattr(compare_runs, "infer", lambda *_: pytest.fail("ran models first"))

    with pytest.raises(
        ConfigError, match=r"file/outputs/reports: cannot be written \(Not a directory\); free space or"
    ):
        compare(sweep)


def test_reports_of_one_second_do_not_share_a_folder(
    sweep: Path, outputs: Path, compare: Callable[[Path], None]
) -> None:
    for _ in range(2):
        compare(sweep)

    assert [list_files(report) for report in find_reports(outputs)] == [FILES, FILES]


def test_pointer_is_appended_once_and_leads_to_the_report(
    sweep: Path, outputs: Path, compare: Callable[[Path], None], compose_report: Compose
) -> None:
    pointer = sweep / "000" / "report_pointer.txt"
    pointer.write_text("a note without end", encoding="utf-8")

    compare(sweep)

    (report,) = find_reports(outputs)
    config = parse_report(compose_report("compare_runs", f"inputs.sweep_dir={sweep}"))
    writing.point_runs_to(report, collect_runs(config.inputs).runs)
    note, line = pointer.read_text(encoding="utf-8").splitlines()
    assert note == "a note without end"
    assert line.split("\t")[0] == report.name
    assert (pointer.parent / line.split("\t")[1]).resolve() == report


def test_pointer_that_cannot_be_written_is_a_warning(
    sweep: Path, outputs: Path, compare: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (sweep / "000" / "report_pointer.txt").symlink_to(tmp_path / "elsewhere")
    (sweep / "001" / "report_pointer.txt").mkdir()

    compare(sweep)

    assert len(find_reports(outputs)) == 1
    assert not (tmp_path / "elsewhere").exists()
    assert "no report_pointer.txt written in" in caplog.text
    assert "and 1 more" in caplog.text


def test_read_only_runs_are_reported_elsewhere(
    sweep: Path, outputs: Path, compare: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in outputs.rglob("*"):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file()}
    monkeypatch.setenv("THESIS_OUTPUT_ROOT", str(tmp_path / "mine"))

    try:
        compare(sweep)
    finally:
        for path in outputs.rglob("*"):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)

    assert [list_files(report) for report in find_reports(tmp_path / "mine")] == [FILES]
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_report_goes_beside_the_runs_or_to_outputs(tmp_path: Path, compose_report: Compose, monkeypatch) -> None:
    write_run(tmp_path / "any" / "one")
    write_run(tmp_path / "place" / "runs" / "one")
    monkeypatch.chdir(tmp_path)

    roots = [
        writing.find_root(parse_report(compose_report("compare_runs", f"inputs.run_dirs=[{folder}]")))
        for folder in ("any/one", "place/runs/*")
    ]

    assert roots == [Path("outputs"), (tmp_path / "place").resolve()]


def test_two_runs_are_put_side_by_side(sweep: Path, outputs: Path, compose_report: Compose) -> None:
    dirs = f"inputs.run_dirs=[{sweep / '000'},{sweep / '004'}]"

    compare_runs.run_report(compose_report("compare_runs", dirs, FEW_FIGURES))

    (report,) = find_reports(outputs)
    differences = read_summary(report)["differences"]
    config = {what: (first, second) for what, first, second in differences["config"]}
    numbers = {what: (first, second) for what, first, second in differences["numbers"]}
    rows = {row["run"]: row for row in read_summary(report)["runs"]}
    assert config["phase1.trainer.seed"] == (0, 1)
    assert config["phase1.latent_space.name"] == ("linear", "vq")
    assert config["phase1.latent_space.codebook_size"] == (None, 512)
    assert "phase1.trainer.lr" not in config
    assert "code" not in differences
    assert numbers["rec_mse"] == (rows["000"]["rec_mse"], rows["004"]["rec_mse"])


def test_summary_of_the_first_schema_is_read_as_the_second(tmp_path: Path) -> None:
    verdict = {
        "column": "rec_mse",
        "banners": ["The runs differ."],
        "sentences": ["Smallest: vq."],
        "tests": [],
    }
    old = {"summary_schema_version": 1, "verdict": verdict, "scores": {"flags": ["Null of vq."], "sentences": []}}
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(old), encoding="utf-8")

    new = read_any_summary(path)

    assert (new["summary_schema_version"], new["headline"]) == (2, ["Smallest: vq."])
    assert [(check["name"], check["text"]) for check in new["checks"]] == [("comparability", "The runs differ.")]
    assert new["separation"]["checks"][0]["text"] == "Null of vq."
    assert "scores" not in new


def test_summary_that_was_written_is_read(compared: Compared) -> None:
    path = compared.report / "training" / "summary.json"

    assert read_any_summary(path) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"summary_schema_version": 3}'])
def test_file_that_is_no_summary_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(text, encoding="utf-8")

    with pytest.raises(ReportError, match="summary"):
        read_any_summary(tmp_path / "summary.json")
